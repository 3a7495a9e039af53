//! The environment of a container, and what it refers to.

use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
pub(super) const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

pub(super) fn variables(variables: &At<'_>, errors: &mut Errors) {
    for variable in variables.items() {
        checks::present_and_named(&variable.get("name"), names::env_var_name, errors);
        let from = variable.get("valueFrom");
        if from.is_set() {
            value_from(&from, !variable.get("value").text().is_empty(), errors);
        }
    }
}

fn value_from(from: &At<'_>, has_value: bool, errors: &mut Errors) {
    let sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let count = sources.iter().filter(|source| from.get(source).is_set()).count();
    let (field, resource) = (from.get("fieldRef"), from.get("resourceFieldRef"));
    if field.is_set() {
        field_ref(&field, &ENV_FIELDS, errors);
    }
    if resource.is_set() {
        resource_ref(&resource, false, errors);
    }
    for source in ["configMapKeyRef", "secretKeyRef"] {
        let key_ref = from.get(source);
        if key_ref.is_set() {
            checks::named(&key_ref.get("name"), names::dns1123_subdomain, errors);
            checks::present_and_named(&key_ref.get("key"), names::config_map_key, errors);
        }
    }
    let wrong = if count == 0 {
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
    } else if has_value {
        "may not be specified when `value` is not empty"
    } else if count > 1 {
        "may not have more than one field specified at a time"
    } else {
        return;
    };
    errors.push(Error::invalid(&from.path(), "", wrong));
}

/// A field of the pod itself.
pub(super) fn field_ref(at: &At<'_>, fields: &[&str], errors: &mut Errors) {
    if !checks::present(&at.get("apiVersion"), errors) || !checks::present(&at.get("fieldPath"), errors) {
        return;
    }
    let path = at.get("fieldPath");
    let subscript = path.text().strip_suffix("']").and_then(|text| text.split_once("['"));
    match subscript {
        Some(("metadata.annotations", key)) => {
            errors.extend(
                names::qualified_name(&key.to_lowercase())
                    .into_iter()
                    .map(|sentence| Error::invalid(&at.path(), key.to_lowercase(), sentence)),
            );
        }
        Some(("metadata.labels", key)) => errors.extend(
            names::qualified_name(key).into_iter().map(|sentence| Error::invalid(&at.path(), key, sentence)),
        ),
        Some((field, _)) => errors.push(Error::invalid(&at.path(), field, "does not support subscript")),
        None => checks::one_of(&path, fields, errors),
    }
}

/// A container's resource.
pub(super) fn resource_ref(at: &At<'_>, in_volume: bool, errors: &mut Errors) {
    let (container, resource) = (at.get("containerName"), at.get("resource"));
    if in_volume && !checks::present(&container, errors) {
        return;
    }
    let pages = ["requests.hugepages-", "limits.hugepages-"];
    if !pages.iter().any(|prefix| resource.text().starts_with(prefix)) {
        checks::one_of(&resource, &RESOURCES, errors);
    }
}

pub(super) fn sources(sources: &At<'_>, errors: &mut Errors) {
    for source in sources.items() {
        checks::named_if_set(&source.get("prefix"), names::env_var_name, errors);
        let mut count = 0;
        for kind in ["configMapRef", "secretRef"] {
            let reference = source.get(kind);
            if reference.is_set() {
                count += 1;
                checks::present_and_named(&reference.get("name"), names::dns1123_subdomain, errors);
            }
        }
        let wrong = match count {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errors.push(Error::invalid(&sources.path(), "", wrong));
    }
}
