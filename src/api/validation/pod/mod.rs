//! Pods, and the pod specs of templates.
//!
//! Source: `ValidatePodCreate`, `ValidatePodSpec` and what they call, of
//! `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).

use std::collections::BTreeSet;

use serde_json::Value;

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::Error;
use crate::api::names;

mod annotations;
mod claims;
mod container;
mod dns;
mod env;
mod ephemeral;
mod handlers;
mod mounts;
mod node_selector;
mod os;
mod placement;
mod projected;
mod resize;
mod resources;
mod rules;
mod security;
mod spread;
mod status;
mod update;
mod volumes;
mod windows;

pub(crate) use annotations::app_armor_field;
pub(super) use annotations::template as template_annotations;
pub(super) use ephemeral::update as ephemeral_containers_update;
pub(super) use node_selector::selector as node_selector;
pub(super) use placement::taint_effect;
pub(super) use resize::update as resize_update;
pub(super) use resources::{
    container_resource, is_native, is_overcommittable, is_standard, is_standard_container, resource_name,
    resource_quantity,
};
pub(super) use rules::{Rules, node_selector_values_are_sound};
pub(super) use status::update as status;
pub(super) use update::{changed, update};

/// Tolerations that are no pod's.
pub(super) fn tolerations(tolerations: &At<'_>, errors: &mut Errors) {
    placement::tolerations(tolerations, &Rules::template(None), errors);
}

/// Requests and limits as those of a container that are none's.
pub(super) fn requirements(resources: &At<'_>, errors: &mut Errors) {
    resources::requirements(resources, container_resource, &Rules::template(None), errors);
}

/// The annotation that says that a pod shows one that a node runs by itself.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A new pod, beyond its metadata.
pub(super) fn create(pod: &At<'_>, errors: &mut Errors) {
    whole(pod, &Rules::pod(pod, None), errors);
    let spec = pod.get("spec");
    let ephemeral = spec.get("ephemeralContainers");
    if ephemeral.len() > 0 {
        errors.push(ephemeral.forbidden("cannot be set on create"));
    }
    let node = spec.get("nodeName");
    if !node.text().is_empty() && spec.get("schedulingGates").len() > 0 {
        errors.push(node.forbidden("cannot be set until all schedulingGates have been cleared"));
    }
    annotations::agree(&pod.get("metadata"), &spec, errors);
}

/// What holds of every pod, new or changed, beyond its metadata.
fn whole(pod: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let (metadata, spec) = (pod.get("metadata"), pod.get("spec"));
    annotations::specific(&metadata.get("annotations"), &spec, rules, errors);
    self::spec(&spec, rules, errors);
    if spec.text_of("serviceAccountName").is_empty() {
        tokens_of_nobody(&spec.get("volumes"), errors);
    }
    // Templates may carry white space, for the sake of old ones; pods may not.
    for list in ["containers", "initContainers"] {
        spec.get(list).items().for_each(|container| container::image_untouched(&container, errors));
    }
}

/// Tokens are those of the pod's own service account.
fn tokens_of_nobody(volumes: &At<'_>, errors: &mut Errors) {
    for volume in volumes.items() {
        for source in volume.get("projected").get("sources").items() {
            let token = source.get("serviceAccountToken");
            if token.is_set() {
                errors.push(token.forbidden("must not be specified when serviceAccountName is not set"));
            }
        }
    }
}

/// The spec of a pod, or of a template of pods.
pub(super) fn spec(spec: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let grace = spec.get("terminationGracePeriodSeconds");
    if !grace.is_set() {
        errors.push(grace.required(""));
    }
    let volumes = volumes::all(spec, rules, errors);
    let claims = claims::all(&spec.get("resourceClaims"), rules, errors);
    let around = container::Around::of(spec, &volumes, &claims, rules);
    container::regular(&around, errors);
    container::init(&around, errors);
    container::ephemeral(&around, errors);
    resources::of_pod(spec, &claims, rules, errors);
    host_ports(spec, rules, errors);
    checks::one_of(&spec.get("restartPolicy"), &["Always", "OnFailure", "Never"], errors);
    checks::one_of(
        &spec.get("dnsPolicy"),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        errors,
    );
    checks::labels(&spec.get("nodeSelector"), errors);
    security::of_pod(spec, rules, errors);
    placement::affinity(&spec.get("affinity"), rules, errors);
    dns::config(spec, errors);
    for gate in spec.get("readinessGates").items() {
        checks::named(&gate.get("conditionType"), names::qualified_name, errors);
    }
    gates(&spec.get("schedulingGates"), errors);
    spread::constraints(&spec.get("topologySpreadConstraints"), rules, errors);
    windows::host_process(spec, errors);
    security::user_namespace(spec, rules, errors);
    dns::hostname_override(spec, errors);
    for (field, rule) in [
        ("serviceAccountName", names::dns1123_subdomain as names::Check),
        ("nodeName", names::dns1123_subdomain),
        ("hostname", names::dns1123_label),
        ("subdomain", names::dns1123_label),
        ("priorityClassName", names::dns1123_subdomain),
    ] {
        checks::named_if_set(&spec.get(field), rule, errors);
    }
    checks::between(&spec.get("activeDeadlineSeconds"), 1, i32::MAX.into(), errors);
    placement::tolerations(&spec.get("tolerations"), rules, errors);
    for alias in spec.get("hostAliases").items() {
        checks::legacy_ip(&alias.get("ip"), &[], errors);
        let hostnames = alias.get("hostnames");
        hostnames.items().for_each(|name| checks::named(&name, names::dns1123_subdomain, errors));
    }
    let runtime_class = spec.get("runtimeClassName");
    if runtime_class.is_set() {
        checks::named(&runtime_class, names::dns1123_subdomain, errors);
    }
    let preemption = spec.get("preemptionPolicy");
    if preemption.is_set() {
        checks::one_of(&preemption, &["PreemptLowerPriority", "Never"], errors);
    }
    resources::overhead(&spec.get("overhead"), rules, errors);
    os::check(spec, errors);
    scheduling_group(&spec.get("schedulingGroup"), errors);
    env::file_volumes(spec, errors);
}

/// The containers of a spec, with what runs before the others first: the order in which Kubernetes
/// visits them.
fn each_container(spec: &At<'_>, mut visit: impl FnMut(&At<'_>)) {
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        spec.get(list).items().for_each(|container| visit(&container));
    }
}

/// Whether some container of a spec is so.
fn any_container(spec: &Value, test: impl Fn(&Value) -> bool) -> bool {
    ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .filter_map(|list| spec[list].as_array())
        .flatten()
        .any(test)
}

/// On the host's network, a port of the host is the container's own.
fn host_ports(spec: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    if !spec.get("hostNetwork").flag() {
        return;
    }
    for container in spec.get("containers").items() {
        for port in container.get("ports").items() {
            let host = port.get("hostPort");
            let number = host.number().unwrap_or(0);
            if (rules.is_pod() || number != 0) && number != port.number_of("containerPort") {
                let wrong = "must match `containerPort` when `hostNetwork` is true";
                errors.push(Error::invalid(&host.path(), number, wrong));
            }
        }
    }
}

fn gates(gates: &At<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for gate in gates.items() {
        let name = gate.text_of("name");
        let at_gate = |sentence| Error::invalid(&gate.path(), name, sentence);
        errors.extend(names::qualified_name(name).into_iter().map(at_gate));
        if !seen.insert(name) {
            errors.push(Error::duplicate(&gate.path(), name));
        }
    }
}

fn scheduling_group(group: &At<'_>, errors: &mut Errors) {
    if !group.is_set() {
        return;
    }
    let name = group.get("podGroupName");
    if name.is_set() {
        checks::named(&name, names::dns1123_subdomain, errors);
    } else {
        errors.push(name.invalid("must specify one of: `podGroupName`"));
    }
}
