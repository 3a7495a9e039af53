//! Drivers, and classes that choose nodes by labels.

use serde_json::Value;

use super::{deprecated_node_label, list, text};

pub(super) fn driver(driver: &Value, old: Option<&Value>) -> Vec<String> {
    let requests = &driver["spec"]["tokenRequests"];
    let new = old.is_none_or(|old| old["spec"]["tokenRequests"] != *requests);
    if list(requests).is_empty() || !new || !driver["spec"]["serviceAccountTokenInSecrets"].is_null() {
        return Vec::new();
    }
    vec![
        "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent \
         possible logging of tokens in volume attributes"
            .to_owned(),
    ]
}

pub(super) fn class(class: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    for (term_at, term) in list(&class["allowedTopologies"]).iter().enumerate() {
        for (at, expression) in list(&term["matchLabelExpressions"]).iter().enumerate() {
            if let Some(why) = deprecated_node_label(text(&expression["key"])) {
                let path = format!("allowedTopologies[{term_at}].matchLabelExpressions[{at}].key");
                warnings.push(format!("{path}: {why}"));
            }
        }
    }
    warnings
}

pub(super) fn capacity(capacity: &Value) -> Vec<String> {
    let selector = &capacity["nodeTopology"];
    let expressions =
        list(&selector["matchExpressions"]).iter().enumerate().filter_map(|(at, expression)| {
            let key = text(&expression["key"]);
            let why = deprecated_node_label(key)?;
            Some(format!("nodeTopology.matchExpressions[{at}].key: {key} is {why}"))
        });
    let labels = selector["matchLabels"].as_object().into_iter().flatten().filter_map(|(key, _)| {
        Some(format!("nodeTopology.matchLabels.{key}: {}", deprecated_node_label(key)?))
    });
    expressions.chain(labels).collect()
}

pub(super) fn runtime_class(class: &Value) -> Vec<String> {
    let selector = class["scheduling"]["nodeSelector"].as_object().into_iter().flatten();
    let why = selector.filter_map(|(key, _)| deprecated_node_label(key));
    why.map(|why| format!("scheduling.nodeSelector: {why}")).collect()
}

pub(super) fn resource_slice(slice: &Value) -> Vec<String> {
    let driver = text(&slice["spec"]["driver"]);
    if driver == driver.to_lowercase() {
        return Vec::new();
    }
    vec![format!("spec.driver: driver names should be lowercase; {driver:?} contains uppercase characters")]
}
