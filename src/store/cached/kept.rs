//! What the store is known to keep, so that pages of one revision do not ask it each time.
//!
//! A store compacts without a word. Kubernetes' cacher asks what has been compacted every
//! [`ASK_AGAIN`] and serves what it holds until then; here whoever wants an old revision asks, no oftener.
//!
//! Source: `compactorPollPeriod` of kube-apiserver's `storage/cacher/compactor.go` (1.36).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::Revision;

/// How long it is taken for granted that a revision is kept.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(15);

/// The lowest revision that the store was seen to keep, and when that was.
#[derive(Default)]
pub(super) struct Kept(Mutex<Option<(Revision, Instant)>>);

impl Kept {
    /// Whether the store kept this revision a short while ago, as far as is known.
    pub(super) fn lately(&self, revision: Revision, now: Instant) -> bool {
        self.fresh(now).is_some_and(|lowest| lowest <= revision)
    }

    /// The store keeps this revision now.
    pub(super) fn saw(&self, revision: Revision, now: Instant) {
        if !self.lately(revision, now) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((revision, now));
        }
    }

    fn fresh(&self, now: Instant) -> Option<Revision> {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.filter(|(_, when)| now.duration_since(*when) < ASK_AGAIN).map(|(lowest, _)| lowest)
    }
}
