//! What a container asks for and may use.

use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const INTEGERS: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// Requests and limits. An error between the two stands at the requests.
pub(in crate::api::validation) fn requirements(resources: &At<'_>, errors: &mut Errors) {
    let (limits, requests) = (resources.get("limits"), resources.get("requests"));
    for (name, quantity) in limits.entries() {
        container_resource(name, &quantity, errors);
    }
    for (name, quantity) in requests.entries() {
        container_resource(name, &quantity, errors);
        let limit = limits.key(name);
        match (checks::quantity(&quantity), checks::quantity(&limit)) {
            (Some(asked), Some(allowed)) => {
                let wrong = if asked != allowed && !overcommits(name) {
                    format!("must be equal to {name} limit of {allowed}")
                } else if asked > allowed {
                    format!("must be less than or equal to {name} limit of {allowed}")
                } else {
                    continue;
                };
                errors.push(crate::api::field::Error::invalid(&requests.path(), asked.to_string(), wrong));
            }
            (_, None) if !overcommits(name) => {
                errors.push(limits.required("Limit must be set for non overcommitable resources"));
            }
            _ => {}
        }
    }
    let any = |test: fn(&str) -> bool| limits.entries().chain(requests.entries()).any(|(name, _)| test(name));
    if any(|name| name.starts_with("hugepages-")) && !any(|name| matches!(name, "cpu" | "memory")) {
        errors.push(resources.forbidden("HugePages require cpu or memory"));
    }
}

/// Whether more may be used than is asked for.
fn overcommits(name: &str) -> bool {
    native(name) && !name.starts_with("hugepages-")
}

/// Whether Kubernetes itself defines the resource.
fn native(name: &str) -> bool {
    name.split_once('/').is_none_or(|(domain, _)| domain.ends_with("kubernetes.io"))
}

/// A resource that a container may ask for, and how much.
pub(super) fn container_resource(name: &str, quantity: &At<'_>, errors: &mut Errors) {
    let wrong = |sentence: String| crate::api::field::Error::invalid(&quantity.path(), name, sentence);
    let sentences = names::qualified_name(name);
    if sentences.is_empty() {
        let standard =
            matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
        if !name.contains('/') && !standard {
            errors.push(wrong("must be a standard resource type or fully qualified".to_owned()));
            errors.push(wrong("must be a standard resource for containers".to_owned()));
        } else if !native(name)
            && (name.starts_with("requests.")
                || !names::qualified_name(&format!("requests.{name}")).is_empty())
        {
            errors.push(wrong("doesn't follow extended resource name standard".to_owned()));
        }
    }
    errors.extend(sentences.into_iter().map(wrong));
    resource_quantity(name, quantity, errors);
}

/// How much of a resource: not less than nothing, and whole where only whole ones exist.
pub(in crate::api::validation) fn resource_quantity(name: &str, quantity: &At<'_>, errors: &mut Errors) {
    checks::non_negative_quantity(quantity, errors);
    let whole = INTEGERS.contains(&name) || !native(name);
    if whole && checks::quantity(quantity).is_some_and(|quantity| !quantity.is_whole()) {
        errors.push(quantity.invalid("must be an integer"));
    }
}
