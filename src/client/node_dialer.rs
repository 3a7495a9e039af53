//! The way to a node agent.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;

use crate::env::BoxIo;

/// How a control plane reaches what runs on its nodes: the API of a node's agent (logs, exec,
/// port-forward), and the ports that it proxies.
///
/// # Contract
///
/// The stream of [`dial`](Self::dial) carries HTTP/1.1 to the agent of the node that was named, and to no other: TLS to a
/// real kubelet, a duplex pipe inside one process. Every call makes a new stream.
///
/// # Cancel safety
///
/// Dropping a dial loses nothing.
///
/// # Errors
///
/// `NotFound` when there is no such node; otherwise whatever kept the stream from being made.
#[async_trait]
pub trait NodeDialer: Send + Sync + 'static {
    /// Opens a stream to the agent of a node.
    async fn dial(&self, node: &str) -> io::Result<BoxIo>;

    /// Opens a TCP stream to an address, as from a node: to a pod of it, or to another port of the node. For
    /// the proxies of pods, services and nodes; without, they reach nothing but agents.
    async fn dial_address(&self, node: &str, address: SocketAddr) -> io::Result<BoxIo> {
        let _ = (node, address);
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this server reaches nothing on its nodes but their agents",
        ))
    }
}

#[async_trait]
impl<D: NodeDialer + ?Sized> NodeDialer for std::sync::Arc<D> {
    async fn dial(&self, node: &str) -> io::Result<BoxIo> {
        (**self).dial(node).await
    }

    async fn dial_address(&self, node: &str, address: SocketAddr) -> io::Result<BoxIo> {
        (**self).dial_address(node, address).await
    }
}
