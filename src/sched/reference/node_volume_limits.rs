//! NodeVolumeLimits: a node attaches so many volumes of a driver.
//!
//! Source: `pkg/scheduler/framework/plugins/nodevolumelimits/csi.go` (1.36).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::CSINode;

use super::claims::{
    claim, claim_name, claim_not_found, class, class_of_claim, of_another, volume_name, volumes,
};
use super::in_tree;
use super::layout::Place;
use super::verdict::{Attempt, Before, Verdict};
use super::world::{Named, World, find};

/// Volumes by driver and by the driver's name of them.
type Volumes = BTreeMap<(String, String), ()>;

pub(super) fn before(pod: &Pod) -> Before {
    let counted = |volume: &k8s_openapi::api::core::v1::Volume| {
        claim_name(pod, volume).is_some()
            || in_tree::of_volume(volume).is_some()
            || volume.azure_file.is_some()
            || volume.vsphere_volume.is_some()
    };
    if volumes(pod).iter().any(counted) { Before::Run } else { Before::Skip }
}

pub(super) fn filter(attempt: &Attempt<'_, '_>, place: &Place<'_>) -> Verdict {
    let world = attempt.world;
    let node = place.node.name();
    let csi_node: Option<&CSINode> = find(&world.csi_nodes, node);
    let mut wanted = Volumes::new();
    match collect(world, attempt.pod, csi_node.is_some(), true, &mut wanted) {
        Ok(()) => {}
        Err(Problem::Missing(reason)) => return Verdict::for_good(reason),
        Err(Problem::Broken(error)) => return Verdict::Fail(error),
    }
    let limits = limits(csi_node);
    if wanted.is_empty() || limits.is_empty() {
        return Verdict::Fit;
    }
    let mut attached = Volumes::new();
    for pod in &place.pods {
        if let Err(Problem::Missing(error) | Problem::Broken(error)) =
            collect(world, pod, csi_node.is_some(), false, &mut attached)
        {
            return Verdict::Fail(error);
        }
    }
    wanted.retain(|volume, ()| !attached.contains_key(volume));
    attached.extend(attachments(world, node));
    let of = |volumes: &Volumes, driver: &str| volumes.keys().filter(|(own, _)| own == driver).count() as i64;
    let exceeded = limits.iter().any(|(driver, limit)| {
        let more = of(&wanted, driver);
        more > 0 && of(&attached, driver) + more > *limit
    });
    if exceeded { Verdict::for_now("node(s) exceed max volume count") } else { Verdict::Fit }
}

/// How many volumes of each driver a node attaches; a driver without a number attaches any.
fn limits(csi_node: Option<&CSINode>) -> BTreeMap<String, i64> {
    let drivers = csi_node.into_iter().flat_map(|node| &node.spec.drivers);
    drivers
        .filter_map(|driver| Some((driver.name.clone(), i64::from(driver.allocatable.as_ref()?.count?))))
        .collect()
}

/// The volumes that are attached to a node, whoever has them.
fn attachments(world: &World, node: &str) -> Volumes {
    let here = world.volume_attachments.iter().filter(|attachment| attachment.spec.node_name == node);
    here.filter_map(|attachment| {
        let driver = Some(attachment.spec.attacher.clone()).filter(|driver| !driver.is_empty())?;
        let name = attachment.spec.source.persistent_volume_name.as_deref()?;
        let volume: &PersistentVolume = find(&world.persistent_volumes, name)?;
        let handle = volume.spec.as_ref()?.csi.as_ref()?.volume_handle.clone();
        Some(((driver, handle), ()))
    })
    .collect()
}

enum Problem {
    Missing(String),
    Broken(String),
}

/// Adds a pod's volumes that a driver attaches.
///
/// Source: `filterAttachableVolumes`.
fn collect(
    world: &World,
    pod: &Pod,
    is_driver_node: bool,
    new: bool,
    found: &mut Volumes,
) -> Result<(), Problem> {
    for volume in volumes(pod) {
        let Some(wanted) = claim_name(pod, volume) else {
            if let Some(attached) = in_tree::of_volume(volume).filter(|_| is_driver_node) {
                let handle = attached.handle.map_err(|error| {
                    Problem::Broken(format!("converting volume({}) from inline to csi: {error}", volume.name))
                })?;
                found.insert((attached.driver.to_owned(), handle), ());
            }
            continue;
        };
        if wanted.name.is_empty() {
            return Err(Problem::Broken("PersistentVolumeClaim had no name".into()));
        }
        let Some(claim) = claim(world, pod, &wanted.name) else {
            if new {
                let (namespace, name) = (pod.namespace(), &wanted.name);
                let why = claim_not_found(name);
                return Err(Problem::Missing(format!("looking up PVC {namespace}/{name}: {why}")));
            }
            continue;
        };
        if let Some(error) = of_another(pod, claim).filter(|_| wanted.ephemeral) {
            return Err(Problem::Broken(error));
        }
        if let Some((driver, handle)) = driver_of(world, claim, is_driver_node)
            && !driver.is_empty()
            && !handle.is_empty()
        {
            found.insert((driver, handle), ());
        }
    }
    Ok(())
}

/// The driver of a claim's volume, and its name of it. One that is still to be made has a name that no
/// other has.
///
/// Source: `getCSIDriverInfo` and `getCSIDriverInfoFromSC`.
fn driver_of(world: &World, claim: &PersistentVolumeClaim, is_driver_node: bool) -> Option<(String, String)> {
    let volume: Option<&PersistentVolume> = find(&world.persistent_volumes, volume_name(claim));
    if let Some(volume) = volume.filter(|_| !volume_name(claim).is_empty()) {
        if let Some(csi) = volume.spec.as_ref().and_then(|spec| spec.csi.as_ref()) {
            return Some((csi.driver.clone(), csi.volume_handle.clone()));
        }
        let attached = in_tree::of_persistent(volume).filter(|_| is_driver_node)?;
        return Some((attached.driver.to_owned(), attached.handle.ok()?));
    }
    let class = class(world, class_of_claim(claim))?;
    let driver = in_tree::provisioner(&class.provisioner, is_driver_node)?;
    Some((driver.to_owned(), format!("\0{}/{}", claim.namespace(), claim.name())))
}
