//! What a pod refers to: secrets, config maps, and other objects of the API.
//!
//! Source: `VisitPodSecretNames`, `VisitPodConfigmapNames` and `HasAPIObjectReference` of
//! `k8s.io/kubernetes/pkg/api/pod` (1.36).

use serde_json::Value;

use crate::server::tree::at;

/// The containers of a pod of all sorts, in order.
pub(super) fn containers<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    items(pod, &["spec", list])
}

/// The items of a list; none where there is no list.
pub(super) fn items<'a>(tree: &'a Value, path: &[&str]) -> impl Iterator<Item = &'a Value> + use<'a> {
    at(tree, path).and_then(Value::as_array).into_iter().flatten()
}

const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// In volumes, where the name of a secret stands.
const VOLUME_SECRETS: [&[&str]; 11] = [
    &["azureFile", "secretName"],
    &["cephfs", "secretRef", "name"],
    &["cinder", "secretRef", "name"],
    &["flexVolume", "secretRef", "name"],
    &["rbd", "secretRef", "name"],
    &["secret", "secretName"],
    &["scaleIO", "secretRef", "name"],
    &["iscsi", "secretRef", "name"],
    &["storageos", "secretRef", "name"],
    &["csi", "nodePublishSecretRef", "name"],
    &["projected"],
];

/// Whether any secret is named.
pub(super) fn has_secrets(pod: &Value) -> bool {
    let volume_names = |volume: &Value| {
        VOLUME_SECRETS.iter().any(|path| match path {
            ["projected"] => projected(volume).any(|source| at(source, &["secret"]).is_some()),
            path => at(volume, path).is_some(),
        })
    };
    items(pod, &["spec", "imagePullSecrets"]).next().is_some()
        || has_env(pod, "secretKeyRef", "secretRef")
        || items(pod, &["spec", "volumes"]).any(volume_names)
}

/// Whether any projected volume holds a service account's token.
pub(super) fn projects_token(pod: &Value) -> bool {
    items(pod, &["spec", "volumes"])
        .flat_map(projected)
        .any(|source| at(source, &["serviceAccountToken"]).is_some())
}

fn projected(volume: &Value) -> impl Iterator<Item = &Value> {
    items(volume, &["projected", "sources"])
}

fn has_env(pod: &Value, key: &str, whole: &str) -> bool {
    CONTAINERS.iter().flat_map(|list| containers(pod, list)).any(|container| {
        items(container, &["env"]).any(|env| at(env, &["valueFrom", key]).is_some())
            || items(container, &["envFrom"]).any(|from| at(from, &[whole]).is_some())
    })
}

/// What makes a pod depend on other objects of the API, in words; none where nothing does.
pub(super) fn to_api_objects(pod: &Value) -> Option<&'static str> {
    if at(pod, &["spec", "serviceAccountName"]).is_some_and(|name| name != "") {
        return Some("serviceaccounts");
    }
    if has_secrets(pod) {
        return Some("secrets");
    }
    let maps = |volume: &Value| {
        at(volume, &["configMap"]).is_some()
            || projected(volume).any(|source| at(source, &["configMap"]).is_some())
    };
    if has_env(pod, "configMapKeyRef", "configMapRef") || items(pod, &["spec", "volumes"]).any(maps) {
        return Some("configmaps");
    }
    if items(pod, &["spec", "resourceClaims"]).next().is_some() {
        return Some("resourceclaims");
    }
    const VOLUMES: [(&str, &str); 4] = [
        ("csi", "csidrivers (via CSI volumes)"),
        ("glusterfs", "endpoints (via glusterFS volumes)"),
        ("persistentVolumeClaim", "persistentvolumeclaims"),
        ("ephemeral", "persistentvolumeclaims (via ephemeral volumes)"),
    ];
    const PROJECTED: [(&str, &str); 3] = [
        ("serviceAccountToken", "serviceaccounts (via projected volumes)"),
        ("clusterTrustBundle", "clustertrustbundles"),
        ("podCertificate", "podcertificates"),
    ];
    items(pod, &["spec", "volumes"]).find_map(|volume| {
        let direct = VOLUMES.iter().find(|(field, _)| at(volume, &[field]).is_some());
        let within = || {
            projected(volume)
                .find_map(|source| PROJECTED.iter().find(|(field, _)| at(source, &[field]).is_some()))
        };
        direct.or_else(within).map(|(_, words)| *words)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_wherever_they_stand() {
        let cases = [
            (json!({}), None),
            (json!({"serviceAccountName": ""}), None),
            (json!({"serviceAccountName": "robot"}), Some("serviceaccounts")),
            (json!({"imagePullSecrets": [{"name": "s"}]}), Some("secrets")),
            (json!({"volumes": [{"secret": {"secretName": "s"}}]}), Some("secrets")),
            (json!({"volumes": [{"projected": {"sources": [{"secret": {"name": "s"}}]}}]}), Some("secrets")),
            (json!({"initContainers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}), Some("secrets")),
            (
                json!({"containers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "c"}}}]}]}),
                Some("configmaps"),
            ),
            (json!({"volumes": [{"emptyDir": {}}, {"hostPath": {"path": "/"}}]}), None),
            (
                json!({"volumes": [{"persistentVolumeClaim": {"claimName": "c"}}]}),
                Some("persistentvolumeclaims"),
            ),
            (json!({"volumes": [{"projected": {"sources": [{"downwardAPI": {}}]}}]}), None),
            (
                json!({"volumes": [{"projected": {"sources": [{"serviceAccountToken": {}}]}}]}),
                Some("serviceaccounts (via projected volumes)"),
            ),
        ];
        for (spec, expected) in cases {
            assert_eq!(to_api_objects(&json!({"spec": spec})), expected, "{spec}");
        }
    }
}
