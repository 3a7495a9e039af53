//! The addresses of a cluster in one process: an [`Ipam`] for its pods and one for its nodes,
//! shared by the providers of all its nodes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ipam::{Ipam, IpamError};
use super::{AttachRequest, Attachment, Error, Result};
use crate::api::cidr::Cidr;

pub(super) struct Pool(Mutex<State>);

struct State {
    pods: Ipam,
    nodes: Ipam,
    /// By node.
    addresses: BTreeMap<String, IpAddr>,
    /// By node and sandbox.
    attached: BTreeMap<(String, String), IpAddr>,
}

impl Pool {
    pub(super) fn new(pods: Cidr, nodes: Cidr) -> Self {
        let state = State {
            pods: Ipam::new(pods),
            nodes: Ipam::new(nodes),
            addresses: BTreeMap::new(),
            attached: BTreeMap::new(),
        };
        Self(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of a node: always the same for a name.
    pub(super) fn node(&self, name: &str) -> Result<IpAddr> {
        let mut state = self.state();
        if let Some(address) = state.addresses.get(name) {
            return Ok(*address);
        }
        let address = state.nodes.allocate()?;
        state.addresses.insert(name.to_owned(), address);
        Ok(address)
    }

    pub(super) fn nodes(&self) -> BTreeMap<String, IpAddr> {
        self.state().addresses.clone()
    }

    /// The node that an address is on: its own, or that of one of its pods.
    #[cfg(feature = "sim")]
    pub(super) fn node_of(&self, address: IpAddr) -> Option<String> {
        let state = self.state();
        let node = state.addresses.iter().find(|(_, own)| **own == address).map(|(node, _)| node.clone());
        let pod =
            || state.attached.iter().find(|(_, own)| **own == address).map(|((node, _), _)| node.clone());
        node.or_else(pod)
    }

    pub(super) fn attach(&self, node: &str, request: &AttachRequest) -> Result<Vec<IpAddr>> {
        let mut state = self.state();
        let key = (node.to_owned(), request.sandbox.clone());
        if let Some(address) = state.attached.get(&key) {
            return Ok(vec![*address]);
        }
        let address = state.pods.allocate()?;
        state.attached.insert(key, address);
        Ok(vec![address])
    }

    pub(super) fn detach(&self, node: &str, sandbox: &str) {
        let mut state = self.state();
        if let Some(address) = state.attached.remove(&(node.to_owned(), sandbox.to_owned())) {
            state.pods.release(address);
        }
    }

    pub(super) fn attachments(&self, node: &str) -> Vec<Attachment> {
        let state = self.state();
        let own = state.attached.iter().filter(|((owner, _), _)| owner == node);
        own.map(|((_, sandbox), address)| Attachment { sandbox: sandbox.clone(), addresses: vec![*address] })
            .collect()
    }
}

impl From<IpamError> for Error {
    fn from(error: IpamError) -> Self {
        match error {
            IpamError::Exhausted(range) => Self::Exhausted { range: range.to_string() },
            other => Self::Failed { operation: "taking an address", source: other.into() },
        }
    }
}
