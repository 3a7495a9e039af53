//! Watches that are delayed and cut.

use futures_util::{StreamExt, stream};

use super::{Chance, failed};
use crate::store::WatchStream;

/// The batches of a watch, each as late as it comes, until it is cut.
pub(super) fn faulty(watch: WatchStream, chance: Chance) -> WatchStream {
    Box::pin(stream::unfold(Some((watch, chance)), async |state| {
        let (mut watch, chance) = state?;
        let item = watch.next().await?;
        chance.delay().await;
        if chance.strikes(chance.faults().cut) {
            return Some((Err(failed("watching", "it was cut")), None));
        }
        let goes_on = item.is_ok();
        Some((item, goes_on.then_some((watch, chance))))
    }))
}
