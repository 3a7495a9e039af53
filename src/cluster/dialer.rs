//! The way to the agents of one process: a duplex pipe each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::client::NodeDialer;
use crate::env::{BoxIo, Tasks};
use crate::node::NodeAgent;

use super::Agents;

/// How much a pipe holds in each direction before its writer waits.
const PIPE_BYTES: usize = 64 * 1024;

/// Dials the agents of one process.
pub(super) struct PipeDialer {
    pub(super) agents: Arc<Agents>,
    pub(super) tasks: Tasks,
}

#[async_trait]
impl NodeDialer for PipeDialer {
    async fn dial(&self, node: &str) -> io::Result<BoxIo> {
        let agent = self.agent(node)?;
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        self.tasks.spawn("kubelet connection", async move { agent.serve_connection(Box::new(theirs)).await });
        Ok(Box::new(ours))
    }

    async fn dial_address(&self, node: &str, address: SocketAddr) -> io::Result<BoxIo> {
        self.agent(node)?.dial(address).await
    }
}

impl PipeDialer {
    fn agent(&self, node: &str) -> io::Result<Arc<NodeAgent>> {
        self.agents.get(node).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no agent of node {node:?} runs in this process"))
        })
    }
}
