//! What is around pods and nodes: namespaces, services and the controllers that make pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, ReplicationController, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::mpsc;

use super::run::{Around, Message};
use crate::api::selector::LabelSelector;
use crate::client::{Change, Client, Informer, Typed};
use crate::env::Env;
use crate::sched::{Controller, Snapshot};

/// The informers that follow it.
#[derive(Debug)]
pub(super) struct Surroundings {
    namespaces: Informer<Namespace>,
    services: Informer<Service>,
    controllers: Informer<ReplicationController>,
    replica_sets: Informer<ReplicaSet>,
    stateful_sets: Informer<StatefulSet>,
}

impl Surroundings {
    /// Waits until the first lists are in.
    pub(super) async fn synced(&self) {
        self.namespaces.synced().await;
        self.services.synced().await;
        self.controllers.synced().await;
        self.replica_sets.synced().await;
        self.stateful_sets.synced().await;
    }
}

type Inbox = mpsc::UnboundedSender<Message>;

/// Follows what is around, and tells the loop.
pub(super) fn watch(client: &Arc<dyn Client>, inbox: &Inbox, env: &Env) -> Surroundings {
    Surroundings {
        namespaces: follow(client, inbox, env, |namespace: &Namespace, there| {
            let (_, name) = names(&namespace.metadata);
            let labels = namespace.metadata.labels.clone().unwrap_or_default();
            Box::new(move |snapshot| match there {
                true => snapshot.set_namespace(&name, labels),
                false => snapshot.remove_namespace(&name),
            })
        }),
        services: follow(client, inbox, env, |service: &Service, there| {
            let (namespace, name) = names(&service.metadata);
            let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
            Box::new(move |snapshot| {
                snapshot.set_service(&namespace, &name, selector.as_ref().filter(|_| there));
            })
        }),
        controllers: follow(client, inbox, env, |controller: &ReplicationController, there| {
            let labels: BTreeMap<_, _> =
                controller.spec.iter().filter_map(|spec| spec.selector.clone()).flatten().collect();
            let selector = Some(LabelSelector::of_labels(&labels));
            set(Controller::ReplicationController, &controller.metadata, selector, there)
        }),
        replica_sets: follow(client, inbox, env, |own: &ReplicaSet, there| {
            let selector = own.spec.as_ref().map(|spec| &spec.selector);
            let selector = LabelSelector::from_k8s(selector).ok();
            set(Controller::ReplicaSet, &own.metadata, selector, there)
        }),
        stateful_sets: follow(client, inbox, env, |own: &StatefulSet, there| {
            let selector = own.spec.as_ref().map(|spec| &spec.selector);
            let selector = LabelSelector::from_k8s(selector).ok();
            set(Controller::StatefulSet, &own.metadata, selector, there)
        }),
    }
}

fn follow<K>(client: &Arc<dyn Client>, inbox: &Inbox, env: &Env, note: fn(&K, bool) -> Note) -> Informer<K>
where
    K: Typed + kube_core::Resource<DynamicType = ()>,
    K::Scope: 'static,
{
    let inbox = inbox.clone();
    let told = move |change: &Change<K>| {
        let message = match change {
            Change::Applied { new, .. } => Message::Around(Around(note(new, true))),
            Change::Deleted { old, .. } => Message::Around(Around(note(old, false))),
            Change::Synced => Message::Synced,
        };
        // A scheduler that has ended hears nothing more.
        let _ = inbox.send(message);
    };
    Informer::builder(client.clone()).on_change(told).start(env)
}

type Note = Box<dyn FnOnce(&mut Snapshot) + Send>;

fn set(kind: Controller, meta: &ObjectMeta, selector: Option<LabelSelector>, there: bool) -> Note {
    let (namespace, name) = names(meta);
    Box::new(move |snapshot| match there {
        true => snapshot.set_controller(kind, &namespace, &name, selector),
        false => snapshot.remove_controller(kind, &namespace, &name),
    })
}

fn names(meta: &ObjectMeta) -> (String, String) {
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}
