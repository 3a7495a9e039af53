//! How a server is put together.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::allocate::Ranges;
use super::tokens::Tokens;
use super::{ApiServer, Authorizer, Inner, PortRange, RoleTable, Served, Streams};
use crate::api::cidr::{Cidr, CidrError};
use crate::api::{RuntimeConfig, Scheme, Status};
use crate::client::NodeDialer;
use crate::env::Env;
use crate::store::cached::Cached;
use crate::store::{ObjectStore, compactor};

/// A server to be. See [`ApiServer::builder`].
pub struct ApiServerBuilder {
    store: Option<Arc<dyn ObjectStore>>,
    scheme: Option<Scheme>,
    env: Option<Env>,
    authorizer: Option<Arc<dyn Authorizer>>,
    node_dialer: Option<Arc<dyn NodeDialer>>,
    service_cidr: Option<Cidr>,
    node_ports: PortRange,
    loopback_endpoints: bool,
    event_ttl: Duration,
    compaction_interval: Option<Duration>,
}

/// How long events stay.
///
/// Source: `--event-ttl` of kube-apiserver (1.36).
const EVENT_TTL: Duration = Duration::from_secs(60 * 60);

/// How often history is compacted.
///
/// Source: `DefaultCompactInterval` of `k8s.io/apiserver/pkg/storage/storagebackend` (1.36).
const COMPACTION_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Why a server could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No store was given.
    #[error("an API server needs a store")]
    NoStore,
    /// The range of service addresses is none.
    #[error(transparent)]
    Cidr(#[from] CidrError),
    /// What must exist could not be made.
    #[error("preparing the store: {}", .0.message)]
    Bootstrap(Box<Status>),
}

impl ApiServerBuilder {
    pub(super) fn new() -> Self {
        Self {
            store: None,
            scheme: None,
            env: None,
            authorizer: None,
            node_dialer: None,
            service_cidr: None,
            node_ports: PortRange::default(),
            loopback_endpoints: false,
            event_ttl: EVENT_TTL,
            compaction_interval: None,
        }
    }

    /// Where everything is kept. Required.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn ObjectStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// The resources that are served; the built-in ones where none are given.
    #[must_use]
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = Some(scheme);
        self
    }

    /// The built-in resources, in the versions that `config` names: the switch for alpha and beta ones, which
    /// are off. In place of a [`scheme`](Self::scheme).
    #[must_use]
    pub fn runtime_config(self, config: &RuntimeConfig) -> Self {
        self.scheme(Scheme::builtin_with(config))
    }

    /// Time, chance and tasks; the machine's where none is given. The server's tasks form a group
    /// below this one.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Who may do what; [`RoleTable::default`] where none is given.
    #[must_use]
    pub fn authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizer = Some(authorizer);
        self
    }

    /// The way to the nodes' agents, for logs, exec and port-forward.
    #[must_use]
    pub fn node_dialer(mut self, dialer: Arc<dyn NodeDialer>) -> Self {
        self.node_dialer = Some(dialer);
        self
    }

    /// The range that services get their addresses of; 10.96.0.0/12 where none is given.
    #[must_use]
    pub fn service_cidr(mut self, range: Cidr) -> Self {
        self.service_cidr = Some(range);
        self
    }

    /// The range that services get their node ports of; 30000 to 32767 where none is given.
    #[must_use]
    pub fn node_ports(mut self, range: PortRange) -> Self {
        self.node_ports = range;
        self
    }

    /// Let endpoints have loopback addresses, which Kubernetes refuses: for a network of which all
    /// pods live on one machine.
    #[must_use]
    pub fn allow_loopback_endpoints(mut self, allow: bool) -> Self {
        self.loopback_endpoints = allow;
        self
    }

    /// How long an Event stays after it was written last, give or take a minute more; an hour where nothing
    /// is said, and for ever where zero. A store without [leases](ObjectStore::leases) keeps it for ever, too.
    #[must_use]
    pub fn event_ttl(mut self, ttl: Duration) -> Self {
        self.event_ttl = ttl;
        self
    }

    /// How often the history of the store is compacted, as `--etcd-compaction-interval` of kube-apiserver:
    /// what happened within the last interval stays, and all servers of one store compact it once. Never
    /// where zero. Where nothing is said, every five minutes in a store that
    /// [wants it](ObjectStore::wants_compaction), such as one on disk or an etcd, and never in another.
    #[must_use]
    pub fn compaction_interval(mut self, interval: Duration) -> Self {
        self.compaction_interval = Some(interval);
        self
    }

    /// Puts the server together and makes what must exist before it can serve.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub async fn build(self) -> Result<ApiServer, BuildError> {
        let env = self.env.unwrap_or_else(Env::system).child();
        let addresses = match self.service_cidr {
            Some(range) => range,
            None => Cidr::new(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 0)), 12)?,
        };
        let scheme = Arc::new(self.scheme.unwrap_or_else(Scheme::builtin));
        let store = self.store.ok_or(BuildError::NoStore)?;
        let by_default = Some(COMPACTION_INTERVAL).filter(|_| store.wants_compaction());
        let interval = self.compaction_interval.or(by_default).filter(|interval| !interval.is_zero());
        let server = ApiServer(Arc::new(Inner {
            compactor: interval.map(|interval| compactor::start_shared(store.clone(), interval, &env)),
            cached: Cached::new(store, &env),
            served: RwLock::new(Served { scheme, definitions: BTreeMap::new() }),
            authorizer: self.authorizer.unwrap_or_else(|| Arc::new(RoleTable::default())),
            node_dialer: self.node_dialer,
            ranges: Ranges { addresses, ports: self.node_ports },
            loopback_endpoints: self.loopback_endpoints,
            event_ttl: self.event_ttl,
            tokens: Tokens::default(),
            streams: Streams::of(&env),
            env,
        }));
        let prepared = async {
            server.follow_definitions().await?;
            server.bootstrap().await
        };
        prepared.await.map_err(|status| BuildError::Bootstrap(Box::new(status)))?;
        Ok(server)
    }
}
