//! What every namespace has from the start: the service account `default`, and the certificate of
//! the cluster's authority for whoever wants to trust its API server.
//!
//! Behaviour as Kubernetes 1.36 (`pkg/controller/serviceaccount/serviceaccounts_controller.go`,
//! `pkg/controller/certificates/rootcacertpublisher`).

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::informers::{Informers, ROOT_CA};
use super::replica_set::is_namespace_terminating;
use super::{Action, Controller, Error, Reconciler, map};
use crate::api::ObjectKey;
use crate::client::{self, Api, Client, Informer};
use crate::env::Env;

const SERVICE_ACCOUNT: &str = "default";

/// Starts the controller of the service account `default`.
pub(super) fn start_service_accounts(
    client: Arc<dyn Client>,
    env: &Env,
    informers: &Informers,
) -> Controller {
    let (namespaces, accounts) = (informers.namespaces(), informers.service_accounts());
    Controller::builder("serviceaccount", client, env)
        .watch(&namespaces, map::itself)
        .watch(&accounts, |account: &ServiceAccount| match account.metadata.name.as_deref() {
            Some(SERVICE_ACCOUNT) => namespace_of(&account.metadata),
            _ => Vec::new(),
        })
        .start(|client| ServiceAccounts { namespaces, accounts, api: Api::all(client) })
}

/// Starts the controller of the ConfigMap `kube-root-ca.crt`, which holds this certificate (PEM).
pub(super) fn start_root_ca(
    client: Arc<dyn Client>,
    env: &Env,
    informers: &Informers,
    certificate: String,
) -> Controller {
    let (namespaces, maps) = (informers.namespaces(), informers.root_ca_maps());
    Controller::builder("root-ca-certificate-publisher", client, env)
        .watch(&namespaces, map::itself)
        .watch(&maps, |map: &ConfigMap| namespace_of(&map.metadata))
        .start(|client| RootCa { namespaces, maps, api: Api::all(client), certificate })
}

fn namespace_of(meta: &ObjectMeta) -> Vec<ObjectKey> {
    vec![ObjectKey::new("", meta.namespace.clone().unwrap_or_default())]
}

fn lives(namespaces: &Informer<Namespace>, key: &ObjectKey) -> bool {
    namespaces.get(key).is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none())
}

/// Somebody else made it, or the namespace is going away: both are fine.
fn made<K>(result: Result<K, client::Error>) -> Result<Action, Error> {
    match result {
        Ok(_) | Err(client::Error::AlreadyExists(_) | client::Error::NotFound(_)) => Ok(Action::Done),
        Err(error) if is_namespace_terminating(&error) => Ok(Action::Done),
        Err(error) => Err(error.into()),
    }
}

struct ServiceAccounts {
    namespaces: Informer<Namespace>,
    accounts: Informer<ServiceAccount>,
    api: Api<ServiceAccount>,
}

#[async_trait]
impl Reconciler for ServiceAccounts {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
        let account = ObjectKey::new(&key.name, SERVICE_ACCOUNT);
        if !lives(&self.namespaces, key) || self.accounts.get(&account).is_some() {
            return Ok(Action::Done);
        }
        let mut account = ServiceAccount::default();
        account.metadata.name = Some(SERVICE_ACCOUNT.into());
        account.metadata.namespace = Some(key.name.clone());
        made(self.api.within(&key.name).create(&account).await)
    }
}

struct RootCa {
    namespaces: Informer<Namespace>,
    maps: Informer<ConfigMap>,
    api: Api<ConfigMap>,
    certificate: String,
}

#[async_trait]
impl Reconciler for RootCa {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, Error> {
        if !lives(&self.namespaces, key) {
            return Ok(Action::Done);
        }
        let api = self.api.within(&key.name);
        let data = BTreeMap::from([("ca.crt".to_owned(), self.certificate.clone())]);
        match self.maps.get(&ObjectKey::new(&key.name, ROOT_CA)) {
            Some(map) if map.data.as_ref() == Some(&data) => Ok(Action::Done),
            Some(map) => {
                let mut map = (*map).clone();
                map.data = Some(data);
                made(api.update(&map).await)
            }
            None => {
                let mut map = ConfigMap { data: Some(data), ..ConfigMap::default() };
                map.metadata.name = Some(ROOT_CA.into());
                map.metadata.namespace = Some(key.name.clone());
                made(api.create(&map).await)
            }
        }
    }
}
