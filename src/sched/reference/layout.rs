//! Where every pod is: the nodes, what is on each, and how that differs from what is so.
//!
//! A question about nodes is asked of a layout: of the one that the world has, of one where pods are
//! counted that a node is kept for, or of one without the pods that preemption would evict.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::host_port::{HostPort, host_ports};
use super::world::{Named, World, is_finished, node_name};

/// Where every pod is.
#[derive(Clone, Debug)]
pub(super) struct Layout<'w> {
    pub(super) places: Vec<Place<'w>>,
    /// What was put in and taken out since the world was read, in order.
    pub(super) changes: Vec<Change<'w>>,
}

/// A node and what is on it.
#[derive(Clone, Debug)]
pub(super) struct Place<'w> {
    pub(super) node: &'w Node,
    pub(super) pods: Vec<&'w Pod>,
    /// The ports that are taken. A port is there once, however many pods have it, and so goes with
    /// the first of them that goes.
    ///
    /// Source: `HostPortInfo` of `k8s.io/kube-scheduler/framework/types.go` (1.36).
    pub(super) ports: BTreeSet<HostPort>,
}

/// A pod that came to a node or left it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'w> {
    pub(super) place: usize,
    pub(super) pod: &'w Pod,
    /// 1 for one that came, -1 for one that left.
    pub(super) sign: i64,
}

impl<'w> Layout<'w> {
    /// The pods that are on nodes. What has run to its end is nowhere, and so is what is on a node
    /// that is not there.
    pub(super) fn of(world: &'w World) -> Self {
        let places = world
            .nodes
            .iter()
            .map(|node| {
                let on_it = |pod: &&'w Pod| !is_finished(pod) && node_name(pod) == node.name();
                let pods: Vec<_> = world.pods.iter().map(AsRef::as_ref).filter(on_it).collect();
                let ports = pods.iter().flat_map(|pod| host_ports(pod)).collect();
                Place { node, pods, ports }
            })
            .collect();
        Self { places, changes: Vec::new() }
    }

    /// The place of a node.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.places.iter().position(|place| place.node.name() == name)
    }

    /// Puts a pod on a node.
    pub(super) fn put(&mut self, place: usize, pod: &'w Pod) {
        self.places[place].pods.push(pod);
        self.places[place].ports.extend(host_ports(pod));
        self.changes.push(Change { place, pod, sign: 1 });
    }

    /// Takes a pod off a node.
    pub(super) fn take(&mut self, place: usize, pod: &'w Pod) {
        self.places[place].pods.retain(|other| !std::ptr::eq(*other, pod));
        for port in host_ports(pod) {
            self.places[place].ports.remove(&port);
        }
        self.changes.push(Change { place, pod, sign: -1 });
    }

    /// All pods, each with the node it is on.
    pub(super) fn pods(&self) -> impl Iterator<Item = (&'w Node, &'w Pod)> + '_ {
        self.places.iter().flat_map(|place| place.pods.iter().map(|pod| (place.node, *pod)))
    }
}
