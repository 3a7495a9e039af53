//! What a node or a controller may say of a pod.
//!
//! Source: `ValidatePodStatusUpdate` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::{annotations, is_native};
use crate::api::field::Error;
use crate::api::ip;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const MAX_HEALTH_MESSAGE: usize = 1024;
const LISTS: [(&str, &str); 3] = [
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
];

/// A pod's status against the one that it is to replace.
pub(in crate::api::validation) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (metadata, old_metadata) = (new.get("metadata"), old.get("metadata"));
    annotations::update(&metadata.get("annotations"), &old_metadata.get("annotations"), errors);
    let (status, before) = (new.get("status"), old.get("status"));
    let (spec, old_spec) = (new.get("spec"), old.get("spec"));
    for condition in status.get("conditions").items() {
        observed(&condition, errors);
        let kind = condition.get("type");
        if !matches!(kind.text(), "PodScheduled" | "Ready" | "Initialized") {
            checks::named(&kind.named("Type"), names::qualified_name, errors);
        }
    }
    if spec.text_of("nodeName") != old_spec.text_of("nodeName") {
        errors.push(status.get("nodeName").forbidden("may not be changed directly"));
    }
    let nominated = status.get("nominatedNodeName");
    if !nominated.text().is_empty() && nominated.text() != before.text_of("nominatedNodeName") {
        checks::named(&nominated, names::dns1123_subdomain, errors);
        if !old_spec.text_of("nodeName").is_empty() {
            errors.push(nominated.forbidden("may not be set on pods that are already bound to a node"));
        }
    }
    observed(&status, errors);
    checks::immutable(&status.get("qosClass"), &before.get("qosClass"), errors);
    for (list, containers) in LISTS {
        ended_stay_ended(&status.get(list), &before.get(list), old_spec.value(), containers, errors);
    }
    claims(&status, &spec, errors);
    addresses(&status, &before, errors);
    for (list, containers) in LISTS {
        let statuses = status.get(list);
        users(&statuses, spec.get("os").text_of("name"), errors);
        if containers == "ephemeralContainers" {
            no_health(&statuses, errors);
        } else {
            health(&statuses, &spec.get(containers), errors);
        }
    }
}

fn observed(holder: &At<'_>, errors: &mut Errors) {
    let generation = holder.get("observedGeneration");
    if generation.number().is_some_and(|generation| generation < 0) {
        errors.push(generation.invalid("must be a non-negative integer"));
    }
}

/// A container that has ended, and is not to be started again, stays ended.
fn ended_stay_ended(new: &At<'_>, old: &At<'_>, spec: &Value, containers: &str, errors: &mut Errors) {
    if containers != "ephemeralContainers" && all_may_restart(spec) {
        return;
    }
    for (index, was) in old.items().enumerate() {
        let state = was.get("state");
        let ended = state.get("terminated");
        if !ended.is_set() {
            continue;
        }
        let name = was.text_of("name");
        let revived = new
            .items()
            .find(|status| status.text_of("name") == name)
            .is_some_and(|status| !status.get("state").has("terminated"));
        let mut list = spec[containers].as_array().into_iter().flatten();
        let container = list.find(|container| container["name"] == name);
        let restarts = containers != "ephemeralContainers"
            && container.is_some_and(|container| restarts(container, spec, ended.number_of("exitCode")));
        if revived && !restarts {
            let path = new.index(index).path().child("state");
            errors.push(Error::forbidden(&path, "may not be transitioned to non-terminated state"));
        }
    }
}

/// Whether the end of one container may start all of them again.
fn all_may_restart(spec: &Value) -> bool {
    let containers = ["containers", "initContainers"].into_iter().filter_map(|list| spec[list].as_array());
    let rules = containers.flatten().filter_map(|container| container["restartPolicyRules"].as_array());
    rules.flatten().any(|rule| rule["action"] == "RestartAllContainers")
}

/// Whether a container that ended with this code is started again: by its rules, its own policy, or
/// the pod's.
///
/// Source: `ContainerShouldRestart` of `k8s.io/kubernetes/pkg/api/v1/pod` (1.36).
fn restarts(container: &Value, spec: &Value, code: i64) -> bool {
    let by_policy = |policy: Option<&str>| match policy {
        Some("Always") => Some(true),
        Some("OnFailure") => Some(code != 0),
        Some("Never") => Some(false),
        _ => None,
    };
    let own = container["restartPolicy"].as_str();
    let rules = container["restartPolicyRules"].as_array().into_iter().flatten();
    let by_rule = own.is_some()
        && rules.into_iter().any(|rule| {
            let codes = rule["exitCodes"]["values"].as_array().into_iter().flatten();
            let listed = codes.filter_map(Value::as_i64).any(|listed| listed == code);
            match rule["exitCodes"]["operator"].as_str() {
                Some("In") => listed,
                Some("NotIn") => !listed,
                _ => false,
            }
        });
    by_rule || by_policy(own).or_else(|| by_policy(spec["restartPolicy"].as_str())).unwrap_or(true)
}

/// The claims that have been made for the pod are those that it names.
fn claims(status: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    let (mut seen, known) = (BTreeSet::new(), spec.get("resourceClaims"));
    let made = status.get("resourceClaimStatuses");
    for claim in made.items() {
        let name = claim.get("name");
        if !known.items().any(|own| own.text_of("name") == name.text()) {
            errors.push(name.invalid("must match the name of an entry in `spec.resourceClaims`"));
        }
        if !seen.insert(name.text().to_owned()) {
            errors.push(name.duplicate());
        }
        let made = claim.get("resourceClaimName");
        if made.is_set() {
            checks::named(&made, names::dns1123_subdomain, errors);
        }
    }
    extended_claim(&status.get("extendedResourceClaimStatus"), spec, errors);
    for claim in status.get("nodeAllocatableResourceClaimStatuses").items() {
        let name = claim.get("resourceClaimName");
        if name.text().is_empty() {
            errors.push(name.required("must not be empty"));
        }
        let mut referred = known.items().chain(made.items());
        if !referred.any(|own| own.value()["resourceClaimName"] == *name.value()) {
            errors.push(Error::invalid(&name.path(), name.text(), "no mapping found in pod reference"));
        }
        for list in ["containers", "resources"] {
            let at = claim.get(list);
            if at.len() == 0 {
                errors.push(at.required("must not be empty"));
            }
        }
        for (resource, amount) in claim.get("resources").entries() {
            if !is_native(resource) {
                let wrong = "must be a node allocatable resource name";
                errors.push(Error::invalid(&amount.path(), resource, wrong));
            }
            if checks::quantity(&amount).is_some_and(|amount| amount.is_negative()) {
                errors.push(amount.invalid("must be non-negative"));
            }
        }
    }
}

/// The claim that stands behind extended resources.
fn extended_claim(status: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    if !status.is_set() {
        return;
    }
    let mappings = status.get("requestMappings");
    if mappings.len() == 0 {
        errors.push(mappings.required("at least one request mapping is required"));
    }
    let (regular, init) = (spec.get("containers"), spec.get("initContainers"));
    let mut seen = BTreeSet::new();
    for mapping in mappings.items() {
        let (container, resource, request) =
            (mapping.get("containerName"), mapping.get("resourceName"), mapping.get("requestName"));
        let found = regular.items().chain(init.items()).find(|own| own.text_of("name") == container.text());
        match found {
            None => errors.push(container.invalid(
                "must match the name of an entry in spec.initContainers.name or spec.containers.name",
            )),
            Some(own) if own.value()["resources"]["requests"].get(resource.text()).is_none() => {
                errors.push(resource.invalid(
                    "must match the extended resource name of an entry in \
                     spec.initContainers.resources.requests or spec.containers.resources.requests",
                ));
            }
            Some(_) => {}
        }
        let place = status.get("requestName");
        checks::named(&place.holding(request.value()), names::dns1123_label, errors);
        let key = [&container, &resource, &request].map(|at| at.text().to_owned());
        if !seen.insert(key) {
            errors.extend([&container, &resource, &request].map(At::duplicate));
        }
    }
    checks::present_and_named(&status.get("resourceClaimName"), names::dns1123_subdomain, errors);
}

fn addresses(status: &At<'_>, before: &At<'_>, errors: &mut Errors) {
    let hosts = status.get("hostIPs");
    if hosts.len() > 0 && hosts.index(0).text_of("ip") != status.text_of("hostIP") {
        let first = hosts.index(0);
        errors.push(first.get("ip").invalid("must be equal to `hostIP`"));
    }
    for list in ["podIPs", "hostIPs"] {
        let (now, was) = (status.get(list), before.get(list));
        let texts = was.value().as_array().into_iter().flatten();
        let known: Vec<_> = texts.filter_map(|entry| entry["ip"].as_str()).collect();
        let mut families: Vec<bool> = Vec::new();
        for entry in now.items() {
            let address = entry.get("ip");
            checks::legacy_ip(&entry.holding(address.value()), &known, errors);
            families.extend(ip::lenient(address.text()).as_ref().map(IpAddr::is_ipv6));
        }
        let one_each = families.contains(&true) && families.contains(&false);
        if now.len() > 2 || (now.len() == 2 && !one_each) {
            errors.push(now.invalid("may specify no more than one IP for each IP family"));
        }
    }
}

/// Who a container's processes turned out to run as.
fn users(statuses: &At<'_>, os: &str, errors: &mut Errors) {
    for status in statuses.items() {
        let user = status.get("user");
        let linux = user.get("linux");
        if !linux.is_set() {
            continue;
        }
        if os == "windows" {
            errors.push(linux.forbidden("cannot be set for a windows pod"));
            continue;
        }
        for field in ["uid", "gid"] {
            checks::id(&linux.get(field), errors);
        }
        linux.get("supplementalGroups").items().for_each(|group| checks::id(&group, errors));
    }
}

/// A container that was added gets no devices.
fn no_health(statuses: &At<'_>, errors: &mut Errors) {
    for status in statuses.items() {
        let allocated = status.get("allocatedResourcesStatus");
        if allocated.len() > 0 {
            errors.push(allocated.forbidden("must not be specified in container status"));
        }
    }
}

/// How the devices that a container got are.
fn health(statuses: &At<'_>, containers: &At<'_>, errors: &mut Errors) {
    for status in statuses.items() {
        let allocated = status.get("allocatedResourcesStatus");
        let container = containers.items().find(|own| own.text_of("name") == status.text_of("name"));
        for resource in allocated.items() {
            let name = resource.get("name");
            if let Some(wrong) = container.and_then(|container| not_asked_for(name.text(), &container)) {
                errors.push(name.invalid(wrong));
            }
            let mut seen = BTreeSet::new();
            for device in resource.get("resources").items() {
                let (state, message, id) =
                    (device.get("health"), device.get("message"), device.get("resourceID"));
                if !matches!(state.text(), "Healthy" | "Unhealthy" | "Unknown") {
                    let supported = ["Healthy", "Unhealthy", "Unknown"];
                    errors.push(Error::not_supported(&state.path(), state.text(), &supported));
                }
                if message.is_set() && message.text().is_empty() {
                    errors.push(message.required("must be non-empty if specified"));
                } else if message.text().len() > MAX_HEALTH_MESSAGE {
                    errors.push(message.too_long(MAX_HEALTH_MESSAGE));
                }
                if !seen.insert(id.text().to_owned()) {
                    errors.push(id.duplicate());
                }
            }
        }
    }
}

/// Why a resource cannot have been allocated to a container: it asked for no such.
fn not_asked_for(name: &str, container: &At<'_>) -> Option<&'static str> {
    let resources = &container.value()["resources"];
    match name.strip_prefix("claim:") {
        Some(claimed) => {
            let mut claims = resources["claims"].as_array().into_iter().flatten();
            let asked = claims.any(|claim| {
                let (name, request) = (claim["name"].as_str().unwrap_or_default(), claim["request"].as_str());
                match request.filter(|request| !request.is_empty()) {
                    None => claimed == name,
                    Some(request) => claimed.split_once('/') == Some((name, request)),
                }
            });
            (!asked).then_some(
                "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or \
                 'claim:<claimName>' if request is empty",
            )
        }
        None => resources["requests"]
            .get(name)
            .is_none()
            .then_some("must match one of the container's resource requests"),
    }
}
