//! Volumes: which pods can run without them.
//!
//! No runtime mounts anything yet. A pod whose containers mount something that matters must not
//! run without it: it waits, and says why. The token that every pod is given by default does not
//! count, since a program that wants it says so by failing.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Volume};

use super::lifecycle::{Failure, spec};

/// Why a pod must wait, if it mounts what cannot be mounted.
pub(super) fn refusal(pod: &Pod, now: Timestamp) -> Option<Failure> {
    let spec = spec(pod);
    let containers = || spec.init_containers.iter().flatten().chain(&spec.containers);
    let used = |name: &str| {
        containers().any(|container| {
            let mounts = container.volume_mounts.iter().flatten().any(|mount| mount.name == name);
            mounts || container.volume_devices.iter().flatten().any(|device| device.name == name)
        })
    };
    let refused: Vec<_> = spec
        .volumes
        .iter()
        .flatten()
        .filter(|volume| used(&volume.name) && !is_default_token(volume))
        .map(|volume| format!("{:?}", volume.name))
        .collect();
    if refused.is_empty() {
        return None;
    }
    let message = format!(
        "Unable to attach or mount volumes: the container runtime of this node mounts no volumes: {}",
        refused.join(", ")
    );
    Some(Failure {
        reason: "CreateContainerConfigError".into(),
        subject: String::new(),
        message,
        at: now,
        retry: Timestamp::MAX,
    })
}

/// Whether this is what admission adds to every pod: a token, the cluster's certificate, the namespace.
fn is_default_token(volume: &Volume) -> bool {
    let named = volume.name.starts_with("kube-api-access-");
    volume.projected.as_ref().filter(|_| named).is_some_and(|projected| {
        projected.sources.iter().flatten().any(|source| source.service_account_token.is_some())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(name: &str, volume: Value, mounted: bool) -> Option<String> {
        let mut volume = volume;
        volume["name"] = name.into();
        let mounts = if mounted { json!([{"name": name, "mountPath": "/v"}]) } else { json!([]) };
        let pod =
            json!({"spec": {"volumes": [volume], "containers": [{"name": "c", "volumeMounts": mounts}]}});
        refusal(&serde_json::from_value(pod).unwrap(), Timestamp::UNIX_EPOCH).map(|failure| failure.message)
    }

    #[test]
    fn what_matters_is_refused() {
        for volume in [
            json!({"emptyDir": {}}),
            json!({"configMap": {"name": "c"}}),
            json!({"secret": {"secretName": "s"}}),
        ] {
            assert!(
                refused("v", volume.clone(), true).unwrap().ends_with("mounts no volumes: \"v\""),
                "{volume}"
            );
            assert_eq!(refused("v", volume, false), None, "nobody mounts it");
        }
        let token = json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}});
        assert_eq!(refused("kube-api-access-x7z2p", token.clone(), true), None);
        assert!(refused("mine", token, true).is_some());
    }
}
