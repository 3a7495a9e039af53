//! VolumeRestrictions: disks that only one pod may write to, and claims that only one pod may have.
//!
//! Source: `pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go` (1.36).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Pod, Volume};

use super::claims::{claim, claim_not_found, volumes};
use super::layout::{Layout, Place};
use super::verdict::{Attempt, Before, Verdict};
use super::world::Named;

pub(super) fn before(attempt: &Attempt<'_, '_>) -> Before {
    let exclusive = match exclusive_claims(attempt) {
        Ok(claims) => claims,
        Err(missing) => return Before::for_good(missing),
    };
    let disks = volumes(attempt.pod).iter().any(is_disk);
    if !disks && in_use(attempt, &exclusive) == 0 { Before::Skip } else { Before::Run }
}

pub(super) fn filter(attempt: &Attempt<'_, '_>, layout: &Layout<'_>, place: &Place<'_>) -> Verdict {
    let conflicting = |volume: &Volume| {
        is_disk(volume)
            && place.pods.iter().flat_map(|pod| volumes(pod)).any(|other| conflicts(volume, other))
    };
    if volumes(attempt.pod).iter().any(conflicting) {
        return Verdict::for_now("node(s) had no available disk");
    }
    let exclusive = match exclusive_claims(attempt) {
        Ok(claims) => claims,
        Err(missing) => return Verdict::for_good(missing),
    };
    // Of pods that come and go the names of claims count, whatever their namespace.
    let change = |pod: &Pod| {
        let claims = volumes(pod).iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
        claims.filter(|source| exclusive.contains(&source.claim_name)).count() as i64
    };
    let changes = layout.changes.iter().map(|one| one.sign * change(one.pod)).sum::<i64>();
    if in_use(attempt, &exclusive) + changes > 0 {
        return Verdict::for_now(
            "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already \
             in-use by another pod",
        );
    }
    Verdict::Fit
}

/// The pod's claims that only one pod may have.
fn exclusive_claims(attempt: &Attempt<'_, '_>) -> Result<BTreeSet<String>, String> {
    let mut exclusive = BTreeSet::new();
    for source in volumes(attempt.pod).iter().filter_map(|volume| volume.persistent_volume_claim.as_ref()) {
        let claim = claim(attempt.world, attempt.pod, &source.claim_name)
            .ok_or_else(|| claim_not_found(&source.claim_name))?;
        let modes = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
        if modes.iter().any(|mode| mode == "ReadWriteOncePod") {
            exclusive.insert(source.claim_name.clone());
        }
    }
    Ok(exclusive)
}

/// How many of the claims a pod on a node has, as the attempt begins.
fn in_use(attempt: &Attempt<'_, '_>, claims: &BTreeSet<String>) -> i64 {
    let used = |name: &&String| {
        attempt.start.pods().any(|(_, pod)| {
            pod.namespace() == attempt.pod.namespace()
                && volumes(pod)
                    .iter()
                    .filter_map(|volume| volume.persistent_volume_claim.as_ref())
                    .any(|source| source.claim_name == **name)
        })
    };
    claims.iter().filter(used).count() as i64
}

fn is_disk(volume: &Volume) -> bool {
    volume.gce_persistent_disk.is_some()
        || volume.aws_elastic_block_store.is_some()
        || volume.rbd.is_some()
        || volume.iscsi.is_some()
}

/// Whether two volumes are the same disk, and may not be on one node twice: one of Amazon never, others
/// unless both only read.
fn conflicts(one: &Volume, other: &Volume) -> bool {
    let read_only = |one: Option<bool>, other: Option<bool>| one == Some(true) && other == Some(true);
    let gce = one.gce_persistent_disk.as_ref().zip(other.gce_persistent_disk.as_ref());
    let aws = one.aws_elastic_block_store.as_ref().zip(other.aws_elastic_block_store.as_ref());
    let iscsi = one.iscsi.as_ref().zip(other.iscsi.as_ref());
    let rbd = one.rbd.as_ref().zip(other.rbd.as_ref());
    gce.is_some_and(|(one, other)| one.pd_name == other.pd_name && !read_only(one.read_only, other.read_only))
        || aws.is_some_and(|(one, other)| one.volume_id == other.volume_id)
        || iscsi
            .is_some_and(|(one, other)| one.iqn == other.iqn && !read_only(one.read_only, other.read_only))
        || rbd.is_some_and(|(one, other)| {
            let pool = |pool: &Option<String>| pool.clone().unwrap_or_default();
            one.monitors.iter().any(|monitor| other.monitors.contains(monitor))
                && pool(&one.pool) == pool(&other.pool)
                && one.image == other.image
                && !read_only(one.read_only, other.read_only)
        })
}
