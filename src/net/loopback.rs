//! A network without privileges: every pod, node and service has its own address inside
//! 127.0.0.0/8, which a Linux machine answers without being told to.
//!
//! A cluster claims a /16 of it, such as 127.42.0.0/16:
//!
//! | range | what |
//! |---|---|
//! | `127.42.0.0/20` | nodes; the first address holds the claim |
//! | `127.42.16.0/20` | services |
//! | `127.42.128.0/17` | pods |
//!
//! The claim is a listening socket on a fixed port of the block's first address. The system gives
//! that to one socket of the whole machine, and takes it back when its process ends, however that
//! happens; so two clusters never share a block, be they in one process or in two.
//!
//! What it does not do: keep anybody out. Every address can be reached by every program of the
//! machine, and a program that listens on `0.0.0.0` answers on all of them. 127.0.0.0/16 is left to
//! the machine.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpSocket;

use super::pool::Pool;
use super::{AttachRequest, Attachment, NetworkProvider, Result};
use crate::api::cidr::Cidr;
use crate::env::BoxIo;

/// Where claims are held: below the ephemeral ports of Linux, so that no outgoing connection has it.
const CLAIM_PORT: u16 = 20_161;

/// A /16 of 127.0.0.0/8 that belongs to one cluster. Dropping it, and what was made from it, gives
/// it back.
pub struct Loopback {
    block: Cidr,
    pods: Cidr,
    services: Cidr,
    pool: Pool,
    /// Nobody is ever accepted here: that it is bound is the claim.
    _claim: TcpListener,
}

impl Loopback {
    /// Takes a block that no other cluster of this machine has.
    ///
    /// # Errors
    ///
    /// `AddrInUse` where all 254 blocks are taken; whatever else binding a socket can fail with.
    pub fn claim() -> io::Result<Arc<Self>> {
        for second in 1..=254 {
            match TcpListener::bind((Ipv4Addr::new(127, second, 0, 1), CLAIM_PORT)) {
                Ok(claim) => return Self::new(second, claim).map(Arc::new).map_err(io::Error::other),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        let text = format!("every block of 127.0.0.0/8 is taken: somebody holds port {CLAIM_PORT} of each");
        Err(io::Error::new(io::ErrorKind::AddrInUse, text))
    }

    fn new(second: u8, claim: TcpListener) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let part = |third, prefix| Cidr::new(Ipv4Addr::new(127, second, third, 0).into(), prefix);
        let (block, nodes, services, pods) = (part(0, 16)?, part(0, 20)?, part(16, 20)?, part(128, 17)?);
        let pool = Pool::new(pods, nodes);
        // The claim's own address is that of a node which everybody has: the cluster itself.
        pool.node("")?;
        Ok(Self { block, pods, services, pool, _claim: claim })
    }

    /// The whole block.
    #[must_use]
    pub fn block(&self) -> Cidr {
        self.block
    }

    /// Where pods get their addresses.
    #[must_use]
    pub fn pod_cidr(&self) -> Cidr {
        self.pods
    }

    /// Where services get theirs.
    #[must_use]
    pub fn service_cidr(&self) -> Cidr {
        self.services
    }

    /// The block's first address, for what belongs to the cluster and to no node: its API server.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.block.nth(1).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The addresses of the nodes that were named so far.
    #[must_use]
    pub fn nodes(&self) -> BTreeMap<String, IpAddr> {
        let mut nodes = self.pool.nodes();
        nodes.remove("");
        nodes
    }

    /// The provider of a node. A name always has the same address.
    ///
    /// # Errors
    ///
    /// [`Error::Exhausted`](super::Error::Exhausted) beyond 4093 nodes.
    pub fn try_node(self: &Arc<Self>, name: &str) -> Result<Arc<dyn NetworkProvider>> {
        let address = self.pool.node(name)?;
        Ok(Arc::new(LoopbackNode { network: Arc::clone(self), name: name.to_owned(), address }))
    }

    /// The provider of a node. A name always has the same address.
    ///
    /// # Panics
    ///
    /// Beyond 4093 nodes; [`try_node`](Self::try_node) says so instead.
    #[must_use]
    pub fn node(self: &Arc<Self>, name: &str) -> Arc<dyn NetworkProvider> {
        self.try_node(name).expect("a loopback network has at most 4093 nodes")
    }
}

struct LoopbackNode {
    network: Arc<Loopback>,
    name: String,
    address: IpAddr,
}

#[async_trait]
impl NetworkProvider for LoopbackNode {
    async fn attach(&self, request: &AttachRequest) -> Result<Vec<IpAddr>> {
        self.network.pool.attach(&self.name, request)
    }

    async fn detach(&self, sandbox: &str) -> Result<()> {
        self.network.pool.detach(&self.name, sandbox);
        Ok(())
    }

    async fn attachments(&self) -> Result<Vec<Attachment>> {
        Ok(self.network.pool.attachments(&self.name))
    }

    async fn dial(&self, address: SocketAddr) -> io::Result<BoxIo> {
        let SocketAddr::V4(target) = address else {
            return Ok(Box::new(TcpSocket::new_v6()?.connect(address).await?));
        };
        let socket = TcpSocket::new_v4()?;
        if target.ip().is_loopback() {
            // So that who is dialled sees which node it was. Elsewhere the address means nothing.
            socket.bind(SocketAddr::new(self.address, 0))?;
        }
        Ok(Box::new(socket.connect(address).await?))
    }

    fn node_address(&self) -> IpAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn request(sandbox: &str) -> AttachRequest {
        AttachRequest { sandbox: sandbox.to_owned(), ..AttachRequest::default() }
    }

    #[test]
    fn two_clusters_never_overlap_and_a_dropped_one_gives_its_block_back() {
        let (one, two) = (Loopback::claim().unwrap(), Loopback::claim().unwrap());
        assert!(!one.block().overlaps(&two.block()));
        assert!(!one.pod_cidr().overlaps(&one.service_cidr()));
        let held = SocketAddr::new(one.address(), CLAIM_PORT);
        assert!(TcpListener::bind(held).is_err());
        drop(one);
        // Another test may have claimed it at once, but never while this one holds it.
        drop(two);
    }

    #[tokio::test]
    async fn attaching_and_detaching_are_idempotent_and_addresses_are_the_clusters() {
        let network = Loopback::claim().unwrap();
        let (one, two) = (network.node("one"), network.node("two"));
        assert_ne!(one.node_address(), two.node_address());
        assert_eq!(one.node_address(), network.node("one").node_address());
        let first = one.attach(&request("a")).await.unwrap();
        assert_eq!(one.attach(&request("a")).await.unwrap(), first);
        let other = two.attach(&request("a")).await.unwrap();
        assert_ne!(first, other, "the same sandbox id on another node is another sandbox");
        assert!(network.pod_cidr().contains(first[0]));
        assert_eq!(one.attachments().await.unwrap().len(), 1);
        one.detach("a").await.unwrap();
        one.detach("a").await.unwrap();
        assert!(one.attachments().await.unwrap().is_empty());
        assert_ne!(one.attach(&request("b")).await.unwrap(), first, "what was just released is used last");
    }

    #[tokio::test]
    async fn a_pods_address_can_be_listened_on_and_dialled() {
        let network = Loopback::claim().unwrap();
        let node = network.node("one");
        let pod = node.attach(&request("a")).await.unwrap()[0];
        let listener = tokio::net::TcpListener::bind((pod, 0)).await.unwrap();
        let mut near = node.dial(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip(), node.node_address());
        near.write_all(b"hello").await.unwrap();
        near.shutdown().await.unwrap();
        let mut heard = String::new();
        far.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "hello");
    }
}
