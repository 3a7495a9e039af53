//! The informers that built-in controllers share: each is started when the first one asks for it.

use std::sync::{Arc, OnceLock};

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{claims, pods};
use crate::api::selector::FieldSelector;
use crate::client::{Client, Informer, InformerBuilder, Typed};
use crate::env::Env;

/// Objects by the uid of their controller; those without one by [`orphans`].
pub(super) const BY_CONTROLLER: &str = "controller";
/// Pods by node.
pub(super) const BY_NODE: &str = "node";
/// The ConfigMap of every namespace that holds the certificate of the cluster's authority.
pub(super) const ROOT_CA: &str = "kube-root-ca.crt";

/// The index value of a namespace's objects that have no controller.
pub(super) fn orphans(namespace: &str) -> String {
    format!("orphan/{namespace}")
}

fn by_controller(meta: &ObjectMeta) -> Vec<String> {
    vec![match claims::controller_of(meta) {
        Some(controller) => controller.uid.clone(),
        None => orphans(meta.namespace.as_deref().unwrap_or_default()),
    }]
}

/// Informers, one a kind. Clones share them.
#[derive(Clone)]
pub(super) struct Informers(Arc<Inner>);

struct Inner {
    client: Arc<dyn Client>,
    env: Env,
    pods: OnceLock<Informer<Pod>>,
    replica_sets: OnceLock<Informer<ReplicaSet>>,
    deployments: OnceLock<Informer<Deployment>>,
    services: OnceLock<Informer<Service>>,
    endpoint_slices: OnceLock<Informer<EndpointSlice>>,
    nodes: OnceLock<Informer<Node>>,
    leases: OnceLock<Informer<Lease>>,
    namespaces: OnceLock<Informer<Namespace>>,
    service_accounts: OnceLock<Informer<ServiceAccount>>,
    root_ca_maps: OnceLock<Informer<ConfigMap>>,
}

impl Informers {
    pub(super) fn new(client: Arc<dyn Client>, env: &Env) -> Self {
        Self(Arc::new(Inner {
            client,
            env: env.clone(),
            pods: OnceLock::new(),
            replica_sets: OnceLock::new(),
            deployments: OnceLock::new(),
            services: OnceLock::new(),
            endpoint_slices: OnceLock::new(),
            nodes: OnceLock::new(),
            leases: OnceLock::new(),
            namespaces: OnceLock::new(),
            service_accounts: OnceLock::new(),
            root_ca_maps: OnceLock::new(),
        }))
    }

    fn get<K>(
        &self,
        slot: &OnceLock<Informer<K>>,
        with: fn(InformerBuilder<K>) -> InformerBuilder<K>,
    ) -> Informer<K>
    where
        K: Typed + kube_core::Resource<DynamicType = ()>,
        K::Scope: 'static,
    {
        slot.get_or_init(|| with(Informer::builder(self.0.client.clone())).start(&self.0.env)).clone()
    }

    pub(super) fn pods(&self) -> Informer<Pod> {
        self.get(&self.0.pods, |builder| {
            builder
                .index(BY_CONTROLLER, |pod: &Pod| by_controller(&pod.metadata))
                .index(BY_NODE, |pod: &Pod| vec![pods::node(pod).to_owned()])
        })
    }

    pub(super) fn replica_sets(&self) -> Informer<ReplicaSet> {
        self.get(&self.0.replica_sets, |builder| {
            builder.index(BY_CONTROLLER, |set: &ReplicaSet| by_controller(&set.metadata))
        })
    }

    pub(super) fn deployments(&self) -> Informer<Deployment> {
        self.get(&self.0.deployments, |builder| builder)
    }

    pub(super) fn services(&self) -> Informer<Service> {
        self.get(&self.0.services, |builder| builder)
    }

    pub(super) fn endpoint_slices(&self) -> Informer<EndpointSlice> {
        self.get(&self.0.endpoint_slices, |builder| builder)
    }

    pub(super) fn nodes(&self) -> Informer<Node> {
        self.get(&self.0.nodes, |builder| builder)
    }

    pub(super) fn leases(&self) -> Informer<Lease> {
        self.get(&self.0.leases, |builder| builder.namespace("kube-node-lease"))
    }

    pub(super) fn namespaces(&self) -> Informer<Namespace> {
        self.get(&self.0.namespaces, |builder| builder)
    }

    pub(super) fn service_accounts(&self) -> Informer<ServiceAccount> {
        self.get(&self.0.service_accounts, |builder| builder)
    }

    pub(super) fn root_ca_maps(&self) -> Informer<ConfigMap> {
        self.get(&self.0.root_ca_maps, |builder| {
            builder.fields(FieldSelector::equals("metadata.name", ROOT_CA))
        })
    }
}
