//! One schedule: programs, and what happens to the disk meanwhile. It is plain data, so that one that
//! fails can be replayed and made smaller.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use windlass::env::Random;
use windlass::sim;
use windlass::sim::disk::{Fault, Flip, Loss, Rest, SimDisk};
use windlass::store::Error;
use windlass::store::disk::DiskOptions;

use super::examine::{Damage, Violation, examine, recognise, violation};
use super::program::{self, Step};
use super::runner::{End, Log, Runner, Subject};

/// What is done to one store.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// Decides what is left to chance: what a crash leaves, which bit flips.
    pub(super) seed: u64,
    pub(super) segment_bytes: u64,
    pub(super) history_bytes: usize,
    /// One after the other, on one disk.
    pub(super) lives: Vec<Life>,
    /// A bit of this class flips after the last life; before the store is opened or (where true) after.
    pub(super) flip: Option<(Rest, bool)>,
}

/// From one opening of the store to its end.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) steps: Vec<Step>,
    /// What happens at which I/O boundary, if the program comes so far.
    pub(super) fault: Option<(u64, Fault)>,
    /// How many bytes the disk has room for, more than it holds.
    pub(super) room: Option<u64>,
    /// It is closed when its program ends; otherwise the machine stops then.
    pub(super) close: bool,
    /// What the crash at its end leaves.
    pub(super) loss: Loss,
    /// The machine stops at these boundaries while the store is opened after it, one after the other.
    pub(super) recovery: Vec<u64>,
}

/// What happened, counted by name.
pub(super) type Counts = BTreeMap<String, u64>;

/// Why a schedule failed, and what was done until then.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) violation: Violation,
    pub(super) log: Vec<String>,
    pub(super) trace: Vec<String>,
}

/// How many I/O boundaries a program has when nothing happens.
pub(super) fn boundaries(steps: &[Step]) -> u64 {
    let schedule = Schedule::plain(0);
    sim::run(0, async |env| {
        let disk = SimDisk::new(&env.random);
        let mut runner = Runner::new(Subject::HONEST, disk, &env, schedule.options(), Log::default());
        let mut opened = None;
        let end = runner.live(&mut opened, steps).await;
        let boundaries = runner.disk.boundaries();
        if let Some(store) = opened {
            Runner::drop(store).await;
        }
        // Where it fails the schedules will tell.
        end.map_or(0, |_| boundaries)
    })
}

impl Life {
    fn quiet(steps: Vec<Step>) -> Self {
        Self { steps, fault: None, room: None, close: true, loss: Loss::Nothing, recovery: Vec::new() }
    }
}

impl Schedule {
    fn plain(seed: u64) -> Self {
        Self { seed, segment_bytes: 8192, history_bytes: 1000, lives: Vec::new(), flip: None }
    }

    /// A program that is crashed at one boundary. What is there then is used, and must survive a crash
    /// that follows at once.
    pub(super) fn at_boundary(
        seed: u64,
        steps: &[Step],
        boundary: u64,
        loss: Loss,
        recovery: Option<u64>,
    ) -> Self {
        let crashed = Life {
            fault: Some((boundary, Fault::Crash)),
            loss,
            recovery: recovery.into_iter().collect(),
            close: false,
            ..Life::quiet(steps.to_vec())
        };
        let chance = Random::seeded(seed).stream("after");
        let after = Life {
            loss: Loss::Everything,
            close: false,
            ..Life::quiet(program::random(&chance, (boundary % 4) as usize, "after"))
        };
        Self { lives: vec![crashed, after], ..Self::plain(seed) }
    }

    /// Anything at all.
    pub(super) fn random(seed: u64) -> Self {
        let chance = Random::seeded(seed).stream("schedule");
        let pick = |of: &[u64]| of[chance.below(of.len() as u64) as usize];
        let lives = (0..pick(&[1, 1, 2, 2, 3, 4])).map(|life| {
            let count = pick(&[4, 12, 12, 30, 60]) as usize;
            let steps = program::random(&chance, count, &format!("{life}"));
            // A step has some ten boundaries.
            let boundary = chance.below(pick(&[10, 40, 40, 100, 12 * count as u64]));
            let fault = match chance.below(10) {
                0..=5 => Some((boundary, Fault::Crash)),
                6 => Some((boundary, Fault::Fail(io::ErrorKind::Other))),
                7 => Some((boundary, Fault::Fail(io::ErrorKind::StorageFull))),
                _ => None,
            };
            let losses = [Loss::Any, Loss::Any, Loss::Any, Loss::Process];
            Life {
                steps,
                fault,
                room: (fault.is_none() && chance.below(2) == 0).then(|| chance.below(60_000)),
                close: chance.below(3) == 0,
                // Nobody can see what the system has forgotten after a failed sync of another process.
                loss: match fault {
                    Some((_, Fault::Fail(_))) => Loss::Any,
                    _ => losses[chance.below(4) as usize],
                },
                recovery: (0..chance.below(4).saturating_sub(1))
                    .map(|_| chance.below(pick(&[8, 30])))
                    .collect(),
            }
        });
        let lives: Vec<_> = lives.collect();
        let flip = match chance.below(9) {
            0 | 1 => Some(Rest::Superseded),
            2 => Some(Rest::Newest),
            3 => Some(Rest::Free),
            _ => None,
        };
        Self {
            seed,
            segment_bytes: pick(&[4096, 8192, 8192, 65536]),
            history_bytes: pick(&[0, 1000, 1 << 20]) as usize,
            lives,
            flip: flip.map(|rest| (rest, chance.below(3) == 0)),
        }
    }

    fn options(&self) -> DiskOptions {
        DiskOptions::default()
            .inline()
            .quota_bytes(None)
            .segment_bytes(self.segment_bytes)
            .history_bytes(self.history_bytes)
    }

    /// Runs the schedule.
    pub(super) fn run(&self, subject: Subject) -> Result<Counts, Failure> {
        let disk = SimDisk::new(&Random::seeded(self.seed));
        let log = Log::default();
        let run = || {
            sim::run(self.seed, async |env| {
                let mut runner = Runner::new(subject, disk.clone(), &env, self.options(), log.clone());
                let mut counts = Counts::new();
                self.live(&mut runner, &mut counts).await.map(|()| counts)
            })
        };
        let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            let told = panic.downcast_ref::<String>().map(String::as_str);
            let told = told.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("it panics: {}", told.unwrap_or("without a word")))
        });
        outcome.map_err(|violation| Failure { violation, log: log.lines(), trace: disk.trace() })
    }

    async fn live(&self, runner: &mut Runner, counts: &mut Counts) -> Result<(), Violation> {
        let mut count = |what: &str| *counts.entry(what.to_owned()).or_default() += 1;
        let mut opened = None;
        for (index, life) in self.lives.iter().enumerate() {
            let last = index + 1 == self.lives.len();
            if let Some((boundary, fault)) = life.fault {
                runner.disk.inject(boundary, fault);
            }
            runner.disk.set_capacity(life.room.map(|room| runner.disk.used() + room));
            runner.excused = life.room.is_some() || matches!(life.fault, Some((_, Fault::Fail(_))));
            let end = runner.live(&mut opened, &life.steps).await?;
            runner.disk.calm();
            runner.disk.set_capacity(None);
            let excused = std::mem::take(&mut runner.excused);
            runner.log.push(format!("-- ended: {end:?}"));
            count(match end {
                End::Crashed => "crashes",
                End::Failed(_) => "failures",
                End::Done if life.close => "closed",
                End::Done => "crashes between steps",
            });
            match opened.take() {
                Some(store) if life.close && matches!(end, End::Done) => match Runner::close(store).await {
                    Ok(()) => runner.model.acknowledge(runner.model.done()),
                    Err(_) if excused => runner.disk.crash(),
                    Err(error) => violation!("it does not close: {error}"),
                },
                Some(store) => {
                    runner.disk.crash();
                    Runner::drop(store).await;
                }
                None => {}
            }
            if last && let Some((rest, open)) = self.flip {
                let outcome = flip(runner, rest, open, life.loss).await?;
                count(&format!("{rest:?} flip {outcome}"));
                return Ok(());
            }
            let mut boundary = 0;
            for within in &life.recovery {
                boundary += within;
                runner.disk.inject(boundary, Fault::Crash);
                boundary += 1;
            }
            let (store, crashes) = runner.recover(life.loss).await?;
            opened = Some(store);
            (0..crashes).for_each(|_| count("crashes in recovery"));
        }
        if let Some(store) = opened {
            Runner::drop(store).await;
        }
        Ok(())
    }

    /// The same with less, as long as it fails.
    pub(super) fn minimised(&self, subject: Subject) -> (Self, Failure) {
        let mut smallest = self.clone();
        let mut failure = self.run(subject).expect_err("it has failed");
        let mut attempts = 0;
        let mut shorter = true;
        while std::mem::take(&mut shorter) {
            for candidate in smallest.smaller() {
                attempts += 1;
                if attempts > 600 {
                    return (smallest, failure);
                }
                if let Err(fails) = candidate.run(subject) {
                    (smallest, failure) = (candidate, fails);
                    shorter = true;
                    break;
                }
            }
        }
        (smallest, failure)
    }

    /// All that are a little smaller, boldest first.
    fn smaller(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut smaller = self.clone();
            change(&mut smaller);
            found.push(smaller);
        };
        if self.flip.is_some() {
            with(&|schedule| schedule.flip = None);
        }
        for life in 0..self.lives.len() {
            if self.lives.len() > 1 {
                with(&|schedule| _ = schedule.lives.remove(life));
            }
            if !self.lives[life].recovery.is_empty() {
                with(&|schedule| schedule.lives[life].recovery.clear());
            }
        }
        for life in 0..self.lives.len() {
            let steps = self.lives[life].steps.len();
            if steps > 3 {
                with(&|schedule| schedule.lives[life].steps.truncate(steps / 2));
                with(&|schedule| _ = schedule.lives[life].steps.drain(..steps / 2));
            }
            for step in (0..steps).rev() {
                with(&|schedule| _ = schedule.lives[life].steps.remove(step));
                if let Step::Commit(txns) = &self.lives[life].steps[step]
                    && txns.len() > 1
                {
                    let half = txns.len() / 2;
                    with(&|schedule| {
                        if let Step::Commit(txns) = &mut schedule.lives[life].steps[step] {
                            txns.truncate(half);
                        }
                    });
                }
            }
        }
        found
    }
}

/// Flips a bit of a store that is closed or has crashed, and looks at what it makes of it.
async fn flip(runner: &mut Runner, rest: Rest, open: bool, loss: Loss) -> Result<&'static str, Violation> {
    if open {
        let (opened, _) = runner.recover(loss).await?;
        let Some(flip) = flipped(runner, rest) else {
            Runner::drop(opened).await;
            return Ok("impossible");
        };
        let done = runner.model.acked();
        let named =
            examine(&*opened.store, &runner.model, done, Damage(Some(&flip)), true, &runner.chance).await?;
        Runner::drop(opened).await;
        return Ok(if named > 0 { "while open named" } else { "while open harmless" });
    }
    runner.disk.restart(if loss == Loss::Process { Loss::Any } else { loss });
    let Some(flip) = flipped(runner, rest) else { return Ok("impossible") };
    let opened = match runner.open().await {
        Ok(opened) => opened,
        Err(Error::Corrupt { what }) if what.contains(&flip.file) => return Ok("named"),
        Err(error) => violation!("after a flip of {flip:?} the store does not open: {error}"),
    };
    let acked = runner.model.acked();
    let least = if rest == Rest::Newest { runner.model.before() } else { acked };
    let done = recognise(&*opened.store, &runner.model, least).await?;
    let named =
        examine(&*opened.store, &runner.model, done, Damage(Some(&flip)), true, &runner.chance).await?;
    Runner::drop(opened).await;
    Ok(match () {
        () if done < acked => "taken for a torn tail",
        () if named > 0 => "named when read",
        () => "harmless",
    })
}

fn flipped(runner: &mut Runner, rest: Rest) -> Option<Flip> {
    let flip = runner.disk.flip(rest)?;
    runner.log.push(format!("-- flipped {flip:?}"));
    Some(flip)
}
