//! The devices that a node reaches, pool by pool.
//!
//! Source: `pools_incubating.go` of
//! `k8s.io/dynamic-resource-allocation/structured/internal/incubating` (1.36).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, NodeSelector};
use k8s_openapi::api::resource::v1::{Device, ResourceSlice};

use super::device_allocation::{Unmet, not_judged};
use super::node_terms::{error_in, selects};
use super::world::{Named, World};

/// A device that a node reaches.
#[derive(Clone, Copy)]
pub(super) struct Found<'w> {
    pub(super) id: Id<'w>,
    pub(super) device: &'w Device,
    pub(super) pool: usize,
}

/// A device by driver, pool and name.
pub(super) type Id<'w> = (&'w str, &'w str, &'w str);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Usable,
    /// Not all of its slices are there.
    Incomplete,
    /// They contradict each other.
    Invalid,
}

/// The slices of a pool that a node has to do with.
pub(super) struct Pool<'w> {
    pub(super) driver: &'w str,
    pub(super) name: &'w str,
    pub(super) state: State,
    /// With binding conditions pools come last.
    late: bool,
    slices: Vec<&'w ResourceSlice>,
    /// All of the pool's slices, the other nodes' too.
    pub(super) all: Vec<&'w ResourceSlice>,
}

pub(super) fn devices(slice: &ResourceSlice) -> &[Device] {
    slice.spec.devices.as_deref().unwrap_or_default()
}

fn has_counters(slice: &ResourceSlice) -> bool {
    slice.spec.shared_counters.as_ref().is_some_and(|counters| !counters.is_empty())
}

/// Whether a node is the one that is named, one of all, or one that is selected.
fn reaches(
    node: &Node,
    name: Option<&str>,
    all: Option<bool>,
    selector: Option<&NodeSelector>,
) -> Result<bool, Unmet> {
    match (name.unwrap_or_default(), selector) {
        ("", _) if all == Some(true) => Ok(true),
        ("", None) => Ok(false),
        ("", Some(selector)) => match error_in(selector) {
            Some(error) => Err(Unmet::Broken(format!("failed to parse node selector: {error}"))),
            None => Ok(selects(selector, node)),
        },
        (name, _) => Ok(node.name() == name),
    }
}

fn reaches_device(node: &Node, device: &Device) -> Result<bool, Unmet> {
    reaches(node, device.node_name.as_deref(), device.all_nodes, device.node_selector.as_ref())
}

fn is_relevant(slice: &ResourceSlice, node: &Node) -> Result<bool, Unmet> {
    let spec = &slice.spec;
    if has_counters(slice) {
        return Ok(true);
    }
    if spec.node_name.as_deref().is_some_and(|name| !name.is_empty())
        || spec.all_nodes == Some(true)
        || spec.node_selector.is_some()
    {
        return reaches(node, spec.node_name.as_deref(), spec.all_nodes, spec.node_selector.as_ref());
    }
    if spec.per_device_node_selection == Some(true) {
        for device in devices(slice) {
            if reaches_device(node, device)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The pools that a node has to do with, by driver and name. Of a pool only the newest generation counts.
pub(super) fn pools<'w>(world: &'w World, node: &Node) -> Result<Vec<Pool<'w>>, Unmet> {
    let mut by_name: BTreeMap<(&str, &str), Vec<&ResourceSlice>> = BTreeMap::new();
    for slice in &world.resource_slices {
        if is_relevant(slice, node)? {
            by_name.entry((&slice.spec.driver, &slice.spec.pool.name)).or_default().push(slice);
        }
    }
    let mut pools = Vec::new();
    for ((driver, name), mut slices) in by_name {
        let newest = slices.iter().map(|slice| slice.spec.pool.generation).max().unwrap_or(0);
        slices.retain(|slice| slice.spec.pool.generation == newest);
        let of_pool = |slice: &&ResourceSlice| slice.spec.driver == driver && slice.spec.pool.name == name;
        let all: Vec<_> = world.resource_slices.iter().map(AsRef::as_ref).filter(of_pool).collect();
        let count = slices[0].spec.pool.resource_slice_count;
        let mut state = State::Usable;
        if slices.len() as i64 != count {
            // The others may be other nodes'. If one is newer, what is here is of the past.
            if all.iter().any(|slice| slice.spec.pool.generation > newest) {
                continue;
            }
            let same = all.iter().filter(|slice| slice.spec.pool.generation == newest).count();
            if same as i64 != count {
                state = State::Incomplete;
            }
        }
        let all: Vec<_> = all.into_iter().filter(|slice| slice.spec.pool.generation == newest).collect();
        slices.sort_by(|one, other| one.name().cmp(other.name()));
        if state == State::Usable && !is_sound(&slices, &all) {
            state = State::Invalid;
        }
        slices.retain(|slice| !has_counters(slice));
        let late = state == State::Usable
            && slices
                .iter()
                .flat_map(|slice| devices(slice))
                .any(|device| device.binding_conditions.is_some());
        pools.push(Pool { driver, name, state, late, slices, all });
    }
    pools.sort_by_key(|pool| (pool.late, pool.driver, pool.name));
    Ok(pools)
}

/// Whether names of devices and of sets of counters are there once, and every counter that a device uses
/// is there.
fn is_sound(slices: &[&ResourceSlice], all: &[&ResourceSlice]) -> bool {
    let mut names = BTreeSet::new();
    let mut sets = BTreeMap::new();
    let unique = slices.iter().all(|slice| {
        let mut counters = slice.spec.shared_counters.iter().flatten();
        devices(slice).iter().all(|device| names.insert(&device.name))
            && counters.all(|set| sets.insert(&set.name, &set.counters).is_none())
    });
    let known = |device: &Device| {
        device.consumes_counters.iter().flatten().all(|used| {
            sets.get(&used.counter_set)
                .is_some_and(|set| used.counters.keys().all(|name| set.contains_key(name)))
        })
    };
    unique && all.iter().flat_map(|slice| devices(slice)).all(known)
}

impl<'w> Pool<'w> {
    /// The devices that the node reaches.
    pub(super) fn devices(&self, pool: usize, node: &Node) -> Result<Vec<Found<'w>>, Unmet> {
        let mut found = Vec::new();
        for slice in &self.slices {
            for device in devices(slice) {
                if slice.spec.per_device_node_selection == Some(true) && !reaches_device(node, device)? {
                    continue;
                }
                if device.allow_multiple_allocations == Some(true) {
                    return Err(not_judged("devices that several claims share"));
                }
                found.push(Found { id: (self.driver, self.name, &device.name), device, pool });
            }
        }
        Ok(found)
    }
}
