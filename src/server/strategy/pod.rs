//! Pods.

use serde_json::{Value, json};

use super::{DEFAULT, Generation, Strategy};
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
    },
    update_status: |_, new, old| {
        // The class follows from the specification; a status cannot say another.
        copy_field(map_mut(new, "status"), old["status"].as_object(), "qosClass");
        copy_field(metadata_mut(new), old["metadata"].as_object(), "ownerReferences");
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

/// The quality of service class that a pod's resources make.
///
/// Source: `ComputePodQOS` of `k8s.io/kubernetes/pkg/apis/core/helper/qos` (1.36).
fn qos_class(tree: &Value) -> &'static str {
    let containers = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| at(tree, &["spec", list]).and_then(Value::as_array).into_iter().flatten());
    let amount = |container: &Value, kind: &str, name: &str| {
        at(container, &["resources", kind, name])
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .and_then(|text| text.parse::<crate::api::quantity::Quantity>().ok())
            .filter(|quantity| !quantity.is_zero())
    };
    let (mut any, mut guaranteed) = (false, true);
    for container in containers {
        for name in ["cpu", "memory"] {
            let (limit, request) = (amount(container, "limits", name), amount(container, "requests", name));
            any |= limit.is_some() || request.is_some();
            guaranteed &= limit.is_some() && limit == request;
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
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
    fn a_pod_on_no_node_needs_no_grace() {
        let pod = |node: &str, phase: &str| json!({"spec": {"nodeName": node, "terminationGracePeriodSeconds": 7}, "status": {"phase": phase}});
        assert_eq!((POD.grace)(&pod("", "Pending"), None), Some(0));
        assert_eq!((POD.grace)(&pod("n", "Running"), None), Some(7));
        assert_eq!((POD.grace)(&pod("n", "Running"), Some(3)), Some(3));
        assert_eq!((POD.grace)(&pod("n", "Running"), Some(-5)), Some(1));
        assert_eq!((POD.grace)(&pod("n", "Succeeded"), Some(3)), Some(0));
    }
}
