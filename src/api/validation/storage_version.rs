//! In which versions servers store their resources, and how stored objects get from one to another.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/{apiserverinternal,storagemigration}/validation` (1.36).

use std::collections::BTreeMap;

use super::at::At;
use super::checks::{self, Errors};
use super::conditions;
use crate::api::field::Error;
use crate::api::names;

/// A StorageVersion is named after its group and resource.
pub(super) fn name(name: &str) -> Vec<String> {
    let Some((group, resource)) = name.rsplit_once('.') else {
        return vec!["name must be in the form of <group>.<resource>".into()];
    };
    let group = names::dns1123_subdomain(group).into_iter().map(|why| format!("the group segment {why}"));
    let resource =
        names::dns1035_label(resource).into_iter().map(|why| format!("the resource segment {why}"));
    group.chain(resource).collect()
}

/// What a StorageVersion says of servers, which is all in its status.
pub(super) fn status(object: &At<'_>, errors: &mut Errors) {
    let status = object.get("status");
    let servers = status.get("storageVersions");
    let mut seen = Vec::new();
    for server in servers.items() {
        let id = server.get("apiServerID");
        if seen.contains(&id.text().to_owned()) {
            errors.push(id.duplicate());
        }
        seen.push(id.text().to_owned());
        self::server(&server, errors);
    }
    common(&servers, &status.get("commonEncodingVersion"), errors);
    conditions(&status, errors);
}

fn server(server: &At<'_>, errors: &mut Errors) {
    checks::named(&server.get("apiServerID"), names::dns1123_subdomain, errors);
    let (encoding, decodable, served) =
        (server.get("encodingVersion"), server.get("decodableVersions"), server.get("servedVersions"));
    let judge = |at: &At<'_>, errors: &mut Errors| {
        let wrong = wrong_version(at.text());
        if !wrong.is_empty() {
            errors.push(Error::invalid(&at.path(), at.text(), wrong.join(",")));
        }
    };
    let known = |version: &str| decodable.items().any(|at| at.text() == version);
    judge(&encoding, errors);
    decodable.items().for_each(|version| judge(&version, errors));
    if !known(encoding.text()) {
        let wrong = format!("decodableVersions must include encodingVersion {}", encoding.text());
        errors.push(decodable.invalid(wrong));
    }
    for version in served.items() {
        judge(&version, errors);
        if !known(version.text()) {
            let all: Vec<_> = decodable.items().map(|at| at.text().to_owned()).collect();
            errors.push(version.invalid(format!(
                "individual served version : {} must be included in decodableVersions : [{}]",
                version.text(),
                all.join(" ")
            )));
        }
    }
}

fn wrong_version(api_version: &str) -> Vec<String> {
    let parts: Vec<_> = api_version.split('/').collect();
    let (group, version) = match parts[..] {
        [version] => (None, version),
        [group, version] => (Some(group), version),
        _ => {
            return vec![
                "an apiVersion is a DNS-1035 label, which must consist of lower case alphanumeric characters or \
                 '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  \
                 or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?') with an optional DNS \
                 subdomain prefix and '/' (e.g. 'example.com/MyVersion')"
                    .into(),
            ];
        }
    };
    let judge = |what: &str, part: &str, rule: names::Check| -> Vec<String> {
        let wrong = if part.is_empty() { vec!["must be non-empty".into()] } else { rule(part) };
        wrong.into_iter().map(|why| format!("{what} part: {why}")).collect()
    };
    let group = group.map(|group| judge("group", group, names::dns1123_subdomain)).unwrap_or_default();
    group.into_iter().chain(judge("version", version, names::dns1035_label)).collect()
}

/// The version that all servers agree on, where they do.
fn common(servers: &At<'_>, said: &At<'_>, errors: &mut Errors) {
    let mut versions = servers.items().map(|server| server.get("encodingVersion").text().to_owned());
    let common = versions.next().filter(|first| versions.all(|other| other == *first));
    match (common, said.is_set()) {
        (None, true) => errors.push(said.invalid(
            "should be nil if servers do not agree on the same encoding version, or if there is no server \
             reporting the supported versions yet",
        )),
        (Some(common), false) => {
            errors.push(said.invalid(format!("the common encoding version is {common}")));
        }
        (Some(common), true) if common != said.text() => {
            errors.push(said.invalid(format!("the actual common encoding version is {common}")));
        }
        _ => {}
    }
}

/// Conditions. Errors stand at an item of the status, as Kubernetes has it.
fn conditions(status: &At<'_>, errors: &mut Errors) {
    let mut first = BTreeMap::new();
    for (index, condition) in status.get("conditions").items().enumerate() {
        let path = status.path().index(index);
        let text = |field: &str| condition.value()[field].as_str().unwrap_or_default();
        let kind = text("type");
        if let Some(before) = first.insert(kind.to_owned(), index) {
            let wrong =
                format!("the type of the condition is not unique, it also appears in conditions[{before}]");
            errors.push(Error::invalid(&path.child("type"), kind, wrong));
        }
        for field in ["type", "status"] {
            let sentences = names::qualified_name(text(field)).into_iter();
            errors.extend(sentences.map(|why| Error::invalid(&path.child(field), text(field), why)));
        }
        for field in ["reason", "message"] {
            if text(field).is_empty() {
                errors.push(Error::required(&path.child(field), ""));
            }
        }
    }
}

/// A migration of a resource's objects.
pub(super) fn migration(migration: &At<'_>, errors: &mut Errors) {
    let spec = migration.get("spec");
    let target = spec.get("resource");
    let (resource, group) = (target.get("resource"), target.get("group"));
    let joined = |at: &At<'_>, rule: names::Check, errors: &mut Errors| {
        let sentences = rule(at.text());
        if !sentences.is_empty() {
            errors.push(at.invalid(sentences.join(",")));
        }
    };
    if resource.text().is_empty() {
        errors.push(resource.required("resource is required to be set"));
    } else {
        joined(&resource, names::dns1035_label, errors);
    }
    if !group.text().is_empty() {
        joined(&group, names::dns1123_subdomain, errors);
    }
}

pub(super) fn migration_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    checks::immutable(&new.get("spec"), &old.get("spec"), errors);
}

pub(super) fn migration_status(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (status, before) = (new.get("status"), old.get("status"));
    let (revision, list) = (status.get("resourceVersion"), status.get("conditions"));
    let text = revision.text();
    if !text.is_empty() && wrong_revision(text) {
        errors.push(revision.invalid(format!("resource version is not well formed: {text}")));
    }
    conditions::all(&list, errors);
    let was = before.get("resourceVersion");
    if !was.text().is_empty() && was.text() != text {
        errors.push(Error::invalid(&revision.path(), text, checks::IMMUTABLE));
    }
    let holds = |status: &At<'_>, kind: &str| {
        let list = status.value()["conditions"].as_array().map_or(&[][..], Vec::as_slice);
        list.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    if holds(&status, "Succeeded") && holds(&status, "Failed") {
        errors.push(list.invalid("Both success and failed conditions cannot be true at the same time"));
    }
    for (kind, shown) in [("Succeeded", "Success"), ("Failed", "Failed")] {
        if holds(&before, kind) && !holds(&status, kind) {
            errors.push(list.invalid(format!("{shown} condition cannot be set to false once it is true")));
        }
    }
}

/// Whether a text is no revision of a store: digits, without a zero before them.
fn wrong_revision(text: &str) -> bool {
    !text.bytes().all(|byte| byte.is_ascii_digit()) || text.starts_with('0')
}
