//! Events to any number of subscribers, none of whom can be forgotten or can hold up a runtime.
//!
//! A [`ContainerEvent`] says "look at this container" and nothing more, so two equal ones that
//! wait for the same subscriber are one. That bounds what a slow subscriber costs by the number of
//! containers, and lets it miss nothing: it reads each container once, however often it changed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::{ContainerEvent, EventStream};

/// Hands events to subscribers, in the order in which they subscribed. Clones share them.
///
/// When the last clone is dropped, every stream ends behind what it still holds.
#[derive(Clone, Default)]
pub struct EventHub(Arc<Hub>);

#[derive(Default)]
struct Hub {
    subscribers: Mutex<Vec<Weak<Mutex<Mailbox>>>>,
}

#[derive(Default)]
struct Mailbox {
    waiting: VecDeque<ContainerEvent>,
    closed: bool,
    waker: Option<Waker>,
}

struct Subscription(Arc<Mutex<Mailbox>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventHub {
    /// A hub without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells every subscriber.
    pub fn publish(&self, event: &ContainerEvent) {
        let mut wakers = Vec::new();
        lock(&self.0.subscribers).retain(|subscriber| {
            let Some(mailbox) = subscriber.upgrade() else { return false };
            let mut mailbox = lock(&mailbox);
            if !mailbox.waiting.contains(event) {
                mailbox.waiting.push_back(event.clone());
                wakers.extend(mailbox.waker.take());
            }
            true
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    /// What is published from now on.
    #[must_use]
    pub fn subscribe(&self) -> EventStream {
        let mailbox = Arc::new(Mutex::new(Mailbox::default()));
        lock(&self.0.subscribers).push(Arc::downgrade(&mailbox));
        Box::pin(Subscription(mailbox))
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        for mailbox in lock(&self.subscribers).drain(..).filter_map(|subscriber| subscriber.upgrade()) {
            let waker = {
                let mut mailbox = lock(&mailbox);
                mailbox.closed = true;
                mailbox.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

impl Stream for Subscription {
    type Item = ContainerEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ContainerEvent>> {
        let mut mailbox = lock(&self.0);
        match mailbox.waiting.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if mailbox.closed => Poll::Ready(None),
            None => {
                mailbox.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::runtime::ContainerId;

    fn event(container: &str) -> ContainerEvent {
        ContainerEvent { container: ContainerId(container.into()), ..ContainerEvent::default() }
    }

    #[test]
    fn a_slow_subscriber_sees_every_container_once() {
        let hub = EventHub::new();
        let mut events = hub.subscribe();
        for container in ["a", "b", "a", "a"] {
            hub.publish(&event(container));
        }
        let seen: Vec<_> = std::iter::from_fn(|| events.next().now_or_never().flatten()).collect();
        assert_eq!(seen, [event("a"), event("b")]);
        hub.publish(&event("a"));
        assert_eq!(events.next().now_or_never(), Some(Some(event("a"))), "what was read can come again");
    }

    #[test]
    fn streams_end_with_the_hub_and_dropped_streams_are_forgotten() {
        let hub = EventHub::new();
        drop(hub.subscribe());
        let mut events = hub.subscribe();
        hub.publish(&event("a"));
        assert_eq!(lock(&hub.0.subscribers).len(), 1);
        drop(hub);
        assert_eq!(events.next().now_or_never(), Some(Some(event("a"))));
        assert_eq!(events.next().now_or_never(), Some(None));
    }
}
