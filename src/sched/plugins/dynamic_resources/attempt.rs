//! One pod's attempt: its claims, the devices there are, and what came of each node.
//!
//! Source: `PreFilter` and `Filter` of `dynamicresources.go` (1.36).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::resource::v1::{AllocationResult, DeviceClass, DeviceRequest, ResourceClaim};

use super::bind::is_ready;
use super::claims::{allocation, of_pod, results, shown, wanted};
use super::devices::{Devices, Said};
use super::extended::{self, Made};
use super::pool::{Inventory, State};
use super::request::Claim;
use super::result::result;
use super::search::{Search, Stop};
use super::{DynamicResources, UNAVAILABLE};
use crate::api::predicates::NodeRequirements;
use crate::env::HashMap;
use crate::sched::{NodeIndex, PodInfo, Snapshot, Verdict};

/// What is known of a pod's claims before nodes are looked at, and what was found out about nodes since.
#[derive(Debug)]
pub(super) struct Attempt {
    claims: Vec<Wanted>,
    /// The claim for the pod's extended resources, if it needs one.
    pub(super) extended: Option<Arc<ResourceClaim>>,
    /// All devices; none where every claim has its own.
    inventory: Option<Inventory>,
    said: Said,
    nodes: Mutex<HashMap<NodeIndex, OnNode>>,
    /// The claims, by place, whose devices cannot be used on some node.
    unavailable: Mutex<BTreeSet<usize>>,
}

/// A claim of the pod.
#[derive(Debug)]
struct Wanted {
    claim: Arc<ResourceClaim>,
    /// The nodes where its devices can be used, where it has some.
    nodes: Option<NodeRequirements>,
    /// Whether its devices are never ready.
    is_lost: bool,
}

/// What claims get on a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OnNode {
    /// The claims that have nothing yet, in their order.
    pub(super) given: Vec<AllocationResult>,
    /// The claim for extended resources, and what it gets.
    pub(super) made: Option<(Made, AllocationResult)>,
}

impl Attempt {
    /// Looks at a pod's claims; nothing where it has none.
    ///
    /// # Errors
    ///
    /// Why the pod cannot be placed, or that there is no saying.
    pub(super) fn prepare(
        plugin: &DynamicResources,
        pod: &PodInfo,
        snapshot: &Snapshot,
    ) -> Result<Option<Self>, Verdict> {
        if wanted(pod).is_empty() && !extended::concern(pod, snapshot) {
            return Ok(None);
        }
        let mut books = plugin.books();
        books.settle(snapshot);
        let found = of_pod(pod, |namespace, name| books.find(snapshot, namespace, name));
        let found = found.map_err(Verdict::unresolvable)?;
        let extended = extended::concern(pod, snapshot).then(|| {
            let all = snapshot.catalog().within::<ResourceClaim>(&pod.key.namespace);
            let mut all = all.map(|claim| books.newest(claim));
            // One that is there already is of an attempt that failed.
            let before = all.find(|claim| extended::is_made_for(claim, pod)).cloned();
            before.unwrap_or_else(|| Arc::new(extended::template(pod)))
        });
        if found.is_empty() && extended.is_none() {
            return Ok(None);
        }
        let mut claims = Vec::new();
        for claim in found {
            let mut own = Wanted { nodes: None, is_lost: false, claim };
            match allocation(&own.claim) {
                Some(allocation) => {
                    let selector = allocation.node_selector.as_ref();
                    let nodes = selector.map(NodeRequirements::of_selector).transpose();
                    own.nodes = nodes.map_err(Verdict::Error)?;
                    own.is_lost = match is_ready(&own.claim) {
                        Err(_) => true,
                        Ok(ready) => !ready && books.is_late(&own.claim),
                    };
                }
                None if books.is_pending(&own.claim) => {
                    let claim = shown(&own.claim);
                    return Err(Verdict::unresolvable(format!(
                        "resource claim {claim} is in the process of being allocated"
                    )));
                }
                None => check(&own.claim, snapshot)?,
            }
            claims.push(own);
        }
        let any = extended.is_some() || claims.iter().any(|own| allocation(&own.claim).is_none());
        let inventory = any.then(|| Inventory::new(snapshot, books.usage(snapshot)));
        let (said, nodes, unavailable) = (Said::default(), Mutex::default(), Mutex::default());
        Ok(Some(Self { claims, extended, inventory, said, nodes, unavailable }))
    }

    /// The claims, in the pod's order.
    pub(super) fn claims(&self) -> impl Iterator<Item = &Arc<ResourceClaim>> {
        self.claims.iter().map(|own| &own.claim)
    }

    /// Claims whose devices could not be used on some node.
    pub(super) fn unavailable(&self) -> Vec<&Arc<ResourceClaim>> {
        let places = self.unavailable.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().map(|place| &self.claims[*place].claim).collect()
    }

    /// Judges a node, and keeps what was found.
    pub(super) fn judge(
        &self,
        plugin: &DynamicResources,
        pod: &PodInfo,
        snapshot: &Snapshot,
        node: NodeIndex,
    ) -> Verdict {
        match self.on_node(plugin, pod, snapshot, node) {
            Ok(found) => {
                self.nodes.lock().unwrap_or_else(PoisonError::into_inner).insert(node, found);
                Verdict::Fits
            }
            Err(verdict) => verdict,
        }
    }

    /// What claims get on a node.
    ///
    /// # Errors
    ///
    /// Why the node will not do, or that there is no saying.
    pub(super) fn on_node(
        &self,
        plugin: &DynamicResources,
        pod: &PodInfo,
        snapshot: &Snapshot,
        node: NodeIndex,
    ) -> Result<OnNode, Verdict> {
        let made = match &self.extended {
            // It is to be deleted first.
            Some(claim) if !extended::is_unmade(claim) => {
                return Err(Verdict::unresolvable("cannot schedule extended resource claim"));
            }
            Some(template) => {
                extended::on_node(pod, snapshot, node, template).map_err(Verdict::unresolvable)?
            }
            None => None,
        };
        let cannot = |own: &Wanted| {
            let reaches =
                |nodes: &NodeRequirements| nodes.matches(snapshot.name(node), snapshot.labels(node));
            own.is_lost || !own.nodes.as_ref().is_none_or(reaches)
        };
        let places = self.claims.iter().enumerate().filter(|(_, own)| cannot(own));
        let unavailable: Vec<usize> = places.map(|(place, _)| place).collect();
        let given = self.allocate(plugin, pod, snapshot, node, made.as_ref())?;
        if !unavailable.is_empty() {
            self.unavailable.lock().unwrap_or_else(PoisonError::into_inner).extend(unavailable);
            return Err(Verdict::unresolvable(UNAVAILABLE));
        }
        let mut found = OnNode { given, made: None };
        found.made = made.and_then(|made| Some((made, found.given.pop()?)));
        Ok(found)
    }

    /// What those get that have nothing yet: the pod's claims, and then the one that is to be made.
    fn allocate(
        &self,
        plugin: &DynamicResources,
        pod: &PodInfo,
        snapshot: &Snapshot,
        node: NodeIndex,
        made: Option<&Made>,
    ) -> Result<Vec<AllocationResult>, Verdict> {
        let own = self.claims().filter(|claim| allocation(claim).is_none());
        let claims: Vec<&ResourceClaim> =
            own.chain(made.map(|made| &made.claim)).map(AsRef::as_ref).collect();
        let Some(inventory) = self.inventory.as_ref().filter(|_| !claims.is_empty()) else {
            return Ok(Vec::new());
        };
        let broken = Verdict::Error;
        let pools = inventory.pools(snapshot, node);
        let pools = pools.map_err(|error| broken(format!("gather pool information: {error}")))?;
        let mut devices = Devices::new(pools, snapshot, node, &plugin.selectors, &self.said);
        let mut read = Vec::new();
        for claim in claims {
            read.push(Claim::read(claim, snapshot.catalog(), &devices).map_err(broken)?);
        }
        let mut search = Search::new(&mut devices, read, plugin.looks);
        match search.run() {
            Ok(true) => {}
            Ok(false) => {
                let disorder = search.devices.pools.iter().any(|pool| pool.state == State::Invalid);
                return Err(Verdict::unresolvable(match disorder {
                    true => "invalid resource pools were encountered",
                    false => "cannot allocate all claims",
                }));
            }
            Err(Stop::Broken(error)) => return Err(broken(error)),
            Err(Stop::Late) => {
                let name = snapshot.name(node);
                return Err(broken(format!("node {name}: timed out trying to allocate devices")));
            }
        }
        let (name, devices) = (snapshot.name(node), &*search.devices);
        let both = search.claims.iter().zip(&search.given);
        both.map(|(claim, given)| result(claim, given, devices, name, &pod.uid))
            .collect::<Result<_, _>>()
            .map_err(broken)
    }

    /// How early in its list the alternative is that each request gets; the earlier the better.
    ///
    /// Source: `computeScore`.
    pub(super) fn score(&self, node: NodeIndex) -> i64 {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = nodes.get(&node).filter(|_| self.inventory.is_some()) else { return 0 };
        let mut given = found.given.iter();
        let of = |claim: &Arc<ResourceClaim>| match allocation(claim) {
            Some(allocation) => worth(claim, allocation),
            None => given.next().map_or(0, |given| worth(claim, given)),
        };
        self.claims().map(of).sum()
    }
}

/// The most alternatives that a request has.
const MOST_ALTERNATIVES: i64 = 8;

fn worth(claim: &ResourceClaim, given: &AllocationResult) -> i64 {
    let devices = claim.spec.devices.iter();
    let lists =
        devices.flat_map(|devices| devices.requests.iter().flatten()).filter(|own| own.exactly.is_none());
    let alternatives = lists.flat_map(|request| {
        let list = request.first_available.iter().flatten().zip(0..);
        list.map(|(one, place)| (place, format!("{}/{}", request.name, one.name)))
    });
    let chosen = alternatives.filter(|(_, name)| results(given).iter().any(|result| result.request == *name));
    chosen.map(|(place, _)| MOST_ALTERNATIVES - place).sum()
}

/// Whether all that a claim asks for is of classes that are there.
fn check(claim: &ResourceClaim, snapshot: &Snapshot) -> Result<(), Verdict> {
    let is_known = |class: &str, request: &str| {
        if class.is_empty() {
            return Err(Verdict::Error(format!("request {request}: unsupported request type")));
        }
        match snapshot.catalog().get::<DeviceClass>("", class) {
            Some(_) => Ok(()),
            None => {
                let message = format!("request {request}: device class {class} does not exist");
                Err(Verdict::unresolvable(message))
            }
        }
    };
    let of = |request: &DeviceRequest| {
        let alternatives = request.first_available.as_deref().unwrap_or_default();
        match &request.exactly {
            Some(exactly) => is_known(&exactly.device_class_name, &request.name),
            None if alternatives.is_empty() => Err(Verdict::unresolvable(format!(
                "resource claim {}, request {}: unknown request type",
                shown(claim),
                request.name
            ))),
            None => alternatives.iter().try_for_each(|one| {
                is_known(&one.device_class_name, &format!("{}/{}", request.name, one.name))
            }),
        }
    };
    let devices = claim.spec.devices.iter();
    devices.flat_map(|devices| devices.requests.iter().flatten()).try_for_each(of)
}
