//! More or less CPU and memory for a running pod.
//!
//! Source: `ValidatePodResize` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).

use serde_json::{Map, Value};

use super::{MIRROR, Rules, container};
use crate::api::field::{Error, Path};
use crate::api::predicates;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const ONLY_THESE: &str = "only cpu and memory resources are mutable";

/// A pod against the one that it is to replace, where only resources have changed.
pub(in crate::api::validation) fn update(pod: &At<'_>, before: &At<'_>, errors: &mut Errors) {
    let mut never = |why: &str| *errors = vec![Error::forbidden(&Path::new("[]"), why)];
    if before.get("metadata").get("annotations").has(MIRROR) {
        return never("static pods cannot be resized");
    }
    if before.get("spec").get("os").text_of("name") == "windows" {
        return never("windows pods cannot be resized");
    }
    super::whole(pod, &Rules::pod(pod, Some(before)), errors);
    let (spec, old) = (pod.get("spec"), before.get("spec"));
    let class = class(before);
    if class != class_of(spec.value()) {
        let wrong = "Pod QOS Class may not change as a result of resizing";
        errors.push(Error::invalid(&spec.path(), pod.get("status").text_of("qosClass"), wrong));
    }
    let statuses = before.get("status");
    let running = statuses
        .get("containerStatuses")
        .items()
        .find(|status| status.get("state").has("running"))
        .is_none_or(|status| status.has("resources"));
    if !running {
        errors.push(spec.forbidden("Pod running on node without support for resize"));
    }
    let mut kept = spec.value().clone();
    if asks_as_a_whole(&spec) || asks_as_a_whole(&old) {
        whole(&spec, &old, &mut kept, errors);
    }
    if statuses.get("nodeAllocatableResourceClaimStatuses").len() > 0 {
        errors.push(spec.forbidden("pods with node allocatable resource claims cannot be resized"));
    }
    if !same_containers(&spec, &old, errors) {
        return;
    }
    for list in ["initContainers", "containers"] {
        let (now, was) = (spec.get(list), old.get(list));
        for (now, was) in now.items().zip(was.items()) {
            none_removed(
                &now.get("resources"),
                &was.get("resources"),
                ["resource requests cannot be removed", "resource limits cannot be removed"],
                errors,
            );
        }
    }
    containers(&spec, &old, &mut kept, errors);
    if errors.is_empty() && !checks::same(&kept, old.value()) {
        errors.push(spec.forbidden(ONLY_THESE));
    }
}

fn class_of(spec: &Value) -> String {
    let typed = serde_json::from_value(spec.clone());
    typed.map(|spec| predicates::qos_class(&spec).to_string()).unwrap_or_default()
}

/// The class that a pod has, or would have.
fn class(pod: &At<'_>) -> String {
    match pod.get("status").text_of("qosClass") {
        "" => class_of(&pod.value()["spec"]),
        known => known.to_owned(),
    }
}

fn asks_as_a_whole(spec: &At<'_>) -> bool {
    let resources = spec.get("resources");
    resources.get("requests").len() + resources.get("limits").len() > 0
}

/// The resources of a pod as a whole. What may change is put back in `kept`.
fn whole(spec: &At<'_>, old: &At<'_>, kept: &mut Value, errors: &mut Errors) {
    let (resources, before) = (spec.get("resources"), old.get("resources"));
    if before.is_set() && !resources.is_set() {
        errors.push(resources.forbidden("pod-level resources cannot be removed"));
        return;
    }
    if before.is_set() {
        none_removed(
            &resources,
            &before,
            ["pod-level resource requests cannot be removed", "pod-level resource limits cannot be removed"],
            errors,
        );
    }
    if let Some(own) = kept.get_mut("resources") {
        put_back(own, before.value());
    }
    if !checks::same(&kept["resources"], before.value()) {
        errors.push(spec.forbidden("only cpu and memory resources are mutable at pod-level"));
    }
}

fn same_containers(spec: &At<'_>, old: &At<'_>, errors: &mut Errors) -> bool {
    let before = errors.len();
    for list in ["containers", "initContainers"] {
        let (now, was) = (spec.get(list), old.get(list));
        if now.len() != was.len() {
            errors.push(now.forbidden(format!("{list} may not be added or removed on resize")));
            continue;
        }
        for (now, was) in now.items().zip(was.items()) {
            if now.text_of("name") != was.text_of("name") {
                let wrong = format!("{list} may not be renamed or reordered on resize");
                errors.push(now.get("name").forbidden(wrong));
            }
        }
    }
    errors.len() == before
}

fn none_removed(resources: &At<'_>, before: &At<'_>, wording: [&str; 2], errors: &mut Errors) {
    for (list, wrong) in ["requests", "limits"].into_iter().zip(wording) {
        let (now, was) = (resources.get(list), before.get(list));
        if was.entries().any(|(name, _)| now.value().get(name).is_none()) {
            errors.push(now.forbidden(wrong));
        }
    }
}

/// Puts CPU and memory back to what they were: absent where they were absent.
fn put_back(resources: &mut Value, before: &Value) {
    let Value::Object(resources) = resources else { return };
    for list in ["requests", "limits"] {
        let amounts = resources.entry(list).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(amounts) = amounts else { continue };
        for name in ["cpu", "memory"] {
            match before[list].get(name) {
                Some(amount) => amounts.insert(name.to_owned(), amount.clone()),
                None => amounts.remove(name),
            };
        }
    }
}

/// In a container, too, nothing but CPU and memory changes. What may change is put back in `kept`.
fn containers(spec: &At<'_>, old: &At<'_>, kept: &mut Value, errors: &mut Errors) {
    for list in ["containers", "initContainers"] {
        let (now, was) = (spec.get(list), old.get(list));
        for (index, (container, before)) in now.items().zip(was.items()).enumerate() {
            let Some(own) = kept.get_mut(list).and_then(|list| list.get_mut(index)) else { continue };
            let modified = !checks::same(own, before.value());
            if let Value::Object(own) = &mut *own {
                let resources = own.entry("resources").or_insert_with(|| Value::Object(Map::new()));
                put_back(resources, &before.value()["resources"]);
                // A claim is not carried over into the comparison.
                if let Value::Object(resources) = resources {
                    resources.remove("claims");
                }
            }
            let same = checks::same(own, before.value());
            if list == "containers" {
                if !same {
                    errors.push(spec.forbidden(ONLY_THESE));
                }
                continue;
            }
            if !same {
                errors.push(
                    container.forbidden(
                        "only cpu and memory resources for init or sidecar containers are mutable",
                    ),
                );
            }
            if modified && !container::is_sidecar(&container) {
                for _ in container
                    .get("resizePolicy")
                    .items()
                    .filter(|policy| policy.text_of("restartPolicy") == "RestartContainer")
                {
                    errors.push(container.forbidden(
                        "non-sidecar init containers with a resize policy of RestartContainer cannot be resized",
                    ));
                }
            }
        }
    }
}
