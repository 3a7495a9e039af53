//! Watches: many of them on one stream of one member.
//!
//! A task, the pump, holds the stream; what it does is decided by the hub, which does no I/O. Each
//! watch has a feed, which its consumer reads. The hub knows of each watch the next revision that it
//! is to be told, and that alone takes it over every break:
//!
//! ```text
//! watch /a from 7 ── create 1 from 7 ─► member A
//!                    ◄─ put at 7, put at 9          next = 10
//!                    member A stops
//!                 ── create 2 from 10 ─► member B
//!                    ◄─ put at 9                    older than 10: B sent it twice, drop it
//!                    ◄─ put at 12                   next = 13
//! ```
//!
//! Facts of etcd that it rests on (`server/storage/mvcc/watchable_store.go`, `watcher_group.go`,
//! `server/etcdserver/api/v3rpc/watch.go` of 3.4 to 3.6):
//!
//! - One answer holds whole revisions, unless it was asked to fragment what exceeds its size: then the
//!   last fragment is the one that does not say it is one. The hub puts them together again.
//! - A watcher that is behind is served every 100 ms, apart from those that are not; nothing orders
//!   the answers of two watchers of a stream. So the progress of one says nothing about another.
//! - Before 3.4.24 and 3.5.8 a watch may be sent an event twice.
//!
//! Progress on request is in `progress`.

mod feed;
mod hub;
mod progress;
mod pump;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use etcd_client::WatchOptions;
use tokio::sync::{mpsc, oneshot};

use self::hub::{Command, Hub};
use super::members::{Members, Repeat, unavailable};
use crate::store::{Error, KeyRange, Result, Revision, WatchStream};

pub(super) use self::hub::Wish;

/// The door to the pump. When the last clone and the last watch are dropped, it ends.
#[derive(Clone)]
pub(super) struct Watches {
    commands: mpsc::UnboundedSender<Command>,
    last: Arc<AtomicU64>,
    budget: usize,
}

impl Watches {
    pub(super) fn start(members: Arc<Members>) -> Self {
        let (commands, orders) = mpsc::unbounded_channel();
        let budget = members.options.watch_buffer_bytes;
        let tasks = members.options.env.tasks.clone();
        tasks.spawn("etcd watches", pump::run(members, Hub::new(), orders));
        Self { commands, last: Arc::default(), budget }
    }

    /// Waits until the watch is created, for a while: one that is not is created later.
    pub(super) async fn open(&self, wish: Wish, members: &Members) -> Result<WatchStream> {
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        let now = wish.now;
        let (feed, consumer) = feed::feed(id, self.budget, self.commands.clone());
        let (created, creation) = oneshot::channel();
        self.send(Command::Watch { id, wish, feed, created });
        let waited = members.options.env.clock.timeout(members.options.request_timeout, creation).await;
        match waited {
            // From when on would it be?
            Err(elapsed) if now => {
                Err(Error::Unavailable { operation: "watching etcd", source: Box::new(elapsed) })
            }
            _ => Ok(Box::pin(consumer)),
        }
    }

    /// Lets the watches of exactly this range say that they have come to `target`, or further.
    pub(super) fn request_progress(&self, range: KeyRange, target: Revision) {
        self.send(Command::Progress { range, target });
    }

    fn send(&self, command: Command) {
        // Without a pump (the tasks were cancelled) the feed's other end is dropped: the watch ends.
        let _ = self.commands.send(command);
    }
}

/// The compaction floor, where there is one above 1.
///
/// A watch from revision 1 is cancelled with it. Where nothing has been compacted this waits in vain,
/// for as long as a request may take.
pub(super) async fn floor(members: &Members, key: Vec<u8>) -> Result<Revision> {
    let answer = members
        .call(Repeat::Freely, |link| {
            let key = if key.is_empty() { vec![0] } else { key.clone() };
            async move {
                let options = WatchOptions::new().with_start_revision(1);
                let mut stream = link.watch.clone().watch(key, Some(options)).await?;
                while let Some(answer) = stream.message().await? {
                    if answer.canceled() {
                        return Ok(answer.compact_revision());
                    }
                }
                Ok(0)
            }
        })
        .await
        .map_err(|failure| failure.into_error("asking etcd for its floor"))?;
    match answer {
        1.. => Ok(super::convert::revision(answer)),
        _ => Err(unavailable("asking etcd for its floor", "the watch says nothing")),
    }
}
