//! One request from its first byte to the last of its answer: what is held meanwhile, and counted at the end.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::env::Clock;
use crate::server::limits::Slot;
use crate::server::metrics::Series;

/// A request that is being answered; dropping it ends it.
pub(super) struct Exchange {
    clock: Clock,
    started: Instant,
    series: Arc<Series>,
    /// Whether what is sent is counted.
    reads: bool,
    long_running: bool,
    code: u16,
    sent: u64,
    /// The room that it takes up, if it does.
    pub(super) slot: Option<Slot>,
    /// What its listener waits for.
    pub(super) token: Option<TaskTrackerToken>,
}

impl Exchange {
    pub(super) fn begin(clock: Clock, series: Arc<Series>, reads: bool, long_running: bool) -> Self {
        let started = clock.instant();
        if long_running {
            series.open.add(1);
        }
        let (code, sent) = (499, 0);
        Self { clock, started, series, reads, long_running, code, sent, slot: None, token: None }
    }

    /// The answer has this code. One that never gets any is counted as 499: its caller has gone.
    pub(super) fn answered(&mut self, code: u16) {
        self.code = code;
    }

    /// So many bytes of the answer were taken.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let took = self.clock.instant() - self.started;
        self.series.answered(self.code);
        self.series.took.took(took);
        self.series.sli.took(took);
        if self.reads {
            self.series.bytes.size(self.sent);
        }
        if self.long_running {
            self.series.open.add(-1);
        }
    }
}
