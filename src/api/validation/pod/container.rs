//! Containers: regular ones, those before them, and those added to a running pod.

use std::collections::BTreeSet;

use super::{env, handlers, resources, volumes};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors, PROTOCOLS};

pub(super) fn regular(spec: &At<'_>, errors: &mut Errors) {
    let containers = spec.get("containers");
    if containers.len() == 0 {
        errors.push(containers.required(""));
        return;
    }
    let grace = spec.get("terminationGracePeriodSeconds").number();
    let mut names = BTreeSet::new();
    for container in containers.items() {
        common(&container, spec, errors);
        unique(&container, &mut names, errors);
        handlers::all(&container, grace, errors);
        restart_policy(&container.get("restartPolicy"), errors);
    }
    host_ports(containers.items().collect(), errors);
}

pub(super) fn init(spec: &At<'_>, errors: &mut Errors) {
    let grace = spec.get("terminationGracePeriodSeconds").number();
    let regular = spec.get("containers");
    let mut names: BTreeSet<_> = regular.items().map(|container| name(&container)).collect();
    for container in spec.get("initContainers").items() {
        common(&container, spec, errors);
        unique(&container, &mut names, errors);
        host_ports(vec![container], errors);
        let policy = container.get("restartPolicy");
        restart_policy(&policy, errors);
        if policy.text() == "Always" {
            handlers::all(&container, grace, errors);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                let at = container.get(field);
                if at.is_set() {
                    errors.push(
                        at.forbidden("may not be set for init containers without restartPolicy=Always"),
                    );
                }
            }
        }
    }
}

pub(super) fn ephemeral(spec: &At<'_>, errors: &mut Errors) {
    let (regular, init) = (spec.get("containers"), spec.get("initContainers"));
    let others: BTreeSet<_> = regular.items().chain(init.items()).map(|container| name(&container)).collect();
    let mut names = others.clone();
    for container in spec.get("ephemeralContainers").items() {
        common(&container, spec, errors);
        unique(&container, &mut names, errors);
        let target = container.get("targetContainerName");
        if !target.text().is_empty() && !others.contains(target.text()) {
            errors.push(Error::not_found(&target.path(), target.text()));
        }
        for field in ["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy"]
        {
            let at = container.get(field);
            if at.is_set() {
                errors.push(at.forbidden("cannot be set for an Ephemeral Container"));
            }
        }
        let resources = container.get("resources");
        if resources.len() > 0 {
            errors.push(resources.forbidden("cannot be set for an Ephemeral Container"));
        }
    }
}

fn name<'a>(container: &At<'a>) -> &'a str {
    container.value()["name"].as_str().unwrap_or_default()
}

fn unique<'a>(container: &At<'a>, names: &mut BTreeSet<&'a str>, errors: &mut Errors) {
    let name = name(container);
    if !name.is_empty() && !names.insert(name) {
        errors.push(container.get("name").duplicate());
    }
}

fn restart_policy(at: &At<'_>, errors: &mut Errors) {
    checks::one_of_if_set(at, &["Always", "OnFailure", "Never"], errors);
}

/// What every container must be.
fn common(container: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    checks::present_and_named(&container.get("name"), names::dns1123_label, errors);
    checks::present(&container.get("image"), errors);
    checks::one_of(&container.get("terminationMessagePolicy"), &["File", "FallbackToLogsOnError"], errors);
    ports(&container.get("ports"), errors);
    env::variables(&container.get("env"), errors);
    env::sources(&container.get("envFrom"), errors);
    volumes::mounts(container, &spec.get("volumes"), errors);
    checks::one_of(&container.get("imagePullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
    resources::requirements(&container.get("resources"), errors);
}

fn ports(ports: &At<'_>, errors: &mut Errors) {
    let mut names_seen = BTreeSet::new();
    for port in ports.items() {
        let name = port.value()["name"].as_str().unwrap_or_default();
        if !name.is_empty() {
            let sentences = names::port_name(name);
            if sentences.is_empty() && !names_seen.insert(name) {
                errors.push(port.get("name").duplicate());
            }
            checks::sentences(&port.get("name"), sentences, errors);
        }
        let number = port.get("containerPort");
        if number.number().unwrap_or(0) == 0 {
            errors.push(number.required(""));
        } else {
            checks::port_number(&number, errors);
        }
        let host = port.get("hostPort");
        if host.number().unwrap_or(0) != 0 {
            checks::port_number(&host, errors);
        }
        checks::one_of(&port.get("protocol"), &PROTOCOLS, errors);
    }
}

/// A port of the host is taken once.
fn host_ports(containers: Vec<At<'_>>, errors: &mut Errors) {
    let mut taken = BTreeSet::new();
    for container in &containers {
        let ports = container.get("ports");
        for port in ports.items() {
            let host = port.get("hostPort");
            let Some(number @ 1..) = host.number() else { continue };
            let claim = format!("{}/{}/{number}", port.get("protocol").text(), port.get("hostIP").text());
            if !taken.insert(claim.clone()) {
                errors.push(Error::duplicate(&host.path(), claim));
            }
        }
    }
}
