//! A real etcd cluster as the store.
//!
//! Everything that the contract promises is etcd's own promise; this module's part is to lose none of
//! it on the way:
//!
//! - Reads are linearizable, and are asked again of another member when one fails. A commit is sent
//!   again only when it certainly was not sent: a member could not be reached, had no leader, or did
//!   not know our token. Whatever else befalls a commit is [`Error::Unavailable`]: it may have
//!   happened.
//! - Watches share one stream of one member (see `watch`). When it ends, because the connection
//!   breaks, the member stops, or it has lost its leader (every call demands one), each watch is taken
//!   up on the next member from the revision behind the last one delivered.
//! - etcd's bounds are its answers: a transaction of more than `--max-txn-ops` operations (128) or a
//!   request of more than `--max-request-bytes` (1.5 MiB) is [`Error::Refused`].
//!
//! # Where etcd promises less
//!
//! - The floor that [`Error::Compacted`] names is looked up after the fact, by a watch from revision 1,
//!   which etcd cancels with it. Where that fails too (no permission), the revision behind the one
//!   asked for stands in for it.
//! - Once the quota is exceeded on some member only, [`Error::NoSpace`] may answer a write that the
//!   others did (`quotaApplierV3` in etcd's `server/etcdserver/apply.go`).
//! - What a key held before is looked up by etcd when it sends the event. Where that revision has been
//!   compacted by then, the watch ends as [`Error::Compacted`] rather than leave it out.
//! - An answer about a lease with more than 4 MiB of attached keys' names does not fit.

mod convert;
mod failure;
mod lease;
mod members;
mod options;
mod upkeep;
mod watch;

use std::sync::Arc;

use async_trait::async_trait;

use self::failure::Failure;
use self::members::{Members, Repeat};
use self::watch::{Watches, Wish};
use super::{
    Committed, Error, KeyRange, KeyValue, Leases, ListOptions, Maintenance, ObjectStore, Op, Page, Result,
    Revision, Txn, WatchOptions, WatchStream,
};

pub use options::{EtcdOptions, EtcdTls};

/// A real etcd cluster as the store. Clones are the same store; when the last one and the last of its
/// watches are dropped, its connections close.
///
/// etcd 3.4 and newer. Needs the feature `etcd`, whose build wants `protoc`.
#[derive(Clone)]
pub struct EtcdStore {
    members: Arc<Members>,
    watches: Watches,
}

impl std::fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdStore").field("options", &self.members.options).finish_non_exhaustive()
    }
}

impl EtcdStore {
    /// Reaches a cluster by the client URLs of some of its members (`http://` or `https://`; without
    /// either, TLS decides), and sees that it answers.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where there is no endpoint, one makes no sense, or the user is not let in;
    /// [`Error::Unavailable`] where no member answers in time.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect<E: Into<String>>(
        endpoints: impl IntoIterator<Item = E>,
        options: EtcdOptions,
    ) -> Result<Self> {
        let urls: Vec<String> = endpoints.into_iter().map(Into::into).collect();
        if urls.is_empty() {
            return Err(Error::Refused { why: "there is no endpoint".into() });
        }
        let members = Arc::new(Members::new(urls, options));
        let store = Self { watches: Watches::start(members.clone()), members };
        store.revision().await?;
        Ok(store)
    }

    /// What a read that failed tells its caller.
    async fn read_failed(&self, failure: Failure, range: &KeyRange, at: Revision) -> Error {
        match failure {
            Failure::Compacted => self.compacted(range, at).await,
            Failure::FutureRevision => match self.revision().await {
                Ok(newest) => Error::FutureRevision { newest },
                Err(error) => error,
            },
            failure => failure.into_error("reading from etcd"),
        }
    }

    /// A revision, `at`, is below the floor: with the floor.
    async fn compacted(&self, range: &KeyRange, at: Revision) -> Error {
        let (key, _) = convert::bounds(range);
        let oldest = watch::floor(&self.members, key).await.unwrap_or(Revision::NONE);
        Error::Compacted { oldest: oldest.max(at.next()) }
    }

    /// What a commit that failed tells its caller.
    async fn commit_failed(&self, failure: Failure, txn: &Txn) -> Error {
        match failure {
            Failure::Compacted | Failure::FutureRevision => {
                let mut reads = Vec::new();
                visit(txn, &mut |op| {
                    if let Op::Range(range, ListOptions { at: Some(at), .. }) = op {
                        reads.push((range.clone(), *at));
                    }
                });
                let (range, at) =
                    reads.into_iter().min_by_key(|read| read.1).unwrap_or((KeyRange::all(), Revision::NONE));
                self.read_failed(failure, &range, at).await
            }
            Failure::LeaseNotFound => {
                let mut named = Vec::new();
                visit(txn, &mut |op| {
                    if let Op::Put { lease: Some(id @ 1.. | id @ ..=-1), .. } = op {
                        named.push(*id);
                    }
                });
                // The one that is missing, where there are several.
                for id in &named[..named.len().saturating_sub(1)] {
                    if matches!(self.time_to_live(*id, false).await, Err(Error::LeaseNotFound { .. })) {
                        return Error::LeaseNotFound { id: *id };
                    }
                }
                Error::LeaseNotFound { id: named.last().copied().unwrap_or(0) }
            }
            failure => failure.into_error("committing to etcd"),
        }
    }
}

/// Every operation of a transaction and of those within it.
fn visit(txn: &Txn, see: &mut impl FnMut(&Op)) {
    for op in txn.then.iter().chain(&txn.or_else) {
        see(op);
        if let Op::Txn(inner) = op {
            visit(inner, see);
        }
    }
}

#[async_trait]
impl ObjectStore for EtcdStore {
    async fn revision(&self) -> Result<Revision> {
        // It is the answer's header that counts.
        let key = self.members.options.revision_key.clone();
        Ok(self.list(KeyRange::single(key), ListOptions::default().count_only()).await?.revision)
    }

    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        let range = KeyRange::single(key.to_vec());
        Ok(self.list(range, ListOptions::default()).await?.items.pop())
    }

    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
        // To etcd, revision 0 is the newest.
        let options = ListOptions { at: options.at.filter(|at| *at > Revision::NONE), ..options };
        let (key, get) = convert::get(&range, options);
        let answer = self
            .members
            .call(Repeat::Freely, |link| {
                let (key, get) = (key.clone(), get.clone());
                async move { link.kv.clone().get(key, Some(get)).await }
            })
            .await;
        match answer {
            Ok(answer) => Ok(convert::page(answer.0, options.at)),
            Err(failure) => {
                Err(self.read_failed(failure, &range, options.at.unwrap_or(Revision::NONE)).await)
            }
        }
    }

    async fn commit(&self, txn: Txn) -> Result<Committed> {
        // etcd checks the same, and does not say which key it is.
        txn.check()?;
        let repeat = if txn.may_write() { Repeat::Unsent } else { Repeat::Freely };
        let request = convert::txn(&txn);
        let answer = self
            .members
            .call(repeat, |link| {
                let request = request.clone();
                async move { link.kv.clone().txn(request).await }
            })
            .await;
        match answer {
            Ok(answer) => {
                let revision =
                    convert::revision(answer.0.header.as_ref().map_or(0, |header| header.revision));
                Ok(convert::committed(&txn, answer.0, revision))
            }
            Err(failure) => Err(self.commit_failed(failure, &txn).await),
        }
    }

    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        if range.as_single().is_some_and(|key| key.is_empty()) {
            return Err(Error::EmptyKey);
        }
        let from = options.from.filter(|from| *from > Revision::NONE);
        let wish = Wish {
            range,
            from: match from {
                Some(from) => from,
                // Asked for, not left to the member: one that lags would deliver what is past.
                None => self.revision().await?.next(),
            },
            now: from.is_none(),
            previous: options.previous,
        };
        self.watches.open(wish, &self.members).await
    }

    async fn request_progress(&self, range: KeyRange) -> Result<()> {
        let newest = self.revision().await?;
        self.watches.request_progress(range, newest);
        Ok(())
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        let answer = self
            .members
            .call(Repeat::Unsent, |link| async move {
                link.kv.clone().compact(convert::number(revision), None).await
            })
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(failure @ (Failure::Compacted | Failure::FutureRevision)) => {
                let below = Revision(revision.0.saturating_sub(1));
                Err(self.read_failed(failure, &KeyRange::all(), below).await)
            }
            Err(failure) => Err(failure.into_error("compacting etcd")),
        }
    }

    fn wants_compaction(&self) -> bool {
        true
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }
}
