//! Pods, and the pod specs of templates.

use std::collections::BTreeSet;

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::Error;
use crate::api::names;

mod container;
mod env;
mod handlers;
mod placement;
mod resources;
mod update;
mod volumes;

pub(super) use placement::{node_selector, taint_effect, tolerations};
pub(super) use resources::{requirements, resource_quantity};
pub(super) use update::{status, update};

/// A pod, beyond its metadata.
pub(super) fn object(pod: &At<'_>, errors: &mut Errors) {
    let spec_at = pod.get("spec");
    spec(&spec_at, true, errors);
    // Templates may carry white space, for the sake of old ones; pods may not.
    for list in ["containers", "initContainers"] {
        for container in spec_at.get(list).items() {
            let image = container.get("image");
            if image.text().trim() != image.text() {
                errors.push(image.invalid("must not have leading or trailing whitespace"));
            }
        }
    }
}

/// The spec of a pod, or of a template of pods.
pub(super) fn spec(spec: &At<'_>, is_pod: bool, errors: &mut Errors) {
    let grace = spec.get("terminationGracePeriodSeconds");
    if !grace.is_set() {
        errors.push(grace.required(""));
    }
    let volumes = spec.get("volumes");
    volumes::all(&volumes, errors);
    container::regular(spec, errors);
    container::init(spec, errors);
    container::ephemeral(spec, errors);
    if spec.get("hostNetwork").flag() {
        host_ports(&spec.get("containers"), is_pod, errors);
    }
    checks::one_of(&spec.get("restartPolicy"), &["Always", "OnFailure", "Never"], errors);
    checks::one_of(
        &spec.get("dnsPolicy"),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        errors,
    );
    checks::labels(&spec.get("nodeSelector"), errors);
    placement::affinity(&spec.get("affinity"), errors);
    dns(spec, errors);
    for gate in spec.get("readinessGates").items() {
        checks::named(&gate.get("conditionType"), names::qualified_name, errors);
    }
    gates(&spec.get("schedulingGates"), errors);
    placement::spread(&spec.get("topologySpreadConstraints"), errors);
    for (field, rule) in [
        ("serviceAccountName", names::dns1123_subdomain as names::Check),
        ("nodeName", names::dns1123_subdomain),
        ("hostname", names::dns1123_label),
        ("subdomain", names::dns1123_label),
        ("priorityClassName", names::dns1123_subdomain),
        ("runtimeClassName", names::dns1123_subdomain),
    ] {
        checks::named_if_set(&spec.get(field), rule, errors);
    }
    let deadline = spec.get("activeDeadlineSeconds");
    if deadline.number().is_some_and(|seconds| !(1..=i64::from(i32::MAX)).contains(&seconds)) {
        errors.push(deadline.invalid(names::between(1, i32::MAX.into())));
    }
    placement::tolerations(&spec.get("tolerations"), errors);
    for alias in spec.get("hostAliases").items() {
        checks::ip(&alias.get("ip"), errors);
        alias
            .get("hostnames")
            .items()
            .for_each(|name| checks::named(&name, names::dns1123_subdomain, errors));
    }
    checks::one_of_if_set(&spec.get("preemptionPolicy"), &["PreemptLowerPriority", "Never"], errors);
    let overhead = spec.get("overhead");
    for (name, quantity) in overhead.entries() {
        resources::container_resource(name, &quantity, errors);
    }
}

/// On the host's network, a port of the host is the container's own.
fn host_ports(containers: &At<'_>, is_pod: bool, errors: &mut Errors) {
    for container in containers.items() {
        for port in container.get("ports").items() {
            let host = port.get("hostPort");
            let number = host.number().unwrap_or(0);
            if (is_pod || number != 0) && number != port.get("containerPort").number().unwrap_or(0) {
                errors.push(host.invalid("must match `containerPort` when `hostNetwork` is true"));
            }
        }
    }
}

fn dns(spec: &At<'_>, errors: &mut Errors) {
    let config = spec.get("dnsConfig");
    let servers = config.get("nameservers");
    if spec.get("dnsPolicy").text() == "None" {
        if !config.is_set() {
            errors.push(config.required("must provide `dnsConfig` when `dnsPolicy` is None"));
        } else if servers.len() == 0 {
            errors
                .push(servers.required("must provide at least one DNS nameserver when `dnsPolicy` is None"));
        }
    }
    if servers.len() > 3 {
        errors.push(servers.invalid("must not have more than 3 nameservers"));
    }
    servers.items().for_each(|server| {
        checks::ip(&server, errors);
    });
    let searches = config.get("searches");
    if searches.len() > 32 {
        errors.push(searches.invalid("must not have more than 32 search paths"));
    }
    for option in config.get("options").items() {
        let name = option.get("name");
        if name.text().is_empty() {
            errors.push(name.required("must not be empty"));
        }
    }
}

fn gates(gates: &At<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for gate in gates.items() {
        let name = gate.get("name");
        let at_gate = |sentence| Error::invalid(&gate.path(), name.text(), sentence);
        errors.extend(names::qualified_name(name.text()).into_iter().map(at_gate));
        if !seen.insert(name.text().to_owned()) {
            errors.push(Error::duplicate(&gate.path(), name.text()));
        }
    }
}
