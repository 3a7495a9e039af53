//! Volumes and where they are mounted.

use std::collections::BTreeSet;

use super::env;
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

pub(super) fn all(volumes: &At<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for volume in volumes.items() {
        source(&volume, errors);
        checks::present_and_named(&volume.get("name"), names::dns1123_label, errors);
        let name = volume.value()["name"].as_str().unwrap_or_default();
        if !seen.insert(name) {
            errors.push(volume.get("name").duplicate());
        }
    }
}

/// What a volume is: one thing.
fn source(volume: &At<'_>, errors: &mut Errors) {
    let mut found = false;
    for (kind, _) in volume.entries().filter(|(kind, at)| *kind != "name" && at.is_set()) {
        let source = volume.get(kind);
        if std::mem::replace(&mut found, true) {
            errors.push(source.forbidden("may not specify more than 1 volume type"));
            continue;
        }
        match kind {
            "emptyDir" => {
                let limit = source.get("sizeLimit");
                if checks::quantity(&limit).is_some_and(|limit| limit.is_negative()) {
                    errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
                }
            }
            "hostPath" => host_path(&source, errors),
            "secret" => files(&source, "secretName", errors),
            "configMap" => files(&source, "name", errors),
            "downwardAPI" => downward(&source.get("items"), errors),
            "projected" => {
                mode(&source.get("defaultMode"), errors);
                for part in source.get("sources").items() {
                    downward(&part.get("downwardAPI").get("items"), errors);
                    for (kind, name) in [("secret", "name"), ("configMap", "name")] {
                        if part.get(kind).is_set() {
                            files(&part.get(kind), name, errors);
                        }
                    }
                }
            }
            "persistentVolumeClaim" => {
                checks::present(&source.get("claimName"), errors);
            }
            "nfs" => {
                checks::present(&source.get("server"), errors);
                if checks::present(&source.get("path"), errors) && !source.get("path").text().starts_with('/')
                {
                    errors.push(source.get("path").invalid("must be an absolute path"));
                }
            }
            "csi" => {
                checks::present(&source.get("driver"), errors);
            }
            _ => {}
        }
    }
    if !found {
        errors.push(volume.required("must specify a volume type"));
    }
}

fn host_path(source: &At<'_>, errors: &mut Errors) {
    let path = source.get("path");
    if checks::present(&path, errors) {
        no_backsteps(&path, errors);
        let kind = source.get("type");
        if !kind.text().is_empty() {
            checks::one_of_if_set(
                &kind,
                &[
                    "BlockDevice",
                    "CharDevice",
                    "Directory",
                    "DirectoryOrCreate",
                    "File",
                    "FileOrCreate",
                    "Socket",
                ],
                errors,
            );
        }
    }
}

/// The files of a Secret or ConfigMap.
fn files(source: &At<'_>, name: &str, errors: &mut Errors) {
    checks::present(&source.get(name), errors);
    mode(&source.get("defaultMode"), errors);
    for item in source.get("items").items() {
        checks::present(&item.get("key"), errors);
        checks::present(&item.get("path"), errors);
        relative(&item.get("path"), errors);
        mode(&item.get("mode"), errors);
    }
}

/// Files that tell of the pod itself.
fn downward(items: &At<'_>, errors: &mut Errors) {
    for item in items.items() {
        checks::present(&item.get("path"), errors);
        relative(&item.get("path"), errors);
        mode(&item.get("mode"), errors);
        let (field, resource) = (item.get("fieldRef"), item.get("resourceFieldRef"));
        if field.is_set() {
            env::field_ref(&field, &env::VOLUME_FIELDS, errors);
            if resource.is_set() {
                let wrong = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(Error::invalid(&item.path(), "resource", wrong));
            }
        } else if resource.is_set() {
            env::resource_ref(&resource, true, errors);
        } else {
            errors.push(item.required("one of fieldRef and resourceFieldRef is required"));
        }
    }
}

/// A path below the volume, outside the names that the writer of volumes keeps for itself.
fn relative(path: &At<'_>, errors: &mut Errors) {
    local(path, errors);
    if path.text().starts_with("..") && !path.text().starts_with("../") && path.text() != ".." {
        errors.push(path.invalid("must not start with '..'"));
    }
}

fn local(path: &At<'_>, errors: &mut Errors) {
    if path.text().starts_with('/') {
        errors.push(path.invalid("must be a relative path"));
    }
    no_backsteps(path, errors);
}

fn no_backsteps(path: &At<'_>, errors: &mut Errors) {
    if path.text().split('/').any(|part| part == "..") {
        errors.push(path.invalid("must not contain '..'"));
    }
}

fn mode(mode: &At<'_>, errors: &mut Errors) {
    if mode.number().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.push(mode.invalid(MODE));
    }
}

/// Where a container mounts volumes.
pub(super) fn mounts(container: &At<'_>, volumes: &At<'_>, errors: &mut Errors) {
    let mut paths = BTreeSet::new();
    let mounts = container.get("volumeMounts");
    for mount in mounts.items() {
        let (name, path) = (mount.get("name"), mount.get("mountPath"));
        checks::present(&name, errors);
        known(&name, volumes, errors);
        checks::present(&path, errors);
        if !paths.insert(mount.value()["mountPath"].as_str().unwrap_or_default()) {
            errors.push(path.invalid("must be unique"));
        }
        let (sub, expression) = (mount.get("subPath"), mount.get("subPathExpr"));
        local(&sub, errors);
        local(&expression, errors);
        if !sub.text().is_empty() && !expression.text().is_empty() {
            errors.push(expression.invalid("subPathExpr and subPath are mutually exclusive"));
        }
    }
    for device in container.get("volumeDevices").items() {
        checks::present(&device.get("name"), errors);
        known(&device.get("name"), volumes, errors);
        checks::present(&device.get("devicePath"), errors);
    }
}

/// The volume that a mount names must be there.
fn known(name: &At<'_>, volumes: &At<'_>, errors: &mut Errors) {
    if !volumes.items().any(|volume| volume.get("name").text() == name.text()) {
        errors.push(Error::not_found(&name.path(), name.text()));
    }
}
