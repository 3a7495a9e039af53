//! The cells of autoscalers.

use jiff::Timestamp;
use serde_json::Value;

use super::{NONE, list, str_or};

/// How many targets are shown.
const TARGETS_MAX: usize = 2;

pub(super) fn reference(autoscaler: &Value, _: Timestamp) -> Value {
    let target = &autoscaler["spec"]["scaleTargetRef"];
    format!("{}/{}", str_or(&target["kind"], ""), str_or(&target["name"], "")).into()
}

pub(super) fn min_pods(autoscaler: &Value, _: Timestamp) -> Value {
    autoscaler["spec"]["minReplicas"]
        .as_i64()
        .map_or_else(|| "<unset>".to_owned(), |min| min.to_string())
        .into()
}

pub(super) fn max_pods(autoscaler: &Value, _: Timestamp) -> Value {
    autoscaler["spec"]["maxReplicas"].as_i64().unwrap_or(0).into()
}

pub(super) fn replicas(autoscaler: &Value, _: Timestamp) -> Value {
    autoscaler["status"]["currentReplicas"].as_i64().unwrap_or(0).into()
}

/// What each metric is, and what it should be.
pub(super) fn targets(autoscaler: &Value, _: Timestamp) -> Value {
    let current = list(&autoscaler["status"]["currentMetrics"]);
    let none = Value::Null;
    let metrics = list(&autoscaler["spec"]["metrics"]).iter().enumerate();
    let all: Vec<_> =
        metrics.map(|(index, metric)| target(metric, current.get(index).unwrap_or(&none))).collect();
    if all.is_empty() {
        return NONE.into();
    }
    let shown = all[..all.len().min(TARGETS_MAX)].join(", ");
    match all.len().checked_sub(TARGETS_MAX) {
        None | Some(0) => shown.into(),
        Some(more) => format!("{shown} + {more} more...").into(),
    }
}

fn target(metric: &Value, current: &Value) -> String {
    const UNKNOWN: &str = "<unknown>";
    let (field, of_resource, may_average) = match str_or(&metric["type"], "") {
        "External" => ("external", false, true),
        "Object" => ("object", false, true),
        "Pods" => ("pods", false, false),
        "Resource" => ("resource", true, false),
        "ContainerResource" => ("containerResource", true, false),
        _ => return "<unknown type>".into(),
    };
    let (wanted, is) = (&metric[field]["target"], &current[field]["current"]);
    let average = str_or(&wanted["averageValue"], "");
    let now = |field: &str| str_or(&is[field], UNKNOWN);
    let percent = |value: &Value, otherwise: &str| {
        value.as_i64().map_or_else(|| otherwise.to_owned(), |value| format!("{value}%"))
    };
    if of_resource {
        let name = str_or(&metric[field]["name"], "");
        return if average.is_empty() {
            let (is, wanted) = (&is["averageUtilization"], &wanted["averageUtilization"]);
            format!("{name}: {}/{}", percent(is, UNKNOWN), percent(wanted, "<auto>"))
        } else {
            format!("{name}: {}/{average}", now("averageValue"))
        };
    }
    match (average.is_empty(), may_average) {
        (false, true) => format!("{}/{average} (avg)", now("averageValue")),
        (_, false) => format!("{}/{average}", now("averageValue")),
        (true, true) => format!("{}/{}", now("value"), str_or(&wanted["value"], "<nil>")),
    }
}
