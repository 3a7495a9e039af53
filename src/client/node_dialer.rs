//! The way to a node agent.

use std::io;

use async_trait::async_trait;

use crate::env::BoxIo;

/// How a control plane reaches the API of a node's agent (logs, exec, port-forward).
///
/// # Contract
///
/// The stream carries HTTP/1.1 to the agent of the node that was named, and to no other: TLS to a
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
}

#[async_trait]
impl<D: NodeDialer + ?Sized> NodeDialer for std::sync::Arc<D> {
    async fn dial(&self, node: &str) -> io::Result<BoxIo> {
        (**self).dial(node).await
    }
}
