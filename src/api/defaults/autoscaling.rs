//! Autoscalers.

use serde_json::{Value, json};

use super::{Fields, absent, blank, child, made};

/// A HorizontalPodAutoscaler. One of `autoscaling/v1` says less, and says it in other fields.
pub fn horizontal_pod_autoscaler(object: &mut Fields) {
    child(object, "spec", |spec| {
        absent(spec, "minReplicas", 1);
        let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}});
        blank(spec, "metrics", json!([{"type": "Resource", "resource": cpu}]));
        child(spec, "behavior", |behavior| {
            let policy = |kind: &str, value: i64| json!({"type": kind, "value": value, "periodSeconds": 15});
            made(behavior, "scaleUp", |rules| {
                absent(rules, "stabilizationWindowSeconds", 0);
                scaling(rules, json!([policy("Pods", 4), policy("Percent", 100)]));
            });
            // How long to wait before scaling down is the controller's to know.
            made(behavior, "scaleDown", |rules| scaling(rules, json!([policy("Percent", 100)])));
        });
    });
}

fn scaling(rules: &mut Fields, policies: Value) {
    absent(rules, "selectPolicy", "Max");
    absent(rules, "policies", policies);
}
