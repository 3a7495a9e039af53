//! VolumeBinding: a pod goes where its volumes can be had, or can be made.
//!
//! It has no scores: those are behind a feature that is off.
//!
//! Source: `volume_binding.go` and `binder.go` of
//! `pkg/scheduler/framework/plugins/volumebinding` (1.36).

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::{CSIDriver, StorageClass};

use super::claims::{
    claim, claim_name, claim_not_found, class, class_of_claim, class_of_volume, of_another, volume_name,
    volumes, waits_for_consumer,
};
use super::node_terms;
use super::requests::read;
use super::verdict::{Attempt, Before, Rejection, Verdict};
use super::world::{Named, World, find};
use crate::api::quantity::Quantity;
use crate::api::selector::{LabelSelector, Requirement};

const BOUND: &str = "pv.kubernetes.io/bind-completed";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// A pod's claims.
#[derive(Default)]
struct Claims<'w> {
    bound: Vec<&'w PersistentVolumeClaim>,
    /// Those that wait for a pod.
    waiting: Vec<&'w PersistentVolumeClaim>,
    /// Those that should have been bound by now.
    late: Vec<&'w PersistentVolumeClaim>,
}

pub(super) fn before(attempt: &Attempt<'_, '_>) -> Before {
    match usable(attempt.world, attempt.pod) {
        Err(reason) => return Before::for_good(reason),
        Ok(false) => return Before::Skip,
        Ok(true) => {}
    }
    match sort(attempt.world, attempt.pod) {
        Err(error) => Before::Fail(error),
        Ok(claims) if claims.late.is_empty() => Before::Run,
        Ok(_) => Before::for_good("pod has unbound immediate PersistentVolumeClaims"),
    }
}

/// Whether the pod has claims, all of which can be used.
///
/// Source: `podHasPVCs` of `volume_binding.go`.
fn usable(world: &World, pod: &Pod) -> Result<bool, String> {
    let mut any = false;
    for wanted in volumes(pod).iter().filter_map(|volume| claim_name(pod, volume)) {
        any = true;
        let name = wanted.name.as_str();
        let Some(claim) = claim(world, pod, name) else {
            return Err(match wanted.ephemeral {
                true => format!(
                    "waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}"
                ),
                false => claim_not_found(name),
            });
        };
        if claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Lost") {
            return Err(format!(
                "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {:?}",
                volume_name(claim)
            ));
        }
        if claim.is_deleting() {
            return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
        }
        if let Some(error) = of_another(pod, claim).filter(|_| wanted.ephemeral) {
            return Err(error);
        }
    }
    Ok(any)
}

/// Source: `GetPodVolumeClaims` of `binder.go`.
fn sort<'w>(world: &'w World, pod: &Pod) -> Result<Claims<'w>, String> {
    let mut claims = Claims::default();
    for wanted in volumes(pod).iter().filter_map(|volume| claim_name(pod, volume)) {
        let Some(claim) = claim(world, pod, &wanted.name) else {
            return Err(format!("error getting PVC {:?}", format!("{}/{}", pod.namespace(), wanted.name)));
        };
        let named = !volume_name(claim).is_empty();
        if named && claim.annotation(BOUND).is_some() {
            claims.bound.push(claim);
            continue;
        }
        let waits = class(world, class_of_claim(claim)).map_or(Ok(false), waits_for_consumer)?;
        if waits && !named {
            claims.waiting.push(claim);
        } else {
            claims.late.push(claim);
        }
    }
    Ok(claims)
}

/// What keeps a pod's volumes from a node.
#[derive(Default)]
struct Lacks {
    elsewhere: bool,
    none_to_bind: bool,
    no_space: bool,
    gone: bool,
}

pub(super) fn filter(attempt: &Attempt<'_, '_>, node: &Node) -> Verdict {
    let lacks =
        match sort(attempt.world, attempt.pod).and_then(|claims| find_all(attempt.world, &claims, node)) {
            Ok(lacks) => lacks,
            Err(error) => return Verdict::Fail(error),
        };
    let reasons: Vec<String> = [
        (lacks.elsewhere, "node(s) didn't match PersistentVolume's node affinity"),
        (lacks.none_to_bind, "node(s) didn't find available persistent volumes to bind"),
        (lacks.no_space, "node(s) did not have enough free storage"),
        (lacks.gone, "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"),
    ]
    .into_iter()
    .filter(|(lacks, _)| *lacks)
    .map(|(_, reason)| reason.to_owned())
    .collect();
    if reasons.is_empty() { Verdict::Fit } else { Verdict::Reject(Rejection { reasons, unresolvable: true }) }
}

/// Source: `FindPodVolumes` of `binder.go`.
fn find_all(world: &World, claims: &Claims<'_>, node: &Node) -> Result<Lacks, String> {
    let mut lacks = Lacks::default();
    for claim in &claims.bound {
        let Some(volume) = find(&world.persistent_volumes, volume_name(claim)) else {
            lacks.gone = true;
            break;
        };
        if !reaches(volume, node) {
            lacks.elsewhere = true;
            break;
        }
    }
    let (mut to_make, mut to_find) = (Vec::new(), Vec::new());
    for claim in &claims.waiting {
        match claim.annotation(SELECTED_NODE) {
            Some(selected) if selected != node.name() => {
                lacks.none_to_bind = true;
                return Ok(lacks);
            }
            Some(_) => to_make.push(*claim),
            None => to_find.push(*claim),
        }
    }
    // The smallest claims choose first, so that large volumes are left for large claims.
    to_find.sort_by_key(|claim| wanted(claim));
    let mut taken: Vec<&str> = Vec::new();
    for claim in to_find {
        match find_volume(world, claim, node, &taken)? {
            Some(volume) => taken.push(volume.name()),
            None => to_make.push(claim),
        }
    }
    for claim in to_make {
        match can_make(world, claim, node)? {
            Made::Possible => {}
            Made::Impossible => {
                lacks.none_to_bind = true;
                return Ok(lacks);
            }
            Made::NoSpace => {
                lacks.no_space = true;
                return Ok(lacks);
            }
        }
    }
    Ok(lacks)
}

fn wanted(claim: &PersistentVolumeClaim) -> Quantity {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let requests = read(resources.and_then(|resources| resources.requests.as_ref()));
    requests.get("storage").copied().unwrap_or_default()
}

/// Whether a volume can be used on a node.
///
/// Source: `CheckNodeAffinity` of `k8s.io/component-helpers/storage/volume/helpers.go`, which knows the
/// node's labels alone.
fn reaches(volume: &PersistentVolume, node: &Node) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let Some(required) = affinity.and_then(|affinity| affinity.required.as_ref()) else { return true };
    let mut nameless = Node::default();
    nameless.metadata.labels = node.metadata.labels.clone();
    node_terms::selects(required, &nameless)
}

/// The volume that a claim would get on a node: one that is kept for it, or the smallest that will do.
///
/// Source: `FindMatchingVolume` of `k8s.io/component-helpers/storage/volume/pv_helpers.go`.
fn find_volume<'w>(
    world: &'w World,
    claim: &PersistentVolumeClaim,
    node: &Node,
    taken: &[&str],
) -> Result<Option<&'w PersistentVolume>, String> {
    let spec = claim.spec.clone().unwrap_or_default();
    let selector = spec.selector.as_ref().map(|selector| LabelSelector::from_k8s(Some(selector))).transpose();
    let selector = selector.map_err(|error| {
        let key = format!("{}/{}", claim.namespace(), claim.name());
        format!("error creating internal label selector for claim: {key}: {error}")
    })?;
    let mode = |mode: Option<&str>| mode.unwrap_or("Filesystem").to_owned();
    let attributes = |class: Option<&str>| class.unwrap_or_default().to_owned();
    let mut smallest: Option<(Quantity, &PersistentVolume)> = None;
    for volume in &world.persistent_volumes {
        let Some(own) = &volume.spec else { continue };
        let size = read(own.capacity.as_ref()).get("storage").copied().unwrap_or_default();
        let kept = kept_for(volume, claim);
        if class_of_volume(volume) != class_of_claim(claim)
            || taken.contains(&volume.name())
            || kept == Some(false)
            || size < wanted(claim)
            || mode(own.volume_mode.as_deref()) != mode(spec.volume_mode.as_deref())
            || attributes(own.volume_attributes_class_name.as_deref())
                != attributes(spec.volume_attributes_class_name.as_deref())
            || volume.is_deleting()
        {
            continue;
        }
        if kept == Some(true) {
            return Ok(reaches(volume, node).then_some(volume));
        }
        let available =
            volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Available");
        let labels = volume.metadata.labels.clone().unwrap_or_default();
        let modes = own.access_modes.as_deref().unwrap_or_default();
        let will_do = available
            && selector.as_ref().is_none_or(|selector| selector.matches(&labels))
            && reaches(volume, node)
            && spec.access_modes.iter().flatten().all(|mode| modes.contains(mode));
        if will_do && smallest.is_none_or(|(least, _)| least > size) {
            smallest = Some((size, volume));
        }
    }
    Ok(smallest.map(|(_, volume)| volume))
}

/// Whether a volume is kept for a claim, or for another; nothing where it is kept for none.
fn kept_for(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<bool> {
    let reference = volume.spec.as_ref()?.claim_ref.as_ref()?;
    let uid = reference.uid.as_deref().unwrap_or_default();
    Some(
        reference.name.as_deref() == Some(claim.name())
            && reference.namespace.as_deref().unwrap_or_default() == claim.namespace()
            && (uid.is_empty() || uid == claim.uid()),
    )
}

enum Made {
    Possible,
    Impossible,
    NoSpace,
}

/// Whether a volume can be made for a claim that a node reaches.
///
/// Source: `checkVolumeProvisions` of `binder.go`.
fn can_make(world: &World, claim: &PersistentVolumeClaim, node: &Node) -> Result<Made, String> {
    let name = class_of_claim(claim);
    if name.is_empty() {
        let key = format!("{}/{}", claim.namespace(), claim.name());
        return Err(format!("no class for claim {key:?}"));
    }
    let class = class(world, name).ok_or_else(|| format!("failed to find storage class {name:?}"))?;
    if matches!(class.provisioner.as_str(), "" | "kubernetes.io/no-provisioner") || !is_allowed(class, node) {
        return Ok(Made::Impossible);
    }
    Ok(if has_space(world, claim, class, node) { Made::Possible } else { Made::NoSpace })
}

/// Whether a class makes volumes for a node. A term without requirements allows nothing, no term at all
/// allows everything.
fn is_allowed(class: &StorageClass, node: &Node) -> bool {
    let terms = class.allowed_topologies.as_deref().unwrap_or_default();
    let labels = node.metadata.labels.clone().unwrap_or_default();
    terms.is_empty()
        || terms.iter().any(|term| {
            let list = term.match_label_expressions.as_deref().unwrap_or_default();
            let holds = |requirement: Result<Requirement, _>| {
                requirement.is_ok_and(|requirement: Requirement| requirement.matches(&labels))
            };
            !list.is_empty() && list.iter().all(|one| holds(Requirement::new(&one.key, "In", &one.values)))
        })
}

/// Whether a driver that keeps accounts has enough left for a claim, where a node reaches it.
///
/// Source: `hasEnoughCapacity` of `binder.go`.
fn has_space(world: &World, claim: &PersistentVolumeClaim, class: &StorageClass, node: &Node) -> bool {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let requests = read(resources.and_then(|resources| resources.requests.as_ref()));
    let Some(size) = requests.get("storage") else { return true };
    let driver: Option<&CSIDriver> = find(&world.csi_drivers, &class.provisioner);
    if driver.and_then(|driver| driver.spec.storage_capacity) != Some(true) {
        return true;
    }
    let labels = node.metadata.labels.clone().unwrap_or_default();
    world.csi_storage_capacities.iter().any(|capacity| {
        let limit = capacity.maximum_volume_size.as_ref().or(capacity.capacity.as_ref());
        let limit = limit.and_then(|limit| Quantity::try_from(limit).ok());
        let topology =
            capacity.node_topology.as_ref().map(|topology| LabelSelector::from_k8s(Some(topology)));
        capacity.storage_class_name == class.name()
            && limit.is_some_and(|limit| limit.value() >= size.value())
            && matches!(topology, Some(Ok(topology)) if topology.matches(&labels))
    })
}
