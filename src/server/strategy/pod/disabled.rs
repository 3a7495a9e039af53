//! Fields that Kubernetes 1.36 knows but drops, because the features behind them are off unless somebody turns
//! them on. An object that has one keeps it.
//!
//! Source: `dropDisabledFields` and `dropDisabledPodStatusFields` of `k8s.io/kubernetes/pkg/api/pod` (1.36).

use serde_json::Value;

use crate::server::tree::at;

/// Drops them from the spec of a pod, or of a template of pods.
pub(in crate::server::strategy) fn drop_from_spec(spec: &mut Value, old: Option<&Value>) {
    for source in ["clusterTrustBundle", "podCertificate"] {
        if !old.is_some_and(|old| projects(old, source)) {
            drop_projections(spec, source);
        }
    }
    if old.is_none_or(|old| at(old, &["schedulingGroup"]).is_none())
        && let Some(spec) = spec.as_object_mut()
    {
        spec.remove("schedulingGroup");
    }
    if !old.is_some_and(has_stop_signal) {
        drop_stop_signals(spec);
    }
}

/// Drops them from the status of a pod.
pub(super) fn drop_from_status(status: &mut Value, old: &Value) {
    if at(old, &["nodeAllocatableResourceClaimStatuses"]).is_none()
        && let Some(status) = status.as_object_mut()
    {
        status.remove("nodeAllocatableResourceClaimStatuses");
    }
    if !mounts(old).any(|mount| at(mount, &["volumeStatus"]).is_some()) {
        for list in STATUSES {
            for container in items_mut(status, list) {
                for mount in items_mut(container, "volumeMounts").filter_map(Value::as_object_mut) {
                    mount.remove("volumeStatus");
                }
            }
        }
    }
}

const STATUSES: [&str; 3] = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

fn items<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    value.get(list).and_then(Value::as_array).into_iter().flatten()
}

fn items_mut<'a>(value: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

fn mounts(status: &Value) -> impl Iterator<Item = &Value> {
    STATUSES
        .into_iter()
        .flat_map(|list| items(status, list))
        .flat_map(|container| items(container, "volumeMounts"))
}

fn projects(spec: &Value, source: &str) -> bool {
    let mut sources = items(spec, "volumes")
        .filter_map(|volume| volume.get("projected"))
        .flat_map(|own| items(own, "sources"));
    sources.any(|own| at(own, &[source]).is_some())
}

fn drop_projections(spec: &mut Value, source: &str) {
    for volume in items_mut(spec, "volumes") {
        let Some(projected) = volume.get_mut("projected") else { continue };
        for own in items_mut(projected, "sources").filter_map(Value::as_object_mut) {
            own.remove(source);
        }
    }
}

fn has_stop_signal(spec: &Value) -> bool {
    let mut containers = CONTAINERS.into_iter().flat_map(|list| items(spec, list));
    containers.any(|container| at(container, &["lifecycle", "stopSignal"]).is_some())
}

fn drop_stop_signals(spec: &mut Value) {
    for list in CONTAINERS {
        for container in items_mut(spec, list).filter_map(Value::as_object_mut) {
            let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) else {
                continue;
            };
            if lifecycle.remove("stopSignal").is_some() && lifecycle.is_empty() {
                container.remove("lifecycle");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> Value {
        json!({
            "schedulingGroup": {"podGroupName": "g"},
            "containers": [{"name": "a", "lifecycle": {"stopSignal": "SIGUSR1"}},
                {"name": "b", "lifecycle": {"stopSignal": "SIGUSR1", "preStop": {"sleep": {"seconds": 1}}}}],
            "volumes": [{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "a"}},
                {"podCertificate": {}, "secret": {"name": "s"}}]}}],
        })
    }

    #[test]
    fn what_is_off_is_dropped_unless_it_was_there() {
        let mut new = spec();
        drop_from_spec(&mut new, None);
        assert_eq!(
            new,
            json!({
                "containers": [{"name": "a"}, {"name": "b", "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}],
                "volumes": [{"name": "v", "projected": {"sources": [{}, {"secret": {"name": "s"}}]}}],
            })
        );
        let mut kept = spec();
        drop_from_spec(&mut kept, Some(&spec()));
        assert_eq!(kept, spec());
    }

    #[test]
    fn a_status_says_nothing_of_images_in_volumes() {
        let status = json!({"nodeAllocatableResourceClaimStatuses": [{}],
            "containerStatuses": [{"volumeMounts": [{"name": "v", "volumeStatus": {"image": {}}}]}]});
        let mut new = status.clone();
        drop_from_status(&mut new, &json!({}));
        assert_eq!(new, json!({"containerStatuses": [{"volumeMounts": [{"name": "v"}]}]}));
        let mut kept = status.clone();
        drop_from_status(&mut kept, &status);
        assert_eq!(kept, status);
    }
}
