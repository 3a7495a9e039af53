//! Group commit: what commits queue, and how it becomes durable.
//!
//! A commit is staged in memory, where it gets its revision, and its record is queued in the order
//! of revisions. Whoever flushes takes all that is queued as one batch, writes and syncs it, lets
//! readers see it, and answers those who wait; what comes meanwhile makes the next batch. So a
//! comparison sees every revision that has been assigned, and nobody else anything that is not
//! durable.
//!
//! When a write or a sync fails, the store has stopped: what is on the disk of that batch is
//! unknown, a second sync that succeeds would prove nothing (the kernel has dropped what it could not
//! write), and nothing behind it may be answered. It is known again when the store is opened anew.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::files::{DiskLock, Files};
use super::log::frame::Kind;
use super::log::{Filling, Head, Log, Rewrite, State, unavailable};
use super::past::LogPast;
use super::{DiskOptions, Syncing};
use crate::env::Worker;
use crate::store::mvcc::{Change, Mvcc, Record};
use crate::store::{Error, Result, Revision};

/// The store, below its public face.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) mvcc: Arc<Mvcc>,
    pub(super) options: DiskOptions,
    files: Arc<dyn Files>,
    past: Arc<LogPast>,
    engine: Mutex<Engine>,
    queue: Mutex<Queue>,
    /// Something is queued, or the store is closing.
    filled: Condvar,
    /// How many bytes of the log are written.
    used: AtomicU64,
    /// Held by whoever rewrites the log.
    rewriting: Mutex<()>,
    workers: Mutex<Workers>,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

/// What only the one who writes may touch.
#[derive(Debug)]
struct Engine {
    log: Log,
    durable: Durable,
}

/// What the log says beside keys.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) revision: Revision,
    pub(super) floor: Revision,
    pub(super) leases: BTreeMap<i64, Duration>,
    pub(super) alarm: bool,
}

#[derive(Debug, Default)]
struct Queue {
    batch: Batch,
    /// The sequence of the newest record that is durable.
    durable: u64,
    closing: bool,
    stopped: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Batch {
    records: Vec<Queued>,
    waiting: Vec<oneshot::Sender<()>>,
}

#[derive(Debug)]
enum Queued {
    Record(Record),
    Alarm(bool),
}

#[derive(Debug, Default)]
struct Workers {
    flusher: Option<Worker>,
    rewriter: Option<Worker>,
}

/// Somebody who waits until what they have done is durable.
pub(super) type Waiting = oneshot::Receiver<()>;

impl Default for Durable {
    fn default() -> Self {
        Self { revision: Revision(1), floor: Revision(1), leases: BTreeMap::new(), alarm: false }
    }
}

impl Durable {
    pub(super) fn apply(&mut self, head: Head) {
        self.revision = self.revision.max(head.revision);
        match head.kind {
            Kind::Grant { id, ttl } => drop(self.leases.insert(id, ttl)),
            Kind::Revoke { id } => drop(self.leases.remove(&id)),
            Kind::Compact { floor } => self.floor = self.floor.max(floor),
            Kind::Alarm { raised } => self.alarm = raised,
            Kind::Commit | Kind::End { .. } => {}
        }
    }
}

impl Queued {
    fn head(&self, newest: Revision) -> Head {
        match self {
            Self::Record(record) => {
                let kind = match record.change {
                    Change::Commit => Kind::Commit,
                    Change::Grant { id, ttl } => Kind::Grant { id, ttl },
                    Change::Revoke { id } => Kind::Revoke { id },
                    Change::Compact { floor } => Kind::Compact { floor },
                };
                Head { revision: record.revision, kind, events: record.events.len() as u32 }
            }
            Self::Alarm(raised) => {
                Head { revision: newest, kind: Kind::Alarm { raised: *raised }, events: 0 }
            }
        }
    }

    fn write(&self, newest: Revision, batch: &mut Filling<'_>) {
        let Head { revision, kind, .. } = self.head(newest);
        match self {
            Self::Record(record) => batch.push(revision, kind, (0..).zip(record.events.iter())),
            Self::Alarm(_) => batch.push(revision, kind, []),
        }
    }
}

impl Core {
    pub(super) fn new(
        files: Arc<dyn Files>,
        lock: Box<dyn DiskLock>,
        options: DiskOptions,
        log: Log,
        durable: Durable,
        past: Arc<LogPast>,
        mvcc: Arc<Mvcc>,
    ) -> Self {
        let (base, behind) = log.archive().bytes();
        Self {
            mvcc,
            options,
            files,
            past,
            engine: Mutex::new(Engine { log, durable }),
            queue: Mutex::default(),
            filled: Condvar::new(),
            used: AtomicU64::new(base + behind),
            rewriting: Mutex::default(),
            workers: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        }
    }

    /// Starts the thread that flushes, where there is to be one.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the system has no room for one more.
    pub(super) fn start(self: &Arc<Self>) -> Result<()> {
        if self.options.syncing == Syncing::Thread {
            let core = self.clone();
            let flusher = Worker::start("windlass-flusher", move || core.keep_flushing())
                .map_err(|source| unavailable("starting the flusher", source))?;
            lock(&self.workers).flusher = Some(flusher);
        }
        Ok(())
    }

    /// Queues a record; to be called in the order of records, as it is under the writers' lock.
    pub(super) fn queue(&self, record: &Record) -> Waiting {
        self.push(Some(Queued::Record(record.clone())))
    }

    /// Raises the alarm or takes it back.
    pub(super) async fn alarm(&self, raised: bool) -> Result<()> {
        if raised {
            self.mvcc.arm();
        }
        self.wait(self.push(Some(Queued::Alarm(raised)))).await?;
        if !raised {
            self.mvcc.disarm();
        }
        Ok(())
    }

    /// Waits until everything up to a sequence is durable.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    pub(super) async fn reached(&self, sequence: u64) -> Result<()> {
        let waiting = {
            let queue = lock(&self.queue);
            if queue.durable >= sequence && queue.stopped.is_none() {
                return Ok(());
            }
            drop(queue);
            self.push(None)
        };
        self.wait(waiting).await
    }

    fn push(&self, record: Option<Queued>) -> Waiting {
        let (answer, waiting) = oneshot::channel();
        let mut queue = lock(&self.queue);
        if queue.stopped.is_none() {
            let was_empty = queue.batch.waiting.is_empty();
            queue.batch.records.extend(record);
            queue.batch.waiting.push(answer);
            drop(queue);
            if was_empty {
                self.filled.notify_one();
            }
        }
        waiting
    }

    /// Waits for the answer to what was queued.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    pub(super) async fn wait(&self, mut waiting: Waiting) -> Result<()> {
        if self.options.syncing == Syncing::Inline {
            tokio::task::yield_now().await;
            match waiting.try_recv() {
                Ok(()) => return Ok(()),
                Err(oneshot::error::TryRecvError::Closed) => return Err(self.stopped()),
                Err(oneshot::error::TryRecvError::Empty) => self.flush(),
            }
        }
        waiting.await.map_err(|_| self.stopped())
    }

    /// Why nothing is answered any more.
    pub(super) fn stopped(&self) -> Error {
        let why = lock(&self.queue).stopped.clone();
        Error::Stopped { why: why.unwrap_or_else(|| "its thread has ended".into()) }
    }

    fn stop(&self, why: &str) {
        let why: Arc<str> = why.into();
        self.mvcc.stop(why.clone());
        let mut queue = lock(&self.queue);
        queue.stopped.get_or_insert(why);
        let given_up = std::mem::take(&mut queue.batch);
        drop(queue);
        drop(given_up);
    }

    fn is_going(&self) -> bool {
        let queue = lock(&self.queue);
        !queue.closing && queue.stopped.is_none()
    }

    fn keep_flushing(&self) {
        loop {
            let mut queue = lock(&self.queue);
            while queue.batch.waiting.is_empty() && !queue.closing && queue.stopped.is_none() {
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            let ended = queue.stopped.is_some() || queue.closing && queue.batch.waiting.is_empty();
            drop(queue);
            if ended {
                return;
            }
            self.flush();
        }
    }

    /// Makes durable what is queued, and answers.
    fn flush(&self) {
        let mut engine = lock(&self.engine);
        let Batch { records, waiting } = {
            let mut queue = lock(&self.queue);
            if queue.stopped.is_some() {
                return;
            }
            std::mem::take(&mut queue.batch)
        };
        if !records.is_empty()
            && let Err(error) = engine.write(&records)
        {
            drop(engine);
            self.stop(&format!("the log could not be written: {error}"));
            return;
        }
        let sequence = records.iter().rev().find_map(|queued| match queued {
            Queued::Record(record) => Some(record.sequence),
            Queued::Alarm(_) => None,
        });
        if let Some(sequence) = sequence {
            self.mvcc.publish(sequence);
            lock(&self.queue).durable = sequence;
        }
        for answer in waiting {
            let _ = answer.send(());
        }
        self.count(&engine);
        match engine.log.prepare() {
            Ok(()) => {}
            Err(error) if is_full(&error) => {
                if !engine.durable.alarm {
                    tracing::warn!(%error, "no room for the next file of the log: the alarm is raised");
                    self.mvcc.arm();
                    lock(&self.queue).batch.records.push(Queued::Alarm(true));
                }
            }
            Err(error) => {
                drop(engine);
                self.stop(&format!("the next file of the log could not be made: {error}"));
            }
        }
    }

    fn count(&self, engine: &Engine) {
        let (base, behind) = engine.log.archive().bytes();
        self.used.store(base + behind, Ordering::Relaxed);
    }

    /// How many bytes of the log are written.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// After a compaction: rewrites the log when at least half of it may be left behind, or when
    /// somebody waits for room.
    pub(super) fn compacted(self: &Arc<Self>) {
        let (base, behind) = lock(&self.engine).log.archive().bytes();
        let worth = behind >= base.max(2 * self.options.segment_bytes);
        if !worth && !self.mvcc.status().no_space {
            return;
        }
        let report = |result: Result<()>| {
            if let Err(error) = result {
                tracing::error!(%error, "the log is not rewritten");
            }
        };
        if self.options.syncing == Syncing::Inline {
            report(self.rewrite());
            return;
        }
        let mut workers = lock(&self.workers);
        if workers.rewriter.as_ref().is_some_and(|worker| !worker.is_finished()) {
            return;
        }
        let core = self.clone();
        match Worker::start("windlass-rewriter", move || report(core.rewrite())) {
            Ok(worker) => workers.rewriter = Some(worker),
            Err(error) => tracing::warn!(%error, "the log is not rewritten"),
        }
    }

    /// Rewrites the log, where blocking is allowed.
    ///
    /// # Errors
    ///
    /// As [`Core::rewrite`].
    pub(super) async fn defragment(self: &Arc<Self>) -> Result<()> {
        if self.options.syncing == Syncing::Inline {
            return self.rewrite();
        }
        let (answer, waiting) = oneshot::channel();
        let core = self.clone();
        let worker = Worker::start("windlass-rewriter", move || drop(answer.send(core.rewrite())))
            .map_err(|source| unavailable("starting the rewriter", source))?;
        let result = waiting.await.map_err(|_| self.stopped()).flatten();
        worker.join();
        result
    }

    /// Writes a base in place of the log as it is. Blocks.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`]; [`Error::Corrupt`] when what is to be copied is damaged, and
    /// [`Error::Unavailable`] when the disk fails: the log goes on as it was.
    fn rewrite(&self) -> Result<()> {
        let _only = lock(&self.rewriting);
        let io = |source| unavailable("rewriting the log", source);
        if !self.is_going() {
            return Err(self.stopped());
        }
        let (rewrite, floor) = {
            let mut engine = lock(&self.engine);
            let state = self.state(&engine);
            let floor = state.floor;
            (Rewrite::sealed(&mut engine.log, state).map_err(io)?, floor)
        };
        let sees = |key: &[u8], revision| self.mvcc.version_at(key, floor) == Some(revision);
        let Some(base) = rewrite.write_base(&*self.files, &sees, &|| self.is_going())? else {
            return Err(self.stopped());
        };
        self.past.dropped_below(floor);
        let mut engine = lock(&self.engine);
        engine.log.install(base).map_err(io)?;
        self.count(&engine);
        Ok(())
    }

    /// What is durable beside keys; the floor is the one below which nobody reads any more.
    fn state(&self, engine: &Engine) -> State {
        let Durable { revision, floor, leases, alarm } = &engine.durable;
        State {
            revision: *revision,
            floor: self.mvcc.safe_floor().min(*floor),
            leases: leases.iter().map(|(id, ttl)| (*id, *ttl)).collect(),
            alarm: *alarm,
        }
    }

    /// Ends the store: flushes what is queued, covers it, and lets the directory go. Blocks, for as
    /// long as a sync takes.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] when it had stopped before, or stops now.
    pub(super) fn close(&self) -> Result<()> {
        lock(&self.queue).closing = true;
        self.filled.notify_all();
        let Workers { flusher, rewriter } = std::mem::take(&mut *lock(&self.workers));
        for worker in flusher.into_iter().chain(rewriter) {
            worker.join();
        }
        self.flush();
        // Whoever rewrites now has seen that the store is closing, or is done first.
        let _only = lock(&self.rewriting);
        let ended = {
            let mut engine = lock(&self.engine);
            match lock(&self.queue).stopped.clone() {
                Some(why) => Err(Error::Stopped { why }),
                None => engine.log.cover().map_err(|error| Error::Stopped { why: error.to_string().into() }),
            }
        };
        self.stop("it is closed");
        drop(lock(&self.lock).take());
        ended
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.mvcc.end_expiry();
    }
}

impl Engine {
    fn write(&mut self, records: &[Queued]) -> io::Result<()> {
        let newest = self.durable.revision;
        self.log.append(|batch| records.iter().for_each(|queued| queued.write(newest, batch)))?;
        for queued in records {
            self.durable.apply(queued.head(newest));
        }
        Ok(())
    }
}

/// Whether the disk has no room.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
