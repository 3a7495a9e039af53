//! Volumes, and claims to them.

use serde_json::Value;

use super::{fraction, list, pod};

const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const CLASS_WHY: &str = "deprecated since v1.8; use \"storageClassName\" attribute instead";

/// Volumes that were once there.
const GONE: [(&str, &str); 6] = [
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

pub(super) fn volume(volume: &Value) -> Vec<String> {
    let (spec, annotations) = (&volume["spec"], &volume["metadata"]["annotations"]);
    let mut warnings = Vec::new();
    for (key, why) in [
        (CLASS, CLASS_WHY),
        (
            "volume.beta.kubernetes.io/mount-options",
            "deprecated since v1.31; use \"mountOptions\" attribute instead",
        ),
    ] {
        if annotations.get(key).is_some() {
            warnings.push(format!("metadata.annotations[{key}]: {why}"));
        }
    }
    if spec["persistentVolumeReclaimPolicy"] == "Recycle" {
        warnings.push(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
             approach is to use dynamic provisioning."
                .to_owned(),
        );
    }
    for (index, term) in list(&spec["nodeAffinity"]["required"]["nodeSelectorTerms"]).iter().enumerate() {
        let path = format!("spec.nodeAffinity.required.nodeSelectorTerms[{index}]");
        warnings.extend(pod::node_term(term, false, &path));
    }
    for (source, why) in GONE.iter().filter(|(source, _)| spec[*source].is_object()) {
        warnings.push(format!("spec.{}: {why}", if *source == "storageos" { "storageOS" } else { source }));
    }
    warnings
}

pub(super) fn claim(claim: &Value) -> Vec<String> {
    let annotated = claim["metadata"]["annotations"].get(CLASS).is_some();
    let mut warnings: Vec<_> =
        annotated.then(|| format!("metadata.annotations[{CLASS}]: {CLASS_WHY}")).into_iter().collect();
    warnings.extend(spec(&claim["spec"], "spec"));
    warnings
}

/// What is said of the spec of a claim, or of a template of one, at a path.
pub(super) fn spec(spec: &Value, path: &str) -> Vec<String> {
    let kinds = ["requests", "limits"].into_iter();
    kinds
        .filter_map(|kind| {
            let path = format!("{path}.resources.{kind}[storage]");
            fraction(&spec["resources"][kind]["storage"], &path)
        })
        .collect()
}
