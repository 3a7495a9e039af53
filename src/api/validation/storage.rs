//! Classes of volumes, their drivers, and where volumes are attached.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/storage/validation` (1.36).

use std::collections::{BTreeMap, BTreeSet};

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::{Error, Path};
use crate::api::names;

const MAX_PARAMETERS: usize = 512;
const MAX_PARAMETERS_BYTES: usize = 256 << 10;
const MAX_METADATA_BYTES: usize = 256 << 10;
const MAX_MESSAGE_BYTES: usize = 1024;
const MAX_NODE_ID: usize = 256;
/// How long a token must be good for, in seconds, and may at most.
const TOKEN_SECONDS: std::ops::RangeInclusive<i64> = 600..=1 << 32;

pub(super) fn object(kind: &str, object: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    match kind {
        "StorageClass" => class(object, errors),
        "VolumeAttributesClass" => attributes_class(object, errors),
        "VolumeAttachment" => attachment(object, errors),
        "CSINode" => node(object, errors),
        "CSIDriver" => driver(object, errors),
        "CSIStorageCapacity" => capacity(object, old, errors),
        _ => {}
    }
}

pub(super) fn update(kind: &str, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let frozen = |field: &str, errors: &mut Errors| {
        checks::immutable(&new.get(field), &old.get(field), errors);
    };
    match kind {
        "StorageClass" => {
            for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
                frozen(field, errors);
            }
        }
        "VolumeAttributesClass" => {
            for field in ["driverName", "parameters"] {
                let now = new.get(field);
                if !checks::same(now.value(), old.get(field).value()) {
                    errors.push(now.forbidden(format!("updates to {field} are forbidden.")));
                }
            }
        }
        "VolumeAttachment" => frozen("spec", errors),
        "CSINode" => node_update(new, old, errors),
        "CSIDriver" => {
            let (spec, before) = (new.get("spec"), old.get("spec"));
            // Kubernetes calls the field so.
            let (attach, was) = (spec.get("attachRequired"), before.get("attachRequired"));
            if attach.value() != was.value() {
                let path = Path::new("spec").child("attachedRequired");
                errors.push(Error::invalid(&path, attach.value().clone(), checks::IMMUTABLE));
            }
            checks::immutable(&spec.get("volumeLifecycleModes"), &before.get("volumeLifecycleModes"), errors);
        }
        "CSIStorageCapacity" => {
            frozen("nodeTopology", errors);
            frozen("storageClassName", errors);
        }
        _ => {}
    }
}

fn class(class: &At<'_>, errors: &mut Errors) {
    provisioner(&class.get("provisioner"), errors);
    parameters(&class.get("parameters"), errors);
    let (policy, mode) = (class.get("reclaimPolicy"), class.get("volumeBindingMode"));
    if !policy.text().is_empty() {
        checks::one_of(&policy, &["Delete", "Retain"], errors);
    }
    if mode.is_set() {
        checks::one_of_if_set(&mode, &["Immediate", "WaitForFirstConsumer"], errors);
    } else {
        errors.push(mode.required(""));
    }
    topologies(&class.get("allowedTopologies"), errors);
}

fn provisioner(at: &At<'_>, errors: &mut Errors) {
    if checks::present(at, errors) {
        for sentence in names::qualified_name(&at.text().to_lowercase()) {
            errors.push(Error::invalid(&at.path(), at.text().to_lowercase(), sentence));
        }
    }
}

fn parameters(at: &At<'_>, errors: &mut Errors) {
    if at.len() > MAX_PARAMETERS {
        errors.push(Error::too_long(&at.path(), MAX_PARAMETERS));
        return;
    }
    if at.entries().any(|(key, _)| key.is_empty()) {
        errors.push(Error::invalid(&at.path(), "", "field can not be empty."));
    }
    if bytes(at) > MAX_PARAMETERS_BYTES {
        errors.push(Error::too_long(&at.path(), MAX_PARAMETERS_BYTES));
    }
}

/// How long keys and values are together.
fn bytes(map: &At<'_>) -> usize {
    map.entries().map(|(key, value)| key.len() + value.text().len()).sum()
}

fn topologies(topologies: &At<'_>, errors: &mut Errors) {
    // A term that says nothing repeats the one that nobody wrote.
    let mut seen = vec![BTreeMap::new()];
    for term in topologies.items() {
        let (expressions, mut map) = (term.get("matchLabelExpressions"), BTreeMap::new());
        for requirement in expressions.items() {
            let (key, values) = (requirement.get("key"), requirement.get("values"));
            let mut known = BTreeSet::new();
            if values.len() == 0 {
                errors.push(values.required(""));
            }
            for value in values.items() {
                if !known.insert(value.text().to_owned()) {
                    errors.push(value.duplicate());
                }
            }
            checks::named(&key, names::qualified_name, errors);
            if map.insert(key.text().to_owned(), known).is_some() {
                errors.push(key.duplicate());
            }
        }
        if seen.contains(&map) {
            errors.push(Error::duplicate(&expressions.path(), ""));
        }
        seen.push(map);
    }
}

fn attributes_class(class: &At<'_>, errors: &mut Errors) {
    provisioner(&class.get("driverName"), errors);
    let at = class.get("parameters");
    parameters(&at, errors);
    if at.len() == 0 {
        errors.push(at.required("must contain at least one key/value pair"));
    }
}

fn attachment(attachment: &At<'_>, errors: &mut Errors) {
    let spec = attachment.get("spec");
    checks::driver_name(&spec.get("attacher"), errors);
    let source = spec.get("source");
    let (inline, volume) = (source.get("inlineVolumeSpec"), source.get("persistentVolumeName"));
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (inline.is_set(), volume.is_set()) {
        (false, false) => errors.push(source.required(ONE)),
        (true, true) => errors.push(source.forbidden(ONE)),
        (false, true) if volume.text().is_empty() => {
            errors.push(volume.required("must specify non empty persistentVolumeName"));
        }
        _ => {}
    }
    checks::named(&spec.get("nodeName"), names::dns1123_subdomain, errors);
    attachment_status(&attachment.get("status"), errors);
    if volume.is_set() {
        checks::named(&volume, names::dns1123_subdomain, errors);
    }
}

fn attachment_status(status: &At<'_>, errors: &mut Errors) {
    let metadata = status.get("attachmentMetadata");
    if bytes(&metadata) > MAX_METADATA_BYTES {
        errors.push(Error::too_long(&metadata.path(), MAX_METADATA_BYTES));
    }
    for field in ["attachError", "detachError"] {
        let error = status.get(field);
        let (message, code) = (error.get("message"), error.get("errorCode"));
        if message.text().len() > MAX_MESSAGE_BYTES {
            // Kubernetes names the other limit here.
            errors.push(Error::too_long(&message.path(), MAX_METADATA_BYTES));
        }
        if code.number().is_some_and(|code| code < 0) {
            errors.push(code.invalid(names::between(0, i64::from(i32::MAX))));
        }
    }
}

fn node(node: &At<'_>, errors: &mut Errors) {
    let spec = node.get("spec");
    let mut seen = BTreeSet::new();
    for driver in spec.get("drivers").items() {
        let (name, id) = (driver.get("name"), driver.get("nodeID"));
        checks::driver_name(&name, errors);
        checks::present(&id, errors);
        if id.text().len() > MAX_NODE_ID {
            errors.push(id.invalid(format!("must be {MAX_NODE_ID} characters or less")));
        }
        checks::non_negative(&driver.get("allocatable").get("count"), errors);
        if !seen.insert(name.text().to_owned()) {
            errors.push(name.duplicate());
        }
        let mut keys = BTreeSet::new();
        for key in driver.get("topologyKeys").items() {
            let key = key.text();
            if key.is_empty() {
                errors.push(driver.required(""));
            }
            if !keys.insert(key.to_owned()) {
                errors.push(Error::duplicate(&driver.path(), key));
            }
            for sentence in names::qualified_name(key) {
                errors.push(Error::invalid(&driver.path(), key, sentence));
            }
        }
    }
}

/// A driver that stays is what it was, but for how many volumes it takes.
fn node_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let (drivers, were) = (spec.get("drivers"), before.get("drivers"));
    for was in were.items() {
        for driver in drivers.items().filter(|driver| driver.get("name").text() == was.get("name").text()) {
            let fixed = |driver: &At<'_>| {
                let mut fields = driver.value().clone();
                fields.as_object_mut().map(|fields| fields.remove("allocatable"));
                fields
            };
            let now = fixed(&driver);
            if !checks::same(&now, &fixed(&was)) {
                errors.push(Error::invalid(&drivers.path(), now, checks::IMMUTABLE));
            }
        }
    }
}

fn driver(driver: &At<'_>, errors: &mut Errors) {
    let spec = driver.get("spec");
    for (field, shown) in [
        ("attachRequired", "attachedRequired"),
        ("podInfoOnMount", "podInfoOnMount"),
        ("storageCapacity", "storageCapacity"),
    ] {
        if !spec.get(field).is_set() {
            errors.push(Error::required(&spec.path().child(shown), ""));
        }
    }
    let policies = ["File", "None", "ReadWriteOnceWithFSType"];
    checks::one_of_if_set(&spec.get("fsGroupPolicy"), &policies, errors);
    let requests = spec.get("tokenRequests");
    token_requests(&requests, errors);
    let modes = spec.get("volumeLifecycleModes");
    for mode in modes.items() {
        if !matches!(mode.text(), "Persistent" | "Ephemeral") {
            errors.push(Error::not_supported(&modes.path(), mode.text(), &["Persistent", "Ephemeral"]));
        }
    }
    if !spec.get("seLinuxMount").is_set() {
        errors.push(spec.get("seLinuxMount").required(""));
    }
    let period = spec.get("nodeAllocatableUpdatePeriodSeconds");
    if period.number().is_some_and(|seconds| seconds < 10) {
        errors.push(period.invalid("must be greater than or equal to 10 seconds"));
    }
    let in_secrets = spec.get("serviceAccountTokenInSecrets");
    if in_secrets.is_set() && requests.len() == 0 {
        errors.push(
            in_secrets.invalid("serviceAccountTokenInSecrets is set but no tokenRequests are specified"),
        );
    }
}

fn token_requests(requests: &At<'_>, errors: &mut Errors) {
    let mut audiences = BTreeSet::new();
    for request in requests.items() {
        let audience = request.get("audience");
        if !audiences.insert(audience.text().to_owned()) {
            errors.push(Error::duplicate(&audience.path(), audience.text()));
            continue;
        }
        token_seconds(&request.get("expirationSeconds"), errors);
    }
}

/// How long a token is to be good for, where something is said.
pub(super) fn token_seconds(at: &At<'_>, errors: &mut Errors) {
    let Some(seconds) = at.number() else { return };
    if seconds < *TOKEN_SECONDS.start() {
        errors.push(at.invalid("may not specify a duration less than 10 minutes"));
    }
    if seconds > *TOKEN_SECONDS.end() {
        errors.push(at.invalid("may not specify a duration larger than 2^32 seconds"));
    }
}

/// Where there is room for volumes of a class. A selector that was wrong before may stay so.
fn capacity(capacity: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let was_wrong = old.is_some_and(|old| {
        let mut wrong = Vec::new();
        checks::label_selector(&old.get("nodeTopology"), &mut wrong);
        !wrong.is_empty()
    });
    checks::label_selector_with(&capacity.get("nodeTopology"), was_wrong, errors);
    checks::named(&capacity.get("storageClassName"), names::dns1123_subdomain, errors);
    checks::non_negative_quantity(&capacity.get("capacity"), errors);
}

/// What an update of an attachment's status may say is what its strategy leaves of it, judged as a whole.
pub(super) fn status(kind: &str, new: &At<'_>, errors: &mut Errors) {
    if kind == "VolumeAttachment" {
        attachment(new, errors);
    }
}
