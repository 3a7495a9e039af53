//! A pod as plugins see it: what they read of it, read once.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodResourceClaimStatus, PodSpec, Toleration};

use super::snapshot::{PodKind, ResourceId, ResourceNames};
use super::wishes::Wishes;
use crate::api::ObjectKey;
use crate::api::predicates::{
    HostPort, NodeRequirements, PreferredTerm, Resources, host_ports, pod_requests, pod_requests_or,
};
use crate::api::quantity::Quantity;

/// What a container that asks for nothing is taken to use, so that such pods spread, too.
const LEAST_CPU_MILLI: i64 = 100;
const LEAST_MEMORY: i64 = 200 << 20;

/// A pod and what follows from its spec alone.
#[derive(Clone, Debug)]
pub struct PodInfo {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Namespace and name.
    pub key: ObjectKey,
    /// `metadata.uid`.
    pub uid: String,
    /// `spec.priority`.
    pub priority: i32,
    /// What it asks for, but nothing of amount 0: milli-CPUs, bytes, or counts.
    pub requests: Vec<(ResourceId, i64)>,
    /// Milli-CPUs and bytes of memory it is taken to use, be it that it asks for nothing.
    pub assumed_use: [i64; 2],
    /// The nodes that its selector and affinity allow.
    pub requirements: NodeRequirements,
    /// The nodes that it prefers.
    pub preferred: Vec<PreferredTerm>,
    /// The ports of the node that it takes.
    pub host_ports: BTreeSet<HostPort>,
    /// What other pods may want to know of it.
    pub(super) kind: Arc<PodKind>,
}

impl PodInfo {
    /// Reads a pod; new resource names get their place in `names`.
    #[must_use]
    pub fn read(pod: Arc<Pod>, names: &mut ResourceNames) -> Self {
        let empty = PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&empty);
        let least: Resources =
            [("cpu", Quantity::milli(LEAST_CPU_MILLI)), ("memory", Quantity::bytes(LEAST_MEMORY))]
                .into_iter()
                .collect();
        let assumed = pod_requests_or(spec, &least);
        Self {
            key: ObjectKey::new(
                pod.metadata.namespace.clone().unwrap_or_default(),
                pod.metadata.name.clone().unwrap_or_default(),
            ),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            priority: spec.priority.unwrap_or(0),
            requests: names
                .amounts(&pod_requests(spec))
                .into_iter()
                .filter(|(_, amount)| *amount != 0)
                .collect(),
            assumed_use: [assumed.cpu_milli(), assumed.memory_bytes()],
            requirements: NodeRequirements::of(spec),
            preferred: PreferredTerm::of(spec),
            host_ports: host_ports(spec),
            kind: Arc::new(PodKind {
                namespace: pod.metadata.namespace.clone().unwrap_or_default(),
                labels: pod.metadata.labels.clone().unwrap_or_default(),
                deleting: pod.metadata.deletion_timestamp.is_some(),
                wishes: Wishes::read(&pod).map(Arc::new),
            }),
            pod,
        }
    }

    /// What it asks for of a resource.
    #[must_use]
    pub fn request(&self, resource: ResourceId) -> i64 {
        self.requests.iter().find(|(id, _)| *id == resource).map_or(0, |(_, amount)| *amount)
    }

    /// The pod's spec, if it has one.
    #[must_use]
    pub fn spec(&self) -> Option<&PodSpec> {
        self.pod.spec.as_ref()
    }

    /// Its tolerations.
    #[must_use]
    pub fn tolerations(&self) -> &[Toleration] {
        self.spec().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default()
    }

    /// The node that it is bound to.
    #[must_use]
    pub fn node_name(&self) -> Option<&str> {
        self.spec().and_then(|spec| spec.node_name.as_deref()).filter(|name| !name.is_empty())
    }

    /// The claims to devices that were made for it.
    #[must_use]
    pub fn generated_claims(&self) -> &[PodResourceClaimStatus] {
        let status = self.pod.status.as_ref();
        status.and_then(|status| status.resource_claim_statuses.as_deref()).unwrap_or_default()
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }

    /// Whether it has run to its end and takes nothing of its node any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let phase = self.pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    }

    /// Whether anything differs that could change a decision: of its status, the claims that were made for it.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        self.uid != other.uid
            || self.pod.spec != other.pod.spec
            || self.pod.metadata.labels != other.pod.metadata.labels
            || self.pod.metadata.annotations != other.pod.metadata.annotations
            || self.is_deleting() != other.is_deleting()
            || self.generated_claims() != other.generated_claims()
    }
}
