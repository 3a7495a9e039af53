//! Containers: regular ones, those before them, and those added to a running pod.

use std::collections::BTreeSet;

use super::volumes::Volumes;
use super::{Rules, claims, env, handlers, mounts, resources, security};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors, PROTOCOLS};

const MAX_RESTART_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;

/// What containers are judged by, besides themselves: the pod around them.
pub(super) struct Around<'a> {
    pub(super) spec: &'a At<'a>,
    pub(super) volumes: &'a Volumes<'a>,
    pub(super) claims: &'a BTreeSet<&'a str>,
    pub(super) rules: &'a Rules<'a>,
    /// How long the pod is given to end.
    pub(super) grace: Option<i64>,
}

impl<'a> Around<'a> {
    pub(super) fn of(
        spec: &'a At<'a>,
        volumes: &'a Volumes<'a>,
        claims: &'a BTreeSet<&'a str>,
        rules: &'a Rules<'a>,
    ) -> Self {
        let grace = spec.get("terminationGracePeriodSeconds").number();
        Self { spec, volumes, claims, rules, grace }
    }
}

pub(super) fn regular(around: &Around<'_>, errors: &mut Errors) {
    let containers = around.spec.get("containers");
    if containers.len() == 0 {
        errors.push(containers.required(""));
        return;
    }
    let mut names = BTreeSet::new();
    for container in containers.items() {
        common(&container, around, errors);
        unique(&container, &mut names, errors);
        handlers::all(&container, around, errors);
        restart_policy(&container, errors);
    }
    host_ports(containers.items().collect(), errors);
}

pub(super) fn init(around: &Around<'_>, errors: &mut Errors) {
    let (regular, containers) = (around.spec.get("containers"), around.spec.get("initContainers"));
    let mut names: BTreeSet<_> = regular.items().map(|container| container.text_of("name")).collect();
    for container in containers.items() {
        common(&container, around, errors);
        init_restart_policy(&container, errors);
        unique(&container, &mut names, errors);
        host_ports(vec![container], errors);
        if is_sidecar(&container) {
            handlers::all(&container, around, errors);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                let at = container.get(field);
                if at.is_set() {
                    errors.push(
                        at.forbidden("may not be set for init containers without restartPolicy=Always"),
                    );
                }
            }
            if !around.rules.allows_restart_for_resize_of_init() {
                no_restart_for_resize(&container, errors);
            }
        }
    }
}

fn no_restart_for_resize(container: &At<'_>, errors: &mut Errors) {
    for policy in container.get("resizePolicy").items() {
        let restart = policy.get("restartPolicy");
        if restart.text() == "RestartContainer" {
            errors.push(
                restart.invalid("must not be set to 'RestartContainer' for non-sidecar initContainers"),
            );
        }
    }
}

pub(super) fn ephemeral(around: &Around<'_>, errors: &mut Errors) {
    let (regular, init) = (around.spec.get("containers"), around.spec.get("initContainers"));
    let others: BTreeSet<_> =
        regular.items().chain(init.items()).map(|container| container.text_of("name")).collect();
    let containers = around.spec.get("ephemeralContainers");
    let mut names = others.clone();
    for container in containers.items() {
        common(&container, around, errors);
        image_untouched(&container, errors);
        unique(&container, &mut names, errors);
        let target = container.get("targetContainerName");
        if !target.text().is_empty() && !others.contains(target.text()) {
            errors.push(target.not_found());
        }
        only_what_may_be_added(&container, errors);
    }
}

/// What is added to a running pod has no say in its life, its ports or its resources.
fn only_what_may_be_added(container: &At<'_>, errors: &mut Errors) {
    const WHY: &str = "cannot be set for an Ephemeral Container";
    for field in [
        "ports",
        "resources",
        "resizePolicy",
        "restartPolicy",
        "restartPolicyRules",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
    ] {
        let at = container.get(field);
        let empty_list = at.value().as_array().is_some_and(Vec::is_empty);
        let empty_resources = field == "resources" && at.len() == 0;
        if at.is_set() && !empty_list && !empty_resources {
            errors.push(at.forbidden(WHY));
        }
    }
    for mount in container.get("volumeMounts").items() {
        for field in ["subPath", "subPathExpr"] {
            let path = mount.get(field);
            if !path.text().is_empty() {
                errors.push(path.forbidden(WHY));
            }
        }
    }
}

pub(super) fn is_sidecar(container: &At<'_>) -> bool {
    container.text_of("restartPolicy") == "Always"
}

/// An image is named without white space around it.
pub(super) fn image_untouched(container: &At<'_>, errors: &mut Errors) {
    let image = container.get("image");
    if image.text().trim() != image.text() {
        errors.push(image.invalid("must not have leading or trailing whitespace"));
    }
}

fn unique<'a>(container: &At<'a>, names: &mut BTreeSet<&'a str>, errors: &mut Errors) {
    let name = container.text_of("name");
    if !names.insert(name) && !name.is_empty() {
        errors.push(Error::duplicate(&container.get("name").path(), name));
    }
}

/// What every container must be.
fn common(container: &At<'_>, around: &Around<'_>, errors: &mut Errors) {
    checks::present_and_named(&container.get("name"), names::dns1123_label, errors);
    checks::present(&container.get("image"), errors);
    checks::one_of(&container.get("terminationMessagePolicy"), &["File", "FallbackToLogsOnError"], errors);
    ports(&container.get("ports"), errors);
    env::variables(&container.get("env"), errors);
    env::sources(&container.get("envFrom"), errors);
    mounts::mounts(container, around.volumes, errors);
    mounts::devices(container, around.volumes, errors);
    checks::one_of(&container.get("imagePullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
    let requirements = container.get("resources");
    resources::requirements(&requirements, resources::container_resource, around.rules, errors);
    claims::of_container(&requirements.get("claims"), around.claims, errors);
    resize_policy(container, around.spec.text_of("restartPolicy"), errors);
    let host_users = around.spec.value()["hostUsers"] != false;
    security::of_container(&container.get("securityContext"), host_users, errors);
}

fn ports(ports: &At<'_>, errors: &mut Errors) {
    let mut names_seen = BTreeSet::new();
    for port in ports.items() {
        let name = port.get("name");
        if !name.text().is_empty() {
            let sentences = names::port_name(name.text());
            if sentences.is_empty() && !names_seen.insert(name.text().to_owned()) {
                errors.push(name.duplicate());
            }
            checks::sentences(&name, sentences, errors);
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
        for port in container.get("ports").items() {
            let host = port.get("hostPort");
            let Some(number) = host.number().filter(|number| *number != 0) else { continue };
            let claim = format!("{}/{}/{number}", port.text_of("protocol"), port.text_of("hostIP"));
            if !taken.insert(claim.clone()) {
                errors.push(Error::duplicate(&host.path(), claim));
            }
        }
    }
}

/// What a change of resources does to a running container. Errors stand at the list.
fn resize_policy(container: &At<'_>, pod_restarts: &str, errors: &mut Errors) {
    let policies = container.get("resizePolicy");
    let mut seen = BTreeSet::new();
    for policy in policies.items() {
        let (resource, restart) = (policy.get("resourceName"), policy.get("restartPolicy"));
        if !seen.insert(resource.text().to_owned()) {
            errors.push(Error::duplicate(&policy.path(), resource.text()));
        }
        checks::one_of(&policies.holding(resource.value()), &["cpu", "memory"], errors);
        let restart = policies.holding(restart.value());
        checks::one_of(&restart, &["NotRequired", "RestartContainer"], errors);
        if pod_restarts == "Never" && restart.text() != "NotRequired" {
            errors.push(restart.invalid("must be 'NotRequired' when pod `restartPolicy` is 'Never'"));
        }
    }
}

/// When a container is started again, by itself and by its exit codes.
fn restart_policy(container: &At<'_>, errors: &mut Errors) {
    let (policy, rules) = (container.get("restartPolicy"), container.get("restartPolicyRules"));
    if policy.is_set() {
        if !matches!(policy.text(), "Always" | "Never" | "OnFailure") {
            errors.push(policy.not_supported(&["Always", "Never", "OnFailure"]));
        }
    } else if rules.len() > 0 {
        errors.push(policy.required("must specify restartPolicy when restart rules are used"));
    }
    if rules.len() > MAX_RESTART_RULES {
        errors.push(rules.too_many(MAX_RESTART_RULES));
    }
    for rule in rules.items() {
        let action = rule.get("action");
        if !matches!(action.text(), "Restart" | "RestartAllContainers") {
            errors.push(Error::not_supported(
                &action.path(),
                action.text(),
                &["Restart", "RestartAllContainers"],
            ));
        }
        let codes = rule.get("exitCodes");
        if !codes.is_set() {
            errors.push(codes.required("must be specified"));
            continue;
        }
        let (operator, values) = (codes.get("operator"), codes.get("values"));
        if !matches!(operator.text(), "In" | "NotIn") {
            errors.push(Error::not_supported(&operator.path(), operator.text(), &["In", "NotIn"]));
        }
        if values.len() > MAX_EXIT_CODES {
            errors.push(values.too_many(MAX_EXIT_CODES));
        }
    }
}

/// The same of a container that runs before the others: it needs no policy, unless it has rules.
fn init_restart_policy(container: &At<'_>, errors: &mut Errors) {
    let policy = container.get("restartPolicy");
    if policy.is_set() {
        restart_policy(container, errors);
    } else if container.get("restartPolicyRules").len() > 0 {
        errors.push(policy.required("must specify restartPolicy when restart rules are used"));
    }
}
