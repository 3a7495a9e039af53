//! Pods.

pub(super) mod disabled;
mod written;

use serde_json::{Value, json};

use super::{DEFAULT, Generation, Strategy};
use crate::api::predicates;
use crate::server::tree::{at, copy_field, map_mut, metadata_mut, text};

pub(super) const POD: Strategy = Strategy {
    answers_deleted: true,
    generation: Generation::Spec,
    create: |context, tree| {
        let class = qos_class(tree);
        let gated = at(tree, &["spec", "schedulingGates"])
            .and_then(Value::as_array)
            .is_some_and(|gates| !gates.is_empty());
        let status = map_mut(tree, "status");
        status.insert("phase".into(), "Pending".into());
        status.insert("qosClass".into(), class.into());
        if gated {
            status.insert(
                "conditions".into(),
                json!([{
                    "type": "PodScheduled",
                    "status": "False",
                    "lastProbeTime": null,
                    "lastTransitionTime": context.now.to_string(),
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                }]),
            );
        }
        if let Some(spec) = tree.get_mut("spec") {
            disabled::drop_from_spec(spec, None);
        }
        written::label_keys(tree);
        written::app_armor(context, tree);
    },
    update: |_, new, old| drop_disabled(new, old),
    update_status: |_, new, old| {
        // The class follows from the specification; a status cannot say another.
        copy_field(map_mut(new, "status"), old["status"].as_object(), "qosClass");
        copy_field(metadata_mut(new), old["metadata"].as_object(), "ownerReferences");
        observed_generations(new, old);
        disabled::drop_from_status(&mut new["status"], &old["status"]);
    },
    grace: |old, asked| {
        let own = at(old, &["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64);
        let grace = asked.or(own).unwrap_or(30);
        let finished = matches!(text(old, &["status", "phase"]), "Failed" | "Succeeded");
        Some(match grace {
            _ if finished || text(old, &["spec", "nodeName"]).is_empty() => 0,
            negative if negative < 0 => 1,
            grace => grace,
        })
    },
    ..DEFAULT
};

/// The old pod with the new one's ephemeral containers.
///
/// Source: `dropNonEphemeralContainerUpdates` of `k8s.io/kubernetes/pkg/registry/core/pod` (1.36).
pub(crate) fn with_ephemeral_containers(new: &Value, old: &Value) -> Value {
    let mut kept = old.clone();
    copy_field(map_mut(&mut kept, "spec"), new["spec"].as_object(), "ephemeralContainers");
    copy_field(metadata_mut(&mut kept), new["metadata"].as_object(), "managedFields");
    drop_disabled(&mut kept, old);
    kept
}

/// Drops from a pod what is off, unless it was there; its status is the old one.
fn drop_disabled(pod: &mut Value, old: &Value) {
    if let Some(spec) = pod.get_mut("spec") {
        disabled::drop_from_spec(spec, old.get("spec"));
    }
}

/// The old pod with the new one's resources, for the containers and as a whole. Where other containers are
/// named than there are, it is the new one, so that validation says so.
///
/// Source: `dropNonResizeUpdates` of `k8s.io/kubernetes/pkg/registry/core/pod` (1.36).
pub(crate) fn resized(new: Value, old: &Value) -> Value {
    let names = |tree: &Value, list: &str| -> Vec<Value> {
        let containers = at(tree, &["spec", list]).and_then(Value::as_array);
        containers.into_iter().flatten().map(|one| one["name"].clone()).collect()
    };
    const LISTS: [&str; 2] = ["containers", "initContainers"];
    let mut kept = old.clone();
    copy_field(metadata_mut(&mut kept), new["metadata"].as_object(), "managedFields");
    if LISTS.iter().any(|list| names(&new, list) != names(old, list)) {
        map_mut(&mut kept, "spec");
        kept["spec"] = new["spec"].clone();
        drop_disabled(&mut kept, old);
        return kept;
    }
    for list in LISTS {
        let containers = kept["spec"].get_mut(list).and_then(Value::as_array_mut);
        for (own, wanted) in
            containers.into_iter().flatten().zip(new["spec"][list].as_array().into_iter().flatten())
        {
            let Some(own) = own.as_object_mut() else { continue };
            for field in ["resources", "resizePolicy"] {
                copy_field(own, wanted.as_object(), field);
            }
        }
    }
    copy_field(map_mut(&mut kept, "spec"), new["spec"].as_object(), "resources");
    drop_disabled(&mut kept, old);
    kept
}

/// Who does not know that conditions say which generation they are about leaves what they say alone.
///
/// Source: `preserveOldObservedGeneration` of `k8s.io/kubernetes/pkg/registry/core/pod` (1.36).
fn observed_generations(new: &mut Value, old: &Value) {
    const FIELD: &str = "observedGeneration";
    let generation = |value: &Value| value[FIELD].as_i64().unwrap_or(0);
    let keep = |value: &mut Value, before: i64| {
        if generation(value) == 0 && before != 0 {
            value[FIELD] = before.into();
        }
    };
    let before = &old["status"];
    let status = &mut new["status"];
    keep(status, generation(before));
    let mut known: Vec<_> = before["conditions"].as_array().into_iter().flatten().collect();
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(place) = known.iter().position(|known| known["type"] == condition["type"]) {
            keep(condition, generation(known.remove(place)));
        }
    }
}

/// The quality of service class that a pod's resources make.
fn qos_class(tree: &Value) -> String {
    // Only resources count: the rest of a spec need not be read for them.
    let own = |of: &Value| json!({"name": "", "resources": of.get("resources")});
    let all = |list: &str| at(tree, &["spec", list]).and_then(Value::as_array).into_iter().flatten().map(own);
    let spec = json!({
        "resources": at(tree, &["spec", "resources"]),
        "containers": all("containers").collect::<Value>(),
        "initContainers": all("initContainers").collect::<Value>(),
    });
    predicates::qos_class(&serde_json::from_value(spec).unwrap_or_default()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_make_the_class() {
        let pod = |resources: Value| json!({"spec": {"containers": [{"name": "a", "resources": resources}]}});
        assert_eq!(qos_class(&pod(json!({}))), "BestEffort");
        assert_eq!(qos_class(&pod(json!({"requests": {"cpu": "1"}}))), "Burstable");
        let both = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(qos_class(&pod(json!({"requests": both, "limits": both}))), "Guaranteed");
        let same = json!({"cpu": "1000m", "memory": "1024Mi"});
        assert_eq!(qos_class(&pod(json!({"requests": same, "limits": both}))), "Guaranteed");
    }

    #[test]
    fn a_pod_that_says_what_it_needs_as_a_whole_is_judged_by_that() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        let containers = json!([{"name": "a"}, {"name": "b", "resources": {"requests": {"cpu": "1"}}}]);
        let pod =
            json!({"spec": {"resources": {"requests": both, "limits": both}, "containers": containers}});
        assert_eq!(qos_class(&pod), "Guaranteed");
    }

    #[test]
    fn generations_that_a_status_leaves_out_stay() {
        let ready = |generation: i64| json!({"type": "Ready", "observedGeneration": generation});
        let old = json!({"status": {"observedGeneration": 3, "conditions": [ready(2)]}});
        let mut new = json!({"status": {"conditions": [{"type": "Ready"}, {"type": "Other"}]}});
        observed_generations(&mut new, &old);
        assert_eq!(
            new["status"],
            json!({"observedGeneration": 3, "conditions": [ready(2), {"type": "Other"}]})
        );
        let mut newer = json!({"status": {"observedGeneration": 4, "conditions": [ready(4)]}});
        observed_generations(&mut newer, &old);
        assert_eq!(newer["status"], json!({"observedGeneration": 4, "conditions": [ready(4)]}));
    }

    #[test]
    fn what_is_off_does_not_come_by_a_part_of_a_pod() {
        let container = |signal: Option<&str>| match signal {
            Some(signal) => json!({"name": "a", "lifecycle": {"stopSignal": signal}}),
            None => json!({"name": "a"}),
        };
        let pod = |signal: Option<&str>| json!({"metadata": {}, "spec": {"containers": [container(None)], "ephemeralContainers": [container(signal)]}});
        let added = with_ephemeral_containers(&pod(Some("SIGUSR1")), &pod(None));
        assert_eq!(added["spec"]["ephemeralContainers"], json!([{"name": "a"}]));
        let kept = with_ephemeral_containers(&pod(Some("SIGUSR2")), &pod(Some("SIGUSR1")));
        assert_eq!(kept["spec"]["ephemeralContainers"], json!([container(Some("SIGUSR2"))]));

        let old = json!({"metadata": {}, "spec": {"containers": [container(None)]}});
        let other = json!({"metadata": {}, "spec": {"schedulingGroup": {"podGroupName": "g"},
            "containers": [{"name": "b", "lifecycle": {"stopSignal": "SIGUSR1"}}]}});
        assert_eq!(resized(other, &old)["spec"], json!({"containers": [{"name": "b"}]}));
    }

    #[test]
    fn a_pod_on_no_node_needs_no_grace() {
        let pod = |node: &str, phase: &str| json!({"spec": {"nodeName": node, "terminationGracePeriodSeconds": 7}, "status": {"phase": phase}});
        assert_eq!((POD.grace)(&pod("", "Pending"), None), Some(0));
        assert_eq!((POD.grace)(&pod("n", "Running"), None), Some(7));
        assert_eq!((POD.grace)(&pod("n", "Running"), Some(3)), Some(3));
        assert_eq!((POD.grace)(&pod("n", "Running"), Some(-5)), Some(1));
        assert_eq!((POD.grace)(&pod("n", "Succeeded"), Some(3)), Some(0));
    }
}
