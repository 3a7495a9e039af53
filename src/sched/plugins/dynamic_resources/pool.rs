//! The devices that a node reaches, pool by pool.
//!
//! A pool is published in slices. Of its generations only the newest counts, and that only once all of its slices are
//! there; until then nothing is given of it. Pools are sorted by driver and name, and their slices by name, so that a
//! driver says by its names what is given first.
//!
//! Source: `pools_incubating.go` of `k8s.io/dynamic-resource-allocation/structured/internal/incubating` (1.36).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::NodeSelector;
use k8s_openapi::api::resource::v1::{Counter, Device, ResourceSlice};

use super::usage::{PoolUsage, Usage};
use crate::api::predicates::NodeRequirements;
use crate::env::HashMap;
use crate::sched::{NodeIndex, Snapshot};

/// All devices there are, and what is in use of them.
#[derive(Debug)]
pub(super) struct Inventory {
    slices: Vec<Slice>,
    /// By node: the slices that are its own.
    own: HashMap<String, Vec<usize>>,
    /// The slices that other nodes may reach, too.
    common: Vec<usize>,
    usage: Usage,
}

#[derive(Debug)]
struct Slice {
    slice: Arc<ResourceSlice>,
    /// Its node selector, read.
    selector: Option<Result<NodeRequirements, String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Usable,
    /// Not all of its slices are there.
    Incomplete,
    /// They contradict each other.
    Invalid,
}

/// The counters that devices share, by set.
pub(super) type Counters<'a> = BTreeMap<&'a str, &'a BTreeMap<String, Counter>>;

/// What a node has to do with of a pool.
#[derive(Debug)]
pub(super) struct Pool<'a> {
    pub(super) driver: &'a str,
    pub(super) name: &'a str,
    pub(super) state: State,
    /// The slices with devices that the node may reach.
    pub(super) slices: Vec<&'a ResourceSlice>,
    /// The others of its slices.
    pub(super) elsewhere: Vec<&'a ResourceSlice>,
    pub(super) counters: Counters<'a>,
    pub(super) usage: Option<&'a PoolUsage>,
}

/// The devices of a slice.
pub(super) fn devices(slice: &ResourceSlice) -> &[Device] {
    slice.spec.devices.as_deref().unwrap_or_default()
}

fn has_counters(slice: &ResourceSlice) -> bool {
    slice.spec.shared_counters.as_ref().is_some_and(|counters| !counters.is_empty())
}

fn given(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty())
}

/// Whether a node reaches a device of a slice that says so device by device.
pub(super) fn reaches_device(snapshot: &Snapshot, node: NodeIndex, device: &Device) -> Result<bool, String> {
    let selector = || device.node_selector.as_ref().map(read);
    reaches(snapshot, node, device.node_name.as_deref(), device.all_nodes, selector)
}

fn read(selector: &NodeSelector) -> Result<NodeRequirements, String> {
    NodeRequirements::of_selector(selector).map_err(|error| format!("failed to parse node selector: {error}"))
}

/// Whether a node is the one that is named, one of all, or one that is selected.
fn reaches(
    snapshot: &Snapshot,
    node: NodeIndex,
    name: Option<&str>,
    all: Option<bool>,
    selector: impl Fn() -> Option<Result<NodeRequirements, String>>,
) -> Result<bool, String> {
    if let Some(name) = given(name) {
        return Ok(**snapshot.name(node) == *name);
    }
    if all == Some(true) {
        return Ok(true);
    }
    match selector() {
        Some(selector) => Ok(selector?.matches(snapshot.name(node), snapshot.labels(node))),
        None => Ok(false),
    }
}

impl Slice {
    fn is_relevant(&self, snapshot: &Snapshot, node: NodeIndex) -> Result<bool, String> {
        let spec = &self.slice.spec;
        let name = self.slice.metadata.name.as_deref().unwrap_or_default();
        if has_counters(&self.slice) {
            return Ok(true);
        }
        if given(spec.node_name.as_deref()).is_some()
            || spec.all_nodes == Some(true)
            || self.selector.is_some()
        {
            let selector = || self.selector.clone();
            return reaches(snapshot, node, spec.node_name.as_deref(), spec.all_nodes, selector)
                .map_err(|error| format!("failed to perform node selection for slice {name}: {error}"));
        }
        if spec.per_device_node_selection == Some(true) {
            for device in devices(&self.slice) {
                let reaches = reaches_device(snapshot, node, device).map_err(|error| {
                    let device = &device.name;
                    format!("failed to perform node selection for device {device} in slice {name}: {error}")
                })?;
                if reaches {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Inventory {
    /// Of all slices of a snapshot.
    pub(super) fn new(snapshot: &Snapshot, usage: Usage) -> Self {
        let mut inventory = Self { slices: Vec::new(), own: HashMap::default(), common: Vec::new(), usage };
        for slice in snapshot.catalog().all::<ResourceSlice>() {
            let number = inventory.slices.len();
            match given(slice.spec.node_name.as_deref()).filter(|_| !has_counters(slice)) {
                Some(node) => inventory.own.entry(node.to_owned()).or_default().push(number),
                None => inventory.common.push(number),
            }
            let selector = slice.spec.node_selector.as_ref().map(read);
            inventory.slices.push(Slice { slice: slice.clone(), selector });
        }
        inventory
    }

    /// The pools that a node has to do with, in the order in which devices are given.
    ///
    /// # Errors
    ///
    /// What cannot be read of a slice.
    pub(super) fn pools(&self, snapshot: &Snapshot, node: NodeIndex) -> Result<Vec<Pool<'_>>, String> {
        let mut by_name: BTreeMap<(&str, &str), Vec<&ResourceSlice>> = BTreeMap::new();
        let own = self.own.get(&**snapshot.name(node)).map_or(&[][..], Vec::as_slice);
        for number in own.iter().chain(&self.common) {
            let slice = &self.slices[*number];
            if slice.is_relevant(snapshot, node)? {
                let spec = &slice.slice.spec;
                by_name.entry((&spec.driver, &spec.pool.name)).or_default().push(&slice.slice);
            }
        }
        let pools =
            by_name.into_iter().filter_map(|((driver, name), slices)| self.pool(driver, name, slices));
        // Devices that must be prepared first are given last.
        let (late, mut pools): (Vec<_>, Vec<_>) = pools.partition(Pool::has_binding_conditions);
        pools.extend(late);
        Ok(pools)
    }

    /// A pool of these slices, which a node has to do with; none where they are of the past.
    fn pool<'a>(
        &'a self,
        driver: &'a str,
        name: &'a str,
        mut slices: Vec<&'a ResourceSlice>,
    ) -> Option<Pool<'a>> {
        let newest = slices.iter().map(|slice| slice.spec.pool.generation).max()?;
        slices.retain(|slice| slice.spec.pool.generation == newest);
        let count = slices[0].spec.pool.resource_slice_count;
        let mut pool = Pool {
            driver,
            name,
            state: State::Usable,
            slices,
            elsewhere: Vec::new(),
            counters: Counters::new(),
            usage: self.usage.of(driver, name),
        };
        if pool.slices.len() as i64 != count {
            // The others may be other nodes'. If one is newer, what is here is of the past.
            let all = self.slices.iter().map(|slice| &*slice.slice);
            let of_pool =
                |slice: &&ResourceSlice| slice.spec.driver == driver && slice.spec.pool.name == name;
            let all: Vec<_> = all.filter(of_pool).collect();
            if all.iter().any(|slice| slice.spec.pool.generation > newest) {
                return None;
            }
            let here: BTreeSet<_> = pool.slices.iter().map(|slice| &slice.metadata.name).collect();
            pool.elsewhere = all.into_iter().filter(|slice| slice.spec.pool.generation == newest).collect();
            let known = pool.elsewhere.len();
            pool.elsewhere.retain(|slice| !here.contains(&slice.metadata.name));
            if known as i64 != count {
                pool.state = State::Incomplete;
                return Some(pool);
            }
        }
        pool.slices.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
        if !pool.settle() {
            pool.state = State::Invalid;
        }
        Some(pool)
    }
}

impl<'a> Pool<'a> {
    /// Tells counters from devices. Returns whether names of devices and of sets of counters are there once, and
    /// every counter that a device uses is there.
    fn settle(&mut self) -> bool {
        let (with_counters, slices): (Vec<_>, Vec<_>) =
            self.slices.iter().copied().partition(|slice| has_counters(slice));
        let mut sound = true;
        let mut names = BTreeSet::new();
        for device in slices.iter().flat_map(|slice| devices(slice)) {
            sound &= names.insert(device.name.as_str());
        }
        for set in with_counters.iter().flat_map(|slice| slice.spec.shared_counters.iter().flatten()) {
            sound &= self.counters.insert(&set.name, &set.counters).is_none();
        }
        let known = |device: &Device| {
            device.consumes_counters.iter().flatten().all(|used| {
                let set = self.counters.get(used.counter_set.as_str());
                set.is_some_and(|set| used.counters.keys().all(|name| set.contains_key(name)))
            })
        };
        let all = self.slices.iter().chain(&self.elsewhere);
        sound &= all.flat_map(|slice| devices(slice)).all(known);
        self.slices = slices;
        sound
    }

    fn has_binding_conditions(&self) -> bool {
        let mut devices = self.slices.iter().flat_map(|slice| devices(slice));
        self.state == State::Usable
            && devices.any(|device| device.binding_conditions.as_ref().is_some_and(|list| !list.is_empty()))
    }
}
