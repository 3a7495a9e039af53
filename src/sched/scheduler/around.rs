//! What is around pods and nodes: namespaces, services and the controllers that make pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, ReplicationController, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::mpsc;

use super::run::{Around, Message, Note};
use crate::api::selector::LabelSelector;
use crate::client::{Change, Client, Informer, Typed};
use crate::env::Env;
use crate::sched::snapshot::KindVisitor;
use crate::sched::{Catalogued, Controller, Profile};

/// The informers that follow it.
#[derive(Debug)]
pub(super) struct Surroundings {
    namespaces: Informer<Namespace>,
    services: Informer<Service>,
    controllers: Informer<ReplicationController>,
    replica_sets: Informer<ReplicaSet>,
    stateful_sets: Informer<StatefulSet>,
    objects: Vec<Box<dyn Followed>>,
}

/// An informer of some kind.
#[async_trait]
trait Followed: std::fmt::Debug + Send + Sync {
    async fn synced(&self);
}

#[async_trait]
impl<K: Catalogued> Followed for Informer<K> {
    async fn synced(&self) {
        Informer::synced(self).await;
    }
}

impl Surroundings {
    /// How many lists there are to come.
    pub(super) fn lists(&self) -> usize {
        5 + self.objects.len()
    }

    /// Waits until the first lists are in.
    pub(super) async fn synced(&self) {
        self.namespaces.synced().await;
        self.services.synced().await;
        self.controllers.synced().await;
        self.replica_sets.synced().await;
        self.stateful_sets.synced().await;
        for objects in &self.objects {
            objects.synced().await;
        }
    }
}

type Inbox = mpsc::UnboundedSender<Message>;

/// Follows what is around, and tells the loop.
pub(super) fn watch(client: &Arc<dyn Client>, profile: &Profile, inbox: &Inbox, env: &Env) -> Surroundings {
    Surroundings {
        namespaces: follow(client, inbox, env, |namespace: &Namespace, there| {
            let (_, name) = names(&namespace.metadata);
            let labels = namespace.metadata.labels.clone().unwrap_or_default();
            Box::new(move |books, _| match there {
                true => books.snapshot.set_namespace(&name, labels),
                false => books.snapshot.remove_namespace(&name),
            })
        }),
        services: follow(client, inbox, env, |service: &Service, there| {
            let (namespace, name) = names(&service.metadata);
            let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
            Box::new(move |books, _| {
                books.snapshot.set_service(&namespace, &name, selector.as_ref().filter(|_| there));
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
        objects: profile
            .looked_up()
            .into_iter()
            .map(|kind| kind.visit(Watch { client, inbox, env }))
            .collect(),
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
    Informer::builder(client.clone()).without_managed_fields().on_change(told).start(env)
}

/// Follows a kind of objects that plugins look up.
struct Watch<'a> {
    client: &'a Arc<dyn Client>,
    inbox: &'a Inbox,
    env: &'a Env,
}

impl KindVisitor for Watch<'_> {
    type Output = Box<dyn Followed>;

    fn visit<K: Catalogued>(self) -> Box<dyn Followed> {
        let inbox = self.inbox.clone();
        let told = move |change: &Change<K>| {
            let note: Note = match change {
                Change::Applied { new, .. } => {
                    let new = new.clone();
                    Box::new(move |books, now| books.object(&new, now))
                }
                Change::Deleted { old, .. } => {
                    let old = old.clone();
                    Box::new(move |books, now| books.object_gone(&*old, now))
                }
                Change::Synced => {
                    let _ = inbox.send(Message::Synced);
                    return;
                }
            };
            // A scheduler that has ended hears nothing more.
            let _ = inbox.send(Message::Around(Around(note)));
        };
        let followed = Informer::<K>::builder(self.client.clone()).without_managed_fields();
        Box::new(followed.on_change(told).start(self.env))
    }
}

fn set(kind: Controller, meta: &ObjectMeta, selector: Option<LabelSelector>, there: bool) -> Note {
    let (namespace, name) = names(meta);
    Box::new(move |books, _| match there {
        true => books.snapshot.set_controller(kind, &namespace, &name, selector),
        false => books.snapshot.remove_controller(kind, &namespace, &name),
    })
}

fn names(meta: &ObjectMeta) -> (String, String) {
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}
