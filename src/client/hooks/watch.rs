//! Watches with hooks: events that wait, and ends that come from outside.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::{StreamExt, stream};
use tokio::sync::Notify;

use super::calls::About;
use super::{Calls, Hooks};
use crate::api::Status;
use crate::client::{Error, WatchEvent, WatchStream};

/// How a watch is ended.
#[derive(Clone, Debug)]
pub(super) enum Interrupt {
    Fail(Box<Status>),
    End,
}

/// A watch that is open.
#[derive(Debug)]
pub(super) struct Live {
    about: About,
    interrupt: Mutex<Option<Interrupt>>,
    interrupted: Notify,
}

impl Live {
    async fn interrupted(&self) -> Interrupt {
        loop {
            let told = self.interrupted.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if let Some(interrupt) = &*self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) {
                return interrupt.clone();
            }
            told.await;
        }
    }
}

impl Hooks {
    /// Ends the open watches of these calls; answers how many there were.
    pub(super) fn interrupt(&self, calls: &Calls, how: &Interrupt) -> usize {
        let open: Vec<Arc<Live>> = self.watches().iter().filter_map(Weak::upgrade).collect();
        let mut count = 0;
        for live in open.iter().filter(|live| calls.cover(&live.about)) {
            *live.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(how.clone());
            live.interrupted.notify_waiters();
            count += 1;
        }
        count
    }
}

/// The events of a watch, as the hooks let them through.
pub(super) fn hooked(hooks: &Hooks, about: About, events: WatchStream) -> WatchStream {
    let live = Arc::new(Live { about, interrupt: Mutex::default(), interrupted: Notify::new() });
    {
        let mut watches = hooks.watches();
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(&live));
    }
    let feed = Feed { hooks: hooks.clone(), live, events };
    Box::pin(stream::unfold(Some(feed), |feed| async {
        let mut feed = feed?;
        let live = feed.live.clone();
        let next = crate::select! {
            interrupt = live.interrupted() => Err(interrupt),
            next = feed.next() => Ok(next),
        };
        match next {
            Ok(None) | Err(Interrupt::End) => None,
            Ok(Some(event)) => {
                let more = event.is_ok().then_some(feed);
                Some((event, more))
            }
            Err(Interrupt::Fail(status)) => Some((Err(Error::from(*status)), None)),
        }
    }))
}

struct Feed {
    hooks: Hooks,
    live: Arc<Live>,
    events: WatchStream,
}

impl Feed {
    async fn next(&mut self) -> Option<Result<WatchEvent, Error>> {
        let event = self.events.next().await?;
        for (rule, action) in self.hooks.striking(&self.live.about, true) {
            self.hooks.wait(&rule, &action).await;
        }
        Some(event)
    }
}
