//! The proxy: watches, and what they change.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use tokio::sync::mpsc;

use super::port::Shared;
use super::ports::{BindFailure, Ports};
use super::rotation::Rotation;
use super::table::{self, Place, SERVICE_NAME};
use crate::api::ObjectKey;
use crate::client::{Api, Change, Client, Informer};
use crate::env::Env;

/// The index of slices by their service.
const BY_SERVICE: &str = "service";
/// Who tells of addresses that cannot be bound.
const COMPONENT: &str = "windlass-proxy";

/// How a [`ServiceProxy`] is to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyOptions {
    /// Where it stands.
    pub place: Place,
    /// How long an endpoint has to take a connection before another one is tried.
    pub connect_timeout: Duration,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        Self { place: Place::default(), connect_timeout: Duration::from_secs(1) }
    }
}

impl ProxyOptions {
    /// Carries the traffic of this node only, for which `Local` traffic policies are kept.
    #[must_use]
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.place.node = Some(name.into());
        self
    }

    /// Answers node ports on this address of a node.
    #[must_use]
    pub fn node_address(mut self, node: impl Into<String>, address: IpAddr) -> Self {
        self.place.nodes.push((node.into(), address));
        self
    }
}

/// One address that a proxy answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePortStatus {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Whether it could be bound.
    pub bound: bool,
    /// Where connections go.
    pub endpoints: Vec<SocketAddr>,
}

/// Carries connections to services to their endpoints. Clones are the same proxy.
///
/// It ends with [`shutdown`](Self::shutdown), or with the task group that it was started in.
#[derive(Clone)]
pub struct ServiceProxy(Arc<Proxy>);

struct Proxy {
    env: Env,
    place: Place,
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
    ports: Arc<Ports>,
    rotation: Arc<Rotation>,
    /// Held from reading the informers to having applied what they say, so that what is older
    /// never comes after what is newer.
    applying: Mutex<()>,
}

impl ServiceProxy {
    /// Starts to follow services, and to answer for them once all are known.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(client: Arc<dyn Client>, env: &Env, options: ProxyOptions) -> Self {
        let env = env.child();
        let rotation = Arc::new(Rotation::default());
        let (failures, failed) = mpsc::unbounded_channel();
        let shared = Shared {
            env: env.clone(),
            rotation: Arc::clone(&rotation),
            connect_timeout: options.connect_timeout,
        };
        let ports = Ports::new(shared, env.random.stream("net/proxy"), failures);
        let proxy = Arc::new_cyclic(|proxy: &Weak<Proxy>| {
            // Weak: the handlers live in the informers, which the proxy owns.
            let (of_services, of_slices) = (proxy.clone(), proxy.clone());
            let services = Informer::builder(Arc::clone(&client))
                .on_change(move |change| {
                    if let Some(proxy) = of_services.upgrade() {
                        proxy.service_changed(change);
                    }
                })
                .start(&env);
            let slices = Informer::builder(Arc::clone(&client))
                .index(BY_SERVICE, |slice| service_of(slice).map(|key| key.to_string()).into_iter().collect())
                .on_change(move |change| {
                    if let Some(proxy) = of_slices.upgrade() {
                        proxy.slice_changed(change);
                    }
                })
                .start(&env);
            let (env, place) = (env.clone(), options.place);
            Proxy { env, place, services, slices, ports, rotation, applying: Mutex::default() }
        });
        // What was told before the proxy stood is in the informers.
        proxy.apply_all();
        let (services, env) = (proxy.services.clone(), &proxy.env);
        env.tasks.spawn("proxy events", tell(client, env.clone(), services, failed));
        Self(proxy)
    }

    /// Waits until every service that existed at the start is answered for. Cancel safe.
    pub async fn synced(&self) {
        self.0.services.synced().await;
        self.0.slices.synced().await;
    }

    /// Waits until no new connection can reach this address through the proxy: no rule names it,
    /// and nobody is on the way to it. An endpoint may end from then on without failing anybody.
    ///
    /// May wait for ever: an endpoint that terminates is still used while its service has no ready
    /// one. Cancel safe.
    pub async fn left_rotation(&self, address: IpAddr) {
        self.0.rotation.left(address, || self.0.ports.names(address)).await;
    }

    /// Waits until this address is listened on and a rule sends its connections somewhere. Cancel
    /// safe.
    pub async fn answers(&self, address: SocketAddr) {
        let ports = &self.0.ports;
        let answers = |(own, bound, rule): &(SocketAddr, bool, Arc<table::Rule>)| {
            *own == address && *bound && !rule.endpoints.is_empty()
        };
        self.0.rotation.until(|| ports.list().iter().any(answers)).await;
    }

    /// Every address that is answered, or should be.
    #[must_use]
    pub fn ports(&self) -> Vec<ServicePortStatus> {
        let ports = self.0.ports.list().into_iter();
        ports
            .map(|(address, bound, rule)| ServicePortStatus {
                address,
                bound,
                endpoints: rule.endpoints.clone(),
            })
            .collect()
    }

    /// Closes every connection and every listener, and waits until none is left.
    pub async fn shutdown(&self) {
        self.0.env.tasks.shutdown().await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.env.tasks.cancel();
    }
}

impl Proxy {
    fn service_changed(&self, change: &Change<Service>) {
        match change {
            Change::Applied { object, .. } | Change::Deleted { object, .. } => self.apply(object.key()),
            Change::Synced => self.apply_all(),
        }
    }

    fn slice_changed(&self, change: &Change<EndpointSlice>) {
        match change {
            Change::Applied { old, new, .. } => {
                let before = old.as_deref().and_then(service_of);
                let after = service_of(new);
                // A slice may be given to another service.
                before
                    .iter()
                    .filter(|before| Some(*before) != after.as_ref())
                    .for_each(|key| self.apply(key));
                after.iter().for_each(|key| self.apply(key));
            }
            Change::Deleted { old, .. } => service_of(old).iter().for_each(|key| self.apply(key)),
            Change::Synced => self.apply_all(),
        }
    }

    fn apply(&self, key: &ObjectKey) {
        // A part of the endpoints would be worse than none: connections would crowd on them.
        if !self.services.is_synced() || !self.slices.is_synced() {
            return;
        }
        let _applying = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = self.services.get(key).map(|service| {
            let slices = self.slices.by_index(BY_SERVICE, &key.to_string());
            table::rules(&service, &slices, &self.place)
        });
        self.ports.apply(key, rules.unwrap_or_default());
    }

    fn apply_all(&self) {
        for key in self.services.keys() {
            self.apply(&key);
        }
    }
}

/// The service of a slice, as its label has it.
fn service_of(slice: &EndpointSlice) -> Option<ObjectKey> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(ObjectKey::new(slice.metadata.namespace.as_deref().unwrap_or_default(), name))
}

/// Tells of addresses that cannot be bound, in the log and as events of their services.
async fn tell(
    client: Arc<dyn Client>,
    env: Env,
    services: Informer<Service>,
    mut failures: mpsc::UnboundedReceiver<BindFailure>,
) {
    let names = env.random.stream("net/proxy/events");
    while let Some(failure) = failures.recv().await {
        let BindFailure { service, port, address, error } = &failure;
        tracing::warn!(%service, port, %address, %error, "cannot bind a service's address");
        let uid = services.get(service).and_then(|service| service.metadata.uid.clone());
        let event = event(&failure, uid, &env, &names.suffix(16));
        let events = Api::<Event>::namespaced(Arc::clone(&client), &service.namespace);
        if let Err(error) = events.create(&event).await {
            tracing::debug!(%error, "cannot write an event");
        }
    }
}

fn event(failure: &BindFailure, uid: Option<String>, env: &Env, suffix: &str) -> Event {
    let BindFailure { service, port, address, error } = failure;
    let port = if port.is_empty() { String::new() } else { format!(" of port {port:?}") };
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{suffix}", service.name)),
            namespace: Some(service.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Service".into()),
            name: Some(service.name.clone()),
            namespace: Some(service.namespace.clone()),
            uid,
            ..ObjectReference::default()
        },
        type_: Some("Warning".into()),
        reason: Some("FailedToBind".into()),
        message: Some(format!("Cannot listen on {address}{port}: {error}")),
        source: Some(EventSource { component: Some(COMPONENT.into()), ..EventSource::default() }),
        reporting_component: Some(COMPONENT.into()),
        first_timestamp: Some(Time(env.clock.now_seconds())),
        last_timestamp: Some(Time(env.clock.now_seconds())),
        count: Some(1),
        ..Event::default()
    }
}
