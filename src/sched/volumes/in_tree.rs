//! The drivers that stand for kinds of volumes that Kubernetes once attached itself.
//!
//! Source: `k8s.io/csi-translation-lib`, `isCSIMigrationOn` of
//! `pkg/scheduler/framework/plugins/nodevolumelimits/utils.go` and `isCSIMigrationOnForPlugin` of
//! `pkg/scheduler/framework/plugins/volumebinding/binder.go` (1.36).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume, Volume,
};

/// A kind of volumes that a driver has taken over.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sched) struct InTree {
    /// Its name, as classes and nodes have it.
    pub(in crate::sched) name: &'static str,
    /// Its driver.
    pub(in crate::sched) driver: &'static str,
    /// Whether nodes that have drivers leave it to this one, as far as the scheduler is concerned.
    pub(in crate::sched) taken_over: bool,
    /// The label by which the driver knows zones, where it knows them by one of its own.
    zone: Option<&'static str>,
}

static EBS: InTree = InTree {
    name: "kubernetes.io/aws-ebs",
    driver: "ebs.csi.aws.com",
    taken_over: true,
    zone: Some("topology.ebs.csi.aws.com/zone"),
};
static GCE: InTree = InTree {
    name: "kubernetes.io/gce-pd",
    driver: "pd.csi.storage.gke.io",
    taken_over: true,
    zone: Some("topology.gke.io/zone"),
};
static CINDER: InTree = InTree {
    name: "kubernetes.io/cinder",
    driver: "cinder.csi.openstack.org",
    taken_over: true,
    zone: Some("topology.cinder.csi.openstack.org/zone"),
};
static AZURE_DISK: InTree =
    InTree { name: "kubernetes.io/azure-disk", driver: "disk.csi.azure.com", taken_over: true, zone: None };
static PORTWORX: InTree = InTree {
    name: "kubernetes.io/portworx-volume",
    driver: "pxd.portworx.com",
    taken_over: true,
    zone: None,
};
static AZURE_FILE: InTree =
    InTree { name: "kubernetes.io/azure-file", driver: "file.csi.azure.com", taken_over: false, zone: None };
static VSPHERE: InTree = InTree {
    name: "kubernetes.io/vsphere-volume",
    driver: "csi.vsphere.vmware.com",
    taken_over: false,
    zone: None,
};

static ALL: [&InTree; 7] = [&EBS, &GCE, &CINDER, &AZURE_DISK, &PORTWORX, &AZURE_FILE, &VSPHERE];

/// A volume's name as its driver has it, or why it has none.
type Handle = Result<String, String>;

const ZONE: &str = "topology.kubernetes.io/zone";
const REGION: &str = "topology.kubernetes.io/region";
const OLD_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
const OLD_REGION: &str = "failure-domain.beta.kubernetes.io/region";

impl InTree {
    /// The kind of this name.
    pub(in crate::sched) fn named(name: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|kind| kind.name == name)
    }

    /// The kind of a pod's own volume, and the volume as the driver knows it.
    pub(in crate::sched) fn of_volume(volume: &Volume) -> Option<(&'static Self, Handle)> {
        if let Some(disk) = &volume.aws_elastic_block_store {
            return Some((&EBS, ebs(&disk.volume_id)));
        }
        if let Some(disk) = &volume.gce_persistent_disk {
            return Some((&GCE, gce("", &disk.pd_name)));
        }
        if let Some(disk) = &volume.azure_disk {
            return Some((&AZURE_DISK, azure(disk.kind.as_deref(), &disk.disk_uri)));
        }
        if let Some(disk) = &volume.cinder {
            return Some((&CINDER, Ok(disk.volume_id.clone())));
        }
        if let Some(disk) = &volume.portworx_volume {
            return Some((&PORTWORX, Ok(disk.volume_id.clone())));
        }
        // These are known, and not counted.
        let file = volume.azure_file.as_ref().map(|_| (&AZURE_FILE, Ok(String::new())));
        file.or_else(|| volume.vsphere_volume.as_ref().map(|_| (&VSPHERE, Ok(String::new()))))
    }

    /// The kind of a persistent volume, where a driver counts such, and the volume as that knows it.
    pub(in crate::sched) fn of_persistent(volume: &PersistentVolume) -> Option<(&'static Self, Handle)> {
        let spec = volume.spec.as_ref()?;
        if let Some(disk) = &spec.aws_elastic_block_store {
            return Some((&EBS, ebs(&disk.volume_id)));
        }
        if let Some(disk) = &spec.gce_persistent_disk {
            let label = |key: &str| volume.metadata.labels.as_ref()?.get(key).filter(|text| !text.is_empty());
            let zones = label(OLD_ZONE).or_else(|| label(ZONE)).map_or("", String::as_str);
            return Some((&GCE, gce(zones, &disk.pd_name)));
        }
        if let Some(disk) = &spec.azure_disk {
            return Some((&AZURE_DISK, azure(disk.kind.as_deref(), &disk.disk_uri)));
        }
        if let Some(disk) = &spec.cinder {
            return Some((&CINDER, Ok(disk.volume_id.clone())));
        }
        spec.portworx_volume.as_ref().map(|disk| (&PORTWORX, Ok(disk.volume_id.clone())))
    }

    /// The nodes that a persistent volume of this kind may be used on, as the driver says it: zones go by the
    /// driver's own label, and are read off the volume's labels where its affinity names none.
    pub(in crate::sched) fn required(&self, volume: &PersistentVolume) -> Option<NodeSelector> {
        let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
        let mut required = affinity.and_then(|affinity| affinity.required.clone());
        let Some(own) = self.zone else { return required };
        let none = BTreeMap::new();
        let labels = volume.metadata.labels.as_ref().unwrap_or(&none);
        let named = |key: &str| required.iter().flat_map(expressions).any(|one| one.key == key);
        let old =
            !named(ZONE) && (named(OLD_ZONE) || !labels.contains_key(ZONE) && labels.contains_key(OLD_ZONE));
        let zone = if old { OLD_ZONE } else { ZONE };
        if lists(required.as_ref(), zone) {
            rename(required.as_mut(), zone, own);
        } else if let Some(label) = labels.get(zone) {
            let zones: BTreeSet<_> =
                label.split("__").map(str::trim).filter(|zone| !zone.is_empty()).map(str::to_owned).collect();
            if !zones.is_empty() {
                add(required.get_or_insert_default(), own, zones);
            }
        }
        if old && lists(required.as_ref(), OLD_REGION) {
            rename(required.as_mut(), OLD_REGION, REGION);
        }
        required
    }
}

fn expressions(selector: &NodeSelector) -> impl Iterator<Item = &NodeSelectorRequirement> {
    selector.node_selector_terms.iter().flat_map(|term| term.match_expressions.iter().flatten())
}

/// Whether some expression has values for a label.
fn lists(selector: Option<&NodeSelector>, key: &str) -> bool {
    let valued = |one: &NodeSelectorRequirement| one.values.as_ref().is_some_and(|values| !values.is_empty());
    selector.into_iter().flat_map(expressions).any(|one| one.key == key && valued(one))
}

fn rename(selector: Option<&mut NodeSelector>, from: &str, to: &str) {
    let terms = selector.into_iter().flat_map(|selector| &mut selector.node_selector_terms);
    for one in terms.flat_map(|term| term.match_expressions.iter_mut().flatten()) {
        if one.key == from {
            one.key = to.to_owned();
        }
    }
}

/// Asks for a label in every term.
fn add(selector: &mut NodeSelector, key: &str, values: BTreeSet<String>) {
    if selector.node_selector_terms.is_empty() {
        selector.node_selector_terms.push(NodeSelectorTerm::default());
    }
    for term in &mut selector.node_selector_terms {
        term.match_expressions.get_or_insert_default().push(NodeSelectorRequirement {
            key: key.to_owned(),
            operator: "In".to_owned(),
            values: Some(values.iter().cloned().collect()),
        });
    }
}

/// `vol-1`, be it that it was written as `aws://zone/vol-1`.
fn ebs(id: &str) -> Handle {
    let Some(address) = id.strip_prefix("aws://") else { return Ok(id.to_owned()) };
    let path = address.split_once('/').map_or("", |(_, path)| path).trim_matches('/');
    if !path.starts_with("vol-") || path.contains('/') {
        return Err(format!(
            "failed to translate Kubernetes ID to EBS Volume ID Invalid format for AWS volume ({id})"
        ));
    }
    Ok(path.to_owned())
}

/// A disk of several zones belongs to the region that they share.
fn gce(zones: &str, name: &str) -> Handle {
    let zones: Vec<_> = zones.split("__").collect();
    let (kind, place) = match zones[..] {
        [""] => ("zones", "UNSPECIFIED".to_owned()),
        [zone] => ("zones", zone.to_owned()),
        _ => {
            ("regions", region(&zones).map_err(|error| format!("failed to get region from zones: {error}"))?)
        }
    };
    Ok(format!("projects/UNSPECIFIED/{kind}/{place}/disks/{name}"))
}

/// `europe-west1`, of `europe-west1-b` and `europe-west1-c`.
fn region(zones: &[&str]) -> Result<String, String> {
    let mut regions = BTreeSet::new();
    for zone in zones {
        let [locale, region, _] = zone.split('-').collect::<Vec<_>>()[..] else {
            return Err(format!(
                "zone in unexpected format, expected: {{locale}}-{{region}}-{{zone}}, got: {zone}"
            ));
        };
        regions.insert(format!("{locale}-{region}"));
    }
    if regions.len() > 1 {
        let listed: Vec<_> = regions.iter().map(|region| format!("{region}:{{}}")).collect();
        return Err(format!("multiple or no regions gotten from zones, got: map[{}]", listed.join(" ")));
    }
    Ok(regions.pop_first().unwrap_or_default())
}

fn azure(kind: Option<&str>, uri: &str) -> Handle {
    match kind {
        Some(kind) if !kind.eq_ignore_ascii_case("managed") => {
            Err(format!("kind({kind}) is not supported in csi migration"))
        }
        _ => Ok(uri.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn volume(labels: &Value, terms: Option<Value>, source: Value) -> PersistentVolume {
        let mut spec = source;
        if let Some(terms) = terms {
            spec["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": terms}});
        }
        serde_json::from_value(json!({"metadata": {"name": "v", "labels": labels}, "spec": spec})).unwrap()
    }

    fn is_in(key: &str, values: &[&str]) -> Value {
        json!({"key": key, "operator": "In", "values": values})
    }

    fn disk() -> Value {
        json!({"gcePersistentDisk": {"pdName": "d"}})
    }

    #[test]
    fn disks_are_named_as_their_drivers_name_them() {
        let ebs = |id: &str| json!({"awsElasticBlockStore": {"volumeID": id}});
        let azure = |kind: &str| json!({"azureDisk": {"diskName": "d", "diskURI": "/d", "kind": kind}});
        let bad =
            "failed to translate Kubernetes ID to EBS Volume ID Invalid format for AWS volume (aws://z/x)";
        let odd = "failed to get region from zones: zone in unexpected format, expected: {locale}-{region}-{zone}, got: a";
        let many = "failed to get region from zones: multiple or no regions gotten from zones, got: map[a-b:{} a-c:{}]";
        for (labels, source, expected) in [
            (json!({}), ebs("vol-1"), Ok("vol-1")),
            (json!({}), ebs("aws://zone/vol-1"), Ok("vol-1")),
            (json!({}), ebs("aws:///vol-1"), Ok("vol-1")),
            (json!({}), ebs("aws://z/x"), Err(bad)),
            (json!({}), azure("Managed"), Ok("/d")),
            (json!({}), azure("Shared"), Err("kind(Shared) is not supported in csi migration")),
            (json!({}), disk(), Ok("projects/UNSPECIFIED/zones/UNSPECIFIED/disks/d")),
            (json!({OLD_ZONE: "z", ZONE: "y"}), disk(), Ok("projects/UNSPECIFIED/zones/z/disks/d")),
            (json!({ZONE: "a-b-c__a-b-d"}), disk(), Ok("projects/UNSPECIFIED/regions/a-b/disks/d")),
            (json!({ZONE: "a__b"}), disk(), Err(odd)),
            (json!({ZONE: "a-b-c__a-c-d"}), disk(), Err(many)),
        ] {
            let (_, handle) = InTree::of_persistent(&volume(&labels, None, source)).unwrap();
            assert_eq!(handle, expected.map(str::to_owned).map_err(str::to_owned));
        }
    }

    #[test]
    fn a_driver_knows_zones_by_its_own_label() {
        let own = "topology.gke.io/zone";
        let term = |list: Vec<Value>| json!({"matchExpressions": list});
        for (labels, terms, expected) in [
            (json!({}), None, None),
            (
                json!({}),
                Some(json!([term(vec![is_in(ZONE, &["a"])])])),
                Some(json!([term(vec![is_in(own, &["a"])])])),
            ),
            (json!({ZONE: "b__a"}), None, Some(json!([term(vec![is_in(own, &["a", "b"])])]))),
            (
                json!({ZONE: "b"}),
                Some(json!([term(vec![is_in("x", &["y"])]), term(vec![])])),
                Some(json!([
                    term(vec![is_in("x", &["y"]), is_in(own, &["b"])]),
                    term(vec![is_in(own, &["b"])])
                ])),
            ),
            (json!({ZONE: " "}), None, None),
            // What the affinity says counts for more than the labels, and the older names go.
            (
                json!({ZONE: "b"}),
                Some(json!([term(vec![is_in(OLD_ZONE, &["a"]), is_in(OLD_REGION, &["r"])])])),
                Some(json!([term(vec![is_in(own, &["a"]), is_in(REGION, &["r"])])])),
            ),
            (
                json!({OLD_ZONE: "b"}),
                Some(json!([term(vec![is_in(OLD_REGION, &["r"])])])),
                Some(json!([term(vec![is_in(REGION, &["r"]), is_in(own, &["b"])])])),
            ),
        ] {
            let volume = volume(&labels, terms, disk());
            let expected: Option<NodeSelector> =
                expected.map(|terms| serde_json::from_value(json!({"nodeSelectorTerms": terms})).unwrap());
            assert_eq!(GCE.required(&volume), expected);
            // Those of Azure are left as they are.
            assert_eq!(
                AZURE_DISK.required(&volume),
                volume.spec.unwrap().node_affinity.and_then(|affinity| affinity.required)
            );
        }
    }
}
