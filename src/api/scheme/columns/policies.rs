//! The cells of admission policies, flows and services of APIs.

use jiff::Timestamp;
use serde_json::Value;

use super::{NONE, list, str_or};

const UNSET: &str = "<unset>";

pub(super) fn parameter_kind(policy: &Value, _: Timestamp) -> Value {
    match &policy["spec"]["paramKind"] {
        Value::Null => UNSET.into(),
        kind => format!("{}/{}", str_or(&kind["apiVersion"], ""), str_or(&kind["kind"], "")).into(),
    }
}

/// The parameter of a binding. Nobody can tell from here whether one without a namespace belongs to any.
pub(super) fn parameter(binding: &Value, _: Timestamp) -> Value {
    let parameter = &binding["spec"]["paramRef"];
    match (str_or(&parameter["namespace"], "*"), str_or(&parameter["name"], "")) {
        (_, "") if parameter["selector"].is_null() => UNSET.into(),
        (_, "") => written_out(&parameter["selector"]).into(),
        (namespace, name) => format!("{namespace}/{name}").into(),
    }
}

/// A selector as Kubernetes' generated `String` writes it.
fn written_out(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let labels: String = labels.map(|(key, value)| format!("{key}: {},", str_or(value, ""))).collect();
    let expression = |own: &Value| {
        let values: Vec<_> = list(&own["values"]).iter().filter_map(Value::as_str).collect();
        let (key, operator) = (str_or(&own["key"], ""), str_or(&own["operator"], ""));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{}],}},", values.join(" "))
    };
    let expressions: String = list(&selector["matchExpressions"]).iter().map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},\
         MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

pub(super) fn missing_level(schema: &Value, _: Timestamp) -> Value {
    let mut conditions = list(&schema["status"]["conditions"]).iter();
    let dangling = conditions.find(|condition| condition["type"] == "Dangling");
    dangling.map_or("?", |condition| str_or(&condition["status"], "")).into()
}

/// A number of a level's limits; none where it has no such limit.
pub(super) fn limit(level: &Value, path: &str) -> Value {
    level["spec"]["limited"]
        .pointer(path)
        .filter(|limit| !limit.is_null())
        .cloned()
        .unwrap_or_else(|| NONE.into())
}

pub(super) fn service(service: &Value, _: Timestamp) -> Value {
    match &service["spec"]["service"] {
        Value::Null => "Local".into(),
        own => format!("{}/{}", str_or(&own["namespace"], ""), str_or(&own["name"], "")).into(),
    }
}

pub(super) fn available(service: &Value, _: Timestamp) -> Value {
    let mut conditions = list(&service["status"]["conditions"]).iter();
    let Some(condition) = conditions.find(|condition| condition["type"] == "Available") else {
        return "Unknown".into();
    };
    match (str_or(&condition["status"], ""), str_or(&condition["reason"], "")) {
        ("True", _) => "True".into(),
        (status, "") => status.into(),
        (status, reason) => format!("{status} ({reason})").into(),
    }
}
