//! A port of a node that a pod takes.
//!
//! Source: `GetHostPorts` of `pkg/scheduler/util/utils.go` and `HostPortInfo` of
//! `k8s.io/kube-scheduler/framework/types.go` (1.36).

use k8s_openapi::api::core::v1::{ContainerPort, Pod};

/// A port of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostPort {
    address: String,
    protocol: String,
    port: i32,
}

/// The address that stands for all of a node's.
const EVERY_ADDRESS: &str = "0.0.0.0";

impl HostPort {
    fn read(port: &ContainerPort) -> Option<Self> {
        let or = |text: &Option<String>, otherwise: &str| match text.as_deref() {
            None | Some("") => otherwise.to_owned(),
            Some(text) => text.to_owned(),
        };
        let number = port.host_port.filter(|number| *number > 0)?;
        Some(Self {
            address: or(&port.host_ip, EVERY_ADDRESS),
            protocol: or(&port.protocol, "TCP"),
            port: number,
        })
    }

    /// Whether not both can be had.
    pub(super) fn conflicts(&self, taken: &Self) -> bool {
        let everywhere = self.address == EVERY_ADDRESS || taken.address == EVERY_ADDRESS;
        self.protocol == taken.protocol
            && self.port == taken.port
            && (everywhere || self.address == taken.address)
    }
}

/// The ports of the node that a pod takes: of its sidecars and containers, not of containers that
/// run before these.
pub(super) fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let sidecars = spec.init_containers.iter().flatten();
    sidecars
        .filter(|container| container.restart_policy.as_deref() == Some("Always"))
        .chain(&spec.containers)
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(HostPort::read)
        .collect()
}
