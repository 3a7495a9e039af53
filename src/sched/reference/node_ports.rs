//! NodePorts: a port of a node is one pod's.
//!
//! Source: `pkg/scheduler/framework/plugins/nodeports/node_ports.go` (1.36).

use k8s_openapi::api::core::v1::Pod;

use super::host_port::host_ports;
use super::layout::Place;
use super::verdict::{Before, Verdict};

pub(super) fn before(pod: &Pod) -> Before {
    if host_ports(pod).is_empty() { Before::Skip } else { Before::Run }
}

pub(super) fn filter(pod: &Pod, place: &Place<'_>) -> Verdict {
    let taken = |port: &super::host_port::HostPort| place.ports.iter().any(|taken| port.conflicts(taken));
    if host_ports(pod).iter().any(taken) {
        return Verdict::for_now("node(s) didn't have free ports for the requested pod ports");
    }
    Verdict::Fit
}
