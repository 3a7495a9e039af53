//! What may change in a pod: almost nothing of its spec.

use serde_json::Value;

use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const MAY_CHANGE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,\
    `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// A pod's spec against the one that it is to replace.
pub(in crate::api::validation) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (new, old) = (new.get("spec"), old.get("spec"));
    for list in ["containers", "initContainers"] {
        let (now, before) = (new.get(list), old.get(list));
        if now.len() != before.len() {
            errors.push(now.forbidden("pod updates may not add or remove containers"));
            return;
        }
    }
    if !deadline(&new.get("activeDeadlineSeconds"), &old.get("activeDeadlineSeconds"), errors) {
        return;
    }
    tolerations(&new.get("tolerations"), &old.get("tolerations"), errors);
    gates(&new.get("schedulingGates"), &old.get("schedulingGates"), errors);
    if !checks::same(&fixed(new.value(), old.value()), old.value()) {
        let changed = changed(&fixed(new.value(), old.value()), old.value());
        errors.push(
            new.forbidden(format!("pod updates may not change fields other than {MAY_CHANGE}\n{changed}")),
        );
    }
}

/// May be set, and may be made shorter. Answers whether anything else is worth looking at.
fn deadline(new: &At<'_>, old: &At<'_>, errors: &mut Errors) -> bool {
    match (new.number(), old.number()) {
        (Some(seconds), _) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            errors.push(new.invalid(names::between(0, i32::MAX.into())));
            false
        }
        (Some(seconds), Some(before)) if before < seconds => {
            errors.push(new.invalid("must be less than or equal to previous value"));
            false
        }
        (None, Some(_)) => {
            errors.push(new.invalid("must not update from a positive integer to nil value"));
            true
        }
        _ => true,
    }
}

/// Tolerations may be added, and their seconds changed.
fn tolerations(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let without_seconds = |value: &Value| {
        let mut value = value.clone();
        if let Value::Object(map) = &mut value {
            map.remove("tolerationSeconds");
        }
        value
    };
    let kept = |item: &Value| {
        let wanted = without_seconds(item);
        new.items().any(|other| checks::same(&without_seconds(other.value()), &wanted))
    };
    if !old.items().all(|item| kept(item.value())) {
        errors.push(new.forbidden("existing toleration can not be modified except its tolerationSeconds"));
    }
}

/// Scheduling gates may only be removed.
fn gates(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    for gate in new.items() {
        let name = gate.get("name");
        if !old.items().any(|other| other.get("name").text() == name.text()) {
            errors.push(name.forbidden(format!(
                "only deletion is allowed, but found new scheduling gate '{}'",
                name.text()
            )));
        }
    }
}

/// The new spec with all that may change put back to what it was.
fn fixed(new: &Value, old: &Value) -> Value {
    let mut fixed = new.clone();
    for list in ["containers", "initContainers"] {
        for (at, before) in old[list].as_array().into_iter().flatten().enumerate() {
            if let Some(Value::Object(container)) = fixed.get_mut(list).and_then(|list| list.get_mut(at)) {
                container.insert("image".to_owned(), before["image"].clone());
            }
        }
    }
    let mut restore = vec!["activeDeadlineSeconds", "schedulingGates", "tolerations"];
    let grace = "terminationGracePeriodSeconds";
    if old[grace].as_i64().is_some_and(|seconds| seconds < 0) && new[grace].as_i64() == Some(1) {
        restore.push(grace);
    }
    // Where a pod still waits behind a gate, where it may go can be narrowed.
    if old["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        let adds = old["nodeSelector"].as_object().is_none_or(|before| {
            before.iter().all(|(key, value)| new["nodeSelector"].get(key) == Some(value))
        });
        if adds {
            restore.push("nodeSelector");
        }
    }
    if let Value::Object(map) = &mut fixed {
        for field in restore {
            match old.get(field) {
                Some(value) => map.insert(field.to_owned(), value.clone()),
                None => map.remove(field),
            };
        }
    }
    fixed
}

/// The fields in which two specs differ, before and after.
fn changed(new: &Value, old: &Value) -> String {
    let (Value::Object(after), Value::Object(before)) = (new, old) else { return String::new() };
    let mut names: Vec<_> = after.keys().chain(before.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| !checks::same(&new[name.as_str()], &old[name.as_str()]))
        .map(|name| format!("- {name}: {}\n+ {name}: {}\n", old[name.as_str()], new[name.as_str()]))
        .collect()
}

/// A pod's status against the one that it is to replace.
pub(in crate::api::validation) fn status(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (status, before) = (new.get("status"), old.get("status"));
    for condition in status.get("conditions").items() {
        let kind = condition.get("type");
        if !matches!(kind.text(), "PodScheduled" | "Ready" | "Initialized") {
            for sentence in names::qualified_name(kind.text()) {
                let path = condition.path().child("Type");
                errors.push(crate::api::field::Error::invalid(&path, kind.text(), sentence));
            }
        }
    }
    if new.get("spec").get("nodeName").text() != old.get("spec").get("nodeName").text() {
        errors.push(status.get("nodeName").forbidden("may not be changed directly"));
    }
    let nominated = status.get("nominatedNodeName");
    if !nominated.text().is_empty() && nominated.text() != before.get("nominatedNodeName").text() {
        checks::named(&nominated, names::dns1123_subdomain, errors);
        if !old.get("spec").get("nodeName").text().is_empty() {
            errors.push(nominated.forbidden("may not be set on pods that are already bound to a node"));
        }
    }
    let (qos, was) = (status.get("qosClass"), before.get("qosClass"));
    if was.is_set() {
        checks::immutable(&qos, &was, errors);
    }
    if new.get("spec").get("restartPolicy").text() != "Always" {
        revived(new, &status.get("containerStatuses"), &before.get("containerStatuses"), errors);
    }
}

/// A container that has ended for good stays ended.
fn revived(pod: &At<'_>, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let policy = pod.get("spec").get("restartPolicy").text() == "OnFailure";
    for was in old.items() {
        let state = was.get("state");
        let ended = state.get("terminated");
        let own_policy =
            pod.get("spec").value()["containers"].as_array().into_iter().flatten().any(|container| {
                container["name"] == was.value()["name"] && !container["restartPolicy"].is_null()
            });
        let may_restart = policy && ended.get("exitCode").number() != Some(0);
        if !ended.is_set() || may_restart || own_policy {
            continue;
        }
        let lives = |status: At<'_>| {
            status.get("name").text() == was.get("name").text()
                && !status.value()["state"]["terminated"].is_object()
        };
        if new.items().any(lives) {
            let path = new.path();
            let index = old.items().position(|other| other.value() == was.value()).unwrap_or_default();
            errors.push(crate::api::field::Error::forbidden(
                &path.index(index).child("state"),
                "may not be transitioned to non-terminated state",
            ));
        }
    }
}
