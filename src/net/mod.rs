//! The network: addresses for pods, stable addresses for services.
//!
//! [`NetworkProvider`] is the trait that networks implement; a node agent asks its node's provider
//! for the addresses of every sandbox.

pub mod ipam;
#[cfg(all(feature = "process", target_os = "linux"))]
pub mod loopback;
#[cfg(any(feature = "process", feature = "sim"))]
mod pool;
pub mod proxy;
#[cfg(feature = "sim")]
pub mod sim;

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;

use crate::env::BoxIo;

/// What is to be attached to a network.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AttachRequest {
    /// The sandbox's id: what detaches names again.
    pub sandbox: String,
    /// The network namespace, where the runtime made one.
    pub netns: Option<std::path::PathBuf>,
    /// The pod's namespace.
    pub pod_namespace: String,
    /// The pod's name.
    pub pod_name: String,
    /// The pod's uid.
    pub pod_uid: String,
}

/// What is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The sandbox's id.
    pub sandbox: String,
    /// Its addresses, the primary one first.
    pub addresses: Vec<IpAddr>,
}

/// What can go wrong in a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Every address of the range is taken.
    #[error("no address left in {range}")]
    Exhausted {
        /// The range.
        range: String,
    },
    /// Anything else.
    #[error("{operation}: {source}")]
    Failed {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What a provider's methods answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Gives the sandboxes of one node their addresses.
///
/// # Contract
///
/// - An address belongs to at most one attachment of the whole cluster at a time, and can be
///   reached from every pod and node of it.
/// - What was attached is listed until it is detached.
///
/// # Ordering
///
/// None between sandboxes.
///
/// # Idempotence
///
/// Attaching what is attached answers the same addresses; detaching what is not succeeds.
///
/// # Cancel safety
///
/// An attach that is dropped may have happened: detach, or attach again.
///
/// # Errors
///
/// See [`Error`].
#[async_trait]
pub trait NetworkProvider: Send + Sync + 'static {
    /// Gives a sandbox its addresses: at least one, the primary one first.
    async fn attach(&self, request: &AttachRequest) -> Result<Vec<IpAddr>>;

    /// Takes them back.
    async fn detach(&self, sandbox: &str) -> Result<()>;

    /// Everything that is attached on this node.
    async fn attachments(&self) -> Result<Vec<Attachment>>;

    /// Opens a TCP stream, as from the node itself, to a pod or anything else: for probes and
    /// port-forward.
    async fn dial(&self, address: SocketAddr) -> io::Result<BoxIo>;

    /// The address of the node itself, which it reports as `InternalIP`.
    fn node_address(&self) -> IpAddr;
}
