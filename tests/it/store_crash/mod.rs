//! The store on disk loses nothing: programs on a simulated disk that crashes, fails, fills up and
//! rots, and a model of what must be there afterwards.
//!
//! After each crash: the store opens; it is in a state that there has been, whole, not older than
//! what was acknowledged or seen; and every read, past read, watch and lease tells of that state.
//! A flipped bit in what an earlier sync covered is named or does no harm, and is never served.
//!
//! `WINDLASS_CRASH_SCHEDULES` says how many schedules, `WINDLASS_CRASH_SEED` which, and
//! `WINDLASS_CRASH_ONLY` takes the name of one, as a failure prints it.

mod examine;
mod model;
mod names;
mod planted;
mod program;
mod runner;
mod schedule;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use windlass::env::Random;
use windlass::sim::disk::Loss;

use self::program::Step;
use self::runner::Subject;
use self::schedule::{Counts, Schedule};

/// How many schedules where nobody asks for more.
const SCHEDULES: usize = 700;

/// From how many on there is time for what is less likely to find anything.
const MANY: usize = 2000;

/// So many boundaries has the opening of a small store at most, about.
const REOPENING: u64 = 40;

/// What a crash at a boundary leaves, one after the other.
const LOSSES: [Loss; 7] =
    [Loss::Everything, Loss::Nothing, Loss::Each, Loss::Sectors, Loss::Tail, Loss::Process, Loss::Bytes];

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// So many schedules of one seed, each with its name. They are made when they are run: a million is a lot.
struct Plan {
    seed: u64,
    small: Vec<(&'static str, Vec<Step>)>,
    jobs: Vec<Job>,
}

/// What names a schedule of a plan.
#[derive(Clone, Copy)]
enum Job {
    /// The small program of this place is crashed at this boundary, for the so-manieth time.
    Boundary {
        program: usize,
        boundary: u64,
        pass: u64,
    },
    /// It is crashed at its end, and at this boundary while it is opened again.
    Reopening {
        program: usize,
        end: u64,
        boundary: u64,
    },
    Random(u64),
}

impl Plan {
    /// Every small program crashed at every boundary, with each loss in turn as far as there is room, and
    /// then random ones.
    fn new(seed: u64, count: usize) -> Self {
        let small = program::small();
        let ends: Vec<_> = small.iter().map(|(_, steps)| schedule::boundaries(steps)).collect();
        let once: u64 = ends.iter().map(|end| end + 1).sum();
        let passes = (count as u64 / 2 / once).clamp(1, 2 * LOSSES.len() as u64);
        let mut jobs = Vec::new();
        for pass in 0..passes {
            for (program, end) in ends.iter().enumerate() {
                jobs.extend((0..=*end).map(|boundary| Job::Boundary { program, boundary, pass }));
            }
        }
        if count >= MANY {
            for (program, end) in ends.iter().enumerate() {
                jobs.extend((0..REOPENING).map(|boundary| Job::Reopening { program, end: *end, boundary }));
            }
        }
        jobs.extend((0..count.saturating_sub(jobs.len()) as u64).map(Job::Random));
        Self { seed, small, jobs }
    }

    fn name(&self, job: Job) -> String {
        match job {
            Job::Boundary { program, boundary, pass } => {
                format!("{}/{boundary}/{pass}", self.small[program].0)
            }
            Job::Reopening { program, boundary, .. } => {
                format!("{}/reopening/{boundary}", self.small[program].0)
            }
            Job::Random(number) => format!("random/{number}"),
        }
    }

    fn schedule(&self, job: Job) -> Schedule {
        let at = |program: usize, boundary, turn: u64, recovery| {
            let loss = LOSSES[turn as usize % LOSSES.len()];
            Schedule::at_boundary(mixed(self.seed, turn), &self.small[program].1, boundary, loss, recovery)
        };
        match job {
            Job::Boundary { program, boundary, pass } => {
                let turn = pass + boundary;
                // Half of the passes crash while the store is opened again, too.
                let again = turn / LOSSES.len() as u64 % 2 == 1;
                at(program, boundary, turn, again.then_some((boundary * 5 + pass) % 24))
            }
            Job::Reopening { program, end, boundary } => at(program, end, boundary, Some(boundary)),
            Job::Random(number) => Schedule::random(mixed(self.seed, number)),
        }
    }

    /// Runs the schedules, several at once; each is a world of its own. Answers the counts and the first, in
    /// their order, that failed.
    fn run(&self, subject: Subject) -> (Counts, Option<Job>) {
        let next = AtomicUsize::new(0);
        let failed = AtomicUsize::new(usize::MAX);
        let counts = Mutex::new(Counts::new());
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= self.jobs.len() || index > failed.load(Ordering::Relaxed) {
                    return;
                }
                match self.schedule(self.jobs[index]).run(subject) {
                    Ok(found) => {
                        let mut counts = counts.lock().unwrap();
                        found.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
                    }
                    Err(_) => _ = failed.fetch_min(index, Ordering::Relaxed),
                }
            }
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        std::thread::scope(|scope| (0..workers).for_each(|_| _ = scope.spawn(work)));
        (counts.into_inner().unwrap(), self.jobs.get(failed.into_inner()).copied())
    }
}

/// A seed of its own for each number.
fn mixed(seed: u64, number: u64) -> u64 {
    Random::seeded(seed).stream(&format!("schedule {number}")).next_u64()
}

#[test]
fn nothing_is_lost() {
    let seed = variable("WINDLASS_CRASH_SEED").unwrap_or(1);
    let count = variable("WINDLASS_CRASH_SCHEDULES").map_or(SCHEDULES, |count| count as usize);
    let mut plan = Plan::new(seed, count);
    if let Ok(only) = std::env::var("WINDLASS_CRASH_ONLY") {
        let jobs = std::mem::take(&mut plan.jobs);
        plan.jobs = jobs.into_iter().filter(|job| plan.name(*job) == only).collect();
        assert!(!plan.jobs.is_empty(), "there is no schedule {only} among {count}");
    }
    let random = plan.jobs.iter().filter(|job| matches!(job, Job::Random(_))).count();
    let (counts, failed) = plan.run(Subject::HONEST);
    if let Some(job) = failed {
        let (smallest, failure) = plan.schedule(job).minimised(Subject::HONEST);
        panic!(
            "{}\n\nreplay: WINDLASS_CRASH_SEED={seed} WINDLASS_CRASH_SCHEDULES={count} \
             WINDLASS_CRASH_ONLY={}\n\nsmallest that fails: {smallest:#?}\n\nwhat it did:\n{}\n\n\
             the disk's last calls:\n{}",
            failure.violation,
            plan.name(job),
            failure.log.join("\n"),
            failure.trace.join("\n")
        );
    }
    println!(
        "crash: {} schedules, {} at every boundary of {} programs and {random} random, seed {seed}: {}",
        plan.jobs.len(),
        plan.jobs.len() - random,
        plan.small.len(),
        counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    );
}

#[test]
fn every_planted_bug_is_caught() {
    let plan = Plan::new(1, SCHEDULES);
    for (name, subject) in planted::BUGS {
        let (_, failed) = plan.run(subject);
        let failed = failed.unwrap_or_else(|| panic!("nobody noticed: {name}"));
        let failure = plan.schedule(failed).run(subject).expect_err("it fails again");
        let violation: String = failure.violation.to_string().chars().take(160).collect();
        println!("planted bug, {name}: caught by schedule {}: {violation}", plan.name(failed));
    }
}

#[test]
fn a_seed_is_a_history() {
    for number in 0..3 {
        let told = || {
            let outcome = Schedule::random(mixed(7, number)).run(planted::BUGS[0].1);
            outcome.map_err(|failure| (failure.violation, failure.log, failure.trace))
        };
        assert_eq!(told(), told());
    }
}
