//! Metadata: the same rules for every kind, but for what a name may be.

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use super::{networking, storage_version};
use crate::api::Resource;
use crate::api::field::Error;
use crate::api::names::{self, Check};

/// How large annotations may be together, in bytes.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// What the names of a kind must be.
pub(super) fn name_rule(row: &Resource) -> Check {
    match (&*row.group, &*row.kind) {
        ("", "Namespace" | "Service") | ("apps", "StatefulSet") => names::dns1123_label,
        // Budgets are judged by nothing but what every object is.
        ("policy", "PodDisruptionBudget") => names::path_segment,
        ("rbac.authorization.k8s.io", _) | ("apiregistration.k8s.io", "APIService") => names::path_segment,
        // Events come from old clients; no more is asked of them than that they can be addressed.
        ("", "Event") => names::path_segment,
        // That of a trust bundle follows from its signer's, and is judged with it.
        ("certificates.k8s.io", "CertificateSigningRequest" | "ClusterTrustBundle")
        | ("authentication.k8s.io" | "authorization.k8s.io", _) => names::path_segment,
        ("networking.k8s.io", "IPAddress") => networking::ip_address_name,
        ("coordination.k8s.io", "LeaseCandidate") => names::config_map_key,
        ("internal.apiserver.k8s.io", "StorageVersion") => storage_version::name,
        _ => names::dns1123_subdomain,
    }
}

pub(super) fn create(object: &At<'_>, row: &Resource, errors: &mut Errors) {
    let metadata = object.get("metadata");
    let rule = name_rule(row);
    let (name, generate) = (metadata.get("name"), metadata.get("generateName"));
    if !generate.text().is_empty() {
        checks::sentences(&generate, rule(&masked(generate.text())), errors);
    }
    if name.text().is_empty() {
        errors.push(name.required("name or generateName is required"));
    } else {
        checks::named(&name, rule, errors);
    }
    let namespace = metadata.get("namespace");
    if !row.namespaced() {
        if !namespace.text().is_empty() {
            errors.push(namespace.forbidden("not allowed on this type"));
        }
    } else {
        checks::present_and_named(&namespace, names::dns1123_label, errors);
    }
    checks::non_negative(&metadata.get("generation"), errors);
    common(&metadata, errors);
    finalizers(&metadata.get("finalizers"), errors);
    qualified_finalizers(&metadata.get("finalizers"), row, errors);
}

/// Metadata of an object that stands inside another one and is never stored by itself.
pub(super) fn embedded(metadata: &At<'_>, errors: &mut Errors) {
    let (name, generate) = (metadata.get("name"), metadata.get("generateName"));
    if !generate.text().is_empty() {
        checks::sentences(&generate, names::path_segment(&masked(generate.text())), errors);
    }
    checks::named_if_set(&name, names::path_segment, errors);
    checks::named_if_set(&metadata.get("namespace"), names::dns1123_label, errors);
    checks::non_negative(&metadata.get("generation"), errors);
    common(metadata, errors);
    finalizers(&metadata.get("finalizers"), errors);
}

/// Metadata on an update. Whether the revision is the newest is the server's to judge.
pub(super) fn update(new: &At<'_>, old: &At<'_>, row: &Resource, errors: &mut Errors) {
    let (new, old) = (new.get("metadata"), old.get("metadata"));
    if old.get("deletionTimestamp").is_set() {
        let (before, now) = (old.get("finalizers"), new.get("finalizers"));
        let known = |item: &At<'_>| before.items().any(|other| other.text() == item.text());
        let added: Vec<_> = now.items().filter(|item| !known(item)).map(|item| item.text()).collect();
        if !added.is_empty() {
            let shown: Vec<_> = added.iter().map(|name| format!("{name:?}")).collect();
            errors.push(now.forbidden(format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                shown.join(", ")
            )));
        }
    }
    let generation = new.get("generation");
    if generation.number().unwrap_or(0) < old.get("generation").number().unwrap_or(0) {
        errors.push(generation.invalid("must not be decremented"));
    }
    for field in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        checks::immutable(&new.get(field), &old.get(field), errors);
    }
    common(&new, errors);
    qualified_finalizers(&new.get("finalizers"), row, errors);
}

/// Of a built-in object, whoever finalizes it says in which domain he is.
///
/// Source: `ValidateObjectMeta` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).
fn qualified_finalizers(at: &At<'_>, row: &Resource, errors: &mut Errors) {
    let group = &*row.group;
    let elsewhere =
        ["apiextensions.k8s.io", "apiregistration.k8s.io", "admissionregistration.k8s.io", "policy"];
    if row.schema.is_none() || elsewhere.contains(&group) || row.kind == "Event" {
        return;
    }
    for finalizer in at.items() {
        let standard = matches!(finalizer.text(), "kubernetes" | "orphan" | "foregroundDeletion");
        if !finalizer.text().contains('/') && !standard {
            errors.push(
                finalizer.invalid("name is neither a standard finalizer name nor is it fully qualified"),
            );
        }
    }
}

fn common(metadata: &At<'_>, errors: &mut Errors) {
    checks::labels(&metadata.get("labels"), errors);
    annotations(&metadata.get("annotations"), errors);
    owners(&metadata.get("ownerReferences"), errors);
    for entry in metadata.get("managedFields").items() {
        let operation = entry.get("operation");
        if !matches!(operation.text(), "Apply" | "Update") {
            errors.push(operation.invalid("must be `Apply` or `Update`"));
        }
        let kind = entry.get("fieldsType");
        if !matches!(kind.text(), "" | "FieldsV1") {
            errors.push(kind.invalid("must be `FieldsV1`"));
        }
        let manager = entry.get("manager");
        if manager.text().len() > 128 {
            errors.push(Error::too_long(&manager.path(), 128));
        }
    }
}

/// The annotations here: keys like those of labels but in any case, and not too much text.
pub(super) fn annotations(at: &At<'_>, errors: &mut Errors) {
    for (key, _) in at.entries() {
        for sentence in names::qualified_name(&key.to_lowercase()) {
            errors.push(Error::invalid(&at.path(), key, sentence));
        }
    }
    annotations_size(at, errors);
}

/// How much text annotations may be.
pub(super) fn annotations_size(at: &At<'_>, errors: &mut Errors) {
    let size: usize = at.entries().map(|(key, value)| key.len() + value.text().len()).sum();
    if size > MAX_ANNOTATIONS {
        errors.push(Error::too_long(&at.path(), MAX_ANNOTATIONS));
    }
}

/// Owner references. Errors stand at the list, as Kubernetes has it.
fn owners(at: &At<'_>, errors: &mut Errors) {
    let mut controller: Option<String> = None;
    for owner in at.items() {
        let field = |name: &str| at.path().child(name);
        let text = |name: &str| owner.value()[name].as_str().unwrap_or_default().to_owned();
        if text("apiVersion").is_empty() {
            errors.push(Error::invalid(
                &field("apiVersion"),
                text("apiVersion"),
                "version must not be empty",
            ));
        }
        for name in ["kind", "name", "uid"] {
            if text(name).is_empty() {
                errors.push(Error::invalid(&field(name), "", "must not be empty"));
            }
        }
        if (&*text("apiVersion"), &*text("kind")) == ("v1", "Event") {
            errors.push(Error::invalid(
                &at.path(),
                owner.value().clone(),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if owner.get("controller").flag() {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                Some(first) => errors.push(at.invalid(format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for \
                     {first} and {this}"
                ))),
                None => controller = Some(this),
            }
        }
    }
}

fn finalizers(at: &At<'_>, errors: &mut Errors) {
    for finalizer in at.items() {
        for sentence in names::qualified_name(finalizer.text()) {
            errors.push(Error::invalid(&at.path(), finalizer.text(), sentence));
        }
    }
    let has = |name: &str| at.value().as_array().is_some_and(|list| list.contains(&Value::from(name)));
    if has("orphan") && has("foregroundDeletion") {
        errors.push(at.invalid("finalizer orphan and foregroundDeletion cannot be both set"));
    }
}

/// A prefix as the name that will be made of it: a dash at its end will not be at the name's.
fn masked(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            format!("{}a", &rest[..rest.len() - rest.chars().last().map_or(0, char::len_utf8)])
        }
        _ => prefix.to_owned(),
    }
}
