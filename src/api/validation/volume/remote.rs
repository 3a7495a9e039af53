//! Sources outside the cluster's own objects: disks, file servers and storage systems.

use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

use super::paths;

/// Who mounts a source: it says what a reference to a secret must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api::validation) enum Owner {
    /// A pod, whose secrets are in its namespace.
    Pod,
    /// A PersistentVolume, which is in no namespace.
    Volume,
}

/// The source of this kind.
pub(in crate::api::validation) fn check(kind: &str, source: &At<'_>, owner: Owner, errors: &mut Errors) {
    let required = |fields: &[&str], errors: &mut Errors| {
        for field in fields {
            checks::present(&source.get(field), errors);
        }
    };
    match kind {
        "hostPath" => host_path(source, errors),
        "gitRepo" => {
            required(&["repository"], errors);
            paths::descending(&source.get("directory"), errors);
        }
        "gcePersistentDisk" => {
            required(&["pdName"], errors);
            partition(&source.get("partition"), errors);
        }
        "awsElasticBlockStore" => {
            required(&["volumeID"], errors);
            partition(&source.get("partition"), errors);
        }
        "nfs" => {
            required(&["server", "path"], errors);
            let path = source.get("path");
            if !path.text().starts_with('/') {
                errors.push(Error::invalid(&path.path(), path.text(), "must be an absolute path"));
            }
        }
        "iscsi" => iscsi(source, owner, errors),
        "glusterfs" => glusterfs(source, owner, errors),
        "flocker" => flocker(source, errors),
        "rbd" => {
            filled(&source.get("monitors"), errors);
            required(&["image"], errors);
        }
        "cinder" => {
            required(&["volumeID"], errors);
            secret(&source.get("secretRef"), owner, errors);
        }
        "cephfs" => filled(&source.get("monitors"), errors),
        "quobyte" => quobyte(source, errors),
        "fc" => fibre_channel(source, errors),
        "flexVolume" => flex(source, errors),
        "azureFile" => {
            required(&["secretName", "shareName"], errors);
            let namespace = source.get("secretNamespace");
            if owner == Owner::Volume && namespace.is_set() {
                checks::present(&namespace, errors);
            }
        }
        "azureDisk" => azure_disk(source, errors),
        "vsphereVolume" => required(&["volumePath"], errors),
        "photonPersistentDisk" => required(&["pdID"], errors),
        "portworxVolume" => required(&["volumeID"], errors),
        "scaleIO" => required(&["gateway", "system", "volumeName"], errors),
        "storageos" => {
            checks::present_and_named(&source.get("volumeName"), names::dns1123_label, errors);
            checks::named_if_set(&source.get("volumeNamespace"), names::dns1123_label, errors);
            secret(&source.get("secretRef"), owner, errors);
        }
        "local" => {
            let path = source.get("path");
            if checks::present(&path, errors) {
                paths::no_backsteps(&path, errors);
            }
        }
        "csi" => csi(source, owner, errors),
        _ => {}
    }
}

fn filled(list: &At<'_>, errors: &mut Errors) {
    if list.len() == 0 {
        errors.push(list.required(""));
    }
}

fn partition(partition: &At<'_>, errors: &mut Errors) {
    if partition.number().is_some_and(|number| !(0..=255).contains(&number)) {
        errors.push(partition.invalid(names::between(1, 255)));
    }
}

/// A secret of a driver, where there is one.
fn secret(reference: &At<'_>, owner: Owner, errors: &mut Errors) {
    if reference.is_set() {
        checks::present(&reference.get("name"), errors);
        if owner == Owner::Volume {
            checks::present(&reference.get("namespace"), errors);
        }
    }
}

fn host_path(source: &At<'_>, errors: &mut Errors) {
    let (path, kind) = (source.get("path"), source.get("type"));
    if !checks::present(&path, errors) {
        return;
    }
    paths::no_backsteps(&path, errors);
    let kinds =
        ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    checks::one_of_if_set(&kind, &kinds, errors);
}

/// Whether a volume's name and an iSCSI portal are too long together for who would name itself by
/// both.
pub(in crate::api::validation) fn names_too_long(name: &str, source: &At<'_>) -> Option<&'static str> {
    let long = name.len() + 1 + source.text_of("targetPortal").len() > 64;
    (source.has("initiatorName") && long).then_some(
        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is \
         specified.",
    )
}

fn iscsi(source: &At<'_>, owner: Owner, errors: &mut Errors) {
    checks::present(&source.get("targetPortal"), errors);
    let name = source.get("iqn");
    if checks::present(&name, errors) {
        initiator(&name, owner, errors);
    }
    checks::between(&source.get("lun"), 0, 255, errors);
    let secret = source.get("secretRef");
    if !secret.is_set() && (source.get("chapAuthDiscovery").flag() || source.get("chapAuthSession").flag()) {
        errors.push(secret.required(""));
    }
    if owner == Owner::Volume && secret.is_set() {
        checks::present(&secret.get("name"), errors);
    }
    let initiator_name = source.get("initiatorName");
    if initiator_name.is_set() {
        initiator(&initiator_name.named("initiatorname"), owner, errors);
    }
}

/// The name of an iSCSI node: `iqn.2021-01.com.example:storage`, `eui.` or `naa.` and digits.
fn initiator(name: &At<'_>, owner: Owner, errors: &mut Errors) {
    let text = name.text();
    let digits = |prefix: &str, count: usize| {
        text.strip_prefix(prefix)
            .and_then(|rest| rest.get(1..))
            .is_some_and(|rest| rest.len() == count && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    let wrong = match text.get(..3) {
        Some("iqn") => (!qualified(text)).then_some("must be valid format"),
        Some("eui") => (!digits("eui", 16)).then_some("must be valid format"),
        Some("naa") => (!digits("naa", 32)).then_some("must be valid format"),
        _ if owner == Owner::Pod => Some("must be valid format starting with iqn, eui, or naa"),
        _ => Some("must be valid format"),
    };
    errors.extend(wrong.map(|wrong| name.invalid(wrong)));
}

/// `iqn.`, year and month, a reversed domain, a colon and a name.
fn qualified(text: &str) -> bool {
    let Some((date, rest)) = text.strip_prefix("iqn.").and_then(|rest| rest.split_once('.')) else {
        return false;
    };
    let is_date = matches!(date.as_bytes(), [a, b, c, d, b'-', e, f]
        if [a, b, c, d, e, f].iter().all(|byte| byte.is_ascii_digit()));
    let Some((domain, name)) = rest.split_once(':') else { return false };
    is_date
        && !domain.is_empty()
        && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && !name.is_empty()
        && !name.chars().any(|letter| ",;*&$|".contains(letter) || letter.is_ascii_whitespace())
}

fn glusterfs(source: &At<'_>, owner: Owner, errors: &mut Errors) {
    checks::present(&source.get("endpoints"), errors);
    checks::present(&source.get("path"), errors);
    let namespace = source.get("endpointsNamespace");
    if owner == Owner::Volume && namespace.is_set() {
        if namespace.text().is_empty() {
            errors.push(
                namespace.invalid("if the endpointnamespace is set, it must be a valid namespace name"),
            );
        } else {
            checks::named(&namespace, names::dns1123_label, errors);
        }
    }
}

fn flocker(source: &At<'_>, errors: &mut Errors) {
    let name = source.get("datasetName");
    match (name.text().is_empty(), source.text_of("datasetUUID").is_empty()) {
        (true, true) => errors.push(source.required("one of datasetName and datasetUUID is required")),
        (false, false) => errors.push(Error::invalid(
            &source.path(),
            "resource",
            "datasetName and datasetUUID can not be specified simultaneously",
        )),
        _ => {}
    }
    if name.text().contains('/') {
        errors.push(name.invalid("must not contain '/'"));
    }
}

fn quobyte(source: &At<'_>, errors: &mut Errors) {
    const WANTED: &str = "must be a host:port pair or multiple pairs separated by commas";
    let (registry, tenant) = (source.get("registry"), source.get("tenant"));
    if registry.text().is_empty() {
        errors.push(registry.required(WANTED));
    } else if tenant.text().len() >= 65 {
        errors.push(tenant.required("must be a UUID and may not exceed a length of 64 characters"));
    } else {
        for _ in registry.text().split(',').filter(|pair| !is_host_and_port(pair)) {
            errors.push(registry.invalid(WANTED));
        }
    }
    checks::present(&source.get("volume"), errors);
}

/// Whether a text is a host and a port, the host in brackets where it holds colons.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = |text: &str| !text.contains(['[', ']']);
    match bracketed {
        Some(host) => plain(host) && plain(port),
        None => !host.contains(':') && plain(host) && plain(port),
    }
}

fn fibre_channel(source: &At<'_>, errors: &mut Errors) {
    let (names, lun) = (source.get("targetWWNs"), source.get("lun"));
    match (names.len(), source.get("wwids").len()) {
        (0, 0) => errors.push(names.required("must specify either targetWWNs or wwids, but not both")),
        (1.., 1..) => {
            errors.push(names.invalid("targetWWNs and wwids can not be specified simultaneously"));
        }
        _ => {}
    }
    if names.len() > 0 {
        if lun.is_set() {
            checks::between(&lun, 0, 255, errors);
        } else {
            errors.push(lun.required("lun is required if targetWWNs is specified"));
        }
    }
}

fn flex(source: &At<'_>, errors: &mut Errors) {
    checks::present(&source.get("driver"), errors);
    let options = source.get("options");
    for (key, entry) in options.entries() {
        let namespace = key.split_once('/').map_or(key, |(namespace, _)| namespace);
        let domain = format!(".{}", namespace.to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            let wrong = "kubernetes.io and k8s.io namespaces are reserved";
            errors.push(Error::invalid(&entry.path(), key, wrong));
        }
    }
}

fn azure_disk(source: &At<'_>, errors: &mut Errors) {
    let (uri, kind) = (source.get("diskURI"), source.get("kind"));
    checks::present(&source.get("diskName"), errors);
    checks::present(&uri, errors);
    checks::one_of_if_set(&source.get("cachingMode"), &["None", "ReadOnly", "ReadWrite"], errors);
    checks::one_of_if_set(&kind, &["Dedicated", "Managed", "Shared"], errors);
    if !kind.is_set() {
        return;
    }
    let (prefix, allowed) = if kind.text() == "Managed" {
        (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        )
    } else {
        ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd")
    };
    if !uri.text().starts_with(prefix) {
        errors.push(Error::not_supported(&uri.path(), uri.text(), &[allowed]));
    }
}

/// The name of a CSI driver.
fn driver(name: &At<'_>, errors: &mut Errors) {
    if checks::present(name, errors) {
        if name.text().len() > 63 {
            errors.push(name.too_long(63));
        }
        checks::sentences(name, names::dns1123_subdomain(&name.text().to_lowercase()), errors);
    }
}

fn csi(source: &At<'_>, owner: Owner, errors: &mut Errors) {
    driver(&source.get("driver"), errors);
    if owner == Owner::Pod {
        let secret = source.get("nodePublishSecretRef");
        if secret.is_set() {
            let name = secret.get("name");
            if checks::present(&name, errors) {
                // Kubernetes names the field one level too high.
                let above = source.get("name");
                checks::named(&above.holding(name.value()), names::dns1123_subdomain, errors);
            }
        }
        return;
    }
    checks::present(&source.get("volumeHandle"), errors);
    for field in [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ] {
        let secret = source.get(field);
        if secret.is_set() {
            checks::present_and_named(&secret.get("name"), names::dns1123_subdomain, errors);
            checks::present_and_named(&secret.get("namespace"), names::dns1123_label, errors);
        }
    }
}
