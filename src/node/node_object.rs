//! The Node object: what an agent says of its machine.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus,
    NodeSystemInfo, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

/// The version that agents report.
const VERSION: &str = "v1.36.0";

/// What the agent can do that not every kubelet can: by these a kube-apiserver knows that WebSockets go
/// through to it, SPDY inside them included.
///
/// Source: `ExtendWebSocketsToKubelet` of `k8s.io/kubernetes/pkg/features` (1.36).
const FEATURES: [&str; 1] = ["ExtendWebSocketsToKubelet"];

/// What an agent says of its machine, but for its health.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) taints: Vec<Taint>,
    pub(super) capacity: BTreeMap<String, Quantity>,
    pub(super) allocatable: BTreeMap<String, Quantity>,
    pub(super) address: String,
    pub(super) port: u16,
    /// `name://version`.
    pub(super) runtime: String,
    pub(super) architecture: String,
    /// Machine, system and boot ids.
    pub(super) ids: [String; 3],
}

impl Facts {
    /// The object to be created.
    pub(super) fn node(&self, health: &Result<(), String>, now: Timestamp) -> Node {
        let mut node = Node {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            spec: Some(NodeSpec {
                taints: Some(self.taints.clone()).filter(|taints| !taints.is_empty()),
                ..NodeSpec::default()
            }),
            status: Some(NodeStatus::default()),
        };
        self.label(&mut node);
        self.report(&mut node, health, now);
        node
    }

    /// Sets the labels that are the agent's; answers whether that changed anything.
    pub(super) fn label(&self, node: &mut Node) -> bool {
        let own = [
            ("kubernetes.io/hostname", self.name.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", &self.architecture),
            ("beta.kubernetes.io/os", "linux"),
            ("beta.kubernetes.io/arch", &self.architecture),
        ];
        let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let labels = node.metadata.labels.get_or_insert_default();
        let before = labels.clone();
        labels.extend(own.into_iter().chain(self.labels.clone()));
        *labels != before
    }

    /// Brings the status up to date. Conditions of others stay; one of the agent's keeps its
    /// transition time while it says the same.
    pub(super) fn report(&self, node: &mut Node, health: &Result<(), String>, now: Timestamp) {
        let status = node.status.get_or_insert_default();
        let held = status.conditions.take().unwrap_or_default();
        let own = self.conditions(health, &held, now);
        let others = held.into_iter().filter(|one| own.iter().all(|own| own.type_ != one.type_));
        status.conditions = Some(others.chain(own.clone()).collect());
        status.capacity = Some(self.capacity.clone());
        status.allocatable = Some(self.allocatable.clone());
        status.declared_features = Some(FEATURES.map(str::to_owned).to_vec());
        let address = |kind: &str, address: &str| NodeAddress { type_: kind.into(), address: address.into() };
        status.addresses = Some(vec![address("InternalIP", &self.address), address("Hostname", &self.name)]);
        status.daemon_endpoints = Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(self.port) }),
        });
        let [machine_id, system_uuid, boot_id] = self.ids.clone();
        status.node_info = Some(NodeSystemInfo {
            machine_id,
            system_uuid,
            boot_id,
            kernel_version: String::new(),
            os_image: "Windlass".into(),
            container_runtime_version: self.runtime.clone(),
            kubelet_version: VERSION.into(),
            kube_proxy_version: String::new(),
            operating_system: "linux".into(),
            architecture: self.architecture.clone(),
            ..NodeSystemInfo::default()
        });
    }

    fn conditions(
        &self,
        health: &Result<(), String>,
        held: &[NodeCondition],
        now: Timestamp,
    ) -> Vec<NodeCondition> {
        let no = |kind, reason, message: &str| (kind, "False", reason, message.to_owned());
        let ready = match health {
            Ok(()) => ("Ready", "True", "KubeletReady", "kubelet is posting ready status".to_owned()),
            Err(why) => ("Ready", "False", "KubeletNotReady", format!("container runtime is down: {why}")),
        };
        [
            no("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            no("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            no("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ready,
        ]
        .map(|(kind, status, reason, message)| {
            let same = held.iter().find(|one| one.type_ == kind && one.status == status);
            NodeCondition {
                type_: kind.into(),
                status: status.into(),
                reason: Some(reason.into()),
                message: Some(message),
                last_heartbeat_time: Some(Time(now)),
                last_transition_time: same
                    .and_then(|one| one.last_transition_time.clone())
                    .or(Some(Time(now))),
            }
        })
        .into()
    }
}

/// How Kubernetes names this machine's architecture.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            name: "n1".into(),
            labels: [("disk".to_owned(), "ssd".to_owned())].into(),
            taints: Vec::new(),
            capacity: [("cpu".to_owned(), Quantity("4".into()))].into(),
            allocatable: [("cpu".to_owned(), Quantity("3".into()))].into(),
            address: "127.1.0.1".into(),
            port: 10250,
            runtime: "sim://1".into(),
            architecture: "amd64".into(),
            ids: ["m", "s", "b"].map(str::to_owned),
        }
    }

    fn condition<'a>(node: &'a Node, kind: &str) -> &'a NodeCondition {
        let all = node.status.as_ref().unwrap().conditions.as_ref().unwrap();
        all.iter().find(|one| one.type_ == kind).unwrap()
    }

    #[test]
    fn a_condition_keeps_its_transition_time_and_those_of_others_stay() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut node = facts().node(&Ok(()), at(1));
        let other = NodeCondition {
            type_: "NetworkUnavailable".into(),
            status: "False".into(),
            ..Default::default()
        };
        node.status.as_mut().unwrap().conditions.as_mut().unwrap().push(other);
        facts().report(&mut node, &Ok(()), at(2));
        let ready = condition(&node, "Ready");
        assert_eq!(ready.last_transition_time, Some(Time(at(1))));
        assert_eq!(ready.last_heartbeat_time, Some(Time(at(2))));
        facts().report(&mut node, &Err("gone".into()), at(3));
        let ready = condition(&node, "Ready");
        assert_eq!((ready.status.as_str(), &ready.last_transition_time), ("False", &Some(Time(at(3)))));
        assert_eq!(condition(&node, "NetworkUnavailable").status, "False");
        assert_eq!(node.status.unwrap().conditions.unwrap().len(), 5);
    }

    #[test]
    fn labels_of_others_stay() {
        let mut node = facts().node(&Ok(()), Timestamp::UNIX_EPOCH);
        assert_eq!(node.metadata.labels.as_ref().unwrap()["disk"], "ssd");
        assert!(!facts().label(&mut node));
        node.metadata.labels.as_mut().unwrap().insert("kubernetes.io/hostname".into(), "wrong".into());
        node.metadata.labels.as_mut().unwrap().insert("zone".into(), "a".into());
        assert!(facts().label(&mut node));
        assert_eq!(node.metadata.labels.unwrap()["zone"], "a");
    }
}
