//! What may change in a pod: almost nothing of its spec.

use serde_json::Value;

use super::{Rules, annotations};
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const MAY_CHANGE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,\
    `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// A pod against the one that it is to replace, beyond metadata.
pub(in crate::api::validation) fn update(pod: &At<'_>, before: &At<'_>, errors: &mut Errors) {
    let rules = Rules::pod(pod, Some(before));
    super::whole(pod, &rules, errors);
    let (metadata, old_metadata) = (pod.get("metadata"), before.get("metadata"));
    annotations::update(&metadata.get("annotations"), &old_metadata.get("annotations"), errors);
    let (new, old) = (pod.get("spec"), before.get("spec"));
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
    // Where a pod still waits behind a gate, where it may go can be narrowed.
    let gated = old.get("schedulingGates").len() > 0;
    if gated {
        narrowed(&new, &old, errors);
    }
    let fixed = fixed(new.value(), old.value(), gated);
    if !checks::same(&fixed, old.value()) {
        let changed = changed(&fixed, old.value());
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
        if !old.items().any(|other| other.text_of("name") == name.text()) {
            errors.push(name.forbidden(format!(
                "only deletion is allowed, but found new scheduling gate '{}'",
                name.text()
            )));
        }
    }
}

/// Where a pod may go, against where it could: only less is allowed.
fn narrowed(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (selector, before) = (new.get("nodeSelector"), old.get("nodeSelector"));
    if before.entries().any(|(key, value)| selector.value().get(key) != Some(value.value())) {
        errors.push(
            selector.invalid("only additions to spec.nodeSelector are allowed (no mutations or deletions)"),
        );
    }
    let affinity = new.get("affinity");
    let node = affinity.get("nodeAffinity");
    let required = node.get(REQUIRED);
    let terms = required.get("nodeSelectorTerms");
    let before = &old.value()["affinity"]["nodeAffinity"];
    let before = before[REQUIRED]["nodeSelectorTerms"].as_array().map_or(&[][..], Vec::as_slice);
    if before.is_empty() || checks::same(node.value(), &old.value()["affinity"]["nodeAffinity"]) {
        return;
    }
    if before.len() != terms.len() {
        errors.push(terms.invalid("no additions/deletions to non-empty NodeSelectorTerms list are allowed"));
        return;
    }
    for (term, before) in terms.items().zip(before) {
        if !only_adds(term.value(), before) {
            errors.push(term.invalid("only additions are allowed (no mutations or deletions)"));
        }
    }
}

/// Whether a term asks for all that the old one did. One that asked for nothing selects nothing, and
/// stays that way.
fn only_adds(new: &Value, old: &Value) -> bool {
    let list = |term: &Value, field: &str| term[field].as_array().cloned().unwrap_or_default();
    let lists = |field: &str| (list(new, field), list(old, field));
    let ((labels, labels_before), (fields, fields_before)) =
        (lists("matchExpressions"), lists("matchFields"));
    if labels_before.is_empty() && fields_before.is_empty() {
        return labels.is_empty() && fields.is_empty();
    }
    let begins = |now: &[Value], before: &[Value]| {
        now.len() >= before.len() && now.iter().zip(before).all(|(now, before)| checks::same(now, before))
    };
    begins(&labels, &labels_before) && begins(&fields, &fields_before)
}

/// The new spec with all that may change put back to what it was.
fn fixed(new: &Value, old: &Value, gated: bool) -> Value {
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
    if gated {
        restore.push("nodeSelector");
        restore_node_affinity(&mut fixed, &old["affinity"]["nodeAffinity"]);
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

fn restore_node_affinity(spec: &mut Value, old: &Value) {
    let Value::Object(spec) = spec else { return };
    let affinity = spec.entry("affinity").or_insert_with(|| Value::Object(serde_json::Map::new()));
    if let Value::Object(affinity) = affinity {
        if old.is_null() {
            affinity.remove("nodeAffinity");
        } else {
            affinity.insert("nodeAffinity".to_owned(), old.clone());
        }
    }
}

/// The fields in which two specs differ, before and after.
pub(in crate::api::validation) fn changed(new: &Value, old: &Value) -> String {
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
