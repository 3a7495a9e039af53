//! What the subresources of a running pod may change: containers that are added, and CPU and memory.
//!
//! Source: `ValidatePodEphemeralContainersUpdate` and `ValidatePodResize` of
//! `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).

use serde_json::{Map, Value};

use super::at::At;
use super::checks::{self, Errors};
use super::{Options, metadata, pod};
use crate::api::field::{self, Error, Path};
use crate::api::{Resource, predicates};

/// The annotation of pods that a node has from elsewhere than the server.
const MIRROR: &str = "kubernetes.io/config.mirror";
const ONLY_THESE: &str = "only cpu and memory resources are mutable";

impl Options {
    /// What is wrong with a pod, decoded and defaulted, that comes to its subresource
    /// `ephemeralcontainers` to replace another.
    #[must_use]
    pub fn update_ephemeral_containers_tree(
        &self,
        _: &Resource,
        new: &Value,
        old: &Value,
    ) -> Vec<field::Error> {
        let (new, old, mut errors) = (At::root(new), At::root(old), Vec::new());
        if is_static(&old) {
            return never("static pods do not support ephemeral containers");
        }
        metadata::update(&new, &old, &mut errors);
        pod::object(&new, &mut errors);
        let (spec, before) = (new.get("spec"), old.get("spec"));
        let containers = spec.get("ephemeralContainers");
        for was in before.get("ephemeralContainers").items() {
            let name = was.get("name");
            let name = name.text();
            match containers.items().find(|own| own.get("name").text() == name) {
                None => errors.push(
                    containers
                        .forbidden(format!("existing ephemeral containers {name:?} may not be removed\n")),
                ),
                Some(own) if !checks::same(own.value(), was.value()) => {
                    errors.push(containers.forbidden(format!(
                        "existing ephemeral containers {name:?} may not be changed\n- {}\n+ {}",
                        was.value(),
                        own.value()
                    )))
                }
                Some(_) => {}
            }
        }
        errors
    }

    /// What is wrong with a pod, decoded and defaulted, that comes to its subresource `resize` to
    /// replace another.
    #[must_use]
    pub fn update_resize_tree(&self, _: &Resource, new: &Value, old: &Value) -> Vec<field::Error> {
        let (new, old, mut errors) = (At::root(new), At::root(old), Vec::new());
        if is_static(&old) {
            return never("static pods cannot be resized");
        }
        metadata::update(&new, &old, &mut errors);
        pod::object(&new, &mut errors);
        let (spec, before) = (new.get("spec"), old.get("spec"));
        if class(spec.value()) != class(before.value()) {
            errors.push(spec.invalid("Pod QOS Class may not change as a result of resizing"));
        }
        let status = old.get("status");
        let running = |one: &At<'_>| one.get("state").get("running").is_set();
        let statuses = status.get("containerStatuses");
        if statuses.items().find(running).is_some_and(|one| !one.get("resources").is_set()) {
            errors.push(spec.forbidden("Pod running on node without support for resize"));
        }
        let mut kept = spec.value().clone();
        for list in ["containers", "initContainers"] {
            let (now, was) = (spec.get(list), before.get(list));
            if now.len() != was.len() {
                errors.push(now.forbidden(format!("{list} may not be added or removed on resize")));
                return errors;
            }
            for (index, (now, was)) in now.items().zip(was.items()).enumerate() {
                if now.get("name").text() != was.get("name").text() {
                    let why = format!("{list} may not be renamed or reordered on resize");
                    errors.push(now.get("name").forbidden(why));
                }
                none_removed(&now.get("resources"), &was.get("resources"), &mut errors);
                put_back(&mut kept[list][index], was.value());
            }
        }
        if errors.is_empty() && !checks::same(&kept, before.value()) {
            errors.push(spec.forbidden(ONLY_THESE));
        }
        errors
    }
}

fn is_static(pod: &At<'_>) -> bool {
    pod.value()["metadata"]["annotations"].get(MIRROR).is_some()
}

fn never(why: &str) -> Errors {
    vec![Error::forbidden(&Path::new("[]"), why)]
}

fn class(spec: &Value) -> Option<String> {
    serde_json::from_value(spec.clone()).ok().map(|spec| predicates::qos_class(&spec).to_string())
}

fn none_removed(now: &At<'_>, was: &At<'_>, errors: &mut Errors) {
    for list in ["requests", "limits"] {
        let (now, was) = (now.get(list), was.get(list));
        if was.entries().any(|(name, _)| now.value().get(name).is_none()) {
            errors.push(now.forbidden(format!("resource {list} cannot be removed")));
        }
    }
}

/// Puts back to what it was all that a resize may change.
fn put_back(container: &mut Value, was: &Value) {
    let Value::Object(container) = container else { return };
    match was.get("resizePolicy") {
        Some(policy) => container.insert("resizePolicy".into(), policy.clone()),
        None => container.remove("resizePolicy"),
    };
    let resources = container.entry("resources").or_insert_with(|| Value::Object(Map::new()));
    for list in ["requests", "limits"] {
        for name in ["cpu", "memory"] {
            match was["resources"][list].get(name) {
                Some(amount) => resources[list][name] = amount.clone(),
                None => {
                    if let Some(Value::Object(amounts)) = resources.get_mut(list) {
                        amounts.remove(name);
                    }
                }
            }
        }
    }
}
