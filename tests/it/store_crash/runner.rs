//! Runs a program on a store over a simulated disk, and keeps the books: what was done, what was
//! acknowledged, what was seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use windlass::env::{Env, Random, Stream};
use windlass::sim::disk::{Loss, SimDisk};
use windlass::store::disk::{DiskOptions, DiskStore, Files};
use windlass::store::{Error, KeyRange, ObjectStore, Op, Result, Revision, Txn, WatchOptions, WatchStream};

use super::examine::{Damage, Violation, agree, examine, past, recognise, violation};
use super::model::{Model, Refusal};
use super::program::{Step, ttl};

/// What is tested: the store, or the store with a bug that somebody planted around it.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    /// What stands between the store and the disk.
    pub(super) files: fn(Arc<dyn Files>) -> Arc<dyn Files>,
    /// What stands between the store and its users.
    pub(super) store: fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
}

impl Subject {
    pub(super) const HONEST: Self = Self { files: |files| files, store: |store| store };
}

/// A store that is open.
pub(super) struct Opened {
    disk: DiskStore,
    pub(super) store: Arc<dyn ObjectStore>,
    env: Env,
    watch: Option<WatchStream>,
    /// The next revision that the watch tells.
    due: u64,
}

/// How a life of the store ended.
#[derive(Debug)]
pub(super) enum End {
    /// With its program.
    Done,
    /// The machine stopped.
    Crashed,
    /// The store answered so, after something had been injected.
    Failed(#[allow(dead_code, reason = "it is told in the log")] String),
}

/// One store on one disk, through several lives.
pub(super) struct Runner {
    subject: Subject,
    pub(super) disk: SimDisk,
    pub(super) model: Model,
    env: Env,
    options: DiskOptions,
    pub(super) chance: Stream,
    /// Seconds that have passed.
    now: u64,
    /// When each lease ends.
    deadlines: BTreeMap<i64, u64>,
    /// Calls may fail, because something was injected.
    pub(super) excused: bool,
    /// The program so far, for whoever reads of a failure.
    pub(super) log: Log,
}

/// What was done, in order. Clones are the same log.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn push(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Runner {
    pub(super) fn new(subject: Subject, disk: SimDisk, env: &Env, options: DiskOptions, log: Log) -> Self {
        Self {
            subject,
            disk,
            model: Model::new(),
            env: env.clone(),
            options,
            chance: env.random.stream("runner"),
            now: 0,
            deadlines: BTreeMap::new(),
            excused: false,
            log,
        }
    }

    /// Opens the store as it is.
    pub(super) async fn open(&mut self) -> Result<Opened> {
        let env = self.env.child();
        let files = (self.subject.files)(Arc::new(self.disk.clone()));
        let disk = match DiskStore::open_on(files, &env, self.options) {
            Ok(disk) => disk,
            Err(error) => {
                env.tasks.shutdown().await;
                return Err(error);
            }
        };
        let store = (self.subject.store)(Arc::new(disk.clone()));
        Ok(Opened { disk, store, env, watch: None, due: 0 })
    }

    /// What is open is dropped, with whatever it has begun.
    pub(super) async fn drop(opened: Opened) {
        let Opened { disk, store, env, watch, .. } = opened;
        drop(watch);
        env.tasks.shutdown().await;
        drop(store);
        drop(disk);
    }

    /// Finds out what is there, and that it is right; then that is all that ever happened.
    pub(super) async fn settle(&mut self, opened: &mut Opened) -> Result<(), Violation> {
        let store = opened.store.clone();
        let done = recognise(&*store, &self.model, self.model.acked()).await?;
        self.log.push(format!(
            "-- opened at {done} of {} (acknowledged {})",
            self.model.done(),
            self.model.acked()
        ));
        examine(&*store, &self.model, done, Damage(None), true, &self.chance).await?;
        self.model.settle(done);
        let maintenance = store.maintenance().ok_or("it has no maintenance")?;
        if maintenance.status().await.is_ok_and(|status| status.no_space) {
            maintenance.disarm().await.map_err(|error| format!("the alarm cannot be taken back: {error}"))?;
        }
        let world = self.model.newest();
        self.deadlines = world.leases.iter().map(|(id, ttl)| (*id, self.now + ttl.as_secs())).collect();
        let options = WatchOptions::from(Revision(world.revision + 1));
        let watch = store.watch(KeyRange::all(), options.with_previous()).await;
        opened.watch = Some(watch.map_err(|error| format!("watch from the next revision: {error}"))?);
        opened.due = world.revision + 1;
        Ok(())
    }

    /// Closes the store and drops it.
    pub(super) async fn close(opened: Opened) -> Result<()> {
        let closed = opened.disk.close().await;
        Self::drop(opened).await;
        closed
    }

    /// Opens the store after a crash, and again if it crashes meanwhile.
    ///
    /// Answers also how often it did.
    pub(super) async fn recover(&mut self, loss: Loss) -> Result<(Opened, u64), Violation> {
        let mut loss = loss;
        let mut crashes = 0;
        loop {
            self.disk.restart(loss);
            self.log.push(format!("-- restarted, lost: {loss:?}"));
            match self.open().await {
                Ok(mut opened) if !self.disk.is_crashed() => {
                    self.disk.calm();
                    self.settle(&mut opened).await?;
                    return Ok((opened, crashes));
                }
                Ok(opened) => Self::drop(opened).await,
                Err(_) if self.disk.is_crashed() => {}
                Err(error) => violation!("the store does not open: {error}"),
            }
            self.log.push("-- crashed while it was opened".to_owned());
            loss = Loss::Any;
            crashes += 1;
        }
    }

    /// Runs a program until its end, a crash, or a failure that was injected. Opens the store for it
    /// where it is not.
    pub(super) async fn live(
        &mut self,
        opened: &mut Option<Opened>,
        steps: &[Step],
    ) -> Result<End, Violation> {
        for step in steps {
            self.log.push(format!("{step:?}"));
            if opened.is_none() {
                match self.open().await {
                    Ok(mut new) if !self.disk.is_crashed() => {
                        let settled = self.settle(&mut new).await;
                        *opened = Some(new);
                        match settled {
                            Err(_) if self.disk.is_crashed() => return Ok(End::Crashed),
                            Err(why) if self.excused => return Ok(End::Failed(why)),
                            settled => settled?,
                        }
                    }
                    Ok(new) => {
                        Self::drop(new).await;
                        return Ok(End::Crashed);
                    }
                    Err(_) if self.disk.is_crashed() => return Ok(End::Crashed),
                    Err(error) if self.excused => return Ok(End::Failed(error.to_string())),
                    Err(error) => violation!("the store does not open: {error}"),
                }
            }
            let Some(store) = opened else { unreachable!("it is open") };
            let syncs = self.disk.syncs();
            let acked = self.model.acked();
            let outcome = if matches!(step, Step::Reopen) {
                let closed = match opened.take() {
                    Some(store) => Self::close(store).await,
                    None => Ok(()),
                };
                if closed.is_ok() {
                    // Also what nobody waited for.
                    self.model.acknowledge(self.model.done());
                }
                closed
            } else {
                let outcome = self.step(store, step).await?;
                self.watch(store, outcome.is_ok()).await?;
                outcome
            };
            if self.model.acked() > acked {
                self.disk.supersede(syncs);
                self.model.superseded(acked);
            }
            if self.disk.is_crashed() {
                return Ok(End::Crashed);
            }
            match outcome {
                Ok(()) => {}
                Err(error) if self.excused => return Ok(End::Failed(error.to_string())),
                Err(error) => violation!("{error}"),
            }
        }
        Ok(End::Done)
    }

    async fn step(&mut self, opened: &mut Opened, step: &Step) -> Result<Result<()>, Violation> {
        let store = opened.store.clone();
        let leases = store.leases().ok_or("it has no leases")?;
        let maintenance = store.maintenance().ok_or("it has no maintenance")?;
        let failed = match step {
            Step::Commit(txns) => return self.commit(&*store, txns).await,
            Step::Abandon(txn) => {
                let answer = store.commit(txn.clone()).now_or_never();
                if self.excused && matches!(answer, Some(Err(Error::NoSpace))) {
                    return Ok(Ok(()));
                }
                let expected = self.model.commit(txn);
                match answer {
                    None => None,
                    Some(answer) => self.answered(answer.map(drop), expected.map(drop))?,
                }
            }
            Step::Grant(id) => {
                let seconds = Duration::from_secs(ttl(*id));
                let expected = self.model.grant(*id, seconds);
                let granted = leases.grant(*id, seconds).await;
                if granted.as_ref().is_ok_and(|granted| granted.id != *id || granted.ttl != seconds) {
                    violation!("{granted:?} instead of lease {id} with {seconds:?}");
                }
                let failed = self.answered(granted.map(drop), expected)?;
                if failed.is_none() && expected.is_ok() {
                    self.deadlines.insert(*id, self.now + ttl(*id));
                }
                failed
            }
            Step::Revoke(id) => {
                let expected = self.model.revoke(*id);
                if expected.is_ok() {
                    self.deadlines.remove(id);
                }
                let revoked = leases.revoke(*id).await;
                let due = self.model.newest().revision;
                if revoked.as_ref().is_ok_and(|revision| expected.is_ok() && revision.0 != due) {
                    violation!("revoked at {revoked:?} instead of {due}");
                }
                self.answered(revoked.map(drop), expected)?
            }
            Step::KeepAlive(id) => match (leases.keep_alive(*id).await, self.deadlines.get_mut(id)) {
                (Ok(_), Some(deadline)) => {
                    *deadline = self.now + ttl(*id);
                    None
                }
                (Err(Error::LeaseNotFound { .. }), None) => None,
                (Ok(ttl), None) => violation!("lease {id} is not there, and is kept alive for {ttl:?}"),
                (Err(error), _) => Some(error),
            },
            Step::Wait(seconds) => return self.wait(&*store, *seconds).await,
            Step::Compact(ago) => {
                let world = self.model.world(self.model.acked());
                let floor = world.revision.saturating_sub(*ago);
                if floor <= world.floor {
                    return Ok(Ok(()));
                }
                self.model.compact(floor);
                self.answered(store.compact(Revision(floor)).await, Ok(()))?
            }
            Step::Defragment => maintenance.defragment().await.err(),
            Step::Backup => return self.backup(&*store).await,
            Step::Look(ago) => {
                let world = self.model.world(self.model.acked());
                let revision = world.revision.saturating_sub(*ago).max(world.floor);
                match past(&*store, &self.model, revision).await {
                    Err(_) if self.excused || self.disk.is_crashed() => {}
                    other => other?,
                }
                None
            }
            Step::Reopen => unreachable!("it is done by whoever holds the store"),
        };
        Ok(failed.map_or(Ok(()), Err))
    }

    /// What was asked for last was answered so. An error that was not to be expected comes back.
    fn answered(
        &mut self,
        answer: Result<()>,
        expected: Result<(), Refusal>,
    ) -> Result<Option<Error>, Violation> {
        match (answer, expected) {
            (Ok(()), Ok(())) => {
                self.model.acknowledge(self.model.done());
                Ok(None)
            }
            (Ok(()), Err(refusal)) => violation!("it does what it should refuse: {refusal:?}"),
            (Err(error), Err(refusal)) if refusal.is(&error) => Ok(None),
            (Err(error), _) => Ok(Some(error)),
        }
    }

    async fn commit(&mut self, store: &dyn ObjectStore, txns: &[Txn]) -> Result<Result<()>, Violation> {
        let answers = join_all(txns.iter().map(|txn| store.commit(txn.clone()))).await;
        let mut failed = Ok(());
        for (txn, answer) in txns.iter().zip(answers) {
            if self.excused && matches!(answer, Err(Error::NoSpace)) {
                continue;
            }
            match (answer, self.model.commit(txn)) {
                (Ok(answer), Ok(expected)) if answer == expected => self.model.acknowledge(self.model.done()),
                (Err(error), Err(refusal)) if refusal.is(&error) => {}
                (Err(error), _) => failed = Err(error),
                (answer, expected) => violation!("commit: {answer:?} instead of {expected:?}"),
            }
        }
        if let Err(error) = &failed
            && self.excused
            && !self.disk.is_crashed()
        {
            self.refused(store, error).await?;
        }
        Ok(failed)
    }

    /// A commit failed because of something that was injected: the store has stopped and says so.
    async fn refused(&mut self, store: &dyn ObjectStore, error: &Error) -> Result<(), Violation> {
        match error {
            Error::Stopped { .. } => match store.commit(Txn::new().then(Op::put("late", "late"))).await {
                Err(Error::Stopped { .. }) => {}
                other => violation!("it had stopped, and answers the next commit with {other:?}"),
            },
            other => violation!("a commit fails on a broken disk with {other}"),
        }
        Ok(())
    }

    /// Lets time pass, and leases end.
    async fn wait(&mut self, store: &dyn ObjectStore, seconds: u64) -> Result<Result<()>, Violation> {
        // Whatever would end soon after is too close to call.
        const SLACK: u64 = 2;
        let then = self.now + seconds;
        let mut due: Vec<_> =
            self.deadlines.iter().filter(|(_, at)| **at <= then + SLACK).map(|(id, at)| (*at, *id)).collect();
        due.sort_unstable();
        let close = due.windows(2).any(|pair| pair[1].0 - pair[0].0 <= SLACK);
        if close || due.iter().any(|(at, _)| *at > then) {
            return Ok(Ok(()));
        }
        for (_, id) in &due {
            self.deadlines.remove(id);
            let _ = self.model.revoke(*id);
        }
        self.env.clock.sleep(Duration::from_secs(seconds + SLACK)).await;
        self.now = then + SLACK;
        let leases = store.leases().ok_or("it has no leases")?;
        match leases.leases().await {
            Ok(left) if left.iter().eq(self.deadlines.keys()) => {
                if !due.is_empty() {
                    self.model.acknowledge(self.model.done());
                }
                Ok(Ok(()))
            }
            Ok(left) if self.disk.is_crashed() || self.excused => {
                Ok(Err(Error::Stopped { why: format!("leases {left:?} are left").into() }))
            }
            Ok(left) => violation!("leases {left:?} are left instead of {:?}", self.deadlines.keys()),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Takes a snapshot and restores it on another disk, which may crash meanwhile.
    async fn backup(&mut self, store: &dyn ObjectStore) -> Result<Result<()>, Violation> {
        let maintenance = store.maintenance().ok_or("it has no maintenance")?;
        let before = self.model.acked();
        let mut stream = match maintenance.snapshot().await {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(error)),
        };
        let mut pieces = Vec::new();
        let mut meanwhile = Some(Txn::new().then(Op::put("meanwhile", format!("{}", self.model.done()))));
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(piece) => pieces.push(piece),
                Err(error) => return Ok(Err(error)),
            }
            if let Some(txn) = meanwhile.take()
                && let Err(error) = self.commit(store, &[txn]).await?
            {
                return Ok(Err(error));
            }
        }
        drop(stream);
        if self.disk.is_crashed() {
            return Ok(Ok(()));
        }
        let random = Random::seeded(self.chance.next_u64());
        let disk = SimDisk::new(&random);
        let crash = random.stream("crash").below(24);
        disk.inject(crash, windlass::sim::disk::Fault::Crash);
        let copy = |pieces: &[bytes::Bytes]| futures_util::stream::iter(pieces.to_vec()).map(Ok).boxed();
        let files = (self.subject.files)(Arc::new(disk.clone()));
        let env = self.env.child();
        let restored = DiskStore::restore_on(&*files, &env, copy(&pieces)).await;
        if !disk.is_crashed()
            && let Err(error) = &restored
        {
            violation!("the snapshot is not restored: {error}");
        }
        disk.restart(Loss::Any);
        disk.calm();
        let mut found = None;
        for attempt in 0..2 {
            let opened = DiskStore::open_on(files.clone(), &env, self.options);
            let opened = opened.map_err(|error| format!("the restored store does not open: {error}"))?;
            if attempt == 0
                && restored.is_err()
                && opened.revision().await.is_ok_and(|revision| revision.0 == 1)
            {
                // It crashed before it was there.
                drop(opened);
                for name in disk.names().map_err(|error| error.to_string())? {
                    disk.remove(&name).map_err(|error| error.to_string())?;
                }
                let again = DiskStore::restore_on(&*files, &env, copy(&pieces)).await;
                again.map_err(|error| format!("the snapshot is not restored: {error}"))?;
                disk.restart(Loss::Everything);
                continue;
            }
            let done = recognise(&opened, &self.model, before).await;
            let done = done.map_err(|violation| format!("the restored store: {violation}"))?;
            examine(&opened, &self.model, done, Damage(None), true, &self.chance)
                .await
                .map_err(|violation| format!("the restored store: {violation}"))?;
            found = Some(done);
            break;
        }
        env.tasks.shutdown().await;
        if found.is_none() {
            violation!("the restored store is empty");
        }
        Ok(Ok(()))
    }

    /// Takes what the watch tells, which is then as good as acknowledged.
    async fn watch(&mut self, opened: &mut Opened, going: bool) -> Result<(), Violation> {
        let Ok(visible) = opened.store.revision().await else { return Ok(()) };
        if visible.0 > self.model.newest().revision {
            violation!("revision {visible} is there, and nobody has made it");
        }
        self.model.saw(visible.0);
        let Some(stream) = &mut opened.watch else { return Ok(()) };
        let mut patience = 20;
        loop {
            match stream.next().now_or_never() {
                Some(Some(Ok(batch))) if batch.events.is_empty() => {}
                Some(Some(Ok(batch))) => {
                    if batch.revision.0 != opened.due || opened.due > self.model.newest().revision {
                        violation!("the watch tells revision {} instead of {}", batch.revision, opened.due);
                    }
                    let due = self.model.events(opened.due);
                    if !agree(&batch.events, due, false) {
                        violation!(
                            "the watch tells of revision {}: {:?} instead of {due:?}",
                            opened.due,
                            batch.events
                        );
                    }
                    self.model.saw(opened.due);
                    opened.due += 1;
                }
                None if opened.due > visible.0 => return Ok(()),
                None if patience > 0 => {
                    patience -= 1;
                    tokio::task::yield_now().await;
                }
                None if !going || self.excused || self.disk.is_crashed() => return Ok(()),
                None => violation!("the watch keeps revision {} to itself; {visible} is there", opened.due),
                Some(_) if !going || self.excused || self.disk.is_crashed() => {
                    opened.watch = None;
                    return Ok(());
                }
                Some(other) => violation!("the watch ends: {other:?}"),
            }
        }
    }
}
