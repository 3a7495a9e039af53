//! How a server is put together.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::admission::{AdmissionChain, AdmissionPlugin};
use super::allocate::Ranges;
use super::authentication::{Anonymous, Authenticator};
use super::health::{self, HealthCheck};
use super::limits::{InFlight, Limits};
use super::metrics::{Measured, Metrics};
use super::{
    ApiServer, Authorizer, Inner, PortRange, RoleTable, Served, ServiceAccountIssuer, Streams, webhook,
};
use crate::api::cidr::{Cidr, CidrError};
use crate::api::{RuntimeConfig, Scheme, Status};
use crate::client::hooks::Hooks;
use crate::client::{NodeDialer, WebhookClient};
use crate::env::Env;
use crate::store::cached::Cached;
use crate::store::{ObjectStore, compactor};

/// A server to be. See [`ApiServer::builder`].
pub struct ApiServerBuilder {
    store: Option<Arc<dyn ObjectStore>>,
    scheme: Option<Scheme>,
    env: Option<Env>,
    authenticators: Vec<Arc<dyn Authenticator>>,
    anonymous: Anonymous,
    authorizer: Option<Arc<dyn Authorizer>>,
    admission: AdmissionChain,
    service_accounts: ServiceAccountIssuer,
    node_dialer: Option<Arc<dyn NodeDialer>>,
    webhooks: Option<Arc<dyn WebhookClient>>,
    hooks: Option<Hooks>,
    service_cidr: Option<Cidr>,
    node_ports: PortRange,
    loopback_endpoints: bool,
    event_ttl: Duration,
    compaction_interval: Option<Duration>,
    limits: Limits,
    health_checks: Vec<Arc<dyn HealthCheck>>,
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
            authenticators: Vec::new(),
            anonymous: Anonymous::default(),
            authorizer: None,
            admission: AdmissionChain::default(),
            service_accounts: ServiceAccountIssuer::default(),
            node_dialer: None,
            webhooks: None,
            hooks: None,
            service_cidr: None,
            node_ports: PortRange::default(),
            loopback_endpoints: false,
            event_ttl: EVENT_TTL,
            compaction_interval: None,
            limits: Limits::default(),
            health_checks: Vec::new(),
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

    /// One more that tells who a request over HTTP is from, behind those that are there, and before those that
    /// a listener has of its own and the server's service account tokens.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticators.push(Arc::new(authenticator));
        self
    }

    /// Which requests over HTTP may be from nobody; any, where nothing is said.
    #[must_use]
    pub fn anonymous(mut self, anonymous: Anonymous) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Who gives out service account tokens; an issuer with a key of its own, where nothing is said.
    #[must_use]
    pub fn service_accounts(mut self, issuer: ServiceAccountIssuer) -> Self {
        self.service_accounts = issuer;
        self
    }

    /// Who may do what; [`RoleTable::default`] where none is given. Several are chained by a
    /// [`Union`](super::Union).
    #[must_use]
    pub fn authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizer = Some(authorizer);
        self
    }

    /// The steps of admission; [`AdmissionChain::default`] where nothing is said.
    #[must_use]
    pub fn admission(mut self, chain: AdmissionChain) -> Self {
        self.admission = chain;
        self
    }

    /// One more step of admission, where [`AdmissionChain::with`] places it.
    #[must_use]
    pub fn admit(mut self, plugin: impl AdmissionPlugin) -> Self {
        self.admission = self.admission.with(Arc::new(plugin));
        self
    }

    /// The way to the nodes' agents, for logs, exec and port-forward.
    #[must_use]
    pub fn node_dialer(mut self, dialer: Arc<dyn NodeDialer>) -> Self {
        self.node_dialer = Some(dialer);
        self
    }

    /// The way to ask webhooks; where none is given, over HTTPS with the feature `remote`, and else none.
    #[must_use]
    pub fn webhooks(mut self, client: Arc<dyn WebhookClient>) -> Self {
        self.webhooks = Some(client);
        self
    }

    /// Lets a test hold back, delay and fail what clients ask, in process and over HTTP. They apply to every
    /// caller, the server's own controllers included, unless they say otherwise. See [`Hooks`].
    #[must_use]
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = Some(hooks);
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

    /// How much the server takes on at once; [`Limits::default`] where nothing is said.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Something more that must be well for `/livez`, `/readyz` and `/healthz` to be: after whether anybody
    /// answers (`ping`) and whether the store does (`etcd`).
    #[must_use]
    pub fn health_check(mut self, check: impl HealthCheck) -> Self {
        self.health_checks.push(Arc::new(check));
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
        let metrics = Metrics::default();
        let clock = &env.clock;
        let store: Arc<dyn ObjectStore> =
            Arc::new(Measured::new(store, metrics.store.clone(), clock.clone()));
        let mut health_checks: Vec<Arc<dyn HealthCheck>> =
            vec![Arc::new(health::Store { store: store.clone(), clock: clock.clone() })];
        health_checks.extend(self.health_checks);
        let server = ApiServer(Arc::new(Inner {
            compactor: interval.map(|interval| compactor::start_shared(store.clone(), interval, &env)),
            cached: Cached::new(store, &env),
            served: RwLock::new(Served { scheme, definitions: BTreeMap::new() }),
            naming: tokio::sync::Mutex::new(()),
            webhooks: self.webhooks.or_else(|| webhook::default_client(&env)),
            authenticators: self.authenticators,
            anonymous: self.anonymous,
            authorizer: self.authorizer.unwrap_or_else(|| Arc::new(RoleTable::default())),
            admission: Arc::new(self.admission),
            default_priority_class: super::admission::DefaultClass::default(),
            service_accounts: self.service_accounts,
            node_dialer: self.node_dialer,
            hooks: self.hooks,
            ranges: Ranges { addresses, ports: self.node_ports },
            loopback_endpoints: self.loopback_endpoints,
            event_ttl: self.event_ttl,
            in_flight: InFlight::new(&self.limits),
            limits: self.limits,
            health_checks,
            metrics,
            started: env.clock.instant(),
            streams: Streams::of(&env),
            openapi_v2: super::rest::OpenApiV2::default(),
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
