//! What nodes run on.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::cidr::Cidr;
use crate::env::Env;
use crate::net::NetworkProvider;
use crate::net::proxy::ProxyOptions;
use crate::runtime::ContainerRuntime;

use super::StartError;

/// The machine of one node: what runs its containers, and what gives them addresses.
#[derive(Clone)]
pub struct Machine {
    /// Runs containers.
    pub runtime: Arc<dyn ContainerRuntime>,
    /// Gives sandboxes their addresses.
    pub network: Arc<dyn NetworkProvider>,
}

/// Provides the machines of a cluster. A platform with a runtime or network of its own implements
/// this; `Processes` and `Simulated` are ours.
///
/// # Contract
///
/// The networks of all machines of one provider reach each other's pods.
///
/// # Idempotence
///
/// Asking for the machine of a node again, after its agent ended, answers the same machine with
/// whatever runs on it.
///
/// # Cancel safety
///
/// A call that is dropped may have made the machine; `shutdown` ends it.
#[async_trait]
pub trait Machines: Send + Sync + 'static {
    /// The machine of a node.
    async fn machine(&self, node: &str, env: &Env) -> Result<Machine, StartError>;

    /// Where services get their stable addresses.
    fn service_cidr(&self) -> Cidr;

    /// Whether pods live at loopback addresses, which Kubernetes refuses in endpoints otherwise.
    fn on_loopback(&self) -> bool {
        false
    }

    /// How a userspace proxy of this process answers at the service addresses; none where it cannot.
    /// Asked once, when the nodes that a cluster starts with have their machines.
    fn proxy(&self) -> Option<ProxyOptions> {
        None
    }

    /// The node's power is cut: whatever runs on its machine ends.
    async fn lost(&self, node: &str) {
        let _ = node;
    }

    /// Ends every machine, and waits until nothing of them is left.
    async fn shutdown(&self);
}

/// The machines of a cluster without nodes.
pub(super) struct NoMachines;

#[async_trait]
impl Machines for NoMachines {
    async fn machine(&self, _: &str, _: &Env) -> Result<Machine, StartError> {
        Err(StartError::NoMachines)
    }

    fn service_cidr(&self) -> Cidr {
        Cidr::new([10, 96, 0, 0].into(), 12).expect("a private block of Kubernetes' default size")
    }

    async fn shutdown(&self) {}
}
