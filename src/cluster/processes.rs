//! Machines of host processes on the loopback network.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Machine, Machines, StartError};
use crate::api::cidr::Cidr;
use crate::env::Env;
use crate::net::loopback::Loopback;
use crate::net::proxy::ProxyOptions;
use crate::runtime::process::{ProcessOptions, ProcessRuntime, ProgramImages};

/// Machines whose containers are processes of this one, each pod at an address of its own inside
/// 127.0.0.0/8. Needs no root.
pub struct Processes {
    loopback: Arc<Loopback>,
    images: ProgramImages,
    root: PathBuf,
    runtimes: Mutex<BTreeMap<String, Arc<ProcessRuntime>>>,
}

impl Processes {
    /// Claims a block of loopback addresses that no other cluster of this machine has.
    ///
    /// # Errors
    ///
    /// When no block is free.
    pub fn claim(images: ProgramImages) -> io::Result<Self> {
        let loopback = Loopback::claim()?;
        // The block is ours alone, so a directory named after it is too.
        let name = format!("windlass-{}-{}", std::process::id(), loopback.address());
        Ok(Self { loopback, images, root: std::env::temp_dir().join(name), runtimes: Mutex::default() })
    }

    /// The block of addresses.
    #[must_use]
    pub fn loopback(&self) -> &Arc<Loopback> {
        &self.loopback
    }

    fn runtimes(&self) -> MutexGuard<'_, BTreeMap<String, Arc<ProcessRuntime>>> {
        self.runtimes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Machines for Processes {
    async fn machine(&self, node: &str, env: &Env) -> Result<Machine, StartError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| StartError::Machine {
            node: node.into(),
            source,
        };
        let runtime = match self.runtimes().entry(node.to_owned()) {
            std::collections::btree_map::Entry::Occupied(known) => known.get().clone(),
            std::collections::btree_map::Entry::Vacant(vacant) => {
                let options = ProcessOptions::new(self.root.join(node), env.clone(), self.images.clone());
                let runtime = ProcessRuntime::new(options).map_err(|error| failed(error.into()))?;
                vacant.insert(Arc::new(runtime)).clone()
            }
        };
        let network = self.loopback.try_node(node).map_err(|error| failed(error.into()))?;
        Ok(Machine { runtime, network })
    }

    fn service_cidr(&self) -> Cidr {
        self.loopback.service_cidr()
    }

    fn on_loopback(&self) -> bool {
        true
    }

    fn proxy(&self) -> Option<ProxyOptions> {
        let nodes = self.loopback.nodes().into_iter();
        Some(
            nodes.fold(ProxyOptions::default(), |options, (node, address)| {
                options.node_address(node, address)
            }),
        )
    }

    async fn lost(&self, node: &str) {
        let runtime = self.runtimes().remove(node);
        if let Some(runtime) = runtime {
            runtime.shutdown().await;
        }
    }

    async fn shutdown(&self) {
        let runtimes = std::mem::take(&mut *self.runtimes());
        for runtime in runtimes.into_values() {
            runtime.shutdown().await;
        }
        // What is not empty is not ours alone; what is not there is gone.
        let _ = std::fs::remove_dir(&self.root);
    }
}
