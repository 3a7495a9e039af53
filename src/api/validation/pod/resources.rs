//! What a container, or a pod as a whole, asks for and may use.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Rules, claims};
use crate::api::field::Error;
use crate::api::names;
use crate::api::predicates;
use crate::api::quantity::Quantity;
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

/// Resources that exist without a domain before their name, beside those in [`INTEGERS`].
const STANDARD: [&str; 11] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "storage",
    "requests.storage",
];

/// Whether Kubernetes itself defines the resource.
pub(in crate::api::validation) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_huge_pages(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Whether more may be used than is asked for.
pub(in crate::api::validation) fn is_overcommittable(name: &str) -> bool {
    is_native(name) && !is_huge_pages(name)
}

/// Whether a name without a domain is one of Kubernetes' resources.
pub(in crate::api::validation) fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name)
        || INTEGERS.contains(&name)
        || is_huge_pages(name)
        || name.starts_with("requests.hugepages-")
}

/// Whether a container may ask for it.
pub(in crate::api::validation) fn is_standard_container(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_huge_pages(name)
}

/// Whether it is a resource of somebody else's.
fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// The name of any resource. Errors show the name.
pub(in crate::api::validation) fn resource_name(name: &str, place: &At<'_>, errors: &mut Errors) -> bool {
    let wrong = |sentence: String| Error::invalid(&place.path(), name, sentence);
    let sentences = names::qualified_name(name);
    if !sentences.is_empty() {
        errors.extend(sentences.into_iter().map(wrong));
        return false;
    }
    let known = name.contains('/') || is_standard(name);
    if !known {
        errors.push(wrong("must be a standard resource type or fully qualified".to_owned()));
    }
    known
}

/// The name of a resource that a container may ask for.
pub(in crate::api::validation) fn container_resource(name: &str, place: &At<'_>, errors: &mut Errors) {
    resource_name(name, place, errors);
    let wrong = |sentence: &str| Error::invalid(&place.path(), name, sentence);
    if !name.contains('/') {
        if !is_standard_container(name) {
            errors.push(wrong("must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.push(wrong("doesn't follow extended resource name standard"));
    }
}

/// The name of a resource that a pod may ask for as a whole.
fn pod_resource(name: &str, place: &At<'_>, errors: &mut Errors) {
    if resource_name(name, place, errors) && !predicates::is_pod_level(name) {
        errors.push(Error::not_supported(&place.path(), name, &["cpu", "hugepages-", "memory"]));
    }
}

/// How much of a resource: not less than nothing, and whole where only whole ones exist.
pub(in crate::api::validation) fn resource_quantity(name: &str, quantity: &At<'_>, errors: &mut Errors) {
    checks::non_negative_quantity(quantity, errors);
    let whole = INTEGERS.contains(&name) || is_extended(name);
    if whole && checks::quantity(quantity).is_some_and(|quantity| !quantity.is_whole()) {
        errors.push(quantity.invalid("must be an integer"));
    }
}

/// Requests and limits, of resources with such names. An error between the two stands at the requests.
pub(super) fn requirements(
    resources: &At<'_>,
    named: fn(&str, &At<'_>, &mut Errors),
    rules: &Rules<'_>,
    errors: &mut Errors,
) {
    let (limits, requests) = (resources.get("limits"), resources.get("requests"));
    for (name, quantity) in limits.entries() {
        named(name, &quantity, errors);
        resource_quantity(name, &quantity, errors);
        pages(name, &quantity, rules, errors);
    }
    for (name, quantity) in requests.entries() {
        named(name, &quantity, errors);
        resource_quantity(name, &quantity, errors);
        within_limit(name, &quantity, &limits, &requests, errors);
        pages(name, &quantity, rules, errors);
    }
    let any = |test: fn(&str) -> bool| limits.entries().chain(requests.entries()).any(|(name, _)| test(name));
    if any(is_huge_pages) && !any(|name| matches!(name, "cpu" | "memory")) {
        errors.push(resources.forbidden("HugePages require cpu or memory"));
    }
}

/// What is asked for is not more than may be used, and as much of what cannot be lent.
fn within_limit(name: &str, quantity: &At<'_>, limits: &At<'_>, requests: &At<'_>, errors: &mut Errors) {
    let limit = limits.value().get(name).filter(|limit| !limit.is_null());
    if limit.is_none() && !is_overcommittable(name) {
        errors.push(limits.required("Limit must be set for non overcommitable resources"));
    }
    let allowed = limit.and_then(Value::as_str).and_then(|text| text.parse::<Quantity>().ok());
    let (Some(asked), Some(allowed)) = (checks::quantity(quantity), allowed) else { return };
    let wrong = if asked != allowed && !is_overcommittable(name) {
        format!("must be equal to {name} limit of {allowed}")
    } else if asked > allowed {
        format!("must be less than or equal to {name} limit of {allowed}")
    } else {
        return;
    };
    errors.push(Error::invalid(&requests.path(), asked.to_string(), wrong));
}

/// Huge pages are used whole.
fn pages(name: &str, quantity: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    if !is_huge_pages(name) {
        return;
    }
    let Some(amount) = checks::quantity(quantity) else { return };
    if !divides(name, amount) && !rules.allows_broken_pages() {
        let wrong = format!("{amount} is not positive integer multiple of {name}");
        errors.push(Error::invalid(&quantity.path(), amount.to_string(), wrong));
    }
}

fn divides(name: &str, amount: Quantity) -> bool {
    let size = name.strip_prefix("hugepages-").and_then(|size| size.parse::<Quantity>().ok());
    size.filter(|size| size.is_whole() && !size.is_negative() && !size.is_zero())
        .is_some_and(|size| amount.value() % size.value() == 0)
}

/// Whether some container of a spec asks for broken huge pages.
pub(super) fn breaks_pages(spec: &Value) -> bool {
    super::any_container(spec, |container| {
        let resources = &container["resources"];
        let amounts = [&resources["limits"], &resources["requests"]].into_iter().filter_map(Value::as_object);
        amounts.flatten().filter(|(name, _)| is_huge_pages(name)).any(|(name, amount)| {
            amount.as_str().and_then(|text| text.parse().ok()).is_some_and(|amount| !divides(name, amount))
        })
    })
}

/// What running the pod itself takes, judged as limits are.
pub(super) fn overhead(overhead: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let limits = overhead.get("limits");
    for (name, amount) in overhead.entries() {
        // Kubernetes puts `limits` into these paths.
        let at = limits.key(name);
        let quantity = at.holding(amount.value());
        container_resource(name, &quantity, errors);
        resource_quantity(name, &quantity, errors);
        pages(name, &quantity, rules, errors);
    }
    let any = |test: fn(&str) -> bool| overhead.entries().any(|(name, _)| test(name));
    if any(is_huge_pages) && !any(|name| matches!(name, "cpu" | "memory")) {
        errors.push(overhead.forbidden("HugePages require cpu or memory"));
    }
}

/// What a pod asks for as a whole, and how that goes with what its containers do.
pub(super) fn of_pod(spec: &At<'_>, known: &BTreeSet<&str>, rules: &Rules<'_>, errors: &mut Errors) {
    let resources = spec.get("resources");
    if !resources.is_set() {
        return;
    }
    if spec.get("os").text_of("name") == "windows" {
        errors.push(resources.forbidden("may not be set for a windows pod"));
        return;
    }
    let own_claims = resources.get("claims");
    if own_claims.is_set() {
        errors.push(own_claims.forbidden("claims may not be set for Resources at pod-level"));
    }
    requirements(&resources, pod_resource, rules, errors);
    claims::of_container(&own_claims, known, errors);
    consistent(spec, &resources, errors);
}

fn consistent(spec: &At<'_>, resources: &At<'_>, errors: &mut Errors) {
    let Ok(typed) = serde_json::from_value(spec.value().clone()) else { return };
    let (requests, limits) = (resources.get("requests"), resources.get("limits"));
    for (name, asked) in predicates::container_requests(&typed).iter() {
        let own = requests.key(name);
        if let Some(amount) = checks::quantity(&own).filter(|amount| asked > *amount) {
            let wrong = format!("must be greater than or equal to aggregate container requests of {asked}");
            errors.push(Error::invalid(&own.path(), amount.to_string(), wrong));
        }
    }
    for (name, allowed) in predicates::container_limits(&typed).iter().filter(|(name, _)| is_huge_pages(name))
    {
        let own = limits.key(name);
        if let Some(amount) = checks::quantity(&own).filter(|amount| allowed > *amount) {
            let wrong = format!("must be greater than or equal to aggregate container limits of {allowed}");
            errors.push(Error::invalid(&own.path(), amount.to_string(), wrong));
        }
    }
    let containers = spec.get("containers");
    // Kubernetes looks for the containers below the pod's resources.
    let place = resources.get("containers");
    for (index, container) in containers.items().enumerate() {
        for (name, limit) in container.get("resources").get("limits").entries() {
            let (Some(amount), Some(allowed)) =
                (checks::quantity(&limit), checks::quantity(&limits.key(name)))
            else {
                continue;
            };
            if amount > allowed {
                let path = place.index(index).path().key(name).child("limits");
                let wrong = format!("must be less than or equal to pod limits of {allowed}");
                errors.push(Error::invalid(&path, amount.to_string(), wrong));
            }
        }
    }
}
