//! HorizontalPodAutoscalers of `autoscaling/v1`, which know of nothing but CPU: what else one of `v2` says
//! goes along in annotations.
//!
//! Source: `Convert_autoscaling_HorizontalPodAutoscaler_To_v1_HorizontalPodAutoscaler` and its inverse, of
//! `k8s.io/kubernetes/pkg/apis/autoscaling/v1` (1.36).

use serde_json::{Map, Value, json};

use crate::api::defaults::{Fields, child};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CARRIED: [&str; 6] = [
    METRICS,
    CURRENT_METRICS,
    CONDITIONS,
    BEHAVIOR,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
];

/// What the older version calls a field, where the newer has it, and what it is there when it is absent.
type Names = &'static [(&'static str, &'static str, Option<&'static str>)];

/// The kinds of metrics: `type`, the field of that type, and what stands in it in a spec and in a status.
const KINDS: [(&str, &str, Names, Names); 5] = [
    (
        "Resource",
        "resource",
        &[
            ("name", "name", None),
            ("targetAverageUtilization", "target.averageUtilization", None),
            ("targetAverageValue", "target.averageValue", None),
        ],
        &[
            ("name", "name", None),
            ("currentAverageUtilization", "current.averageUtilization", None),
            ("currentAverageValue", "current.averageValue", Some("0")),
        ],
    ),
    (
        "ContainerResource",
        "containerResource",
        &[
            ("name", "name", None),
            ("container", "container", None),
            ("targetAverageUtilization", "target.averageUtilization", None),
            ("targetAverageValue", "target.averageValue", None),
        ],
        &[
            ("name", "name", None),
            ("container", "container", None),
            ("currentAverageUtilization", "current.averageUtilization", None),
            ("currentAverageValue", "current.averageValue", Some("0")),
        ],
    ),
    (
        "Pods",
        "pods",
        &[
            ("metricName", "metric.name", None),
            ("selector", "metric.selector", None),
            ("targetAverageValue", "target.averageValue", Some("0")),
        ],
        &[
            ("metricName", "metric.name", None),
            ("selector", "metric.selector", None),
            ("currentAverageValue", "current.averageValue", Some("0")),
        ],
    ),
    (
        "Object",
        "object",
        &[
            ("target", "describedObject", None),
            ("metricName", "metric.name", None),
            ("selector", "metric.selector", None),
            ("targetValue", "target.value", Some("0")),
            ("averageValue", "target.averageValue", None),
        ],
        &[
            ("target", "describedObject", None),
            ("metricName", "metric.name", None),
            ("selector", "metric.selector", None),
            ("currentValue", "current.value", Some("0")),
            ("averageValue", "current.averageValue", None),
        ],
    ),
    (
        "External",
        "external",
        &[
            ("metricName", "metric.name", None),
            ("metricSelector", "metric.selector", None),
            ("targetValue", "target.value", None),
            ("targetAverageValue", "target.averageValue", None),
        ],
        &[
            ("metricName", "metric.name", None),
            ("metricSelector", "metric.selector", None),
            ("currentValue", "current.value", Some("0")),
            ("currentAverageValue", "current.averageValue", None),
        ],
    ),
];

/// Of `v2`, as one of `v1`.
pub(super) fn older(object: &mut Fields) {
    let mut carried = Vec::new();
    child(object, "spec", |spec| {
        let metrics = items(spec.remove("metrics"));
        if let Some(cpu) = metrics.iter().find(|metric| targets_cpu(metric)) {
            let target = cpu["resource"]["target"]["averageUtilization"].clone();
            spec.insert("targetCPUUtilizationPercentage".into(), target);
        }
        let others: Vec<_> =
            metrics.iter().filter(|metric| !targets_cpu(metric)).map(|metric| flat(metric, false)).collect();
        carried.push((METRICS, Value::from(others)));
        if let Some(behavior) = spec.remove("behavior").filter(|behavior| !behavior.is_null()) {
            carried.push((BEHAVIOR, recased(&behavior, |first| first.to_ascii_uppercase())));
        }
    });
    child(object, "status", |status| {
        let metrics = items(status.remove("currentMetrics"));
        let cpu = |metric: &&Value| metric["type"] == "Resource" && metric["resource"]["name"] == "cpu";
        let used = |metric: &Value| metric["resource"]["current"]["averageUtilization"].clone();
        if let Some(used) = metrics.iter().filter(cpu).map(used).rfind(|used| !used.is_null()) {
            status.insert("currentCPUUtilizationPercentage".into(), used);
        }
        carried.push((CURRENT_METRICS, metrics.iter().map(|metric| flat(metric, true)).collect()));
        carried.push((CONDITIONS, items(status.remove("conditions")).into()));
        for count in ["currentReplicas", "desiredReplicas"] {
            status.entry(count).or_insert_with(|| 0.into());
        }
    });
    annotate(object, |annotations| {
        annotations.retain(|name, _| !CARRIED.contains(&name.as_str()));
        for (name, value) in carried {
            if value.as_array().is_none_or(|items| !items.is_empty()) {
                annotations.insert(name.into(), value.to_string().into());
            }
        }
    });
}

/// Of `v1`, as one of `v2`. What its annotations say and cannot be read is lost.
pub(super) fn newer(object: &mut Fields) {
    let mut carried = Map::new();
    annotate(object, |annotations| {
        carried = CARRIED.iter().filter_map(|name| annotations.remove_entry(*name)).collect();
    });
    let carried = |name: &str| {
        carried.get(name).and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok())
    };
    child(object, "spec", |spec| {
        let mut metrics: Vec<_> =
            items(carried(METRICS)).iter().map(|metric| nested(metric, false)).collect();
        if let Some(target) = spec.remove("targetCPUUtilizationPercentage").filter(|target| !target.is_null())
        {
            let target = json!({"type": "Utilization", "averageUtilization": target});
            metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
        }
        // Where there are none, the defaults say what they are.
        if !metrics.is_empty() {
            spec.insert("metrics".into(), metrics.into());
        }
        let behavior =
            carried(BEHAVIOR).map(|behavior| recased(&behavior, |first| first.to_ascii_lowercase()));
        if let Some(behavior) =
            behavior.filter(|behavior| behavior.as_object().is_some_and(|rules| !rules.is_empty()))
        {
            spec.insert("behavior".into(), behavior);
        }
    });
    child(object, "status", |status| {
        let used = status.remove("currentCPUUtilizationPercentage").filter(|used| !used.is_null());
        let metrics = match carried(CURRENT_METRICS) {
            Some(metrics) => items(Some(metrics)).iter().map(|metric| nested(metric, true)).collect(),
            None => used.map_or_else(Vec::new, |used| {
                let current = json!({"averageUtilization": used});
                vec![json!({"type": "Resource", "resource": {"name": "cpu", "current": current}})]
            }),
        };
        if !metrics.is_empty() {
            status.insert("currentMetrics".into(), metrics.into());
        }
        if let Some(conditions) = carried(CONDITIONS).filter(Value::is_array) {
            status.insert("conditions".into(), conditions);
        }
    });
}

/// Works on the annotations, and leaves none where none are left.
fn annotate(object: &mut Fields, work: impl FnOnce(&mut Fields)) {
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else { return };
    let mut annotations = match metadata.remove("annotations") {
        Some(Value::Object(annotations)) => annotations,
        _ => Map::new(),
    };
    work(&mut annotations);
    if !annotations.is_empty() {
        metadata.insert("annotations".into(), annotations.into());
    }
}

fn items(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// Whether a metric is what `v1` has a field for.
fn targets_cpu(metric: &Value) -> bool {
    let resource = &metric["resource"];
    metric["type"] == "Resource"
        && resource["name"] == "cpu"
        && resource["target"]["averageUtilization"].is_number()
}

fn names(kind: &'static (&str, &str, Names, Names), current: bool) -> Names {
    if current { kind.3 } else { kind.2 }
}

/// A metric as `v1` has it, `current` in a status.
fn flat(metric: &Value, current: bool) -> Value {
    let mut out = json!({"type": metric["type"]});
    for kind in KINDS.iter().filter(|kind| metric[kind.1].is_object()) {
        let source = &metric[kind.1];
        let mut fields = Map::new();
        for (older, newer, otherwise) in names(kind, current) {
            let found = newer.split('.').fold(source, |value, step| &value[step]);
            match (found, otherwise) {
                (Value::Null, None) => {}
                (Value::Null, Some(zero)) => drop(fields.insert((*older).into(), (*zero).into())),
                (found, _) => drop(fields.insert((*older).into(), found.clone())),
            }
        }
        out[kind.1] = fields.into();
    }
    out
}

/// The inverse of [`flat`].
fn nested(metric: &Value, current: bool) -> Value {
    let mut out = json!({"type": metric["type"]});
    for kind in KINDS.iter().filter(|kind| metric[kind.1].is_object()) {
        let source = &metric[kind.1];
        let mut fields = json!({});
        for (older, newer, _) in names(kind, current).iter().filter(|(older, ..)| !source[*older].is_null()) {
            match newer.split_once('.') {
                Some((outer, inner)) => fields[outer][inner] = source[*older].clone(),
                None => fields[*newer] = source[*older].clone(),
            }
        }
        if !current {
            target_type(kind.0, &mut fields);
        }
        out[kind.1] = fields;
    }
    out
}

/// `v1` says of what type a target is by which of its fields is there.
fn target_type(kind: &str, fields: &mut Value) {
    let has = |field: &str| !fields["target"][field].is_null();
    let target_type = match kind {
        "Resource" | "ContainerResource" if has("averageUtilization") => "Utilization",
        "Object" if !has("averageValue") => "Value",
        "External" if has("value") => "Value",
        _ => "AverageValue",
    };
    let is_idle_value = kind == "Object" && target_type == "AverageValue" && fields["target"]["value"] == "0";
    fields["target"]["type"] = target_type.into();
    if is_idle_value && let Some(target) = fields["target"].as_object_mut() {
        target.remove("value");
    }
}

/// The same with other first letters of its fields: the behavior is carried as Go names its fields.
fn recased(value: &Value, first: fn(&char) -> char) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                let mut letters = name.chars();
                let start = letters.next().map(|letter| first(&letter));
                (start.into_iter().chain(letters).collect::<String>(), recased(value, first))
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| recased(item, first)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(tree: &Value, convert: fn(&mut Fields)) -> Value {
        let mut tree = tree.clone();
        convert(tree.as_object_mut().unwrap());
        tree
    }

    #[test]
    fn what_the_older_version_has_no_field_for_comes_back() {
        let target = |kind: &str, field: &str, value: Value| json!({"type": kind, field: value});
        let metric = json!({"name": "hits", "selector": {"matchLabels": {"a": "b"}}});
        let described = json!({"kind": "Service", "name": "s", "apiVersion": "v1"});
        let new = json!({
            "metadata": {"name": "a", "annotations": {"own": "x"}},
            "spec": {
                "maxReplicas": 3,
                "metrics": [
                    {"type": "Resource", "resource": {"name": "memory", "target": target("AverageValue", "averageValue", json!("1Gi"))}},
                    {"type": "ContainerResource", "containerResource":
                        {"name": "cpu", "container": "c", "target": target("Utilization", "averageUtilization", json!(50))}},
                    {"type": "Pods", "pods": {"metric": metric, "target": target("AverageValue", "averageValue", json!("5"))}},
                    {"type": "Object", "object":
                        {"describedObject": described, "metric": {"name": "q"}, "target": target("Value", "value", json!("7"))}},
                    {"type": "Object", "object":
                        {"describedObject": described, "metric": {"name": "q"}, "target": target("AverageValue", "averageValue", json!("7"))}},
                    {"type": "External", "external": {"metric": metric, "target": target("Value", "value", json!("9"))}},
                    {"type": "Resource", "resource": {"name": "cpu", "target": target("Utilization", "averageUtilization", json!(60))}},
                ],
                "behavior": {"scaleDown": {"selectPolicy": "Min", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
            },
            "status": {
                "currentReplicas": 1, "desiredReplicas": 2,
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 10, "averageValue": "5m"}}}],
                "conditions": [{"type": "AbleToScale", "status": "True"}],
            },
        });
        let old = converted(&new, older);
        assert_eq!(old["spec"], json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 60}));
        assert_eq!(
            old["status"],
            json!({"currentReplicas": 1, "desiredReplicas": 2, "currentCPUUtilizationPercentage": 10})
        );
        let annotations = old["metadata"]["annotations"].as_object().unwrap();
        assert_eq!(annotations.len(), 5);
        let behavior: Value = serde_json::from_str(annotations[BEHAVIOR].as_str().unwrap()).unwrap();
        assert_eq!(behavior["ScaleDown"]["Policies"][0]["PeriodSeconds"], 60);
        assert_eq!(converted(&old, newer), new);
    }

    #[test]
    fn a_plain_one_needs_no_annotation() {
        let old = json!({"metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 80}});
        let new = converted(&old, newer);
        assert_eq!(
            new["spec"]["metrics"],
            json!([{"type": "Resource", "resource":
                {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}])
        );
        assert_eq!(converted(&new, older), old);
    }

    #[test]
    fn annotations_that_cannot_be_read_are_dropped() {
        let old = json!({"metadata": {"annotations": {METRICS: "[", BEHAVIOR: "1", CONDITIONS: "{}"}},
            "spec": {"maxReplicas": 1}, "status": {}});
        assert_eq!(converted(&old, newer), json!({"metadata": {}, "spec": {"maxReplicas": 1}, "status": {}}));
    }
}
