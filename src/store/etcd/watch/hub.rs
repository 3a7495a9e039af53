//! What is watched, how far each watch is, and what that means for what comes next. Does no I/O.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use etcd_client::proto::PbWatchResponse;
use tokio::sync::oneshot;
use tonic::Code;

use super::feed::Feed;
use super::progress::Progress;
use crate::store::etcd::convert;
use crate::store::etcd::failure::{Failure, said};
use crate::store::{Error, Event, KeyRange, Revision, WatchBatch};

/// What the hub is told by those who watch.
pub(super) enum Command {
    Watch { id: u64, wish: Wish, feed: Feed, created: oneshot::Sender<()> },
    Drop { id: u64 },
    Resume { id: u64 },
    Progress { range: KeyRange, target: Revision },
}

/// What somebody wants to watch.
pub(in crate::store::etcd) struct Wish {
    pub(in crate::store::etcd) range: KeyRange,
    /// The first revision to deliver.
    pub(in crate::store::etcd) from: Revision,
    /// It need not be this one: what happens from the watch's creation on is enough. `from` is a
    /// revision that is not older than the wish.
    pub(in crate::store::etcd) now: bool,
    pub(in crate::store::etcd) previous: bool,
}

/// What is to be sent to the member.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// From [`Revision::NONE`]: from the member's newest revision.
    Create {
        wire: i64,
        range: KeyRange,
        from: Revision,
        previous: bool,
    },
    Cancel {
        wire: i64,
    },
    Progress,
}

/// What an answer means for the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    /// The token is not accepted: log in, and open another stream.
    LogIn,
}

/// All watches, and what the stream knows of them.
pub(super) struct Hub {
    pub(super) watches: BTreeMap<u64, Watch>,
    /// Whose a number on the wire is. Numbers are never used again.
    wires: BTreeMap<i64, Owner>,
    last_wire: i64,
    /// Those asked for and not yet answered, in the order in which they will be.
    creating: VecDeque<i64>,
    connected: bool,
    outbox: Vec<Request>,
    pub(super) progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Watch(u64),
    Oracle,
}

/// One watch.
pub(super) struct Watch {
    pub(super) range: KeyRange,
    previous: bool,
    /// It begins with its creation, which has not happened yet. So it never is one that is behind,
    /// and no compaction overtakes it.
    now: bool,
    /// Who waits for the creation.
    created: Option<oneshot::Sender<()>>,
    /// The next revision that it is to be told: everything below has been.
    pub(super) next: Revision,
    /// The revision of the last batch.
    told: Revision,
    /// Its number on the wire, while it has one.
    wire: Option<i64>,
    announced: bool,
    /// What came of an answer that is not complete.
    partial: Vec<Event>,
    feed: Feed,
    parked: bool,
    /// Has been refused once, which may be an old token's fault.
    doubted: bool,
    /// It is to say that it has come so far.
    pub(super) asked: Option<Revision>,
}

impl Hub {
    pub(super) fn new() -> Self {
        Self {
            watches: BTreeMap::new(),
            wires: BTreeMap::new(),
            last_wire: 0,
            creating: VecDeque::new(),
            connected: false,
            outbox: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// Whether there is nothing to hold a stream for.
    pub(super) fn is_idle(&self) -> bool {
        self.watches.values().all(|watch| watch.parked || convert::is_empty(&watch.range))
    }

    /// What is to be sent; it is forgotten here.
    pub(super) fn outbox(&mut self) -> std::vec::Drain<'_, Request> {
        self.outbox.drain(..)
    }

    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Watch { id, wish, feed, created } => {
                let Wish { range, from, now, previous } = wish;
                let told = Revision(from.0.saturating_sub(1));
                // One that can deliver nothing is never created.
                let created = (!convert::is_empty(&range)).then_some(created);
                let watch = Watch {
                    range,
                    previous,
                    now,
                    created,
                    next: from,
                    told,
                    wire: None,
                    announced: false,
                    partial: Vec::new(),
                    feed,
                    parked: false,
                    doubted: false,
                    asked: None,
                };
                self.watches.insert(id, watch);
                self.create(id);
            }
            Command::Drop { id } => {
                if let Some(watch) = self.watches.remove(&id) {
                    self.cancel(watch.wire);
                    self.progress.forget(id);
                    if self.progress.minded().is_empty() {
                        self.end_oracle();
                    }
                }
            }
            Command::Resume { id } => {
                if let Some(watch) = self.watches.get_mut(&id) {
                    watch.parked = false;
                    self.create(id);
                }
            }
            Command::Progress { range, target } => self.ask(&range, target),
        }
    }

    /// A stream is there. `manual`: whether its member can be asked for progress.
    pub(super) fn connected(&mut self, manual: bool) {
        self.disconnected();
        self.connected = true;
        self.progress.manual = manual;
        let ids: Vec<_> = self.watches.keys().copied().collect();
        for id in ids {
            self.create(id);
        }
        if let Some(from) = self.progress.oracle_next() {
            self.create_oracle(from);
        }
        self.serve();
    }

    /// The stream is gone, and what was sent on it.
    pub(super) fn disconnected(&mut self) {
        self.connected = false;
        self.wires.clear();
        self.creating.clear();
        self.outbox.clear();
        self.progress.disconnected();
        for watch in self.watches.values_mut() {
            watch.wire = None;
            watch.announced = false;
            watch.partial.clear();
        }
    }

    /// No member lets us in.
    pub(super) fn refuse_all(&mut self, why: &Arc<str>) {
        for (id, watch) in std::mem::take(&mut self.watches) {
            self.progress.forget(id);
            watch.feed.end(Error::Refused { why: why.clone() });
        }
    }

    fn create(&mut self, id: u64) {
        let Some(watch) = self.watches.get_mut(&id) else { return };
        if !self.connected || watch.parked || watch.wire.is_some() || convert::is_empty(&watch.range) {
            return;
        }
        self.last_wire += 1;
        watch.wire = Some(self.last_wire);
        watch.announced = false;
        let from = if watch.now { Revision::NONE } else { watch.next };
        let (range, previous) = (watch.range.clone(), watch.previous);
        self.send_create(Owner::Watch(id), range, from, previous);
    }

    /// Watches everything, from a revision on.
    fn create_oracle(&mut self, from: Revision) {
        if self.connected {
            self.last_wire += 1;
            self.progress.oracle_begins(from, self.last_wire);
            self.send_create(Owner::Oracle, KeyRange::all(), from, false);
        }
    }

    fn send_create(&mut self, owner: Owner, range: KeyRange, from: Revision, previous: bool) {
        let wire = self.last_wire;
        self.wires.insert(wire, owner);
        self.creating.push_back(wire);
        self.outbox.push(Request::Create { wire, range, from, previous });
    }

    /// What comes for it from now on is nobody's.
    fn cancel(&mut self, wire: Option<i64>) {
        if let Some(wire) = wire
            && self.wires.remove(&wire).is_some()
        {
            self.outbox.push(Request::Cancel { wire });
        }
    }

    /// Takes an answer.
    pub(super) fn answer(&mut self, answer: PbWatchResponse) -> Verdict {
        let revision = convert::revision(answer.header.as_ref().map_or(0, |header| header.revision));
        let mut wire = answer.watch_id;
        if answer.created {
            // A refused creation does not say its number.
            wire = self.creating.pop_front().unwrap_or(wire);
        }
        if answer.canceled {
            return self.cancelled(wire, &answer);
        }
        match self.wires.get(&wire).copied() {
            Some(Owner::Watch(id)) if answer.created => {
                if let Some(watch) = self.watches.get_mut(&id) {
                    watch.begins(revision);
                }
            }
            Some(Owner::Oracle) if answer.created => {}
            Some(Owner::Watch(id)) if answer.events.is_empty() && !answer.fragment => {
                self.reached(id, revision);
            }
            Some(Owner::Watch(id)) => {
                let events = answer.events.into_iter().filter_map(convert::event);
                self.events(id, events, answer.fragment);
            }
            Some(Owner::Oracle) => {
                let last = answer.events.last().and_then(|event| event.kv.as_ref());
                let last = last.map_or(revision, |kv| convert::revision(kv.mod_revision));
                for kv in answer.events.into_iter().filter_map(|event| event.kv) {
                    self.progress.relevant(&self.watches, &kv.key, convert::revision(kv.mod_revision));
                }
                if !answer.fragment {
                    self.progress.oracle_reached(last);
                }
            }
            // The whole stream's progress. Only a watch that has been announced is meant: what came
            // for another earlier may still be held back at the member.
            None if wire == -1 && !answer.created && self.progress.manual => {
                self.progress.answered();
                let announced = |watch: &Watch| watch.announced && watch.partial.is_empty();
                let ids: Vec<_> =
                    self.watches.iter().filter(|(_, watch)| announced(watch)).map(|(id, _)| *id).collect();
                for id in ids {
                    self.reached(id, revision);
                }
            }
            // Of a watch that has been dropped or taken up anew.
            None => {}
        }
        self.serve();
        Verdict::GoOn
    }

    /// The member has ended a watch.
    fn cancelled(&mut self, wire: i64, answer: &PbWatchResponse) -> Verdict {
        let owner = self.wires.remove(&wire);
        let compacted = convert::revision(answer.compact_revision);
        let reason = &answer.cancel_reason;
        let denied = reason.contains("permission denied");
        let code = if denied { Code::PermissionDenied } else { Code::Unknown };
        let failure = said(code, reason);
        match owner {
            Some(Owner::Oracle) => {
                let lost = self.progress.oracle_ends(&self.watches, compacted);
                for id in lost {
                    self.end(id, Error::Compacted { oldest: compacted });
                }
                if denied {
                    self.progress.oracle_denied = true;
                }
                self.serve();
            }
            Some(Owner::Watch(id)) => {
                let Some(watch) = self.watches.get_mut(&id) else { return Verdict::GoOn };
                watch.wire = None;
                let in_doubt = !std::mem::replace(&mut watch.doubted, true);
                match failure {
                    _ if compacted > Revision::NONE => self.end(id, Error::Compacted { oldest: compacted }),
                    // Before 3.4.22 and 3.5.6, and again after 3.4.25 and 3.5.7, etcd says so of an old
                    // token too.
                    Some(Failure::LoggedOut(_) | Failure::Refused(_)) if in_doubt => return Verdict::LogIn,
                    Some(failure) => self.end(id, failure.into_error("watching etcd")),
                    None => {
                        let source = format!("the watch was cancelled: {reason}").into();
                        self.end(id, Error::Unavailable { operation: "watching etcd", source });
                    }
                }
            }
            None => {}
        }
        Verdict::GoOn
    }

    fn end(&mut self, id: u64, error: Error) {
        if let Some(watch) = self.watches.remove(&id) {
            self.cancel(watch.wire);
            self.progress.forget(id);
            watch.feed.end(error);
        }
    }

    /// Events of a watch have come.
    fn events(&mut self, id: u64, events: impl Iterator<Item = Event>, fragment: bool) {
        let Some(watch) = self.watches.get_mut(&id) else { return };
        watch.partial.extend(events);
        if fragment {
            return;
        }
        let mut rest = std::mem::take(&mut watch.partial);
        while let Some(first) = rest.first() {
            let revision = first.kv.mod_revision;
            let others =
                rest.iter().position(|event| event.kv.mod_revision != revision).unwrap_or(rest.len());
            let later = rest.split_off(others);
            let events = std::mem::replace(&mut rest, later);
            if revision < watch.next {
                continue;
            }
            if watch.previous && events.iter().any(lacks_previous) {
                return self.end(id, Error::Compacted { oldest: revision.next() });
            }
            watch.deliver(WatchBatch { revision, events: events.into() });
        }
        if watch.feed.is_full() {
            let wire = watch.wire.take();
            watch.announced = false;
            watch.parked = watch.feed.park();
            self.cancel(wire);
            // Where the consumer was quicker.
            self.create(id);
        }
    }

    /// A watch has seen all up to `revision`.
    fn reached(&mut self, id: u64, revision: Revision) {
        if let Some(watch) = self.watches.get_mut(&id)
            && revision >= watch.told
            && revision.next() >= watch.next
        {
            watch.next = revision.next();
            if watch.asked.is_some_and(|target| target <= revision) {
                watch.deliver(WatchBatch { revision, events: Arc::default() });
            }
        }
    }

    fn ask(&mut self, range: &KeyRange, target: Revision) {
        let meant = self.watches.iter_mut().filter(|(_, watch)| watch.range == *range);
        for (id, watch) in meant {
            watch.asked = watch.asked.max(Some(target));
            self.progress.asking.insert(*id);
        }
        self.serve();
        if !self.progress.asking.is_empty() && self.connected && self.progress.manual {
            self.outbox.push(Request::Progress);
        }
    }

    /// Answers those who are asked how far they are and can say so, and sees to it that the others
    /// will.
    fn serve(&mut self) {
        for id in self.progress.asking.clone() {
            let Some((watch, target)) =
                self.watches.get_mut(&id).and_then(|watch| watch.asked.map(|target| (watch, target)))
            else {
                self.progress.asking.remove(&id);
                continue;
            };
            let seen = Revision(watch.next.0.saturating_sub(1));
            if seen >= target || convert::is_empty(&watch.range) {
                // A watch from a later revision than the newest has seen all that there is.
                let revision = target.max(watch.told);
                watch.deliver(WatchBatch { revision, events: Arc::default() });
                self.progress.asking.remove(&id);
            } else if let Some(revision) = self.progress.seen_by_oracle(id, watch.next)
                && revision >= target
            {
                self.reached(id, revision);
                self.progress.asking.remove(&id);
            }
        }
        if self.connected
            && let Some(from) = self.progress.wants_oracle(&self.watches)
        {
            let wire = self.progress.oracle_wire();
            self.cancel(wire);
            self.create_oracle(from);
        }
    }

    /// Some time has passed while somebody is asked for progress.
    pub(super) fn tick(&mut self) {
        if self.connected && self.progress.manual && !self.progress.asking.is_empty() {
            self.progress.unanswered();
            self.outbox.push(Request::Progress);
        }
        self.serve();
    }

    /// Much time has passed: keeps the revisions fresh from which watches would be taken up, so that
    /// no compaction overtakes those to whom nothing happens.
    pub(super) fn refresh(&mut self) {
        if self.connected && self.progress.manual {
            self.outbox.push(Request::Progress);
        }
        for id in self.progress.minded() {
            let next = self.watches.get(&id).map_or(Revision::NONE, |watch| watch.next);
            if let Some(revision) = self.progress.seen_by_oracle(id, next) {
                self.reached(id, revision);
            }
        }
        if self.progress.is_unused() {
            self.end_oracle();
        }
    }

    fn end_oracle(&mut self) {
        let wire = self.progress.end_oracle();
        self.cancel(wire);
    }

    /// Those who are asked for progress and have not said it.
    pub(super) fn asking(&self) -> &BTreeSet<u64> {
        &self.progress.asking
    }
}

impl Watch {
    /// The member has created it, and was at `revision` then or a little earlier.
    fn begins(&mut self, revision: Revision) {
        (self.announced, self.doubted) = (true, false);
        if std::mem::take(&mut self.now) {
            // What it is sent of revisions up to there happened before anybody could know of it.
            self.next = self.next.max(revision.next());
            self.told = Revision(self.next.0 - 1);
        }
        if let Some(created) = self.created.take() {
            // Whoever waited may have given up.
            let _ = created.send(());
        }
    }

    fn deliver(&mut self, batch: WatchBatch) {
        self.told = batch.revision;
        self.next = self.next.max(batch.revision.next());
        if self.asked.is_some_and(|target| target <= batch.revision) {
            self.asked = None;
        }
        self.feed.deliver(batch);
    }
}

/// Whether there was something before which the event does not tell.
fn lacks_previous(event: &Event) -> bool {
    event.previous.is_none() && event.kv.version != 1
}
