//! The cells of groups of pods.

use jiff::Timestamp;
use serde_json::Value;

use super::{NONE, list, str_or};

pub(super) fn policy(group: &Value, _: Timestamp) -> Value {
    if group["spec"]["schedulingPolicy"]["gang"].is_null() { "Basic" } else { "Gang" }.into()
}

pub(super) fn workload(group: &Value, _: Timestamp) -> Value {
    match &group["spec"]["podGroupTemplateRef"] {
        Value::Null => NONE.into(),
        reference => str_or(&reference["workload"]["workloadName"], "").into(),
    }
}

pub(super) fn status(group: &Value, _: Timestamp) -> Value {
    let last =
        |kind: &str| list(&group["status"]["conditions"]).iter().rfind(|condition| condition["type"] == kind);
    if let Some(disrupted) = last("DisruptionTarget") {
        return str_or(&disrupted["reason"], "").into();
    }
    match last("PodGroupScheduled") {
        None => "Pending",
        Some(scheduled) if scheduled["status"] == "True" => "Scheduled",
        Some(_) => "Unschedulable",
    }
    .into()
}
