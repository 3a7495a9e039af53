//! Whether a container that has ended starts again.

use k8s_openapi::api::core::v1::{Container, PodSpec};

/// Whether a container is a sidecar: an init container that goes on running beside the others.
#[must_use]
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Whether a container that ended with this exit code starts again: the first of its own rules
/// that matches decides, then its own policy, then the pod's (`Always` where it has none).
#[must_use]
pub fn should_restart(spec: &PodSpec, container: &Container, exit_code: i32) -> bool {
    let own = container.restart_policy.as_deref();
    if own.is_some()
        && container.restart_policy_rules.iter().flatten().any(|rule| {
            rule.action == "Restart"
                && rule.exit_codes.as_ref().is_some_and(|codes| {
                    let listed = codes.values.iter().flatten().any(|code| *code == exit_code);
                    match codes.operator.as_str() {
                        "In" => listed,
                        "NotIn" => !listed,
                        _ => false,
                    }
                })
        })
    {
        return true;
    }
    match own.or(spec.restart_policy.as_deref()) {
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        _ => true,
    }
}
