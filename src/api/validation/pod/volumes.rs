//! The volumes of a pod.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rules, env, projected};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::volume::{self, Owner, Source, known_as, paths, plain};
use crate::api::validation::{metadata, persistent_volume_claim};

/// What a volume may be made from, in the order in which Kubernetes looks.
const SOURCES: [Source; 30] = [
    plain("emptyDir"),
    plain("hostPath"),
    plain("gitRepo"),
    known_as("gcePersistentDisk", "persistentDisk", "gcePersistentDisk"),
    plain("awsElasticBlockStore"),
    plain("secret"),
    plain("nfs"),
    plain("iscsi"),
    plain("glusterfs"),
    plain("flocker"),
    plain("persistentVolumeClaim"),
    plain("rbd"),
    plain("cinder"),
    known_as("cephfs", "cephfs", "cephFS"),
    plain("quobyte"),
    known_as("downwardAPI", "downwardAPI", "downwarAPI"),
    plain("fc"),
    plain("flexVolume"),
    plain("configMap"),
    plain("azureFile"),
    plain("vsphereVolume"),
    plain("photonPersistentDisk"),
    plain("portworxVolume"),
    plain("azureDisk"),
    plain("storageos"),
    plain("projected"),
    plain("scaleIO"),
    plain("csi"),
    plain("ephemeral"),
    plain("image"),
];

/// The sound volumes of a pod, and what each is made from.
#[derive(Debug, Default)]
pub(super) struct Volumes<'a>(BTreeMap<&'a str, &'static str>);

impl Volumes<'_> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The field that holds what a volume is made from.
    pub(super) fn source(&self, name: &str) -> Option<&'static str> {
        self.0.get(name).copied()
    }
}

/// Judges the volumes of a spec. Answers those that are sound: a mount of another one is not found.
pub(super) fn all<'a>(spec: &At<'a>, rules: &Rules<'_>, errors: &mut Errors) -> Volumes<'a> {
    let volumes = spec.get("volumes");
    let mut sound = Volumes::default();
    let made: BTreeSet<String> = volumes
        .items()
        .filter(|volume| volume.has("ephemeral") && !rules.pod_name().is_empty())
        .map(|volume| format!("{}-{}", rules.pod_name(), volume.text_of("name")))
        .collect();
    let values = spec.value()["volumes"].as_array().into_iter().flatten();
    for (volume, value) in volumes.items().zip(values) {
        let mut found = Vec::new();
        let kind = source(&volume, rules, &mut found);
        let name = volume.get("name");
        checks::present_and_named(&name, names::dns1123_label, &mut found);
        if sound.has(name.text()) {
            found.push(name.duplicate());
        }
        if let (true, Some(kind)) = (found.is_empty(), kind) {
            sound.0.insert(value["name"].as_str().unwrap_or_default(), kind);
        }
        errors.extend(found);
        let claim = volume.get("persistentVolumeClaim");
        let claim = claim.get("claimName");
        if made.contains(claim.text()) {
            errors.push(claim.invalid("must not reference a PVC that gets created for an ephemeral volume"));
        }
    }
    sound
}

/// What a volume is made from: one thing.
fn source(volume: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) -> Option<&'static str> {
    let empty = volume.get("emptyDir");
    let limit = empty.get("sizeLimit");
    if checks::quantity(&limit).is_some_and(|limit| limit.is_negative()) {
        errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
    }
    let (kind, source) = volume::chosen(volume, &SOURCES, errors)?;
    let name = volume.get("name");
    match kind {
        "secret" => files(&source, "secretName", errors),
        "configMap" => files(&source, "name", errors),
        "downwardAPI" => {
            paths::mode(&source.get("defaultMode"), errors);
            // Kubernetes leaves the item out of these paths.
            source.get("items").items().for_each(|item| downward_file(&source.holding(item.value()), errors));
        }
        "projected" => {
            paths::mode(&source.get("defaultMode"), errors);
            projected::sources(&source, rules, errors);
        }
        "persistentVolumeClaim" => {
            checks::present(&source.get("claimName"), errors);
        }
        "ephemeral" => {
            claim_template(&source.get("volumeClaimTemplate"), errors);
            if !rules.pod_name().is_empty() && !name.text().is_empty() {
                let claim = format!("{}-{}", rules.pod_name(), name.text());
                let wrong = names::dns1123_subdomain(&claim).into_iter();
                errors.extend(wrong.map(|why| name.invalid(format!("PVC name {claim:?}: {why}"))));
            }
        }
        "image" => {
            if rules.is_pod() {
                checks::present(&source.get("reference"), errors);
            }
            checks::one_of(&source.get("pullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
        }
        _ => volume::check(kind, &source, Owner::Pod, errors),
    }
    let iscsi = volume.get("iscsi");
    if iscsi.is_set()
        && let Some(wrong) = volume::names_too_long(name.text(), &iscsi)
    {
        errors.push(name.invalid(wrong));
    }
    Some(kind)
}

/// The files of a Secret or ConfigMap, which is named by this field.
fn files(source: &At<'_>, name: &str, errors: &mut Errors) {
    checks::present(&source.get(name), errors);
    paths::mode(&source.get("defaultMode"), errors);
    source.get("items").items().for_each(|item| key_to_path(&item, errors));
}

/// A file that holds one key of a Secret or ConfigMap.
pub(super) fn key_to_path(item: &At<'_>, errors: &mut Errors) {
    let path = item.get("path");
    checks::present(&item.get("key"), errors);
    checks::present(&path, errors);
    paths::relative(&path, errors);
    paths::mode(&item.get("mode"), errors);
}

/// A file that tells of the pod itself.
pub(super) fn downward_file(file: &At<'_>, errors: &mut Errors) {
    let path = file.get("path");
    checks::present(&path, errors);
    paths::relative(&path, errors);
    let (field, resource) = (file.get("fieldRef"), file.get("resourceFieldRef"));
    if field.is_set() {
        env::field_ref(&field, &env::VOLUME_FIELDS, errors);
        if resource.is_set() {
            let wrong = "fieldRef and resourceFieldRef can not be specified simultaneously";
            errors.push(Error::invalid(&file.path(), "resource", wrong));
        }
    } else if resource.is_set() {
        env::resource_ref(&resource, true, errors);
    } else {
        errors.push(file.required("one of fieldRef and resourceFieldRef is required"));
    }
    paths::mode(&file.get("mode"), errors);
}

/// The claim that is made along with the pod, and goes with it.
fn claim_template(template: &At<'_>, errors: &mut Errors) {
    if !template.is_set() {
        errors.push(template.required(""));
        return;
    }
    let own = template.get("metadata");
    metadata::annotations(&own.get("annotations"), errors);
    checks::labels(&own.get("labels"), errors);
    for (field, at) in own.entries() {
        if !matches!(field, "annotations" | "labels") && !checks::is_empty(at.value()) {
            errors.push(own.get(field).forbidden("cannot be set"));
        }
    }
    persistent_volume_claim::spec(&template.get("spec"), None, errors);
}
