//! Which watches of a stream have something to tell.
//!
//! A stream may carry thousands of watches. Each has a waker of its own that puts its number into a
//! queue, so that the stream asks only those, each in its turn.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

/// The queue of a stream.
#[derive(Debug, Default)]
pub(super) struct Ready {
    queue: Mutex<VecDeque<i64>>,
    stream: AtomicWaker,
}

/// A watch's waker.
#[derive(Debug)]
pub(super) struct Bell {
    id: i64,
    /// Whether its number is in the queue.
    rung: AtomicBool,
    ready: Arc<Ready>,
}

impl Ready {
    /// The number of the watch whose turn it is. Where there is none, the stream's task is woken when
    /// there is.
    pub(super) fn next(&self, context: &Context<'_>) -> Option<i64> {
        self.pop().or_else(|| {
            self.stream.register(context.waker());
            // One that rang in between has woken nobody.
            self.pop()
        })
    }

    fn pop(&self) -> Option<i64> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Bell {
    pub(super) fn new(id: i64, ready: &Arc<Ready>) -> Arc<Self> {
        Arc::new(Self { id, rung: AtomicBool::new(false), ready: ready.clone() })
    }

    /// Puts the watch into the queue, unless it stands there.
    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.ready.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.id);
            self.ready.stream.wake();
        }
    }

    /// The watch is asked now: whatever happens from here on rings anew.
    pub(super) fn answer(self: &Arc<Self>) -> Waker {
        self.rung.store(false, Ordering::Release);
        Waker::from(self.clone())
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
