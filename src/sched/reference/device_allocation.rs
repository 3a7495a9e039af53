//! Which devices claims get on a node: the first combination that meets them all.
//!
//! Everything is tried, one device after the other. What kube-scheduler gives up early, as too many
//! devices would be needed, is tried to the end here, to the same effect.
//!
//! Source: `allocator_incubating.go` of
//! `k8s.io/dynamic-resource-allocation/structured/internal/incubating` (1.36), which is the allocator
//! that the feature gates of that version choose.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::resource::v1::{
    Device, DeviceClass, DeviceConstraint, DeviceSelector, DeviceToleration, ResourceClaim,
};

use super::device_constraint::{is_kept_off, is_met};
use super::device_pool::{Found, Id, Pool, State, devices, pools};
use super::world::{Named, World, find};
use crate::api::quantity::Quantity;

/// Why claims are not met on a node.
pub(super) enum Unmet {
    /// There are no devices that meet them.
    Never,
    /// The node's devices are in disorder.
    Here(String),
    /// The claims are.
    Broken(String),
}

/// The most devices that a claim gets.
const MOST: usize = 32;

/// The requests, by name, that each device of each claim was given for.
pub(super) fn allocate(
    world: &World,
    node: &Node,
    claims: &[&ResourceClaim],
) -> Result<Vec<Vec<String>>, Unmet> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let pools = pools(world, node)?;
    let mut wanted = Vec::new();
    for claim in claims {
        wanted.push(read(world, claim, node, &pools)?);
    }
    let search = Search { pools: &pools, claims: &wanted, in_use: in_use(world), node };
    match search.place(Position::default(), &Given::default())? {
        Some(given) => {
            let of = |index: usize| {
                let own = given.devices.iter().filter(|device| device.claim == index);
                own.map(|device| device.request.clone()).collect()
            };
            Ok((0..claims.len()).map(of).collect())
        }
        None if pools.iter().any(|pool| pool.state == State::Invalid) => {
            Err(Unmet::Here("invalid resource pools were encountered".into()))
        }
        None => Err(Unmet::Never),
    }
}

/// The devices that claims have already. What an administrator looks at is nobody's.
fn in_use(world: &World) -> BTreeSet<Id<'_>> {
    let allocations =
        world.resource_claims.iter().filter_map(|claim| claim.status.as_ref()?.allocation.as_ref());
    allocations
        .flat_map(|allocation| allocation.devices.iter().flat_map(|devices| devices.results.iter().flatten()))
        .filter(|result| result.admin_access != Some(true))
        .map(|result| (result.driver.as_str(), result.pool.as_str(), result.device.as_str()))
        .collect()
}

/// A claim: what is asked for, each time one of several things, and what must hold of all of it.
struct Claim<'w> {
    name: String,
    requests: Vec<Vec<Request<'w>>>,
    constraints: &'w [DeviceConstraint],
}

struct Request<'w> {
    /// `request`, or `request/alternative`.
    name: String,
    base: &'w str,
    admin: bool,
    tolerations: &'w [DeviceToleration],
    count: usize,
    /// These, where all devices are asked for.
    all: Option<Vec<Found<'w>>>,
}

/// Reads a claim.
///
/// Source: `validateDeviceRequest`.
fn read<'w>(
    world: &'w World,
    claim: &'w ResourceClaim,
    node: &Node,
    pools: &[Pool<'w>],
) -> Result<Claim<'w>, Unmet> {
    let name = format!("{}/{}", claim.namespace(), claim.name());
    let spec = claim.spec.devices.as_ref();
    let mut requests = Vec::new();
    for request in spec.iter().flat_map(|spec| spec.requests.iter().flatten()) {
        let mut alternatives = Vec::new();
        if let Some(one) = &request.exactly {
            if one.capacity.is_some() {
                return Err(not_judged("requests of capacity"));
            }
            let asked = Asked {
                class: &one.device_class_name,
                mode: one.allocation_mode.as_deref(),
                count: one.count,
                selectors: one.selectors.as_deref().unwrap_or_default(),
            };
            alternatives.push(Request {
                name: request.name.clone(),
                base: &request.name,
                admin: one.admin_access == Some(true),
                tolerations: one.tolerations.as_deref().unwrap_or_default(),
                ..asked.read(world, &name, &request.name, node, pools)?
            });
        }
        for one in request.first_available.iter().flatten() {
            if one.capacity.is_some() {
                return Err(not_judged("requests of capacity"));
            }
            let asked = Asked {
                class: &one.device_class_name,
                mode: one.allocation_mode.as_deref(),
                count: one.count,
                selectors: one.selectors.as_deref().unwrap_or_default(),
            };
            alternatives.push(Request {
                name: format!("{}/{}", request.name, one.name),
                base: &request.name,
                tolerations: one.tolerations.as_deref().unwrap_or_default(),
                ..asked.read(world, &name, &one.name, node, pools)?
            });
        }
        requests.push(alternatives);
    }
    let least: usize = requests
        .iter()
        .map(|alternatives| alternatives.iter().map(|request| request.count).min().unwrap_or(0))
        .sum();
    if least > MOST {
        return Err(Unmet::Broken(format!(
            "claim {name}: number of requested devices {least} exceeds the claim limit of {MOST}"
        )));
    }
    let constraints = spec.and_then(|spec| spec.constraints.as_deref()).unwrap_or_default();
    for (index, constraint) in constraints.iter().enumerate() {
        if constraint.match_attribute.is_none() && constraint.distinct_attribute.is_none() {
            return Err(Unmet::Broken(format!(
                "claim {name}, constraint #{index}: empty constraint (unsupported constraint type?)"
            )));
        }
    }
    Ok(Claim { name, requests, constraints })
}

pub(super) fn not_judged(what: &str) -> Unmet {
    Unmet::Broken(format!("{what} are not judged"))
}

struct Asked<'w> {
    class: &'w str,
    mode: Option<&'w str>,
    count: Option<i64>,
    selectors: &'w [DeviceSelector],
}

impl<'w> Asked<'w> {
    fn read(
        &self,
        world: &'w World,
        claim: &str,
        request: &str,
        node: &Node,
        pools: &[Pool<'w>],
    ) -> Result<Request<'w>, Unmet> {
        let at = format!("claim {claim}, request {request}");
        let class: Option<&DeviceClass> = find(&world.device_classes, self.class);
        let Some(class) = class else {
            let name = self.class;
            return Err(Unmet::Broken(format!(
                "{at}: could not retrieve device class {name}: deviceclass.resource.k8s.io {name:?} not found"
            )));
        };
        if !self.selectors.is_empty() || class.spec.selectors.as_ref().is_some_and(|list| !list.is_empty()) {
            return Err(not_judged("selectors of devices"));
        }
        let mut own =
            Request { name: String::new(), base: "", admin: false, tolerations: &[], count: 0, all: None };
        match self.mode.unwrap_or("ExactCount") {
            "ExactCount" => own.count = usize::try_from(self.count.unwrap_or(1)).unwrap_or(usize::MAX),
            "All" => {
                let mut all = Vec::new();
                for (index, pool) in pools.iter().enumerate() {
                    let what = match pool.state {
                        State::Usable => {
                            all.extend(pool.devices(index, node)?);
                            continue;
                        }
                        State::Incomplete => "being updated",
                        State::Invalid => "invalid",
                    };
                    return Err(Unmet::Broken(format!(
                        "{at}: asks for all devices, but resource pool {}/{} is currently {what}",
                        pool.driver, pool.name
                    )));
                }
                own.count = all.len();
                own.all = Some(all);
            }
            mode => return Err(Unmet::Broken(format!("{at}: unsupported count mode {mode}"))),
        }
        Ok(own)
    }
}

/// What has been given so far.
#[derive(Clone, Default)]
pub(super) struct Given<'w> {
    pub(super) devices: Vec<GivenDevice<'w>>,
}

#[derive(Clone)]
pub(super) struct GivenDevice<'w> {
    pub(super) claim: usize,
    pub(super) request: String,
    pub(super) base: String,
    pub(super) found: Found<'w>,
}

/// Where the search is: at a device of an alternative of a request of a claim.
#[derive(Clone, Copy, Default)]
struct Position {
    claim: usize,
    request: usize,
    /// The alternative that is being given.
    alternative: Option<usize>,
    /// How many devices of it have been given.
    done: usize,
    /// The first device that is tried next: no combination is tried twice.
    from: usize,
}

struct Search<'a, 'w> {
    pools: &'a [Pool<'w>],
    claims: &'a [Claim<'w>],
    in_use: BTreeSet<Id<'w>>,
    node: &'a Node,
}

impl<'w> Search<'_, 'w> {
    /// Gives everything from here on, if that is possible.
    ///
    /// Source: `allocateOne`.
    fn place(&self, at: Position, given: &Given<'w>) -> Result<Option<Given<'w>>, Unmet> {
        let Some(claim) = self.claims.get(at.claim) else { return Ok(Some(given.clone())) };
        let Some(alternatives) = claim.requests.get(at.request) else {
            return self.place(Position { claim: at.claim + 1, ..Position::default() }, given);
        };
        let Some(chosen) = at.alternative else {
            for index in 0..alternatives.len() {
                let found = self.place(Position { alternative: Some(index), ..at }, given)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            return Ok(None);
        };
        let request = &alternatives[chosen];
        if request.all.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        if at.done >= request.count {
            let next = Position { claim: at.claim, request: at.request + 1, ..Position::default() };
            return self.place(next, given);
        }
        let own = given.devices.iter().filter(|device| device.claim == at.claim).count();
        if own.saturating_add(request.count) - at.done > MOST {
            return Ok(None);
        }
        if let Some(all) = &request.all {
            return match self.give(at, request, all[at.done], given) {
                Ok(Some(more)) => self.place(Position { done: at.done + 1, ..at }, &more),
                Ok(None) => Ok(None),
                Err(id) => Err(Unmet::Broken(format!(
                    "claim {}, request {}: cannot add device {}/{}/{} because a claim constraint would not be \
                     satisfied",
                    claim.name,
                    request.name.rsplit('/').next().unwrap_or_default(),
                    id.0,
                    id.1,
                    id.2
                ))),
            };
        }
        let mut candidates = Vec::new();
        for (index, pool) in self.pools.iter().enumerate().filter(|(_, pool)| pool.state == State::Usable) {
            candidates.extend(pool.devices(index, self.node)?);
        }
        for (index, candidate) in candidates.iter().enumerate().skip(at.from) {
            let Ok(Some(more)) = self.give(at, request, *candidate, given) else { continue };
            let next = Position { done: at.done + 1, from: index + 1, ..at };
            let found = self.place(next, &more)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Gives a device, if it is free.
    ///
    /// Source: `allocateDevice`.
    ///
    /// # Errors
    ///
    /// The device, where it is free and a constraint speaks against it.
    fn give(
        &self,
        at: Position,
        request: &Request<'w>,
        found: Found<'w>,
        given: &Given<'w>,
    ) -> Result<Option<Given<'w>>, Id<'w>> {
        let taken = |device: &&GivenDevice<'_>| device.found.id == found.id;
        let busy = if request.admin {
            given.devices.iter().filter(taken).any(|device| device.claim == at.claim)
        } else {
            self.in_use.contains(&found.id) || given.devices.iter().any(|device| taken(&device))
        };
        let mut more = given.clone();
        more.devices.push(GivenDevice {
            claim: at.claim,
            request: request.name.clone(),
            base: request.base.to_owned(),
            found,
        });
        if busy || !self.has_counters_left(found, &more) || is_kept_off(found.device, request.tolerations) {
            return Ok(None);
        }
        let constraints = self.claims[at.claim].constraints;
        if constraints.iter().all(|constraint| is_met(constraint, at.claim, &more)) {
            Ok(Some(more))
        } else {
            Err(found.id)
        }
    }

    /// Whether the counters of a device's pool suffice for all devices that are in use or given.
    ///
    /// Source: `checkAvailableCounters`.
    fn has_counters_left(&self, found: Found<'w>, given: &Given<'w>) -> bool {
        if found.device.consumes_counters.as_ref().is_none_or(Vec::is_empty) {
            return true;
        }
        let pool = &self.pools[found.pool];
        let all = pool.all.iter().flat_map(|slice| devices(slice));
        let used = all.filter(|device| self.in_use.contains(&(pool.driver, pool.name, device.name.as_str())));
        let here = given.devices.iter().filter(|device| device.found.pool == found.pool);
        let spent: Vec<&Device> = used.chain(here.map(|device| device.found.device)).collect();
        let sets = pool.all.iter().flat_map(|slice| slice.spec.shared_counters.iter().flatten());
        sets.into_iter().all(|set| {
            set.counters.iter().all(|(name, counter)| {
                let uses = spent
                    .iter()
                    .flat_map(|device| device.consumes_counters.iter().flatten())
                    .filter(|use_| use_.counter_set == set.name)
                    .filter_map(|use_| use_.counters.get(name));
                let amount = |text| Quantity::try_from(text).unwrap_or_default();
                let sum = uses.fold(Quantity::ZERO, |sum, counter| sum.plus(amount(&counter.value)));
                sum <= amount(&counter.value)
            })
        })
    }
}
