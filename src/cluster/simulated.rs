//! Simulated machines: containers follow scripts, connections are pipes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Machine, Machines, StartError};
use crate::api::cidr::Cidr;
use crate::env::Env;
use crate::net::sim::SimNetwork;
use crate::runtime::sim::{Script, Scripts, SimRuntime};

/// Machines whose containers follow [`Scripts`], on a network of their own. Runs on virtual time as
/// well as on the machine's.
pub struct Simulated {
    scripts: Scripts,
    network: Arc<SimNetwork>,
    machines: Mutex<BTreeMap<String, Arc<SimRuntime>>>,
}

impl Simulated {
    /// Machines that know these images.
    #[must_use]
    pub fn new(scripts: Scripts) -> Self {
        let network = SimNetwork::new(block([10, 244, 0, 0], 14), block([10, 240, 0, 0], 14));
        Self { scripts, network, machines: Mutex::default() }
    }

    /// The network, for cutting nodes off and for listening in it.
    #[must_use]
    pub fn network(&self) -> &Arc<SimNetwork> {
        &self.network
    }

    fn machines(&self) -> MutexGuard<'_, BTreeMap<String, Arc<SimRuntime>>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Machines that know every image; what they run starts at once and goes on until it is stopped.
impl Default for Simulated {
    fn default() -> Self {
        Self::new(Scripts::any(Script::new()))
    }
}

fn block(base: [u8; 4], prefix: u8) -> Cidr {
    Cidr::new(base.into(), prefix).expect("a private block")
}

#[async_trait]
impl Machines for Simulated {
    async fn machine(&self, node: &str, env: &Env) -> Result<Machine, StartError> {
        let known = self.machines().get(node).cloned();
        let runtime = match known {
            Some(known) => {
                // It may have lost its power; a machine that did not is not touched by this.
                known.restart();
                known
            }
            None => {
                let made = Arc::new(SimRuntime::new(node, env, self.scripts.clone()));
                let reached = made.clone();
                self.network.answer(move |address| reached.connect(address));
                self.machines().insert(node.to_owned(), made.clone());
                made
            }
        };
        let network = self.network.node(node);
        let network =
            network.map_err(|source| StartError::Machine { node: node.into(), source: source.into() })?;
        Ok(Machine { runtime, network })
    }

    fn service_cidr(&self) -> Cidr {
        block([10, 96, 0, 0], 12)
    }

    async fn lost(&self, node: &str) {
        if let Some(machine) = self.machines().get(node) {
            machine.crash();
        }
    }

    async fn shutdown(&self) {
        let machines: Vec<_> = self.machines().values().cloned().collect();
        for machine in machines {
            machine.shutdown().await;
        }
    }
}
