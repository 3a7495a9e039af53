//! One watch of a stream: what it tells next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::events::{self, Told, View};
use super::ready::Bell;
use crate::store::etcd_server::convert::signed;
use crate::store::etcd_server::{Shared, proto};
use crate::store::{Error, KeyRange, Revision, WatchBatch, WatchStream};

/// What one answer gathers when its watch is behind: bytes, and revisions (etcd's `watchBatchMaxRevs`).
const GATHER: (usize, usize) = (64 * 1024, 1000);
/// What an answer's head takes up at most, beside a text.
const HEAD: usize = 64;

/// A watch.
pub(super) struct Watched {
    pub(super) id: i64,
    pub(super) range: KeyRange,
    /// The revision that it was asked to start from; 0 for now.
    pub(super) from: i64,
    pub(super) view: View,
    /// Whether a long answer may come in fragments.
    pub(super) fragment: bool,
    /// Whether it shall say now and then how far it is.
    pub(super) notify: bool,
    /// Whether it has told nothing since it was last asked to say so.
    pub(super) quiet: bool,
    /// Whether it shall say how far it is as soon as it knows.
    pub(super) due: bool,
    /// Everything up to this revision has been told.
    pub(super) position: Revision,
    pub(super) stream: WatchStream,
    pub(super) bell: Arc<Bell>,
    /// What came from the store and did not fit.
    pub(super) held: Option<Result<WatchBatch, Error>>,
    /// Fragments that are still to be told.
    pub(super) fragments: VecDeque<Told>,
}

/// What a watch has to tell.
pub(super) enum Telling {
    Nothing,
    Told(Told),
    /// The last that it tells.
    Ended(Told),
    /// Nothing can be told any more.
    Failed(Error),
}

impl Watched {
    /// The next answer. Rings its own bell where there may be more behind it.
    pub(super) fn tell(&mut self, shared: &Shared) -> Telling {
        let waker = self.bell.answer();
        if let Some(fragment) = self.fragments.pop_front() {
            self.bell.ring();
            return Telling::Told(fragment);
        }
        let mut context = Context::from_waker(&waker);
        let (mut gathered, mut bytes, mut last) = (Vec::new(), 0, self.position);
        for _ in 0..GATHER.1 {
            let item = match self.held.take() {
                Some(held) => held,
                None => match self.stream.as_mut().poll_next(&mut context) {
                    Poll::Ready(Some(item)) => item,
                    Poll::Ready(None) => Err(Error::Stopped { why: "the watch ended".into() }),
                    Poll::Pending => return self.told(shared, gathered, last),
                },
            };
            let wait = match &item {
                Err(_) if gathered.is_empty() => return self.ended(shared, item),
                Err(_) => true,
                Ok(batch) if batch.events.is_empty() => {
                    if self.due && gathered.is_empty() {
                        self.due = false;
                        self.position = self.position.max(batch.revision);
                        self.bell.ring();
                        return Telling::Told(self.head(shared, self.position).into());
                    }
                    last = last.max(batch.revision);
                    self.due
                }
                Ok(batch) => {
                    let encoded = shared.encodings.get(batch, self.view);
                    let fits = gathered.is_empty() || bytes + encoded.len() <= GATHER.0;
                    let long = self.fragment && HEAD + encoded.len() >= shared.options.max_message_bytes();
                    if long && gathered.is_empty() {
                        return self.split(shared, batch);
                    }
                    if fits && !long {
                        last = batch.revision;
                        if !encoded.is_empty() {
                            bytes += encoded.len();
                            gathered.push((batch.revision, encoded));
                        }
                    }
                    !fits || long
                }
            };
            if wait {
                self.held = Some(item);
            }
            if wait || bytes >= GATHER.0 {
                break;
            }
        }
        self.bell.ring();
        self.told(shared, gathered, last)
    }

    fn told(&mut self, shared: &Shared, gathered: Vec<(Revision, bytes::Bytes)>, last: Revision) -> Telling {
        self.position = last;
        let Some((revision, _)) = gathered.last() else { return Telling::Nothing };
        (self.quiet, self.due) = (false, false);
        let head = self.head(shared, *revision);
        Telling::Told(Told { head, events: gathered.into_iter().map(|(_, encoded)| encoded).collect() })
    }

    /// One revision in several answers, all but the last of which say that more follows.
    fn split(&mut self, shared: &Shared, batch: &WatchBatch) -> Telling {
        let parts = events::parts(batch, self.view, shared.options.max_message_bytes() - HEAD);
        let last = parts.len() - 1;
        self.fragments = parts
            .into_iter()
            .enumerate()
            .map(|(number, part)| {
                let head =
                    proto::WatchResponse { fragment: number < last, ..self.head(shared, batch.revision) };
                Told { head, events: vec![part] }
            })
            .collect();
        self.position = batch.revision;
        (self.quiet, self.due) = (false, false);
        self.bell.ring();
        self.fragments.pop_front().map_or(Telling::Nothing, Telling::Told)
    }

    fn head(&self, shared: &Shared, revision: Revision) -> proto::WatchResponse {
        proto::WatchResponse {
            header: Some(shared.header(revision)),
            watch_id: self.id,
            ..proto::WatchResponse::default()
        }
    }

    fn ended(&self, shared: &Shared, item: Result<WatchBatch, Error>) -> Telling {
        match item {
            Err(Error::Compacted { oldest }) => Telling::Ended(ended(shared, self.id, oldest)),
            Err(error) => Telling::Failed(error),
            Ok(_) => Telling::Nothing,
        }
    }
}

/// The last answer of a watch that a compaction has overtaken: the revision alone, for clients know
/// the words.
pub(super) fn ended(shared: &Shared, id: i64, oldest: Revision) -> Told {
    let head = proto::WatchResponse {
        header: Some(shared.header(Revision::NONE)),
        watch_id: id,
        canceled: true,
        compact_revision: signed(oldest),
        ..proto::WatchResponse::default()
    };
    head.into()
}
