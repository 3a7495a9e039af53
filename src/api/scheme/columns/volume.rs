//! The cells of volumes and of claims to them.

use jiff::Timestamp;
use serde_json::Value;

use super::{list, str_or};

const MODES: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];

fn modes(modes: &Value) -> Value {
    let short = |(long, short)| list(modes).iter().any(|mode| *mode == long).then_some(short);
    MODES.into_iter().filter_map(short).collect::<Vec<_>>().join(",").into()
}

pub(super) fn access_modes(volume: &Value, _: Timestamp) -> Value {
    modes(&volume["spec"]["accessModes"])
}

pub(super) fn capacity(volume: &Value, _: Timestamp) -> Value {
    str_or(&volume["spec"]["capacity"]["storage"], "0").into()
}

/// What a claim has is not known before it has a volume.
fn is_bound(claim: &Value) -> bool {
    !str_or(&claim["spec"]["volumeName"], "").is_empty()
}

pub(super) fn claimed_modes(claim: &Value, _: Timestamp) -> Value {
    if is_bound(claim) { modes(&claim["status"]["accessModes"]) } else { "".into() }
}

pub(super) fn claimed_capacity(claim: &Value, _: Timestamp) -> Value {
    let capacity = str_or(&claim["status"]["capacity"]["storage"], "0");
    if is_bound(claim) { capacity.into() } else { "".into() }
}

/// Where the class is an annotation, as it once was, that counts.
pub(super) fn class(volume: &Value, _: Timestamp) -> Value {
    let annotations = &volume["metadata"]["annotations"];
    let old = annotations["volume.beta.kubernetes.io/storage-class"].as_str();
    old.unwrap_or_else(|| str_or(&volume["spec"]["storageClassName"], "")).into()
}

pub(super) fn phase(volume: &Value, _: Timestamp) -> Value {
    if volume["metadata"]["deletionTimestamp"].is_null() {
        str_or(&volume["status"]["phase"], "").into()
    } else {
        "Terminating".into()
    }
}

pub(super) fn claim(volume: &Value, _: Timestamp) -> Value {
    let claim = &volume["spec"]["claimRef"];
    if claim.is_null() {
        return "".into();
    }
    format!("{}/{}", str_or(&claim["namespace"], ""), str_or(&claim["name"], "")).into()
}

pub(super) fn attributes_class(volume: &Value, _: Timestamp) -> Value {
    str_or(&volume["spec"]["volumeAttributesClassName"], "<unset>").into()
}

pub(super) fn mode(volume: &Value, _: Timestamp) -> Value {
    str_or(&volume["spec"]["volumeMode"], "<unset>").into()
}
