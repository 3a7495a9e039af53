//! Where a container finds volumes: as directories, and as devices.

use std::collections::{BTreeMap, BTreeSet};

use super::volumes::Volumes;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::volume::paths;

/// Where volumes are found, by their names: of several places the last, as Kubernetes counts.
fn places<'a>(list: &At<'a>, path: &str) -> BTreeMap<&'a str, &'a str> {
    let items = list.value().as_array().into_iter().flatten();
    let text = |item: &'a serde_json::Value, field: &str| item[field].as_str().unwrap_or_default();
    items.map(|item| (text(item, "name"), text(item, path))).collect()
}

pub(super) fn mounts(container: &At<'_>, volumes: &Volumes<'_>, errors: &mut Errors) {
    let (mounts, devices) = (container.get("volumeMounts"), container.get("volumeDevices"));
    let devices = places(&devices, "devicePath");
    let mut paths_seen = BTreeSet::new();
    for mount in mounts.items() {
        let (name, path) = (mount.get("name"), mount.get("mountPath"));
        checks::present(&name, errors);
        if !volumes.has(name.text()) {
            errors.push(crate::api::field::Error::not_found(&name.path(), name.text()));
        }
        checks::present(&path, errors);
        if !paths_seen.insert(path.text().to_owned()) {
            errors.push(path.invalid("must be unique"));
        }
        if devices.contains_key(name.text()) {
            errors.push(name.invalid("must not already exist in volumeDevices"));
        }
        if devices.values().any(|device| *device == path.text()) {
            errors.push(path.invalid("must not already exist as a path in volumeDevices"));
        }
        let (sub, expression) = (mount.get("subPath"), mount.get("subPathExpr"));
        // Kubernetes leaves the item out of these paths.
        paths::descending(&mounts.get("subPath").holding(sub.value()), errors);
        if !sub.text().is_empty() && !expression.text().is_empty() {
            errors.push(expression.invalid("subPathExpr and subPath are mutually exclusive"));
        }
        paths::descending(&mounts.get("subPathExpr").holding(expression.value()), errors);
        propagation(&mount, &mounts, container, errors);
        read_only_below(&mount, &mounts, errors);
    }
}

/// Whether mounts below a mount reach the host, or those of the host the container.
fn propagation(mount: &At<'_>, mounts: &At<'_>, container: &At<'_>, errors: &mut Errors) {
    let (place, asked) = (mounts.get("mountPropagation"), mount.get("mountPropagation"));
    if !asked.is_set() {
        return;
    }
    let at = place.holding(asked.value());
    checks::one_of_if_set(&at, &["Bidirectional", "HostToContainer", "None"], errors);
    let privileged = container.get("securityContext").get("privileged").flag();
    if at.text() == "Bidirectional" && !privileged {
        errors
            .push(at.forbidden("Bidirectional mount propagation is available only to privileged containers"));
    }
}

fn read_only_below(mount: &At<'_>, mounts: &At<'_>, errors: &mut Errors) {
    let (place, asked) = (mounts.get("recursiveReadOnly"), mount.get("recursiveReadOnly"));
    let at = place.holding(asked.value());
    match at.text() {
        _ if !asked.is_set() => {}
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !mount.get("readOnly").flag() {
                errors.push(at.forbidden("may only be specified when readOnly is true"));
            }
            if mount.has("mountPropagation") && mount.text_of("mountPropagation") != "None" {
                errors.push(
                    at.forbidden("may only be specified when mountPropagation is None or not specified"),
                );
            }
        }
        _ => errors.push(at.not_supported(&["Disabled", "Enabled", "IfPossible"])),
    }
}

pub(super) fn devices(container: &At<'_>, volumes: &Volumes<'_>, errors: &mut Errors) {
    let (devices, mounts) = (container.get("volumeDevices"), container.get("volumeMounts"));
    let mounts = places(&mounts, "mountPath");
    let (mut names_seen, mut paths_seen) = (BTreeSet::new(), BTreeSet::new());
    for device in devices.items() {
        let (name, path) = (device.get("name"), device.get("devicePath"));
        checks::present(&name, errors);
        if names_seen.contains(name.text()) {
            errors.push(name.invalid("must be unique"));
        }
        match volumes.source(name.text()) {
            None => errors.push(crate::api::field::Error::not_found(&name.path(), name.text())),
            Some("persistentVolumeClaim" | "ephemeral") => {}
            Some(_) => errors.push(name.invalid(
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            )),
        }
        checks::present(&path, errors);
        if paths_seen.contains(path.text()) {
            errors.push(path.invalid("must be unique"));
        }
        if paths::has_backsteps(path.text()) {
            errors.push(path.invalid("can not contain backsteps ('..')"));
        } else {
            paths_seen.insert(path.text().to_owned());
        }
        if mounts.contains_key(name.text()) {
            errors.push(name.invalid("must not already exist in volumeMounts"));
        }
        if mounts.values().any(|mount| *mount == path.text()) {
            errors.push(path.invalid("must not already exist as a path in volumeMounts"));
        }
        if !name.text().is_empty() {
            names_seen.insert(name.text().to_owned());
        }
    }
}
