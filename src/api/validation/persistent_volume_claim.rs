//! PersistentVolumeClaims, and the templates of claims.
//!
//! Source: `ValidatePersistentVolumeClaim` and its updates of `k8s.io/kubernetes/pkg/apis/core/validation`
//! (1.36).

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use super::persistent_volume::{basic_quantity, positive_quantity};
use super::pod;
use crate::api::field::{Error, Path};
use crate::api::names;
use crate::api::quantity::Quantity;

const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// A claim.
pub(super) fn object(claim: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    spec(&claim.get("spec"), old.map(|old| &old.value()["spec"]), errors);
}

/// How a volume may be mounted. `missing` is said where nothing is asked for.
pub(super) fn access_modes(modes: &At<'_>, missing: &str, errors: &mut Errors) {
    const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    if modes.len() == 0 {
        errors.push(modes.required(missing));
    }
    for mode in modes.items().filter(|mode| !MODES.contains(&mode.text())) {
        errors.push(Error::not_supported(&modes.path(), mode.text(), &MODES));
    }
    let alone = |mode: &At<'_>| mode.text() == "ReadWriteOncePod";
    let shared = |mode: &At<'_>| !alone(mode) && MODES.contains(&mode.text());
    if modes.items().any(|mode| alone(&mode)) && modes.items().any(|mode| shared(&mode)) {
        errors.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
}

/// The spec of a claim, and the one that it replaces.
pub(super) fn spec(spec: &At<'_>, old: Option<&Value>, errors: &mut Errors) {
    access_modes(&spec.get("accessModes"), "at least 1 access mode is required", errors);
    let any_value = old.is_some_and(|old| {
        let mut found = Errors::new();
        checks::label_selector(&At::root(&old["selector"]), &mut found);
        !found.is_empty()
    });
    checks::label_selector_with(&spec.get("selector"), any_value, errors);
    let resources = spec.get("resources");
    // Kubernetes leaves `requests` out of this path.
    let size = resources.key("storage");
    let size = size.holding(&resources.value()["requests"]["storage"]);
    if !size.is_set() {
        errors.push(size.required(""));
    } else {
        positive_quantity(&size, errors);
    }
    checks::named_if_set(&spec.get("storageClassName"), names::dns1123_subdomain, errors);
    checks::one_of_if_set(&spec.get("volumeMode"), &["Block", "Filesystem"], errors);
    let (source, source_ref) = (spec.get("dataSource"), spec.get("dataSourceRef"));
    let any_group = old.is_some_and(|old| {
        !old["dataSource"]["apiGroup"].is_null() || !old["dataSourceRef"]["apiGroup"].is_null()
    });
    for source in [&source, &source_ref] {
        data_source(source, any_group, errors);
    }
    let elsewhere = !source_ref.text_of("namespace").is_empty();
    let agree = ["apiGroup", "kind", "name"]
        .iter()
        .all(|field| checks::same(&source.value()[*field], &source_ref.value()[*field]));
    let wrong = match (source.is_set(), source_ref.is_set()) {
        (true, true) if elsewhere => "may not be specified when dataSourceRef.namespace is specified",
        (true, true) if !agree => "must match dataSourceRef",
        _ => "",
    };
    if !wrong.is_empty() {
        // Kubernetes shows an empty path as the value.
        errors.push(Error::invalid(&spec.path(), Value::Object(serde_json::Map::new()), wrong));
    }
    checks::named_if_set(&spec.get("volumeAttributesClassName"), names::dns1123_subdomain, errors);
}

/// Where the first content of a volume comes from.
fn data_source(source: &At<'_>, any_group: bool, errors: &mut Errors) {
    if !source.is_set() {
        return;
    }
    let (group, kind) = (source.get("apiGroup"), source.get("kind"));
    checks::present(&source.get("name"), errors);
    checks::present(&kind, errors);
    if group.text().is_empty() && kind.text() != "PersistentVolumeClaim" {
        let wrong = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.push(Error::invalid(&source.path(), kind.text(), wrong));
    }
    if !any_group {
        checks::named_if_set(&group, names::dns1123_subdomain, errors);
    }
    checks::named_if_set(&source.get("namespace"), names::dns1123_label, errors);
}

/// What was asked for does not change, but for the size once there is a volume.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let (mut now, mut was) = (spec.value().clone(), before.value().clone());
    if before.text_of("volumeName").is_empty()
        && let Some(was) = was.as_object_mut()
    {
        was.insert("volumeName".into(), now["volumeName"].clone());
    }
    class(new, old, &mut now, errors);
    let bound = new.get("status").text_of("phase") == "Bound";
    if bound {
        if let Some(requests) = now.pointer_mut("/resources/requests").and_then(Value::as_object_mut) {
            requests.insert("storage".into(), was["resources"]["requests"]["storage"].clone());
        }
        if let Some(now) = now.as_object_mut() {
            now.insert("volumeAttributesClassName".into(), was["volumeAttributesClassName"].clone());
        }
    }
    if !checks::same(&now, &was) {
        let changed = pod::changed(&now, &was);
        errors.push(spec.forbidden(format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
             claims\n{changed}"
        )));
    }
    size(&spec, &before, old, errors);
    let (mode, mode_before) = (spec.get("volumeMode"), before.get("volumeMode"));
    if mode.value() != mode_before.value() {
        errors.push(Error::invalid(&Path::new("volumeMode"), mode.value().clone(), checks::IMMUTABLE));
    }
    let attributes = spec.get("volumeAttributesClassName");
    let changed = attributes.value() != &before.value()["volumeAttributesClassName"];
    if changed && old.get("status").has("currentVolumeAttributesClassName") {
        const WHY: &str = "is forbidden when status.currentVolumeAttributesClassName is not nil";
        if !attributes.is_set() {
            errors.push(attributes.forbidden(format!("update to nil {WHY}")));
        } else if attributes.text().is_empty() {
            errors.push(attributes.forbidden(format!("update to empty string {WHY}")));
        }
    }
}

/// The class may move from the annotation in which it once stood into its field, and may be set where
/// there is none. What may change is put back in `now`.
fn class(new: &At<'_>, old: &At<'_>, now: &mut Value, errors: &mut Errors) {
    let annotation = |claim: &At<'_>| -> Option<String> {
        let annotations = &claim.value()["metadata"]["annotations"];
        annotations.get(OLD_CLASS).and_then(Value::as_str).map(str::to_owned)
    };
    let (in_annotation, was_in_annotation) = (annotation(new), annotation(old));
    let named = new.value()["spec"]["storageClassName"].as_str();
    let had_none = old.value()["spec"]["storageClassName"].is_null();
    let moved = had_none
        && named.is_some()
        && was_in_annotation.as_deref() == named
        && in_annotation.as_ref().is_none_or(|own| Some(own) == was_in_annotation.as_ref());
    if !moved && in_annotation.clone().unwrap_or_default() != was_in_annotation.clone().unwrap_or_default() {
        let path = Path::new("metadata").child("annotations").child(OLD_CLASS);
        errors.push(Error::invalid(&path, in_annotation.unwrap_or_default(), checks::IMMUTABLE));
    }
    let set =
        had_none && named.is_some() && was_in_annotation.as_deref().is_none_or(|was| Some(was) == named);
    if (moved || set)
        && let Some(now) = now.as_object_mut()
    {
        now.remove("storageClassName");
    }
}

/// A claim that has grown may shrink again, while it is larger than what there is.
fn size(spec: &At<'_>, before: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let read = |value: &Value| -> Quantity {
        value["storage"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    let requested = |spec: &At<'_>| read(&spec.value()["resources"]["requests"]);
    if requested(spec) < requested(before) && requested(spec) <= read(&old.value()["status"]["capacity"]) {
        let resources = spec.get("resources");
        let requests = resources.get("requests");
        errors.push(requests.get("storage").forbidden("field can not be less than status.capacity"));
    }
}

/// What a controller or a driver may say of a claim.
pub(super) fn status(claim: &At<'_>, errors: &mut Errors) {
    const RESIZES: [&str; 5] = [
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizePending",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
    ];
    let (spec, status) = (claim.get("spec"), claim.get("status"));
    if spec.get("accessModes").len() == 0 {
        errors.push(spec.named("Spec").get("accessModes").required(""));
    }
    status.get("capacity").entries().for_each(|(_, amount)| basic_quantity(&amount, errors));
    let resizes = status.get("allocatedResourceStatuses");
    for (name, state) in resizes.entries() {
        resource(name, &resizes, errors);
        if !RESIZES.contains(&state.text()) {
            let mut sorted = RESIZES;
            sorted.sort_unstable();
            errors.push(Error::not_supported(&resizes.path(), name, &sorted));
        }
    }
    let allocated = status.get("allocatedResources");
    for (name, amount) in allocated.entries() {
        if resource(name, &allocated, errors) {
            let before = errors.len();
            basic_quantity(&amount, errors);
            if errors.len() == before {
                checks::non_negative_quantity(&amount, errors);
            }
        }
    }
}

/// A resource that a volume has: storage, or one of somebody else's. Answers whether it is sound.
fn resource(name: &str, at: &At<'_>, errors: &mut Errors) -> bool {
    let wrong = names::qualified_name(name);
    let sound = wrong.is_empty();
    errors.extend(wrong.into_iter().map(|sentence| Error::invalid(&at.path(), name, sentence)));
    let known = !pod::is_native(name) || name == "storage";
    if sound && !known {
        errors.push(Error::not_supported(&at.path(), name, &["storage"]));
    }
    sound && known
}
