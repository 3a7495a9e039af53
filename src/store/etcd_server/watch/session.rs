//! One watch stream: requests in, answers out.
//!
//! Everything happens when the connection asks for the next answer: there is no task and no channel
//! beside it. So a client that does not read costs what the connection has in hand and nothing more;
//! its watches stand where they are in the store, and when they go on they tell many revisions at a
//! time.
//!
//! Source: `server/etcdserver/api/v3rpc/watch.go` and `server/mvcc/watcher.go` of etcd (3.5).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tonic::{Status, Streaming};

use super::events::{Told, View};
use super::ready::{Bell, Ready};
use super::watched::{Telling, Watched, ended};
use crate::store::etcd_server::proto::watch_request::RequestUnion;
use crate::store::etcd_server::proto::{FilterType, WatchCreateRequest, WatchRequest, WatchResponse};
use crate::store::etcd_server::{Shared, convert, error};
use crate::store::{Error, KeyRange, Revision, WatchOptions, WatchStream};

/// The number of no watch.
const NONE: i64 = -1;

type Doing = Pin<Box<dyn Future<Output = Done> + Send>>;
type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a request has come to.
enum Done {
    /// An answer, and nothing else.
    Answer(WatchResponse),
    /// A watch, or why there is none; and the revision by then.
    Watch {
        id: i64,
        range: KeyRange,
        request: WatchCreateRequest,
        result: Result<(WatchStream, Revision), Error>,
    },
    /// The watches have been asked to say how far they are: past this revision, where a client wants
    /// to know when all of them are.
    Asked(Option<Revision>),
    /// Nothing can be said: the store is out of order.
    Failed(Error),
}

/// A watch stream.
pub(in crate::store::etcd_server) struct Session {
    shared: Arc<Shared>,
    requests: Streaming<WatchRequest>,
    /// Whether the client will ask for nothing more.
    over: bool,
    doing: Option<Doing>,
    answers: VecDeque<Told>,
    watches: BTreeMap<i64, Watched>,
    /// Watches that a compaction has ended and that the client has not yet cancelled.
    ended: BTreeSet<i64>,
    next_id: i64,
    ready: Arc<Ready>,
    /// The client waits until every watch has told everything up to this revision.
    progress: Option<Revision>,
    /// A watch that had not, when it was last looked at.
    behind: Option<i64>,
    /// Until watches that have been quiet say how far they are; there once one wants to.
    tick: Option<Sleep>,
}

impl Session {
    pub(in crate::store::etcd_server) fn new(shared: Arc<Shared>, requests: Streaming<WatchRequest>) -> Self {
        Self {
            shared,
            requests,
            over: false,
            doing: None,
            answers: VecDeque::new(),
            watches: BTreeMap::new(),
            ended: BTreeSet::new(),
            next_id: 0,
            ready: Arc::default(),
            progress: None,
            behind: None,
            tick: None,
        }
    }

    /// Begins with a request.
    fn request(&mut self, request: WatchRequest) {
        match request.request_union {
            Some(RequestUnion::Create(create)) => self.create(create),
            Some(RequestUnion::Cancel(cancel)) => self.cancel(cancel.watch_id),
            Some(RequestUnion::Progress(_)) => {
                let ranges = self.ranges(|_| true);
                self.ask(ranges, true);
            }
            None => {}
        }
    }

    fn create(&mut self, mut request: WatchCreateRequest) {
        if request.key.is_empty() {
            request.key = Bytes::from_static(&[0]);
        }
        let (start, end) = (request.key.clone(), request.range_end.clone());
        if request.start_revision < 0 {
            return self.refuse(error::COMPACTED.text());
        }
        if !end.is_empty() && end != [0][..] && start >= end {
            return self.refuse("mvcc: watcher range is empty");
        }
        let taken = |id: &i64| self.watches.contains_key(id) || self.ended.contains(id);
        if request.watch_id != 0 && taken(&request.watch_id) {
            return self.refuse("mvcc: duplicate watch ID provided on the WatchStream");
        }
        let mut id = request.watch_id;
        if id == 0 {
            while taken(&self.next_id) {
                self.next_id += 1;
            }
            id = self.next_id;
            self.next_id += 1;
        }
        let range = convert::range(start, end);
        let from = u64::try_from(request.start_revision).ok().filter(|from| *from > 0).map(Revision);
        let options = WatchOptions { from, previous: request.prev_kv, ..WatchOptions::default() };
        let shared = self.shared.clone();
        self.doing = Some(Box::pin(async move {
            let result = async {
                let stream = shared.store.watch(range.clone(), options).await?;
                Ok((stream, shared.store.revision().await?))
            };
            Done::Watch { id, result: result.await, range, request }
        }));
    }

    fn created(
        &mut self,
        id: i64,
        range: KeyRange,
        request: &WatchCreateRequest,
        result: Result<(WatchStream, Revision), Error>,
    ) -> Result<(), Status> {
        let created = |shared: &Shared, revision| WatchResponse {
            header: Some(shared.header(revision)),
            watch_id: id,
            created: true,
            ..WatchResponse::default()
        };
        match result {
            Ok((stream, revision)) => {
                self.answers.push_back(created(&self.shared, revision).into());
                let filters: Vec<_> = request.filters().collect();
                let view = View {
                    previous: request.prev_kv,
                    no_put: filters.contains(&FilterType::NoPut),
                    no_delete: filters.contains(&FilterType::NoDelete),
                };
                let bell = Bell::new(id, &self.ready);
                bell.ring();
                let watched = Watched {
                    id,
                    range,
                    from: request.start_revision,
                    view,
                    fragment: request.fragment,
                    notify: request.progress_notify,
                    quiet: true,
                    due: false,
                    position: Revision::NONE,
                    stream,
                    bell,
                    held: None,
                    fragments: VecDeque::new(),
                };
                if watched.notify && self.tick.is_none() {
                    self.tick = Some(self.shared.tick());
                }
                self.watches.insert(id, watched);
            }
            // Compacted before it began: etcd makes the watch, and then ends it.
            Err(Error::Compacted { oldest }) => {
                self.answers.push_back(created(&self.shared, oldest).into());
                self.answers.push_back(ended(&self.shared, id, oldest));
                self.ended.insert(id);
            }
            Err(error @ (Error::Unavailable { .. } | Error::Stopped { .. } | Error::Corrupt { .. })) => {
                return Err(error::status(&error));
            }
            Err(error) => self.refuse(error::status(&error).message()),
        }
        Ok(())
    }

    /// No watch is made, for this reason.
    fn refuse(&mut self, reason: &str) {
        self.answer(WatchResponse {
            watch_id: NONE,
            created: true,
            canceled: true,
            cancel_reason: reason.to_owned(),
            ..WatchResponse::default()
        });
    }

    fn cancel(&mut self, id: i64) {
        // One that is not there is not spoken of.
        if self.watches.remove(&id).is_some() || self.ended.remove(&id) {
            self.answer(WatchResponse { watch_id: id, canceled: true, ..WatchResponse::default() });
        }
    }

    /// Answers, with the newest revision in the header.
    fn answer(&mut self, answer: WatchResponse) {
        let shared = self.shared.clone();
        self.doing = Some(Box::pin(async move {
            match shared.store.revision().await {
                Ok(revision) => {
                    Done::Answer(WatchResponse { header: Some(shared.header(revision)), ..answer })
                }
                Err(error) => Done::Failed(error),
            }
        }));
    }

    /// The ranges of some watches, each once.
    fn ranges(&self, of: impl Fn(&Watched) -> bool) -> Vec<KeyRange> {
        let mut ranges: Vec<_> = self
            .watches
            .values()
            .filter(|watched| of(watched))
            .map(|watched| watched.range.clone())
            .collect();
        ranges.sort_unstable_by(|a, b| (&a.start, &a.end).cmp(&(&b.start, &b.end)));
        ranges.dedup();
        ranges
    }

    /// Asks watches to say how far they are.
    fn ask(&mut self, ranges: Vec<KeyRange>, wanted: bool) {
        if ranges.is_empty() {
            return;
        }
        let shared = self.shared.clone();
        self.doing = Some(Box::pin(async move {
            let asked = async {
                let revision = shared.store.revision().await?;
                for range in ranges {
                    shared.store.request_progress(range).await?;
                }
                Ok(revision)
            };
            match asked.await {
                Ok(revision) => Done::Asked(wanted.then_some(revision)),
                Err(error) => Done::Failed(error),
            }
        }));
    }

    /// A request has come to this.
    fn done(&mut self, done: Done) -> Result<(), Status> {
        match done {
            Done::Answer(answer) => self.answers.push_back(answer.into()),
            Done::Watch { id, range, request, result } => {
                self.created(id, range, &request, result)?;
            }
            Done::Asked(Some(revision)) => {
                // A watch of what is still to come is not up to date, and is not asked to be.
                if self.watches.values().all(|watched| watched.from <= convert::signed(revision)) {
                    // Who asks again does not thereby wait longer.
                    self.progress.get_or_insert(revision);
                }
            }
            Done::Asked(None) => {}
            Done::Failed(error) => return Err(error::status(&error)),
        }
        Ok(())
    }

    /// What there is to say for all watches at once, when all have told what the client waits for.
    fn progressed(&mut self) -> Option<Told> {
        let wanted = self.progress?;
        let behind = |watched: &Watched| watched.position < wanted || !watched.fragments.is_empty();
        // Mostly the one that was waited for before.
        if self.behind.and_then(|id| self.watches.get(&id)).is_some_and(behind) {
            return None;
        }
        self.behind = self.watches.values().find(|watched| behind(watched)).map(|watched| watched.id);
        if self.behind.is_some() {
            return None;
        }
        self.progress = None;
        let slowest = self.watches.values().map(|watched| watched.position).min()?;
        let header = Some(self.shared.header(slowest));
        Some(WatchResponse { header, watch_id: NONE, ..WatchResponse::default() }.into())
    }

    /// Time is up for watches that have been quiet.
    fn ticked(&mut self) {
        for watched in self.watches.values_mut().filter(|watched| watched.notify) {
            watched.due |= watched.quiet;
            watched.quiet = true;
        }
        let ranges = self.ranges(|watched| watched.due);
        self.ask(ranges, false);
        self.tick = Some(self.shared.tick());
    }

    /// What the watches whose turn it is have to tell.
    fn tell(&mut self, context: &Context<'_>) -> Option<Result<Told, Status>> {
        while let Some(id) = self.ready.next(context) {
            let Some(watched) = self.watches.get_mut(&id) else { continue };
            match watched.tell(&self.shared) {
                Telling::Nothing => {}
                Telling::Told(told) => return Some(Ok(told)),
                // The client takes its watches elsewhere, or here again, from where they stand.
                Telling::Failed(error) => return Some(Err(error::status(&error))),
                Telling::Ended(told) => {
                    self.watches.remove(&id);
                    self.ended.insert(id);
                    return Some(Ok(told));
                }
            }
            // A quiet watch may be the one that was waited for.
            if let Some(told) = self.progressed() {
                return Some(Ok(told));
            }
        }
        None
    }
}

impl Stream for Session {
    type Item = Result<Told, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(answer) = this.answers.pop_front() {
                return Poll::Ready(Some(Ok(answer)));
            }
            if let Some(doing) = &mut this.doing {
                if let Poll::Ready(done) = doing.as_mut().poll(context) {
                    this.doing = None;
                    if let Err(status) = this.done(done) {
                        return Poll::Ready(Some(Err(status)));
                    }
                    continue;
                }
            } else if this.tick.as_mut().is_some_and(|tick| tick.as_mut().poll(context).is_ready()) {
                this.ticked();
                continue;
            } else if this.over {
                // A client that has nothing more to ask wants nothing more told.
                return Poll::Ready(None);
            } else {
                match Pin::new(&mut this.requests).poll_next(context) {
                    Poll::Ready(Some(Ok(request))) => {
                        this.request(request);
                        continue;
                    }
                    Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(status))),
                    Poll::Ready(None) => {
                        this.over = true;
                        continue;
                    }
                    Poll::Pending => {}
                }
            }
            let told = this.progressed().map(Ok).or_else(|| this.tell(context));
            return told.map_or(Poll::Pending, |told| Poll::Ready(Some(told)));
        }
    }
}
