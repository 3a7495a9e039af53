//! The cells of quotas, and of what a server without components says of them.

use jiff::Timestamp;
use serde_json::Value;

use super::{list, str_or};

pub(super) fn requests(quota: &Value, _: Timestamp) -> Value {
    amounts(quota, false)
}

pub(super) fn limits(quota: &Value, _: Timestamp) -> Value {
    amounts(quota, true)
}

/// What is used and what may be, of the resources that are limits or of all others, in order.
fn amounts(quota: &Value, of_limits: bool) -> Value {
    let hard = quota["status"]["hard"].as_object().into_iter().flatten();
    let mut amounts: Vec<_> = hard.filter(|(name, _)| name.starts_with("limits.") == of_limits).collect();
    amounts.sort_by_key(|(name, _)| *name);
    let used = |name: &str| str_or(&quota["status"]["used"][name], "0");
    let shown =
        amounts.into_iter().map(|(name, hard)| format!("{name}: {}/{}", used(name), str_or(hard, "0")));
    shown.collect::<Vec<_>>().join(", ").into()
}

fn health(component: &Value) -> Option<&Value> {
    list(&component["conditions"]).iter().find(|condition| condition["type"] == "Healthy")
}

pub(super) fn component_status(component: &Value, _: Timestamp) -> Value {
    match health(component) {
        None => "Unknown",
        Some(condition) if condition["status"] == "True" => "Healthy",
        Some(_) => "Unhealthy",
    }
    .into()
}

pub(super) fn component_message(component: &Value, _: Timestamp) -> Value {
    health(component).map_or("", |condition| str_or(&condition["message"], "")).into()
}

pub(super) fn component_error(component: &Value, _: Timestamp) -> Value {
    health(component).map_or("", |condition| str_or(&condition["error"], "")).into()
}
