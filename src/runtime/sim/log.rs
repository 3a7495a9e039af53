//! What a simulated container has printed: in memory, and only the last so many lines.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::runtime::{LogLine, LogOptions, LogStream};

/// How many lines are kept.
const KEPT: usize = 10_000;

#[derive(Default)]
pub(super) struct Log {
    state: Mutex<State>,
    grown: Notify,
}

#[derive(Default)]
struct State {
    /// How many lines went before those that are kept.
    gone: u64,
    lines: VecDeque<LogLine>,
    ended: bool,
}

impl State {
    fn end(&self) -> u64 {
        self.gone + self.lines.len() as u64
    }
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn append(&self, line: LogLine) {
        let mut state = self.state();
        state.lines.push_back(line);
        if state.lines.len() > KEPT {
            state.lines.pop_front();
            state.gone += 1;
        }
        drop(state);
        self.grown.notify_waiters();
    }

    pub(super) fn end(&self) {
        self.state().ended = true;
        self.grown.notify_waiters();
    }

    pub(super) fn read(self: &Arc<Self>, options: &LogOptions) -> LogStream {
        let (next, until) = {
            let state = self.state();
            let first = options.tail_lines.map_or(0, |lines| state.end().saturating_sub(lines));
            (first, (!options.follow).then(|| state.end()))
        };
        let (log, since) = (Arc::clone(self), options.since);
        Box::pin(stream::unfold((log, next), move |(log, mut next)| async move {
            let line = log.next(&mut next, until, since).await?;
            Some((Ok(line), (log, next)))
        }))
    }

    /// The first line from `next` on that is not older than `since`; `None` at the end.
    async fn next(&self, next: &mut u64, until: Option<u64>, since: Option<Timestamp>) -> Option<LogLine> {
        loop {
            let mut grown = std::pin::pin!(self.grown.notified());
            grown.as_mut().enable();
            let (line, ended) = {
                let state = self.state();
                *next = (*next).max(state.gone);
                let wanted = until.is_none_or(|until| *next < until);
                let index = usize::try_from(*next - state.gone).unwrap_or(usize::MAX);
                (state.lines.get(index).filter(|_| wanted).cloned(), state.ended || until.is_some())
            };
            match line {
                Some(line) => {
                    *next += 1;
                    if since.is_none_or(|since| line.time >= since) {
                        return Some(line);
                    }
                }
                None if ended => return None,
                None => grown.await,
            }
        }
    }
}
