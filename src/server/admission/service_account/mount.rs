//! The token, mounted.

use serde_json::{Value, json};

use super::references;
use crate::server::tree::{map_mut, text};

const PREFIX: &str = "kube-api-access-";
const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How long a token is good that a pod did not ask for itself, in seconds. That it is no round number is how
/// kube-apiserver knows such tokens again.
///
/// Source: `WarnOnlyBoundTokenExpirationSeconds` of `k8s.io/kubernetes/pkg/serviceaccount` (1.36).
pub(super) const SECONDS: i64 = 60 * 60 + 7;

/// Mounts a token into every container that mounts nothing there itself; the volume is named by `suffix`
/// where the pod has none of the kind.
pub(super) fn token(pod: &mut Value, suffix: &str) {
    let held = references::items(pod, &["spec", "volumes"])
        .map(|volume| text(volume, &["name"]))
        .find(|name| name.starts_with(PREFIX))
        .map(str::to_owned);
    let name = held.clone().unwrap_or_else(|| format!("{PREFIX}{suffix}"));
    let mount = json!({"name": name, "readOnly": true, "mountPath": PATH});
    let mut needed = false;
    let spec = map_mut(pod, "spec");
    for list in ["initContainers", "containers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let taken = references::items(container, &["volumeMounts"])
                .any(|mount| text(mount, &["mountPath"]) == PATH);
            if !taken {
                push(container, "volumeMounts", mount.clone());
                needed = true;
            }
        }
    }
    if held.is_none() && needed {
        push(&mut pod["spec"], "volumes", volume(&name));
    }
}

fn push(tree: &mut Value, field: &str, item: Value) {
    let list = &mut tree[field];
    if !list.is_array() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

/// Token, the cluster's certificates and the pod's namespace.
fn volume(name: &str) -> Value {
    json!({
        "name": name,
        "projected": {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": SECONDS}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{
                    "path": "namespace",
                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                }]}},
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_container_without_a_mount_gets_one_and_the_pod_one_volume() {
        let mut pod = json!({"spec": {
            "initContainers": [{"name": "i"}],
            "containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"name": "own", "mountPath": PATH}]}],
            "volumes": [{"name": "own", "emptyDir": {}}],
        }});
        token(&mut pod, "x7z2p");
        let mounted = |list: &str, index: usize| pod["spec"][list][index]["volumeMounts"][0]["name"].clone();
        assert_eq!(mounted("initContainers", 0), "kube-api-access-x7z2p");
        assert_eq!(mounted("containers", 0), "kube-api-access-x7z2p");
        assert_eq!(mounted("containers", 1), "own");
        assert_eq!(pod["spec"]["volumes"].as_array().unwrap().len(), 2);
        let first = pod.clone();
        token(&mut pod, "other");
        assert_eq!(pod, first, "what is there is used");
    }

    #[test]
    fn no_volume_where_nobody_needs_it() {
        let mut pod =
            json!({"spec": {"containers": [{"volumeMounts": [{"name": "own", "mountPath": PATH}]}]}});
        let first = pod.clone();
        token(&mut pod, "x");
        assert_eq!(pod, first);
    }
}
