//! PersistentVolumes.
//!
//! Source: `ValidatePersistentVolume` and its update of `k8s.io/kubernetes/pkg/apis/core/validation`, and
//! `k8s.io/kubernetes/pkg/volume/validation` (1.36).

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use super::persistent_volume_claim::access_modes;
use super::pod;
use super::volume::{self, Owner, Source, known_as, plain};
use crate::api::field::{Error, Path};
use crate::api::names;

/// What a volume may be made from, in the order in which Kubernetes looks.
const SOURCES: [Source; 22] = [
    plain("hostPath"),
    known_as("gcePersistentDisk", "persistentDisk", "gcePersistentDisk"),
    plain("awsElasticBlockStore"),
    plain("glusterfs"),
    plain("flocker"),
    plain("nfs"),
    plain("rbd"),
    plain("quobyte"),
    known_as("cephfs", "cephfs", "cephFS"),
    plain("iscsi"),
    plain("cinder"),
    plain("fc"),
    plain("flexVolume"),
    plain("azureFile"),
    plain("vsphereVolume"),
    plain("photonPersistentDisk"),
    plain("portworxVolume"),
    plain("azureDisk"),
    plain("scaleIO"),
    plain("local"),
    plain("storageos"),
    plain("csi"),
];

/// Sources that understand mount options.
const MOUNT_OPTIONS: [&str; 13] = [
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
];
const MOUNT_OPTION: &str = "volume.beta.kubernetes.io/mount-options";

pub(super) fn object(volume: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = volume.get("spec");
    access_modes(&spec.get("accessModes"), "", errors);
    capacity(&spec.get("capacity"), errors);
    let policy = spec.get("persistentVolumeReclaimPolicy");
    if !policy.text().is_empty() {
        checks::one_of_if_set(&policy, &["Delete", "Recycle", "Retain"], errors);
    }
    let affinity = spec.get("nodeAffinity");
    node_affinity(&affinity, old, errors);
    if let Some((kind, source)) = volume::chosen(&spec, &SOURCES, errors) {
        self::source(kind, &source, volume, errors);
    }
    let local = spec.get("local");
    if local.is_set() && !affinity.is_set() {
        errors.push(affinity.required("Local volume requires node affinity"));
    }
    let host_path = spec.get("hostPath");
    if host_path.is_set() && is_root(host_path.text_of("path")) && policy.text() == "Recycle" {
        errors.push(policy.forbidden("may not be 'recycle' for a hostPath mount of '/'"));
    }
    checks::named_if_set(&spec.get("storageClassName"), names::dns1123_subdomain, errors);
    checks::one_of_if_set(&spec.get("volumeMode"), &["Block", "Filesystem"], errors);
    let class = spec.get("volumeAttributesClassName");
    if class.is_set() {
        if class.text().is_empty() {
            errors.push(class.required("an empty string is disallowed"));
        } else {
            checks::named(&class, names::dns1123_subdomain, errors);
        }
        if !spec.has("csi") {
            let csi = spec.get("csi");
            errors.push(csi.required("has to be specified when using volumeAttributesClassName"));
        }
    }
    mount_options(volume, &spec, errors);
}

/// One source; an iSCSI portal and the volume's name make one name together.
fn source(kind: &'static str, source: &At<'_>, volume: &At<'_>, errors: &mut Errors) {
    volume::check(kind, source, Owner::Volume, errors);
    if kind == "iscsi"
        && let Some(wrong) = volume::names_too_long(volume.get("metadata").text_of("name"), source)
    {
        let portal = source.get("targetPortal");
        errors.push(portal.named("targetportal").invalid(wrong));
    }
}

fn capacity(capacity: &At<'_>, errors: &mut Errors) {
    if capacity.len() == 0 {
        errors.push(capacity.required(""));
    }
    if !capacity.has("storage") || capacity.len() > 1 {
        errors.push(capacity.not_supported(&["storage"]));
    }
    for (_, amount) in capacity.entries() {
        basic_quantity(&amount, errors);
        positive_quantity(&amount, errors);
    }
}

/// An amount of bytes: not less than none.
pub(super) fn basic_quantity(at: &At<'_>, errors: &mut Errors) {
    if let Some(amount) = checks::quantity(at).filter(|amount| amount.value() < 0) {
        errors.push(Error::invalid(&at.path(), amount.value(), "must be a valid resource quantity"));
    }
}

/// An amount that is more than nothing. Answers whether it is.
pub(super) fn positive_quantity(at: &At<'_>, errors: &mut Errors) -> bool {
    let wrong = checks::quantity(at).is_some_and(|amount| amount.is_negative() || amount.is_zero());
    if wrong {
        errors.push(at.invalid("must be greater than zero"));
    }
    !wrong
}

fn node_affinity(affinity: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    if !affinity.is_set() {
        return;
    }
    let required = affinity.get("required");
    let any_value = old.is_some_and(|old| {
        !pod::node_selector_values_are_sound(&old.value()["spec"]["nodeAffinity"]["required"])
    });
    if required.is_set() {
        pod::node_selector(&required, any_value, errors);
    } else {
        errors.push(required.required("must specify required node constraints"));
    }
}

/// Whether a path names the root, in whatever way.
fn is_root(path: &str) -> bool {
    let mut depth = 0_usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    path.starts_with('/') && depth == 0
}

fn mount_options(volume: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    let (metadata, named) = (volume.get("metadata"), spec.value());
    let annotations = metadata.get("annotations");
    let understood = MOUNT_OPTIONS.iter().any(|source| !named[*source].is_null());
    if annotations.has(MOUNT_OPTION) && !understood {
        let option = annotations.get(MOUNT_OPTION);
        errors.push(option.forbidden("may not specify mount options for this volume type"));
    }
}

/// What a volume is made from does not change.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let sources = |spec: &Value| -> Value {
        let set = SOURCES.iter().filter(|source| !spec[source.field].is_null());
        set.map(|source| (source.field.to_owned(), spec[source.field].clone())).collect()
    };
    let (mut now, was) = (sources(spec.value()), sources(before.value()));
    // A driver may learn of the secret with which it expands volumes.
    let expands = |source: &Value| source["csi"].get("controllerExpandSecretRef").is_some();
    if was.get("csi").is_some()
        && !expands(&was)
        && expands(&now)
        && let Some(Value::Object(csi)) = now.get_mut("csi")
    {
        csi.remove("controllerExpandSecretRef");
    }
    if !checks::same(&now, &was) {
        let path = Path::new("spec").child("persistentvolumesource");
        let changed = pod::changed(&now, &was);
        let wrong = format!("spec.persistentvolumesource is immutable after creation\n{changed}");
        errors.push(Error::forbidden(&path, wrong));
    }
    let immutable = |field: &str, why: &str, errors: &mut Errors| {
        let (now, was) = (spec.get(field), before.get(field));
        if !checks::same(now.value(), was.value()) {
            errors.push(Error::invalid(&Path::new(field), now.value().clone(), why));
        }
    };
    immutable("volumeMode", checks::IMMUTABLE, errors);
    if before.has("nodeAffinity")
        && !checks::same(
            &renamed(&before.value()["nodeAffinity"], &spec.value()["nodeAffinity"]),
            &spec.value()["nodeAffinity"],
        )
    {
        let wrong = "field is immutable, except for updating from beta label to GA";
        let now = spec.value()["nodeAffinity"].clone();
        errors.push(Error::invalid(&Path::new("nodeAffinity"), now, wrong));
    }
    let class = spec.get("volumeAttributesClassName");
    if before.has("volumeAttributesClassName") && !class.is_set() {
        errors.push(class.forbidden("update from non-nil value to nil is forbidden"));
    }
}

/// The old affinity, with the labels renamed that the new one calls by the names that they have now.
fn renamed(old: &Value, new: &Value) -> Value {
    const NAMES: [(&str, &str); 5] = [
        ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
        ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
        ("beta.kubernetes.io/os", "kubernetes.io/os"),
        ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
        ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
    ];
    match (old, new) {
        (Value::Object(old), new) => old
            .iter()
            .map(|(field, value)| {
                let now = new.get(field).unwrap_or(&Value::Null);
                let pair = (value.as_str().unwrap_or_default(), now.as_str().unwrap_or_default());
                let value =
                    if field == "key" && NAMES.contains(&pair) { now.clone() } else { renamed(value, now) };
                (field.clone(), value)
            })
            .collect(),
        (Value::Array(old), Value::Array(new)) => {
            let pairs = old.iter().enumerate();
            pairs.map(|(at, value)| renamed(value, new.get(at).unwrap_or(&Value::Null))).collect()
        }
        _ => old.clone(),
    }
}
