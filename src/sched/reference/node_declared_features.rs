//! NodeDeclaredFeatures: a pod that needs a feature goes where a node says that it has it.
//!
//! Source: `pkg/scheduler/framework/plugins/nodedeclaredfeatures/nodedeclaredfeatures.go` and
//! `k8s.io/component-helpers/nodedeclaredfeatures/features` (1.36).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::verdict::{Before, Verdict};

pub(super) fn before(pod: &Pod) -> Before {
    if needed(pod).is_empty() { Before::Skip } else { Before::Run }
}

pub(super) fn filter(pod: &Pod, node: &Node) -> Verdict {
    let declared = node.status.as_ref().and_then(|status| status.declared_features.as_deref());
    let has = |feature: &&str| declared.unwrap_or_default().iter().any(|own| own == feature);
    if needed(pod).iter().all(has) {
        Verdict::Fit
    } else {
        Verdict::for_good("node(s) didn't match Pod's required features")
    }
}

/// The features that a pod needs. Those that only a change of a running pod needs are not among them.
fn needed(pod: &Pod) -> BTreeSet<&'static str> {
    let mut needed = BTreeSet::new();
    let Some(spec) = &pod.spec else { return needed };
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let mut rules = containers.flat_map(|container| container.restart_policy_rules.iter().flatten());
    if rules.any(|rule| rule.action == "RestartAllContainers") {
        needed.insert("RestartAllContainersOnContainerExits");
    }
    if spec.host_network == Some(true) && spec.host_users == Some(false) {
        needed.insert("UserNamespacesHostNetworkSupport");
    }
    needed
}
