//! The end of leases whose time is over.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use super::Mvcc;
use crate::store::Result;

/// A store that ends leases.
#[async_trait]
pub(in crate::store) trait Expire: Send + Sync + 'static {
    /// Its leases.
    fn mvcc(&self) -> &Mvcc;

    /// Revokes a lease, if its time is still over.
    async fn expire(&self, id: i64) -> Result<()>;
}

/// Sees to it that leases end, from now on and for as long as the store is there; once is enough.
///
/// # Panics
///
/// Outside a tokio runtime.
pub(in crate::store) fn start<S: Expire>(store: &Arc<S>) {
    let mvcc = store.mvcc();
    if mvcc.expiring.swap(true, Ordering::Relaxed) {
        return;
    }
    let weak = Arc::downgrade(store);
    let changed = mvcc.due_changed.clone();
    let clock = mvcc.env.clock.clone();
    mvcc.env.tasks.spawn("store/leases", async move {
        loop {
            let Some(next) = due(&weak) else { return };
            match next {
                None => changed.notified().await,
                Some(next) => crate::select! {
                    () = changed.notified() => {}
                    () = clock.sleep_until(next) => {}
                },
            }
            let Some(store) = weak.upgrade() else { return };
            let over = store.mvcc().writer().leases.over(clock.instant());
            for id in over {
                if let Err(error) = store.expire(id).await {
                    tracing::debug!(id, %error, "a lease is not revoked");
                }
            }
        }
    });
}

/// When the next lease's time is over; nothing where the store has gone.
fn due<S: Expire>(store: &Weak<S>) -> Option<Option<tokio::time::Instant>> {
    let store = store.upgrade()?;
    let due = store.mvcc().writer().leases.next_due();
    Some(due)
}
