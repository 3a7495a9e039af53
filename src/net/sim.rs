//! A network without sockets, for simulation: addresses from an [`Ipam`](super::ipam::Ipam), and
//! connections that are pipes.
//!
//! Who is dialled is asked for in this order: something that [listens](SimNetwork::listen) there,
//! then each [answerer](SimNetwork::answer), which is how simulated containers come to be reached
//! (`SimRuntime::connect` is one). Where nobody is found, the connection is refused. A node can be
//! [cut off](SimNetwork::cut): then nothing comes from it or gets to it until it is healed, and a
//! dial waits, as it does where packets are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{Notify, mpsc};

use super::pool::Pool;
use super::{AttachRequest, Attachment, NetworkProvider, Result};
use crate::api::cidr::Cidr;
use crate::env::BoxIo;

/// How much of a connection waits to be read.
const PIPE: usize = 64 * 1024;

/// Opens a connection to an address, if it is there.
pub type Answerer = Arc<dyn Fn(SocketAddr) -> Option<BoxIo> + Send + Sync>;

/// The network of a simulated cluster.
pub struct SimNetwork {
    pool: Pool,
    state: Mutex<State>,
    healed: Notify,
}

#[derive(Default)]
struct State {
    listeners: BTreeMap<SocketAddr, mpsc::UnboundedSender<DuplexStream>>,
    answerers: Vec<Answerer>,
    cut: BTreeSet<String>,
}

/// Takes the connections to one address. Dropping it frees the address.
pub struct SimListener {
    network: Arc<SimNetwork>,
    address: SocketAddr,
    connections: mpsc::UnboundedReceiver<DuplexStream>,
}

impl SimNetwork {
    /// A network whose pods and nodes have addresses of these blocks.
    #[must_use]
    pub fn new(pods: Cidr, nodes: Cidr) -> Arc<Self> {
        Arc::new(Self { pool: Pool::new(pods, nodes), state: Mutex::default(), healed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provider of a node. A name always has the same address.
    ///
    /// # Errors
    ///
    /// [`Error::Exhausted`](super::Error::Exhausted).
    pub fn node(self: &Arc<Self>, name: &str) -> Result<Arc<dyn NetworkProvider>> {
        let address = self.pool.node(name)?;
        Ok(Arc::new(SimNode { network: Arc::clone(self), name: name.to_owned(), address }))
    }

    /// The nodes that were named so far, with their addresses.
    #[must_use]
    pub fn nodes(&self) -> BTreeMap<String, IpAddr> {
        self.pool.nodes()
    }

    /// From here on, asks `answerer` for connections too, after those that were given before.
    pub fn answer(&self, answerer: impl Fn(SocketAddr) -> Option<BoxIo> + Send + Sync + 'static) {
        self.state().answerers.push(Arc::new(answerer));
    }

    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// `AddrInUse`.
    pub fn listen(self: &Arc<Self>, address: SocketAddr) -> io::Result<SimListener> {
        let (sender, connections) = mpsc::unbounded_channel();
        let mut state = self.state();
        if state.listeners.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        state.listeners.insert(address, sender);
        Ok(SimListener { network: Arc::clone(self), address, connections })
    }

    /// Cuts a node off. Connections that are established stay.
    pub fn cut(&self, node: &str) {
        self.state().cut.insert(node.to_owned());
    }

    /// Joins it again.
    pub fn heal(&self, node: &str) {
        self.state().cut.remove(node);
        self.healed.notify_waiters();
    }

    /// Opens a connection, as from a node. Cancel safe.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` where nobody answers.
    pub async fn dial(&self, from: &str, address: SocketAddr) -> io::Result<BoxIo> {
        loop {
            let mut healed = std::pin::pin!(self.healed.notified());
            healed.as_mut().enable();
            if !self.is_cut(from, address.ip()) {
                return self.connect(address);
            }
            healed.await;
        }
    }

    fn is_cut(&self, from: &str, to: IpAddr) -> bool {
        let cut = self.state().cut.clone();
        let to = if cut.is_empty() { None } else { self.pool.node_of(to) };
        // A node that is cut off still reaches itself.
        to.as_deref() != Some(from) && (cut.contains(from) || to.is_some_and(|to| cut.contains(&to)))
    }

    fn connect(&self, address: SocketAddr) -> io::Result<BoxIo> {
        let answerers = {
            let state = self.state();
            if let Some(listener) = state.listeners.get(&address) {
                let (near, far) = duplex(PIPE);
                if listener.send(far).is_ok() {
                    return Ok(Box::new(near));
                }
            }
            state.answerers.clone()
        };
        let refused = io::ErrorKind::ConnectionRefused;
        answerers.iter().find_map(|answerer| answerer(address)).ok_or_else(|| refused.into())
    }
}

impl SimListener {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection. Cancel safe.
    pub async fn accept(&mut self) -> BoxIo {
        match self.connections.recv().await {
            Some(connection) => Box::new(connection),
            // The sender is in the network, which this listener holds.
            None => std::future::pending().await,
        }
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.network.state().listeners.remove(&self.address);
    }
}

struct SimNode {
    network: Arc<SimNetwork>,
    name: String,
    address: IpAddr,
}

#[async_trait]
impl NetworkProvider for SimNode {
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
        self.network.dial(&self.name, address).await
    }

    fn node_address(&self) -> IpAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn network() -> Arc<SimNetwork> {
        SimNetwork::new("10.244.0.0/16".parse().unwrap(), "10.0.0.0/24".parse().unwrap())
    }

    async fn pod(node: &Arc<dyn NetworkProvider>, sandbox: &str) -> IpAddr {
        let request = AttachRequest { sandbox: sandbox.to_owned(), ..AttachRequest::default() };
        node.attach(&request).await.unwrap()[0]
    }

    async fn refused(node: &Arc<dyn NetworkProvider>, address: SocketAddr) -> bool {
        node.dial(address).await.err().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    #[tokio::test]
    async fn listeners_come_first_then_answerers_then_nobody() {
        let network = network();
        let node = network.node("one").unwrap();
        let address = SocketAddr::new(pod(&node, "a").await, 80);
        assert!(refused(&node, address).await);
        let mut listener = network.listen(address).unwrap();
        assert_eq!(network.listen(address).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        network.answer(move |asked| (asked == address).then(|| Box::new(duplex(1).0) as BoxIo));
        let mut near = node.dial(address).await.unwrap();
        let mut far = listener.accept().await;
        near.write_all(b"hello").await.unwrap();
        drop(near);
        let mut heard = String::new();
        far.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "hello");
        drop(listener);
        assert!(node.dial(address).await.is_ok(), "the answerer has it");
        assert!(refused(&node, SocketAddr::new(address.ip(), 81)).await);
    }

    #[tokio::test]
    async fn a_node_that_is_cut_off_is_not_reached_and_reaches_only_itself() {
        let network = network();
        let (one, two) = (network.node("one").unwrap(), network.node("two").unwrap());
        let address = SocketAddr::new(pod(&two, "a").await, 80);
        let _listener = network.listen(address).unwrap();
        network.cut("two");
        let mut dial = one.dial(address);
        assert!(dial.as_mut().now_or_never().is_none());
        assert!(two.dial(SocketAddr::new(one.node_address(), 6443)).now_or_never().is_none());
        assert!(two.dial(address).await.is_ok());
        network.heal("two");
        assert!(dial.await.is_ok());
    }
}
