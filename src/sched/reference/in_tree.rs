//! The drivers that stand for kinds of volumes that Kubernetes once attached itself.
//!
//! Kinds whose volumes are not counted (`azureFile`, `vsphereVolume`) are left out.
//!
//! Source: `k8s.io/csi-translation-lib` and `isCSIMigrationOn` of
//! `pkg/scheduler/framework/plugins/nodevolumelimits/utils.go` (1.36).

use k8s_openapi::api::core::v1::{PersistentVolume, Volume};

use super::world::Named;

const EBS: &str = "ebs.csi.aws.com";
const GCE: &str = "pd.csi.storage.gke.io";
const AZURE: &str = "disk.csi.azure.com";
const CINDER: &str = "cinder.csi.openstack.org";
const PORTWORX: &str = "pxd.portworx.com";

/// A volume as its driver knows it.
pub(super) struct Attached {
    pub(super) driver: &'static str,
    /// The driver's name of the volume, or why it has none.
    pub(super) handle: Result<String, String>,
}

/// The driver that makes volumes in place of a provisioner; itself where it is a driver's name, and
/// nothing where its volumes are not counted.
pub(super) fn provisioner(name: &str, is_driver_node: bool) -> Option<&str> {
    let driver = match name {
        "kubernetes.io/aws-ebs" => EBS,
        "kubernetes.io/gce-pd" => GCE,
        "kubernetes.io/azure-disk" => AZURE,
        "kubernetes.io/cinder" => CINDER,
        "kubernetes.io/portworx-volume" => PORTWORX,
        "kubernetes.io/azure-file" | "kubernetes.io/vsphere-volume" => return None,
        _ => return Some(name),
    };
    is_driver_node.then_some(driver)
}

/// What stands for a pod's own volume.
pub(super) fn of_volume(volume: &Volume) -> Option<Attached> {
    let known = |driver, handle| Some(Attached { driver, handle });
    if let Some(disk) = &volume.aws_elastic_block_store {
        return known(EBS, ebs(&disk.volume_id));
    }
    if let Some(disk) = &volume.gce_persistent_disk {
        return known(GCE, gce(None, &disk.pd_name));
    }
    if let Some(disk) = &volume.azure_disk {
        return known(AZURE, azure(disk.kind.as_deref(), &disk.disk_uri));
    }
    if let Some(disk) = &volume.cinder {
        return known(CINDER, Ok(disk.volume_id.clone()));
    }
    let disk = volume.portworx_volume.as_ref()?;
    known(PORTWORX, Ok(disk.volume_id.clone()))
}

/// What stands for a persistent volume.
pub(super) fn of_persistent(volume: &PersistentVolume) -> Option<Attached> {
    let spec = volume.spec.as_ref()?;
    let known = |driver, handle| Some(Attached { driver, handle });
    if let Some(disk) = &spec.aws_elastic_block_store {
        return known(EBS, ebs(&disk.volume_id));
    }
    if let Some(disk) = &spec.gce_persistent_disk {
        let older = volume.label("failure-domain.beta.kubernetes.io/zone").filter(|zone| !zone.is_empty());
        let zones = older.or_else(|| volume.label("topology.kubernetes.io/zone"));
        return known(GCE, gce(zones.filter(|zones| !zones.is_empty()), &disk.pd_name));
    }
    if let Some(disk) = &spec.azure_disk {
        return known(AZURE, azure(disk.kind.as_deref(), &disk.disk_uri));
    }
    if let Some(disk) = &spec.cinder {
        return known(CINDER, Ok(disk.volume_id.clone()));
    }
    let disk = spec.portworx_volume.as_ref()?;
    known(PORTWORX, Ok(disk.volume_id.clone()))
}

/// `vol-1`, be it that it was written as `aws://zone/vol-1`.
fn ebs(id: &str) -> Result<String, String> {
    let Some(rest) = id.strip_prefix("aws://") else { return Ok(id.to_owned()) };
    let path = rest.split_once('/').map_or("", |(_, path)| path).trim_matches('/');
    if path.starts_with("vol-") && !path.contains('/') {
        return Ok(path.to_owned());
    }
    Err(format!("failed to translate Kubernetes ID to EBS Volume ID Invalid format for AWS volume ({id})"))
}

/// A disk of several zones is one of their region, whose name is theirs without the last part.
fn gce(zones: Option<&str>, name: &str) -> Result<String, String> {
    let zones: Vec<_> = zones.map_or(Vec::new(), |zones| zones.split("__").collect());
    let (kind, place) = match zones[..] {
        [] => ("zones", "UNSPECIFIED"),
        [zone] => ("zones", zone),
        [first, ..] => {
            let region = |zone: &str| {
                let parts = zone.split('-').count();
                zone.rsplit_once('-').filter(|_| parts == 3).map(|(region, _)| region.to_owned())
            };
            let shared =
                region(first).filter(|own| zones.iter().all(|zone| region(zone).as_ref() == Some(own)));
            if shared.is_none() {
                return Err(format!("failed to get region from zones: {zones:?}"));
            }
            ("regions", first.rsplit_once('-').map_or(first, |(region, _)| region))
        }
    };
    Ok(format!("projects/UNSPECIFIED/{kind}/{place}/disks/{name}"))
}

fn azure(kind: Option<&str>, uri: &str) -> Result<String, String> {
    match kind {
        Some(kind) if !kind.eq_ignore_ascii_case("managed") => {
            Err(format!("kind({kind}) is not supported in csi migration"))
        }
        _ => Ok(uri.to_owned()),
    }
}
