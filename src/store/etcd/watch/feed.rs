//! What lies between the hub and the consumer of one watch.
//!
//! The hub never waits for a consumer, and a consumer that does not read must not fill the memory. So
//! a feed counts its bytes: the hub parks a watch whose feed is full, and the consumer that has read
//! half of it asks for more.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::mpsc;

use super::hub::Command;
use crate::store::{Error, KeyValue, Result, WatchBatch};

/// What an item takes up besides keys and values.
const OVERHEAD: usize = 128;

/// The hub's end.
pub(super) struct Feed {
    items: mpsc::UnboundedSender<Result<WatchBatch>>,
    gauge: Arc<Gauge>,
    budget: usize,
}

/// The consumer's end: a [`WatchStream`](crate::store::WatchStream).
pub(super) struct Consumer {
    id: u64,
    items: mpsc::UnboundedReceiver<Result<WatchBatch>>,
    gauge: Arc<Gauge>,
    budget: usize,
    commands: mpsc::UnboundedSender<Command>,
    ended: bool,
}

#[derive(Default)]
struct Gauge {
    bytes: AtomicUsize,
    parked: AtomicBool,
}

pub(super) fn feed(id: u64, budget: usize, commands: mpsc::UnboundedSender<Command>) -> (Feed, Consumer) {
    let (sender, items) = mpsc::unbounded_channel();
    let gauge = Arc::new(Gauge::default());
    let consumer = Consumer { id, items, gauge: gauge.clone(), budget, commands, ended: false };
    (Feed { items: sender, gauge, budget }, consumer)
}

impl Feed {
    pub(super) fn deliver(&self, batch: WatchBatch) {
        self.gauge.bytes.fetch_add(weight(&batch), Ordering::SeqCst);
        // A consumer that is gone has told the hub so.
        let _ = self.items.send(Ok(batch));
    }

    pub(super) fn end(self, error: Error) {
        let _ = self.items.send(Err(error));
    }

    pub(super) fn is_full(&self) -> bool {
        self.gauge.bytes.load(Ordering::SeqCst) > self.budget
    }

    /// Lets the consumer ask for more once it has read half; answers false where it has already.
    pub(super) fn park(&self) -> bool {
        self.gauge.parked.store(true, Ordering::SeqCst);
        // The consumer looks at the flag after it has read; where it was too early, we take it back.
        !(self.gauge.bytes.load(Ordering::SeqCst) <= self.budget / 2
            && self.gauge.parked.swap(false, Ordering::SeqCst))
    }
}

impl Stream for Consumer {
    type Item = Result<WatchBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match ready!(self.items.poll_recv(cx)) {
            Some(Ok(batch)) => {
                let weight = weight(&batch);
                let left = self.gauge.bytes.fetch_sub(weight, Ordering::SeqCst) - weight;
                if left <= self.budget / 2 && self.gauge.parked.swap(false, Ordering::SeqCst) {
                    let _ = self.commands.send(Command::Resume { id: self.id });
                }
                Poll::Ready(Some(Ok(batch)))
            }
            Some(Err(error)) => {
                self.ended = true;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.ended = true;
                let why = "its tasks have been cancelled".into();
                Poll::Ready(Some(Err(Error::Stopped { why })))
            }
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Drop { id: self.id });
    }
}

fn weight(batch: &WatchBatch) -> usize {
    let of = |kv: &KeyValue| kv.key.len() + kv.value.len();
    let events =
        batch.events.iter().map(|event| OVERHEAD + of(&event.kv) + event.previous.as_ref().map_or(0, of));
    OVERHEAD + events.sum::<usize>()
}
