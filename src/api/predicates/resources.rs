//! What a pod asks for.
//!
//! Init containers run one after the other before the others start, so they count with the largest
//! of them; a sidecar (an init container that restarts always) stays and counts from its turn on.
//! Pod-level requests stand in for those of the containers, and overhead is added at last. As
//! `k8s.io/component-helpers/resource` (1.36) reckons.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::api::quantity::Quantity;

/// Amounts by resource name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources(BTreeMap<String, Quantity>);

impl Resources {
    /// No resource at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The amounts of an object's field. One that is no quantity counts as absent: validation has
    /// refused it before.
    #[must_use]
    pub fn read(amounts: Option<&BTreeMap<String, Text>>) -> Self {
        let read = |(name, text): (&String, &Text)| Some((name.clone(), Quantity::try_from(text).ok()?));
        Self(amounts.into_iter().flatten().filter_map(read).collect())
    }

    /// The amounts as a field of an object holds them.
    #[must_use]
    pub fn to_text(&self) -> BTreeMap<String, Text> {
        self.0.iter().map(|(name, amount)| (name.clone(), (*amount).into())).collect()
    }

    /// The amount of a resource; nothing where it is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Quantity {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Whether a resource is named, be its amount nothing.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Sets the amount of a resource.
    pub fn set(&mut self, name: impl Into<String>, amount: Quantity) {
        self.0.insert(name.into(), amount);
    }

    /// Adds the other amounts.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let sum = self.get(name).plus(*amount);
            self.0.insert(name.clone(), sum);
        }
    }

    /// Raises each amount to the other's where that is larger.
    pub fn raise(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            if !self.has(name) || *amount > self.get(name) {
                self.0.insert(name.clone(), *amount);
            }
        }
    }

    /// Names and amounts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Quantity)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Whether no resource is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Milli-CPUs.
    #[must_use]
    pub fn cpu_milli(&self) -> i64 {
        self.get("cpu").milli_value()
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory_bytes(&self) -> i64 {
        self.get("memory").value()
    }
}

impl<'a> FromIterator<(&'a str, Quantity)> for Resources {
    fn from_iter<I: IntoIterator<Item = (&'a str, Quantity)>>(amounts: I) -> Self {
        Self(amounts.into_iter().map(|(name, amount)| (name.to_owned(), amount)).collect())
    }
}

/// What a pod asks a node for.
#[must_use]
pub fn pod_requests(spec: &PodSpec) -> Resources {
    pod_requests_or(spec, &Resources::new())
}

/// What a pod asks a node for, where a container that names no amount of a resource asks for
/// `least` of it: how the scheduler keeps pods that ask for nothing apart.
#[must_use]
pub fn pod_requests_or(spec: &PodSpec, least: &Resources) -> Resources {
    let read = |requirements: &ResourceRequirements| {
        let mut amounts = Resources::read(requirements.requests.as_ref());
        for (name, amount) in least.iter() {
            if !amounts.has(name) {
                amounts.set(name, amount);
            }
        }
        amounts
    };
    let mut total = containers_total(spec, read, least);
    let own = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    replace_pod_level(&mut total, own);
    total.add(&Resources::read(spec.overhead.as_ref()));
    total
}

/// What the containers of a pod ask for together, without what the pod itself says.
#[must_use]
pub fn container_requests(spec: &PodSpec) -> Resources {
    containers_total(spec, |requirements| Resources::read(requirements.requests.as_ref()), &Resources::new())
}

/// What the containers of a pod may use together, without what the pod itself says.
#[must_use]
pub fn container_limits(spec: &PodSpec) -> Resources {
    containers_total(spec, |requirements| Resources::read(requirements.limits.as_ref()), &Resources::new())
}

/// What a pod may use at most. A resource that some container has no limit of is still summed over
/// the others.
#[must_use]
pub fn pod_limits(spec: &PodSpec) -> Resources {
    let mut total = container_limits(spec);
    let own = spec.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    replace_pod_level(&mut total, own);
    for (name, amount) in Resources::read(spec.overhead.as_ref()).iter() {
        let limit = total.get(name);
        if !limit.is_zero() {
            total.set(name, limit.plus(amount));
        }
    }
    total
}

fn replace_pod_level(total: &mut Resources, own: Option<&BTreeMap<String, Text>>) {
    for (name, amount) in Resources::read(own).iter() {
        if is_pod_level(name) {
            total.set(name, amount);
        }
    }
}

/// Whether a pod may ask for a resource as a whole.
pub(crate) fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

fn containers_total(
    spec: &PodSpec,
    read: impl Fn(&ResourceRequirements) -> Resources,
    absent: &Resources,
) -> Resources {
    let amounts = |container: &Container| match &container.resources {
        Some(requirements) => read(requirements),
        None => absent.clone(),
    };
    let mut total = Resources::new();
    for container in &spec.containers {
        total.add(&amounts(container));
    }
    let (mut sidecars, mut peak) = (Resources::new(), Resources::new());
    for container in spec.init_containers.iter().flatten() {
        let mut own = amounts(container);
        if container.restart_policy.as_deref() == Some("Always") {
            total.add(&own);
            sidecars.add(&own);
            peak.raise(&sidecars);
        } else {
            own.add(&sidecars);
            peak.raise(&own);
        }
    }
    total.raise(&peak);
    total
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(tree: Value) -> PodSpec {
        let mut tree = tree;
        for field in ["containers", "initContainers"] {
            for container in tree[field].as_array_mut().into_iter().flatten() {
                container["name"] = "c".into();
            }
        }
        serde_json::from_value(tree).unwrap()
    }

    fn asks(cpu: &str, memory: &str) -> Value {
        json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}})
    }

    fn shown(resources: &Resources) -> String {
        resources.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn requests_of_pods() {
        let sidecar = |cpu: &str| json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}});
        for (tree, expected) in [
            (json!({"containers": [asks("1", "1Gi"), asks("500m", "1Mi")]}), "cpu=1500m memory=1025Mi"),
            (
                json!({"containers": [asks("1", "1Gi")], "initContainers": [asks("3", "1Mi"), asks("2", "2Gi")]}),
                "cpu=3 memory=2Gi",
            ),
            (json!({"containers": [asks("1", "1Gi")], "initContainers": [sidecar("1")]}), "cpu=2 memory=1Gi"),
            // The second init container runs beside the sidecar, the first does not.
            (
                json!({"containers": [asks("1", "0")],
                       "initContainers": [asks("3", "0"), sidecar("1"), asks("2500m", "0")]}),
                "cpu=3500m memory=0",
            ),
            (json!({"containers": [asks("1", "1Gi")], "overhead": {"cpu": "250m"}}), "cpu=1250m memory=1Gi"),
            (
                json!({"containers": [asks("1", "1Gi")],
                       "resources": {"requests": {"cpu": "4", "example.com/gpu": "1"}}}),
                "cpu=4 memory=1Gi",
            ),
            (json!({"containers": [{}]}), ""),
        ] {
            assert_eq!(shown(&pod_requests(&spec(tree.clone()))), expected, "{tree}");
        }
    }

    #[test]
    fn a_container_that_asks_for_nothing_counts_with_the_least() {
        let least =
            [("cpu", Quantity::milli(100)), ("memory", Quantity::bytes(200 << 20))].into_iter().collect();
        let pod = spec(json!({"containers": [{}, {"resources": {"requests": {"cpu": "1"}}}]}));
        assert_eq!(shown(&pod_requests_or(&pod, &least)), "cpu=1100m memory=400Mi");
    }

    #[test]
    fn limits_of_pods() {
        let pod = spec(json!({
            "containers": [{"resources": {"limits": {"cpu": "1"}}}, {}],
            "overhead": {"cpu": "1", "memory": "1Mi"},
        }));
        assert_eq!(shown(&pod_limits(&pod)), "cpu=2");
    }
}
