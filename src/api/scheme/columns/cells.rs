//! The cells of all other kinds.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use serde_json::Value;

use super::{NONE, list, str_or, time};
use crate::api::duration;
use crate::api::selector::LabelSelector;

pub(super) fn name(object: &Value, _: Timestamp) -> Value {
    str_or(&object["metadata"]["name"], "").into()
}

/// The name, with a word more where one of these annotations says that it is the default.
pub(super) fn marked_default(object: &Value, annotations: &[&str]) -> Value {
    let metadata = &object["metadata"];
    let is_default = annotations.iter().any(|key| metadata["annotations"][key] == "true");
    format!("{}{}", str_or(&metadata["name"], ""), if is_default { " (default)" } else { "" }).into()
}

pub(super) fn age(object: &Value, now: Timestamp) -> Value {
    since(&object["metadata"]["creationTimestamp"], now)
}

pub(super) fn since(value: &Value, now: Timestamp) -> Value {
    duration::since(time(value), now).into()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Labels as `a=b,c=d`.
pub(super) fn labels(value: &Value) -> String {
    let pairs = value.as_object().into_iter().flatten();
    let text: Vec<_> = pairs.map(|(key, value)| format!("{key}={}", str_or(value, ""))).collect();
    if text.is_empty() { NONE.into() } else { text.join(",") }
}

/// An object's selector as text; empty where it matches everything or is absent.
pub(super) fn selector_text(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    serde_json::from_value::<v1::LabelSelector>(value.clone())
        .ok()
        .and_then(|selector| LabelSelector::from_k8s(Some(&selector)).ok())
        .map_or_else(|| "<invalid>".into(), |selector| selector.to_string())
}

pub(super) fn selector(object: &Value, _: Timestamp) -> Value {
    let selector = &object["spec"]["selector"];
    let structured = selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some();
    let text = if structured { selector_text(selector) } else { labels(selector) };
    if text.is_empty() { NONE.into() } else { text.into() }
}

fn containers_of(template: &Value, field: &str) -> Value {
    let containers = list(&template["spec"]["containers"]);
    containers.iter().map(|container| str_or(&container[field], "")).collect::<Vec<_>>().join(",").into()
}

pub(super) fn containers(object: &Value, _: Timestamp) -> Value {
    containers_of(&object["spec"]["template"], "name")
}

pub(super) fn images(object: &Value, _: Timestamp) -> Value {
    containers_of(&object["spec"]["template"], "image")
}

pub(super) fn template_containers(object: &Value, _: Timestamp) -> Value {
    containers_of(&object["template"], "name")
}

pub(super) fn template_images(object: &Value, _: Timestamp) -> Value {
    containers_of(&object["template"], "image")
}

pub(super) fn template_labels(object: &Value, _: Timestamp) -> Value {
    labels(&object["template"]["metadata"]["labels"]).into()
}

pub(super) fn cron_containers(object: &Value, _: Timestamp) -> Value {
    containers_of(&object["spec"]["jobTemplate"]["spec"]["template"], "name")
}

pub(super) fn cron_images(object: &Value, _: Timestamp) -> Value {
    containers_of(&object["spec"]["jobTemplate"]["spec"]["template"], "image")
}

pub(super) fn cron_selector(object: &Value, _: Timestamp) -> Value {
    selector(&object["spec"]["jobTemplate"], Timestamp::UNIX_EPOCH)
}

pub(super) fn data(object: &Value, _: Timestamp) -> Value {
    let entries = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
    (entries("data") + entries("binaryData")).into()
}

macro_rules! numbers {
    ($($cell:ident: $part:literal . $field:literal;)*) => {$(
        pub(super) fn $cell(object: &Value, _: Timestamp) -> Value {
            number(&object[$part][$field]).into()
        }
    )*};
}

numbers! {
    desired: "spec"."replicas";
    replicas: "status"."replicas";
    ready_replicas: "status"."readyReplicas";
    updated_replicas: "status"."updatedReplicas";
    available_replicas: "status"."availableReplicas";
    daemon_desired: "status"."desiredNumberScheduled";
    daemon_current: "status"."currentNumberScheduled";
    daemon_ready: "status"."numberReady";
    daemon_updated: "status"."updatedNumberScheduled";
    daemon_available: "status"."numberAvailable";
}

pub(super) fn ready_of_desired(object: &Value, _: Timestamp) -> Value {
    format!("{}/{}", number(&object["status"]["readyReplicas"]), number(&object["spec"]["replicas"])).into()
}

pub(super) fn daemon_selector(object: &Value, _: Timestamp) -> Value {
    labels(&object["spec"]["template"]["spec"]["nodeSelector"]).into()
}

pub(super) fn controller(object: &Value, _: Timestamp) -> Value {
    let owners = list(&object["metadata"]["ownerReferences"]);
    let Some(owner) = owners.iter().find(|owner| owner["controller"] == true) else { return NONE.into() };
    let group = str_or(&owner["apiVersion"], "").split_once('/').map(|(group, _)| format!(".{group}"));
    let kind = format!("{}{}", str_or(&owner["kind"], ""), group.unwrap_or_default()).to_lowercase();
    format!("{kind}/{}", str_or(&owner["name"], "")).into()
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let found = list(&object["status"]["conditions"]).iter().find(|condition| condition["type"] == kind);
    found.map_or("", |condition| str_or(&condition["status"], ""))
}

pub(super) fn node_status(node: &Value, _: Timestamp) -> Value {
    let status = match condition(node, "Ready") {
        "True" => "Ready",
        "" => "Unknown",
        _ => "NotReady",
    };
    let off = if node["spec"]["unschedulable"] == true { ",SchedulingDisabled" } else { "" };
    format!("{status}{off}").into()
}

pub(super) fn node_roles(node: &Value, _: Timestamp) -> Value {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let roles: BTreeSet<_> = labels
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    if roles.is_empty() { NONE.into() } else { Vec::from_iter(roles).join(",").into() }
}

fn node_address(node: &Value, kind: &str) -> Value {
    let found = list(&node["status"]["addresses"]).iter().find(|address| address["type"] == kind);
    found.map_or(NONE, |address| str_or(&address["address"], "")).into()
}

pub(super) fn node_internal_ip(node: &Value, _: Timestamp) -> Value {
    node_address(node, "InternalIP")
}

pub(super) fn node_external_ip(node: &Value, _: Timestamp) -> Value {
    node_address(node, "ExternalIP")
}

fn node_info<'a>(node: &'a Value, field: &str) -> &'a str {
    str_or(&node["status"]["nodeInfo"][field], "<unknown>")
}

pub(super) fn node_os(node: &Value, _: Timestamp) -> Value {
    node_info(node, "osImage").into()
}

pub(super) fn node_kernel(node: &Value, _: Timestamp) -> Value {
    let kernel = node_info(node, "kernelVersion");
    match str_or(&node["status"]["nodeInfo"]["architecture"], "") {
        "" => kernel.into(),
        machine => format!("{kernel} ({machine})").into(),
    }
}

pub(super) fn node_runtime(node: &Value, _: Timestamp) -> Value {
    node_info(node, "containerRuntimeVersion").into()
}

/// The first of these fields that is set: an Event has other names for the same in its newer group.
fn first<'a>(event: &'a Value, fields: [&str; 2]) -> &'a Value {
    let old = &event[fields[0]];
    if old.is_null() { &event[fields[1]] } else { old }
}

pub(super) fn event_first_seen(event: &Value, now: Timestamp) -> Value {
    let first = first(event, ["firstTimestamp", "deprecatedFirstTimestamp"]);
    since(if first.is_null() { &event["eventTime"] } else { first }, now)
}

pub(super) fn event_last_seen(event: &Value, now: Timestamp) -> Value {
    let series = &event["series"]["lastObservedTime"];
    let last = first(event, ["lastTimestamp", "deprecatedLastTimestamp"]);
    match (series.is_null(), last.is_null()) {
        (false, _) => since(series, now),
        (_, false) => since(last, now),
        _ => event_first_seen(event, now),
    }
}

pub(super) fn event_object(event: &Value, _: Timestamp) -> Value {
    let object = first(event, ["involvedObject", "regarding"]);
    let kind = str_or(&object["kind"], "").to_lowercase();
    match str_or(&object["name"], "") {
        "" => kind.into(),
        name => format!("{kind}/{name}").into(),
    }
}

pub(super) fn event_subobject(event: &Value, _: Timestamp) -> Value {
    str_or(&first(event, ["involvedObject", "regarding"])["fieldPath"], "").into()
}

pub(super) fn event_source(event: &Value, _: Timestamp) -> Value {
    let component = str_or(&event["source"]["component"], str_or(&event["reportingComponent"], ""));
    match str_or(&event["source"]["host"], str_or(&event["reportingInstance"], "")) {
        "" => component.into(),
        host => format!("{component}, {host}").into(),
    }
}

pub(super) fn event_message(event: &Value, _: Timestamp) -> Value {
    str_or(first(event, ["message", "note"]), "").trim().into()
}

pub(super) fn event_count(event: &Value, _: Timestamp) -> Value {
    let series = &event["series"]["count"];
    let count = if series.is_null() { number(&event["count"]).max(1) } else { number(series) };
    count.into()
}

pub(super) fn job_status(job: &Value, _: Timestamp) -> Value {
    let holds = |kind| condition(job, kind) == "True";
    match () {
        () if holds("Complete") => "Complete",
        () if holds("Failed") => "Failed",
        () if !job["metadata"]["deletionTimestamp"].is_null() => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
    .into()
}

pub(super) fn job_completions(job: &Value, _: Timestamp) -> Value {
    let succeeded = number(&job["status"]["succeeded"]);
    let parallel = number(&job["spec"]["parallelism"]);
    match job["spec"]["completions"].as_i64() {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        None => format!("{succeeded}/1"),
    }
    .into()
}

pub(super) fn job_duration(job: &Value, now: Timestamp) -> Value {
    let Some(start) = time(&job["status"]["startTime"]) else { return "".into() };
    let end = time(&job["status"]["completionTime"]).unwrap_or(now);
    duration::human(end.duration_since(start)).into()
}

pub(super) fn cron_zone(job: &Value, _: Timestamp) -> Value {
    str_or(&job["spec"]["timeZone"], NONE).into()
}

pub(super) fn cron_active(job: &Value, _: Timestamp) -> Value {
    list(&job["status"]["active"]).len().into()
}

pub(super) fn cron_last(job: &Value, now: Timestamp) -> Value {
    match &job["status"]["lastScheduleTime"] {
        Value::Null => NONE.into(),
        time => since(time, now),
    }
}

fn amount(value: &Value) -> Value {
    match value {
        Value::Null => "N/A".into(),
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

pub(super) fn min_available(budget: &Value, _: Timestamp) -> Value {
    amount(&budget["spec"]["minAvailable"])
}

pub(super) fn max_unavailable(budget: &Value, _: Timestamp) -> Value {
    amount(&budget["spec"]["maxUnavailable"])
}

pub(super) fn role(binding: &Value, _: Timestamp) -> Value {
    let role = &binding["roleRef"];
    format!("{}/{}", str_or(&role["kind"], ""), str_or(&role["name"], "")).into()
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let of_kind = list(&binding["subjects"]).iter().filter(|subject| subject["kind"] == kind);
    let name = |subject: &Value| match str_or(&subject["namespace"], "") {
        "" => str_or(&subject["name"], "").to_owned(),
        namespace => format!("{namespace}/{}", str_or(&subject["name"], "")),
    };
    of_kind.map(name).collect::<Vec<_>>().join(", ").into()
}

pub(super) fn users(binding: &Value, _: Timestamp) -> Value {
    subjects(binding, "User")
}

pub(super) fn groups(binding: &Value, _: Timestamp) -> Value {
    subjects(binding, "Group")
}

pub(super) fn accounts(binding: &Value, _: Timestamp) -> Value {
    subjects(binding, "ServiceAccount")
}
