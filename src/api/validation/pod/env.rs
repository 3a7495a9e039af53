//! The environment of a container, and what it refers to.

use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::volume::paths;

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

/// What can be asked of a pod at all; the lists above say what of it is told where.
const KNOWN_FIELDS: [&str; 15] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.host",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];

pub(super) fn variables(variables: &At<'_>, errors: &mut Errors) {
    for variable in variables.items() {
        checks::present_and_named(&variable.get("name"), names::env_var_name, errors);
        let from = variable.get("valueFrom");
        if from.is_set() {
            value_from(&from, !variable.text_of("value").is_empty(), errors);
        }
    }
}

fn value_from(from: &At<'_>, has_value: bool, errors: &mut Errors) {
    let sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let count = sources.iter().filter(|source| from.has(source)).count();
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
            let name = key_ref.get("name");
            let wrong = names::dns1123_subdomain(name.text()).into_iter();
            errors.extend(wrong.map(|sentence| Error::invalid(&name.path(), name.text(), sentence)));
            checks::present_and_named(&key_ref.get("key"), names::config_map_key, errors);
        }
    }
    let file = from.get("fileKeyRef");
    if file.is_set() {
        checks::present_and_named(&file.get("key"), names::env_var_name, errors);
        checks::present_and_named(&file.get("volumeName"), names::dns1123_label, errors);
        if checks::present(&file.get("path"), errors) {
            paths::no_backsteps(&file.get("path"), errors);
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

/// A variable from a file finds it in a directory of the pod's own.
pub(super) fn file_volumes(spec: &At<'_>, errors: &mut Errors) {
    let volumes = spec.get("volumes");
    super::each_container(spec, |container| {
        for variable in container.get("env").items() {
            let from = variable.get("valueFrom");
            let file = from.get("fileKeyRef");
            let name = file.get("volumeName");
            if !file.is_set() {
                continue;
            }
            match volumes.items().rfind(|volume| volume.text_of("name") == name.text()) {
                None => errors.push(Error::not_found(&name.path(), name.text())),
                Some(volume) if !volume.has("emptyDir") => {
                    errors.push(name.invalid("referenced volume must be of type emptyDir"));
                }
                Some(_) => {}
            }
        }
    });
}

/// A field of the pod itself.
pub(super) fn field_ref(at: &At<'_>, fields: &[&str], errors: &mut Errors) {
    if !checks::present(&at.get("apiVersion"), errors) || !checks::present(&at.get("fieldPath"), errors) {
        return;
    }
    let (version, path) = (at.text_of("apiVersion"), at.get("fieldPath"));
    let subscript = path
        .text()
        .strip_suffix("']")
        .and_then(|text| text.split_once("['"))
        .filter(|(field, _)| !field.is_empty());
    let unknown = match subscript {
        _ if version != "v1" => Some(format!("unsupported pod version: {version}")),
        Some(("metadata.annotations" | "metadata.labels", _)) => None,
        Some(_) => Some(format!("field label does not support subscript: {}", path.text())),
        None if !KNOWN_FIELDS.contains(&path.text()) => {
            Some(format!("field label not supported: {}", path.text()))
        }
        None => None,
    };
    if let Some(why) = unknown {
        errors.push(path.invalid(format!("error converting fieldPath: {why}")));
        return;
    }
    let key = |key: &str, errors: &mut Errors| {
        let wrong = names::qualified_name(key).into_iter();
        errors.extend(wrong.map(|sentence| Error::invalid(&at.path(), key, sentence)));
    };
    match subscript {
        Some(("metadata.annotations", name)) => key(&name.to_lowercase(), errors),
        Some((_, name)) => key(name, errors),
        None => {
            let field = if path.text() == "spec.host" { "spec.nodeName" } else { path.text() };
            if !fields.contains(&field) {
                errors.push(Error::not_supported(&path.path(), field, fields));
            }
        }
    }
}

/// A container's resource.
pub(super) fn resource_ref(at: &At<'_>, in_volume: bool, errors: &mut Errors) {
    let (container, resource) = (at.get("containerName"), at.get("resource"));
    let of_pages =
        ["requests.hugepages-", "limits.hugepages-"].iter().any(|prefix| resource.text().starts_with(prefix));
    if in_volume && container.text().is_empty() {
        errors.push(container.required(""));
    } else if !of_pages {
        checks::one_of(&resource, &RESOURCES, errors);
    }
    divisor(&at.get("divisor"), resource.text(), of_pages, errors);
}

/// What an amount is divided by before it is told: a unit.
fn divisor(divisor: &At<'_>, resource: &str, of_pages: bool, errors: &mut Errors) {
    const UNITS: [&str; 13] =
        ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    let Some(amount) = checks::quantity(divisor).filter(|amount| !amount.is_zero()) else { return };
    let (units, noun): (&[&str], _) = match resource {
        "limits.cpu" | "requests.cpu" => (&["1m", "1"], "cpu"),
        "limits.memory" | "requests.memory" => (&UNITS, "memory"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => (&UNITS, "local ephemeral storage"),
        _ if of_pages => (&UNITS, "hugepages"),
        _ => return,
    };
    if !units.contains(&&*amount.to_string()) {
        let listed = if noun == "cpu" { "1m and 1".to_owned() } else { units.join(", ") };
        let wrong = format!("only divisor's values {listed} are supported with the {noun} resource");
        errors.push(Error::invalid(&divisor.path(), resource, wrong));
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
