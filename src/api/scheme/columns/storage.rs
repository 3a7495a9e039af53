//! The cells of storage, and of the versions in which objects are stored.

use jiff::Timestamp;
use serde_json::Value;

use super::cells::marked_default;
use super::{list, str_or};

const DEFAULT_CLASS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

pub(super) fn class_name(class: &Value, _: Timestamp) -> Value {
    marked_default(class, &DEFAULT_CLASS)
}

pub(super) fn attached_volume(attachment: &Value, _: Timestamp) -> Value {
    str_or(&attachment["spec"]["source"]["persistentVolumeName"], "").into()
}

pub(super) fn drivers(node: &Value, _: Timestamp) -> Value {
    list(&node["spec"]["drivers"]).len().into()
}

pub(super) fn audiences(driver: &Value, _: Timestamp) -> Value {
    let requests = &driver["spec"]["tokenRequests"];
    if requests.is_null() {
        return "<unset>".into();
    }
    list(requests).iter().map(|request| str_or(&request["audience"], "")).collect::<Vec<_>>().join(",").into()
}

pub(super) fn modes(driver: &Value, _: Timestamp) -> Value {
    let modes: Vec<_> =
        list(&driver["spec"]["volumeLifecycleModes"]).iter().filter_map(Value::as_str).collect();
    if modes.is_empty() { super::NONE.into() } else { modes.join(",").into() }
}

pub(super) fn capacity(capacity: &Value, _: Timestamp) -> Value {
    str_or(&capacity["capacity"], "<unset>").into()
}

pub(super) fn common_version(version: &Value, _: Timestamp) -> Value {
    str_or(&version["status"]["commonEncodingVersion"], "<unset>").into()
}

pub(super) fn versions(version: &Value, _: Timestamp) -> Value {
    let server = |server: &Value| {
        format!("{}={}", str_or(&server["apiServerID"], ""), str_or(&server["encodingVersion"], ""))
    };
    let all: Vec<_> = list(&version["status"]["storageVersions"]).iter().map(server).collect();
    super::network::or_unset(&all)
}

pub(super) fn migrated(migration: &Value, _: Timestamp) -> Value {
    let resource = &migration["spec"]["resource"];
    match str_or(&resource["group"], "") {
        "" => str_or(&resource["resource"], "").into(),
        group => format!("{}.{group}", str_or(&resource["resource"], "")).into(),
    }
}

pub(super) fn migration_status(migration: &Value, _: Timestamp) -> Value {
    list(&migration["status"]["conditions"])
        .iter()
        .filter(|condition| condition["status"] == "True")
        .map(|condition| str_or(&condition["type"], ""))
        .rfind(|kind| ["Running", "Failed", "Succeeded"].contains(kind))
        .unwrap_or("Unknown")
        .into()
}
