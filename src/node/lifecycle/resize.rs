//! More or less CPU and memory for a pod that runs.
//!
//! What a pod was given (*allocated*) stays its until what its spec asks for fits beside the others; a
//! request that never can is told apart from one that has to wait. The runtimes here hold no container to
//! its limits, so that what is allocated is in force at once, but for containers that want to start anew.
//!
//! Source: `allocationManager.canResizePod` of `k8s.io/kubernetes/pkg/kubelet/allocation` (1.36).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};

use super::observed::spec;
use crate::api::predicates::{Resources, pod_requests};
use crate::api::quantity::Quantity;

/// What the containers of a pod were given, by name.
pub type Allocated = BTreeMap<String, ResourceRequirements>;

/// Why a pod has not been given what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pending {
    /// The node will never have it.
    Infeasible(String),
    /// The node has given it to others.
    Deferred(String),
}

/// What the spec of a pod asks for.
#[must_use]
pub fn asked(pod: &Pod) -> Allocated {
    let spec = spec(pod);
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    containers.map(|one| (one.name.clone(), one.resources.clone().unwrap_or_default())).collect()
}

/// What a pod was given before this agent began, as its status tells; what it asks for where that is silent.
#[must_use]
pub fn known(pod: &Pod) -> Allocated {
    let mut allocated = asked(pod);
    let status = pod.status.iter();
    let statuses = status
        .flat_map(|status| status.container_statuses.iter().chain(&status.init_container_statuses).flatten());
    for status in statuses {
        if let (Some(slot), Some(given)) = (allocated.get_mut(&status.name), &status.resources) {
            slot.requests.clone_from(&given.requests);
            slot.limits.clone_from(&given.limits);
        }
    }
    allocated
}

/// The pod as if its spec asked for what it was given.
#[must_use]
pub fn given(pod: &Pod, allocated: &Allocated) -> Pod {
    let mut pod = pod.clone();
    let spec = pod.spec.iter_mut();
    let containers =
        spec.flat_map(|spec| spec.init_containers.iter_mut().flatten().chain(&mut spec.containers));
    for container in containers {
        if let Some(resources) = allocated.get(&container.name) {
            container.resources = Some(resources.clone());
        }
    }
    pod
}

/// Whether a pod can be given what it asks for: beside `used`, of what the node can give.
///
/// # Errors
///
/// Why not.
pub fn fits(pod: &Pod, used: &Resources, allocatable: &Resources) -> Result<(), Pending> {
    for (name, requested) in pod_requests(spec(pod)).iter() {
        if requested.is_zero() || !allocatable.has(name) {
            continue;
        }
        let unit = |amount: Quantity| if name == "cpu" { amount.milli_value() } else { amount.value() };
        let (requested, used, capacity) =
            (unit(requested), unit(used.get(name)), unit(allocatable.get(name)));
        if requested > capacity {
            return Err(Pending::Infeasible(format!(
                "Node didn't have enough capacity: {name}, requested: {requested}, capacity: {capacity}"
            )));
        }
        if requested > capacity.saturating_sub(used) {
            return Err(Pending::Deferred(format!(
                "Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
            )));
        }
    }
    Ok(())
}

/// Whether a container has to start anew to have other resources than before.
#[must_use]
pub fn must_restart(
    container: &Container,
    before: &ResourceRequirements,
    now: &ResourceRequirements,
) -> bool {
    let differs = |name: &str| {
        let amount = |all: &Option<BTreeMap<String, _>>| all.as_ref().and_then(|all| all.get(name).cloned());
        amount(&before.requests) != amount(&now.requests) || amount(&before.limits) != amount(&now.limits)
    };
    let policies = container.resize_policy.iter().flatten();
    policies
        .into_iter()
        .any(|policy| policy.restart_policy == "RestartContainer" && differs(&policy.resource_name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(cpu: &str) -> Pod {
        serde_json::from_value(json!({
            "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": cpu}},
                "resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]}]},
        }))
        .unwrap()
    }

    fn resources(amounts: Value) -> Resources {
        Resources::read(Some(&serde_json::from_value(amounts).unwrap()))
    }

    #[test]
    fn what_never_fits_is_told_from_what_has_to_wait() {
        let node = resources(json!({"cpu": "4", "memory": "1Gi"}));
        let beside = |used: &str, wanted: &str| fits(&pod(wanted), &resources(json!({"cpu": used})), &node);
        assert_eq!(beside("2", "2"), Ok(()));
        assert_eq!(
            beside("0", "5"),
            Err(Pending::Infeasible(
                "Node didn't have enough capacity: cpu, requested: 5000, capacity: 4000".into()
            ))
        );
        assert_eq!(
            beside("3", "2"),
            Err(Pending::Deferred(
                "Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000".into()
            ))
        );
    }

    #[test]
    fn what_was_given_is_read_from_the_status_and_stands_in_for_the_spec() {
        let mut asking = pod("2");
        assert_eq!(known(&asking), asked(&asking));
        asking.status = serde_json::from_value(json!({
            "containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "resources": {"requests": {"cpu": "1"}}}],
        }))
        .unwrap();
        assert_eq!(known(&asking), asked(&pod("1")));
        assert_eq!(given(&asking, &asked(&pod("1"))).spec, pod("1").spec);
    }

    #[test]
    fn a_container_starts_anew_for_what_its_policy_says() {
        let of = |amounts: Value| serde_json::from_value::<ResourceRequirements>(amounts).unwrap();
        let container = &pod("1").spec.unwrap().containers[0];
        let before = of(json!({"requests": {"cpu": "1", "memory": "1Gi"}}));
        let cpu = of(json!({"requests": {"cpu": "2", "memory": "1Gi"}}));
        let memory = of(json!({"requests": {"cpu": "1", "memory": "2Gi"}}));
        assert!(!must_restart(container, &before, &cpu));
        assert!(must_restart(container, &before, &memory));
    }
}
