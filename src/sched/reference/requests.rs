//! What a pod asks for.
//!
//! Source: `PodRequests` of `k8s.io/component-helpers/resource/helpers.go` (1.36), with the feature
//! gates of 1.36: pod-level resources count, and so does what a resize has not done yet.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::api::quantity::{Format, Quantity};

/// Amounts by resource name.
pub(super) type Amounts = BTreeMap<String, Quantity>;

/// What a container that asks for nothing is taken to use: thousandths of CPUs, and bytes.
///
/// Source: `pkg/scheduler/util/pod_resources.go` (1.36).
pub(super) const LEAST_CPU_MILLI: i64 = 100;
/// See [`LEAST_CPU_MILLI`].
pub(super) const LEAST_MEMORY: i64 = 200 * 1024 * 1024;

/// How a pod's requests are reckoned.
#[derive(Clone, Debug, Default)]
pub(super) struct Reckoning {
    /// Whether what the status reports counts, where it is more than what the spec asks for.
    pub(super) by_status: bool,
    /// Whether requests of the pod as a whole stand for those of its containers.
    pub(super) pod_level: bool,
    /// What a container is taken to ask for where it does not say.
    pub(super) least: Amounts,
}

/// Amounts as they are counted: thousandths of CPUs, whole numbers of all else.
pub(super) type Counts = BTreeMap<String, i64>;

/// The least amounts of CPU and memory.
pub(super) fn least() -> Amounts {
    BTreeMap::from([
        ("cpu".to_owned(), Quantity::milli(LEAST_CPU_MILLI)),
        ("memory".to_owned(), Quantity::new(LEAST_MEMORY, Format::DecimalSi)),
    ])
}

/// A resource's amount as it is counted.
pub(super) fn count(name: &str, amount: Quantity) -> i64 {
    if name == "cpu" { amount.milli_value() } else { amount.value() }
}

/// The amounts of a field. What is no quantity is not there: no API server takes it.
pub(super) fn read(amounts: Option<&BTreeMap<String, Text>>) -> Amounts {
    let one = |(name, text): (&String, &Text)| Some((name.clone(), Quantity::try_from(text).ok()?));
    amounts.into_iter().flatten().filter_map(one).collect()
}

/// What a pod asks for, overhead and all.
pub(super) fn pod_requests(pod: &Pod, how: &Reckoning) -> Amounts {
    let mut total = of_containers(pod, how);
    let Some(spec) = &pod.spec else { return total };
    if how.pod_level && asks_as_a_whole(pod) {
        let own = requests(spec.resources.as_ref());
        let status = pod.status.as_ref();
        let actual = status.and_then(|status| status.resources.as_ref()).filter(|_| how.by_status);
        let in_force = actual.map(|actual| {
            let allocated = read(status.and_then(|status| status.allocated_resources.as_ref()));
            largest(pod, &own, &requests(Some(actual)), &allocated)
        });
        for (name, amount) in own.iter().filter(|(name, _)| is_pod_level(name)) {
            let amount = match &in_force {
                Some(in_force) => in_force.get(name).copied().unwrap_or_default(),
                None => *amount,
            };
            total.insert(name.clone(), amount);
        }
    }
    add(&mut total, &read(spec.overhead.as_ref()));
    total
}

/// Whether a pod asks for a resource as a whole.
///
/// Source: `IsPodLevelRequestsSet`.
pub(super) fn asks_as_a_whole(pod: &Pod) -> bool {
    let own = requests(pod.spec.as_ref().and_then(|spec| spec.resources.as_ref()));
    own.keys().any(|name| is_pod_level(name))
}

fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

fn requests(requirements: Option<&ResourceRequirements>) -> Amounts {
    read(requirements.and_then(|requirements| requirements.requests.as_ref()))
}

/// What the containers ask for together. Those that run before the others, one after the other, count
/// with the largest of them, each beside the sidecars that were started before it.
///
/// Source: `AggregateContainerRequests`.
fn of_containers(pod: &Pod, how: &Reckoning) -> Amounts {
    let mut total = Amounts::new();
    let Some(spec) = &pod.spec else { return total };
    for container in &spec.containers {
        add(&mut total, &of_container(pod, container, how, how.by_status));
    }
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let stays = container.restart_policy.as_deref() == Some("Always");
        let own = of_container(pod, container, how, how.by_status && stays);
        if stays {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            raise(&mut most, &sidecars);
        } else {
            let mut beside = own;
            add(&mut beside, &sidecars);
            raise(&mut most, &beside);
        }
    }
    raise(&mut total, &most);
    total
}

fn of_container(pod: &Pod, container: &Container, how: &Reckoning, by_status: bool) -> Amounts {
    let mut own = requests(container.resources.as_ref());
    if by_status
        && let Some(status) = status_of(pod, &container.name)
        && let Some(actual) = &status.resources
    {
        own = largest(pod, &own, &requests(Some(actual)), &read(status.allocated_resources.as_ref()));
    }
    for (name, amount) in &how.least {
        own.entry(name.clone()).or_insert(*amount);
    }
    own
}

/// The status of the container of this name; that of an init container comes before others.
fn status_of<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let of = |list: &'a Option<Vec<ContainerStatus>>| list.iter().flatten().rfind(|one| one.name == name);
    of(&status.init_container_statuses).or_else(|| of(&status.container_statuses))
}

/// The largest of what is asked for, what is so, and what was granted. What cannot be granted on its
/// node is not counted as asked for.
///
/// Source: `determineEffectiveRequests`.
fn largest(pod: &Pod, asked: &Amounts, actual: &Amounts, granted: &Amounts) -> Amounts {
    let mut most = if is_infeasible(pod) { Amounts::new() } else { asked.clone() };
    raise(&mut most, actual);
    raise(&mut most, granted);
    most
}

fn is_infeasible(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let pending = conditions.into_iter().flatten().find(|condition| condition.type_ == "PodResizePending");
    pending.is_some_and(|condition| condition.reason.as_deref() == Some("Infeasible"))
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = total.get(name).copied().unwrap_or_default().plus(*amount);
        total.insert(name.clone(), sum);
    }
}

fn raise(total: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        if total.get(name).is_none_or(|own| amount > own) {
            total.insert(name.clone(), *amount);
        }
    }
}
