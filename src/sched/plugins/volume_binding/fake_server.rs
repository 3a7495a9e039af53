//! A server that keeps whatever it is given, tells it to who watches, and knows no rule but that of versions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::api::selector::FieldSelector;
use crate::api::{Object, ObjectKey, Resource, Revision, Scheme, status};
use crate::client::{Client, Error, Identity, ObjectList, Payload, Request, Response, Target, WatchEvent};

pub(super) struct FakeServer {
    scheme: Scheme,
    identity: Identity,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    revision: u64,
    /// By plural name of the kind.
    objects: BTreeMap<(String, ObjectKey), Object>,
    log: Vec<(String, WatchEvent)>,
    watches: Vec<Watch>,
}

struct Watch {
    plural: String,
    namespace: String,
    fields: FieldSelector,
    events: mpsc::UnboundedSender<WatchEvent>,
}

impl Watch {
    fn tell(&self, plural: &str, event: &WatchEvent) {
        let (WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object)) = event
        else {
            return;
        };
        if plural == self.plural && selects(&self.namespace, &self.fields, object) {
            let _ = self.events.send(event.clone());
        }
    }
}

fn selects(namespace: &str, fields: &FieldSelector, object: &Object) -> bool {
    (namespace.is_empty() || object.key().namespace == namespace) && fields.matches(object) == Some(true)
}

fn key(target: &Target) -> ObjectKey {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    ObjectKey::new(text(&target.namespace), text(&target.name))
}

fn tree(payload: &Payload) -> Value {
    match payload {
        Payload::Object(object) => (*object.tree()).clone(),
        Payload::Tree(tree) => tree.clone(),
        Payload::Bytes { bytes, .. } => serde_json::from_slice(bytes).unwrap(),
    }
}

impl State {
    fn write(&mut self, row: &Arc<Resource>, key: &ObjectKey, mut tree: Value) -> Object {
        self.revision += 1;
        tree["metadata"]["name"] = key.name.clone().into();
        if !key.namespace.is_empty() {
            tree["metadata"]["namespace"] = key.namespace.clone().into();
        }
        let place = (row.plural.to_string(), key.clone());
        if tree["metadata"]["uid"].is_null() {
            tree["metadata"]["uid"] = format!("uid-{}", self.revision).into();
        }
        let object = Object::from_tree(row.clone(), Revision(self.revision), tree).unwrap();
        let event = match self.objects.insert(place, object.clone()) {
            None => WatchEvent::Added(object.clone()),
            Some(_) => WatchEvent::Modified(object.clone()),
        };
        self.happened(&row.plural, event);
        object
    }

    fn happened(&mut self, plural: &str, event: WatchEvent) {
        self.watches.iter().for_each(|watch| watch.tell(plural, &event));
        self.log.push((plural.to_owned(), event));
    }
}

impl FakeServer {
    pub(super) fn new() -> Arc<Self> {
        let identity = Identity::admin();
        Arc::new(Self { scheme: Scheme::builtin(), identity, state: Mutex::default() })
    }

    fn row(&self, plural: &str) -> Arc<Resource> {
        self.scheme.iter().find(|row| row.plural == plural).unwrap().clone()
    }

    /// Makes an object, or puts it in the place of its old self.
    pub(super) fn put(&self, plural: &str, namespace: &str, name: &str, tree: Value) {
        let row = self.row(plural);
        self.state.lock().unwrap().write(&row, &ObjectKey::new(namespace, name), tree);
    }

    pub(super) fn get(&self, plural: &str, namespace: &str, name: &str) -> Value {
        let place = (plural.to_owned(), ObjectKey::new(namespace, name));
        self.state.lock().unwrap().objects.get(&place).map_or(Value::Null, |object| (*object.tree()).clone())
    }

    pub(super) fn change(&self, plural: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut tree = self.get(plural, namespace, name);
        change(&mut tree);
        self.put(plural, namespace, name, tree);
    }

    pub(super) fn delete(&self, plural: &str, namespace: &str, name: &str) {
        let mut state = self.state.lock().unwrap();
        let place = (plural.to_owned(), ObjectKey::new(namespace, name));
        let gone = state.objects.remove(&place).unwrap();
        state.revision += 1;
        let revision = Revision(state.revision);
        state.happened(plural, WatchEvent::Deleted(gone.at(revision)));
    }

    /// How many watches are open.
    pub(super) fn watches(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.watches.retain(|watch| !watch.events.is_closed());
        state.watches.len()
    }
}

#[async_trait]
impl Client for FakeServer {
    async fn call(&self, request: Request) -> Result<Response, Error> {
        let (Request::Get { target, .. }
        | Request::List { target, .. }
        | Request::Watch { target, .. }
        | Request::Create { target, .. }
        | Request::Update { target, .. }
        | Request::Patch { target, .. }) = &request
        else {
            unreachable!("a scheduler asks for nothing of the sort")
        };
        let (row, key) = (self.row(&target.resource.resource), key(target));
        let place = (row.plural.to_string(), key.clone());
        let mut state = self.state.lock().unwrap();
        let known = |state: &State| {
            let missing = || Error::from(status::not_found(&row.group, &row.plural, &key.name));
            state.objects.get(&place).cloned().ok_or_else(missing)
        };
        match request {
            Request::Get { .. } => Ok(Response::Object(known(&state)?)),
            Request::List { options, .. } => {
                let of_kind = state.objects.iter().filter(|((plural, _), _)| *plural == row.plural);
                let items = of_kind
                    .map(|(_, object)| object.clone())
                    .filter(|object| selects(&key.namespace, &options.fields, object))
                    .collect();
                let revision = Revision(state.revision);
                let (continue_token, remaining) = (None, None);
                Ok(Response::List(ObjectList { resource: row, revision, items, continue_token, remaining }))
            }
            Request::Watch { options, .. } => {
                let (events, told) = mpsc::unbounded_channel();
                let (plural, namespace) = (row.plural.to_string(), key.namespace);
                let watch = Watch { plural, namespace, fields: options.fields, events };
                let from = options.resource_version.unwrap_or_default();
                let newer = state.log.iter().filter(|(_, event)| event.revision() > from);
                newer.for_each(|(plural, event)| watch.tell(plural, event));
                state.watches.push(watch);
                let stream = futures_util::stream::unfold(told, |mut told| async move {
                    let event = told.recv().await?;
                    Some((Ok(event), told))
                });
                Ok(Response::Watch(stream.boxed()))
            }
            Request::Create { target, object, .. } if target.subresource.as_deref() == Some("binding") => {
                let mut pod = (*known(&state)?.tree()).clone();
                pod["spec"]["nodeName"] = tree(&object)["target"]["name"].clone();
                Ok(Response::Object(state.write(&row, &key, pod)))
            }
            Request::Create { object, .. } => {
                let tree = tree(&object);
                let name = tree["metadata"]["name"].as_str().unwrap_or_default();
                let key = ObjectKey::new(key.namespace, name);
                Ok(Response::Object(state.write(&row, &key, tree)))
            }
            Request::Update { object, .. } => {
                let (old, new) = (known(&state)?, tree(&object));
                if new["metadata"]["resourceVersion"] != old.revision().to_string() {
                    return Err(status::conflict(&row.group, &row.plural, &key.name, "it is another").into());
                }
                Ok(Response::Object(state.write(&row, &key, new)))
            }
            Request::Patch { patch, .. } => {
                let mut tree = (*known(&state)?.tree()).clone();
                let patch: Value = serde_json::from_slice(&patch.body).unwrap();
                tree["status"] = json!({"conditions": patch["status"]["conditions"]});
                Ok(Response::Object(state.write(&row, &key, tree)))
            }
            _ => unreachable!("these have no target"),
        }
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}
