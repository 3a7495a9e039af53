//! What claims have of every device.
//!
//! Source: `allocateddevices.go`, and `schedulerapi/types.go` of `k8s.io/dynamic-resource-allocation/structured`
//! (1.36).

use std::collections::BTreeMap;

use k8s_openapi::api::resource::v1::AllocationResult;

use super::claims::results;
use crate::api::quantity::Quantity;
use crate::env::HashMap;

/// What is in use, by driver, pool and device.
#[derive(Debug, Default)]
pub(super) struct Usage {
    drivers: HashMap<String, HashMap<String, PoolUsage>>,
}

/// What is in use of a pool, by device.
pub(super) type PoolUsage = HashMap<String, Use>;

/// How a device is in use.
#[derive(Debug, Default)]
pub(super) struct Use {
    /// A claim has it for itself.
    pub(super) whole: bool,
    /// What claims have of it that share it, where they do.
    pub(super) shared: Option<BTreeMap<String, Quantity>>,
}

impl Usage {
    /// Counts what a claim has been given. What an administrator looks at is nobody's.
    pub(super) fn add(&mut self, allocation: &AllocationResult) {
        for result in results(allocation).iter().filter(|result| result.admin_access != Some(true)) {
            let pools = self.drivers.entry(result.driver.clone()).or_default();
            let own = pools.entry(result.pool.clone()).or_default().entry(result.device.clone()).or_default();
            if result.share_id.is_none() {
                own.whole = true;
                continue;
            }
            let shared = own.shared.get_or_insert_default();
            for (name, amount) in result.consumed_capacity.iter().flatten() {
                let sum = shared.entry(name.clone()).or_default();
                *sum = sum.plus(Quantity::try_from(amount).unwrap_or_default());
            }
        }
    }

    /// What is in use of a pool.
    pub(super) fn of(&self, driver: &str, pool: &str) -> Option<&PoolUsage> {
        self.drivers.get(driver)?.get(pool)
    }
}
