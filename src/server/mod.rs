//! The API server: what Kubernetes' verbs mean, for every row of the scheme.
//!
//! [`ApiServer::handle`] is the one door. A [`Client`] in process calls it with the request as it
//! is; REST (`rest`) translates HTTP into the same requests, so that both meet the same
//! authorizer and the same rules. Reading order follows a write: `authentication` finds out who is
//! calling, `attributes` and `authorize` decide whether they may, `registry` carries the verb out for any
//! row, `admission` and `strategy` add what a kind needs besides, and one commit to the store makes it so.
//!
//! There is no handler per kind: what a row says (names, scope, subresources, selectable fields)
//! drives everything, and a CustomResourceDefinition is served by adding a row.
#![allow(
    clippy::result_large_err,
    reason = "a Status is what every layer here fails with; it is made once and moved"
)]

pub mod admission;
mod allocate;
mod attributes;
pub mod authentication;
mod authorize;
mod bootstrap;
mod builder;
mod connect;
mod continue_token;
mod convert;
mod definitions;
mod disruption;
mod drain;
mod health;
#[cfg(feature = "tls")]
pub mod https;
mod in_process;
mod limits;
mod managed;
mod metrics;
mod refusal;
mod registry;
pub mod rest;
mod reviews;
mod roles;
mod service_accounts;
mod strategy;
mod subresources;
mod tree;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

pub use allocate::PortRange;
pub use attributes::Attributes;
pub use authorize::{AlwaysAllow, AlwaysDeny, Authorizer, Decision, Opinion, Union};
pub use builder::{ApiServerBuilder, BuildError};
pub use health::HealthCheck;
pub use limits::Limits;
pub use refusal::Refusal;
pub use roles::{RoleTable, Rule};
pub(crate) use service_accounts::VerificationDocument;
pub use service_accounts::{KeyError, ServiceAccountIssuer};

use admission::AdmissionChain;
use authentication::{Anonymous, Authenticator};

use crate::api::{GroupVersionResource, Object, Resource, Revision, Scheme, validation};
use crate::client::hooks::Hooks;
use crate::client::{Client, Identity, NodeDialer, Request, Response, WebhookClient};
use crate::env::{Env, Stream, Task};
use crate::store;
use crate::store::cached::Cached;

/// An API server over a store. Clones are the same server.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

struct Inner {
    env: Env,
    cached: Arc<Cached>,
    served: RwLock<Served>,
    /// Held by who writes a definition.
    naming: tokio::sync::Mutex<()>,
    webhooks: Option<Arc<dyn WebhookClient>>,
    authenticators: Vec<Arc<dyn Authenticator>>,
    anonymous: Anonymous,
    authorizer: Arc<dyn Authorizer>,
    admission: Arc<AdmissionChain>,
    default_priority_class: admission::DefaultClass,
    service_accounts: ServiceAccountIssuer,
    node_dialer: Option<Arc<dyn NodeDialer>>,
    hooks: Option<Hooks>,
    ranges: allocate::Ranges,
    loopback_endpoints: bool,
    event_ttl: Duration,
    limits: Limits,
    in_flight: Arc<limits::InFlight>,
    health_checks: Vec<Arc<dyn HealthCheck>>,
    metrics: metrics::Metrics,
    started: tokio::time::Instant,
    streams: Streams,
    openapi_v2: rest::OpenApiV2,
    compactor: Option<Task<()>>,
}

/// What is served now.
struct Served {
    scheme: Arc<Scheme>,
    /// By name, what is known of each CustomResourceDefinition.
    definitions: BTreeMap<String, definitions::Known>,
}

/// Chance, by what it decides.
struct Streams {
    uids: Stream,
    names: Stream,
    addresses: Stream,
    ports: Stream,
    watches: Stream,
    audits: Stream,
    #[cfg(feature = "tls")]
    goaways: Stream,
    proxies: Stream,
}

/// A server that may be gone.
#[derive(Clone)]
pub(crate) struct Downgraded(Weak<Inner>);

/// What a request is answered with, and what goes with it on a wire.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The response.
    pub response: Response,
    /// What the caller should know besides, one `Warning` header each.
    pub warnings: Vec<String>,
    /// What admission has written down for the audit log, by key.
    pub annotations: BTreeMap<String, String>,
    /// Whether an object came to be: HTTP 201 instead of 200.
    pub created: bool,
}

impl ApiServer {
    /// Begins a server; it needs a store.
    #[must_use]
    pub fn builder() -> ApiServerBuilder {
        ApiServerBuilder::new()
    }

    /// A client in this process that acts as `identity`.
    #[must_use]
    pub fn client(&self, identity: Identity) -> Arc<dyn Client> {
        in_process::InProcess::client(self.clone(), identity)
    }

    /// Authorizes a request, and then does what it says.
    ///
    /// # Errors
    ///
    /// The `Status` that Kubernetes would answer with, and the warnings that it would send with it.
    ///
    /// # Cancel safety
    ///
    /// A write whose future is dropped may or may not have happened, never in part.
    pub async fn handle(&self, identity: &Identity, request: Request) -> Result<Answer, Refusal> {
        let request = match request {
            // A raw request is judged where its path is understood.
            Request::Raw(raw) => return Ok(Box::pin(rest::raw(self, identity, raw)).await.into()),
            request => request,
        };
        let Some(hooks) = &self.0.hooks else { return self.carry_out(identity, request).await };
        let begun = hooks.begin(identity, &request).await.map_err(|status| *status)?;
        let answer = self.carry_out(identity, request).await?;
        let Answer { response, warnings, annotations, created } = answer;
        match hooks.end(begun, response) {
            Ok(response) => Ok(Answer { response, warnings, annotations, created }),
            Err(status) => Err(Refusal::after(warnings, *status)),
        }
    }

    async fn carry_out(&self, identity: &Identity, request: Request) -> Result<Answer, Refusal> {
        let attributes = Attributes::of(&request);
        if let Decision::Deny { reason } = self.authorize(identity, &attributes) {
            return Err(authorize::refusal(identity, &attributes, &reason).into());
        }
        if let Request::Connect { target, query, protocols } = &request {
            admission::connect(self, identity, target, query).await?;
            let upgrade = connect::Upgrade::WebSocket(protocols.clone());
            return Ok(Box::pin(connect::open(self, target, query, &upgrade)).await?.into());
        }
        registry::serve(self, identity, request).await
    }

    /// All resources as they are served now, custom ones included.
    #[must_use]
    pub fn scheme(&self) -> Arc<Scheme> {
        self.0.served.read().unwrap_or_else(PoisonError::into_inner).scheme.clone()
    }

    /// The server's time, chance and tasks.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.0.env
    }

    /// The way to the nodes' agents, where there is one.
    #[must_use]
    pub fn node_dialer(&self) -> Option<&Arc<dyn NodeDialer>> {
        self.0.node_dialer.as_ref()
    }

    /// Forgets the history below `revision`: what reads or watches it is answered with 410 from now on.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn compact(&self, revision: Revision) -> Result<(), store::Error> {
        self.0.cached.compact(revision).await
    }

    /// Whether endpoints may have loopback addresses, which Kubernetes refuses.
    #[must_use]
    pub fn allows_loopback_endpoints(&self) -> bool {
        self.0.loopback_endpoints
    }

    /// What makes an object valid here.
    pub(crate) fn validation(&self) -> validation::Options {
        validation::Options { loopback_endpoints: self.0.loopback_endpoints }
    }

    /// The objects, decoded, above the store.
    pub(crate) fn cached(&self) -> &Arc<Cached> {
        &self.0.cached
    }

    /// How long an object of this row stays after a write; none where for ever.
    pub(crate) fn ttl(&self, row: &Resource) -> Option<Duration> {
        Some(self.0.event_ttl).filter(|ttl| !ttl.is_zero() && strategy::of(row).expires)
    }

    pub(crate) fn authenticators(&self) -> &[Arc<dyn Authenticator>] {
        &self.0.authenticators
    }

    pub(crate) fn anonymous(&self) -> &Anonymous {
        &self.0.anonymous
    }

    pub(crate) fn authorizer(&self) -> &Arc<dyn Authorizer> {
        &self.0.authorizer
    }

    pub(crate) fn admission(&self) -> &Arc<AdmissionChain> {
        &self.0.admission
    }

    pub(crate) fn default_priority_class(&self) -> &admission::DefaultClass {
        &self.0.default_priority_class
    }

    pub(crate) fn service_accounts(&self) -> &ServiceAccountIssuer {
        &self.0.service_accounts
    }

    pub(crate) fn ranges(&self) -> &allocate::Ranges {
        &self.0.ranges
    }

    pub(crate) fn new_uid(&self) -> String {
        self.0.streams.uids.uuid()
    }

    pub(crate) fn name_suffix(&self) -> String {
        self.0.streams.names.suffix(crate::api::names::GENERATED_SUFFIX)
    }

    pub(crate) fn address_stream(&self) -> &Stream {
        &self.0.streams.addresses
    }

    pub(crate) fn openapi_v2(&self) -> &rest::OpenApiV2 {
        &self.0.openapi_v2
    }

    pub(crate) fn port_stream(&self) -> &Stream {
        &self.0.streams.ports
    }

    /// What says which request a log line is about.
    pub(crate) fn new_audit_id(&self) -> String {
        self.0.streams.audits.uuid()
    }

    /// Whether something happens that does so by this chance, between 0 and 1.
    #[cfg(feature = "tls")]
    pub(crate) fn sends_away(&self, chance: f64) -> bool {
        chance > 0.0 && self.0.streams.goaways.unit() < chance
    }

    /// How much is taken on at once.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn in_flight(&self) -> &Arc<limits::InFlight> {
        &self.0.in_flight
    }

    /// What must be well besides that somebody answers.
    pub(crate) fn health_checks(&self) -> &[Arc<dyn HealthCheck>] {
        &self.0.health_checks
    }

    pub(crate) fn metrics(&self) -> &metrics::Metrics {
        &self.0.metrics
    }

    /// How many whole seconds the server has been there.
    pub(crate) fn second(&self) -> u32 {
        let up = self.0.env.clock.instant() - self.0.started;
        u32::try_from(up.as_secs()).unwrap_or(u32::MAX)
    }

    /// `base`, and up to as much again.
    pub(crate) fn watch_jitter(&self, base: Duration) -> Duration {
        self.0.streams.watches.jitter(base, 1.0)
    }

    /// Makes a WebSocket's key.
    pub(crate) fn fill_key(&self, key: &mut [u8]) {
        self.0.streams.proxies.fill(key);
    }

    /// Any number below `bound`, which is not zero: which of several a proxied request goes to.
    pub(crate) fn any_below(&self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.0.streams.proxies.below(bound)).unwrap_or(0)
    }

    /// The row of this name, if it is served.
    pub(crate) fn row(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.scheme().resource(&GroupVersionResource::gvr(group, version, plural)).cloned()
    }

    /// Takes note of what was committed, where the server itself depends on it.
    pub(crate) fn stored(&self, old: Option<&Object>, new: Option<&Object>) {
        let Some(object) = new.or(old) else { return };
        if definitions::is_definition(object.resource()) {
            self.definition_stored(object, new.is_none());
        }
    }

    pub(crate) fn downgrade(&self) -> Downgraded {
        Downgraded(Arc::downgrade(&self.0))
    }

    /// Ends the server's tasks and the watches that it serves, and waits until they are gone.
    pub async fn shutdown(&self) {
        self.0.env.tasks.shutdown().await;
    }
}

impl Downgraded {
    pub(crate) fn upgrade(&self) -> Option<ApiServer> {
        self.0.upgrade().map(ApiServer)
    }
}

impl Streams {
    fn of(env: &Env) -> Self {
        let stream = |name: &str| env.random.stream(&format!("server/{name}"));
        Self {
            uids: stream("uid"),
            names: stream("name"),
            addresses: stream("address"),
            ports: stream("port"),
            watches: stream("watch"),
            audits: stream("audit"),
            #[cfg(feature = "tls")]
            goaways: stream("goaway"),
            proxies: stream("proxy"),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(compactor) = &self.compactor {
            compactor.abort();
        }
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").finish_non_exhaustive()
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self { response, warnings: Vec::new(), annotations: BTreeMap::new(), created: false }
    }
}
