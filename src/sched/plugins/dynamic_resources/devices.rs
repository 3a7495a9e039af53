//! The devices of a node's pools, and which of them fit what is asked for.
//!
//! Source: `isSelectable`, `selectorsMatch` and `checkAvailableCounters` of `allocator_incubating.go` in
//! `k8s.io/dynamic-resource-allocation/structured/internal/incubating` (1.36).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::resource::v1::{Device, DeviceClass, DeviceSelector, ResourceClaim};

use super::capacity::{is_left, taken};
use super::claims::shown;
use super::pool::{Pool, State, devices, reaches_device};
use super::request::Alternative;
use super::search::Location;
use super::selector::Selectors;
use super::usage::Use;
use crate::api::quantity::Quantity;
use crate::env::HashMap;
use crate::sched::{NodeIndex, Snapshot};

/// What selectors said of devices, by where in memory either is. Nodes that reach the same device ask only once.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<HashMap<(usize, usize), bool>>);

/// The devices of a node's pools.
#[derive(Debug)]
pub(super) struct Devices<'a> {
    pub(super) pools: Vec<Pool<'a>>,
    snapshot: &'a Snapshot,
    node: NodeIndex,
    selectors: &'a Selectors,
    said: &'a Said,
    /// By pool: what is left of its counters; nothing where nobody has asked yet.
    left: Vec<Option<BTreeMap<CounterName<'a>, Quantity>>>,
}

/// A counter, by its set and its name.
pub(super) type CounterName<'a> = (&'a str, &'a str);

impl<'a> Devices<'a> {
    pub(super) fn new(
        pools: Vec<Pool<'a>>,
        snapshot: &'a Snapshot,
        node: NodeIndex,
        selectors: &'a Selectors,
        said: &'a Said,
    ) -> Self {
        let left = pools.iter().map(|_| None).collect();
        Self { pools, snapshot, node, selectors, said, left }
    }

    pub(super) fn get(&self, at: Location) -> &'a Device {
        &devices(self.pools[at.pool].slices[at.slice])[at.device]
    }

    /// How claims that have their devices use this one.
    pub(super) fn usage(&self, at: Location) -> Option<&'a Use> {
        self.pools[at.pool].usage?.get(&self.get(at).name)
    }

    /// Whether the selectors of a request and of its class hold of a device, and the node reaches it.
    ///
    /// # Errors
    ///
    /// What is wrong with a selector.
    pub(super) fn is_selected(
        &self,
        claim: &ResourceClaim,
        asked: &Alternative<'a>,
        at: Location,
    ) -> Result<bool, String> {
        let class = &asked.class.spec;
        let of_class = class.selectors.as_deref().unwrap_or_default();
        let name = |class: &DeviceClass| class.metadata.name.clone().unwrap_or_default();
        let holds = self.hold(of_class, at, || format!("class {}", name(asked.class)))?
            && self.hold(asked.selectors, at, || format!("claim {}", shown(claim)))?;
        let by_device = self.pools[at.pool].slices[at.slice].spec.per_device_node_selection == Some(true);
        Ok(holds && (!by_device || reaches_device(self.snapshot, self.node, self.get(at))?))
    }

    fn hold(
        &self,
        selectors: &[DeviceSelector],
        at: Location,
        whose: impl Fn() -> String,
    ) -> Result<bool, String> {
        let (driver, device) = (self.pools[at.pool].driver, self.get(at));
        for (number, selector) in selectors.iter().enumerate() {
            let Some(cel) = &selector.cel else { return Ok(false) };
            let key = (cel.expression.as_ptr() as usize, std::ptr::from_ref(device) as usize);
            let known = self.said.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
            let holds = match known {
                Some(holds) => holds,
                None => {
                    let holds = self.selectors.hold(&cel.expression, driver, device);
                    let holds = holds.map_err(|error| format!("{}: selector #{number}: {error}", whose()))?;
                    self.said.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, holds);
                    holds
                }
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is left of the counters of a pool by the claims that have their devices; less than nothing where they
    /// have more than there is.
    pub(super) fn counters_left(&mut self, pool: usize) -> &BTreeMap<CounterName<'a>, Quantity> {
        let of = &self.pools[pool];
        self.left[pool].get_or_insert_with(|| {
            let mut left = BTreeMap::new();
            for (set, counters) in &of.counters {
                for (name, counter) in *counters {
                    let amount = Quantity::try_from(&counter.value).unwrap_or_default();
                    left.insert((*set, name.as_str()), amount);
                }
            }
            let all = of.slices.iter().chain(&of.elsewhere).flat_map(|slice| devices(slice));
            let in_use = |device: &&Device| of.usage.is_some_and(|usage| usage.contains_key(&device.name));
            for (counter, amount) in all.filter(in_use).flat_map(counters) {
                if let Some(left) = left.get_mut(&counter) {
                    *left = left.minus(amount);
                }
            }
            left
        })
    }
}

/// The counters that a device uses, and how much of each.
pub(super) fn counters(device: &Device) -> impl Iterator<Item = (CounterName<'_>, Quantity)> {
    device.consumes_counters.iter().flatten().flat_map(|used| {
        let set = used.counter_set.as_str();
        used.counters.iter().map(move |(name, counter)| {
            ((set, name.as_str()), Quantity::try_from(&counter.value).unwrap_or_default())
        })
    })
}

impl<'a> Devices<'a> {
    /// All devices that are what is asked for, whoever has them.
    ///
    /// # Errors
    ///
    /// Why that cannot be told.
    pub(super) fn find_all(
        &self,
        claim: &ResourceClaim,
        asked: &Alternative<'a>,
    ) -> Result<Vec<Location>, String> {
        let mut found = Vec::new();
        for (number, pool) in self.pools.iter().enumerate() {
            let what = match pool.state {
                State::Usable => "",
                State::Incomplete => "being updated",
                State::Invalid => "invalid",
            };
            if pool.state != State::Usable {
                return Err(format!(
                    "claim {}, request {}: asks for all devices, but resource pool {}/{} is currently {what}",
                    shown(claim),
                    asked.name,
                    pool.driver,
                    pool.name
                ));
            }
            for (slice, of) in pool.slices.iter().enumerate() {
                for device in 0..devices(of).len() {
                    let at = Location { pool: number, slice, device };
                    if self.is_selected(claim, asked, at)? && self.has_capacity(asked, at) {
                        found.push(at);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Whether a device has left what is asked for, by the claims that have their devices.
    fn has_capacity(&self, asked: &Alternative<'_>, at: Location) -> bool {
        let device = self.get(at);
        let others = self.usage(at).and_then(|usage| usage.shared.as_ref());
        taken(device, asked.capacity).is_some_and(|amounts| is_left(device, &amounts, &[others]))
    }
}
