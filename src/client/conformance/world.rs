//! A namespace of one's own, and short words for working in it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use serde_json::{Value, json};

use crate::api::{Object, Resource, Revision};
use crate::client::{
    Client, ClientExt, DeleteOptions, Error, ListOptions, ObjectList, Patch, PatchType, Payload, Target,
    WatchOptions, WatchStream, WriteOptions,
};

/// A client, and a namespace that nobody else works in.
#[derive(Clone)]
pub(super) struct World {
    pub(super) client: Arc<dyn Client>,
    pub(super) namespace: String,
}

impl World {
    pub(super) async fn new(client: Arc<dyn Client>) -> Self {
        let tree =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "conformance-"}});
        let target = Target::all(&Resource::of::<Namespace>());
        let made = client.create(target, Payload::Tree(tree), WriteOptions::default()).await;
        let namespace =
            made.expect("an administrator makes namespaces").expect("a namespace").name().to_owned();
        Self { client, namespace }
    }

    pub(super) async fn end(self) {
        let target = Target::all(&Resource::of::<Namespace>()).name(self.namespace);
        self.client.delete(target, DeleteOptions::default()).await.expect("the namespace is deleted");
    }

    /// The config maps of this namespace.
    pub(super) fn maps(&self) -> Target {
        Target::all(&Resource::of::<ConfigMap>()).namespace(self.namespace.clone())
    }

    pub(super) fn map(&self, name: &str) -> Target {
        self.maps().name(name)
    }

    /// A config map that holds a value.
    pub(super) fn tree(name: &str, value: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}})
    }

    pub(super) async fn create(&self, tree: Value) -> Result<Object, Error> {
        self.create_with(tree, WriteOptions::default()).await
    }

    pub(super) async fn create_with(&self, tree: Value, options: WriteOptions) -> Result<Object, Error> {
        let made = self.client.create(self.maps(), Payload::Tree(tree), options).await?;
        Ok(made.expect("a creation answers the object"))
    }

    /// Makes a config map.
    pub(super) async fn make(&self, name: &str, value: &str) -> Object {
        self.create(Self::tree(name, value)).await.expect("a config map is made")
    }

    pub(super) async fn make_labelled(&self, name: &str, label: &str) -> Object {
        let mut tree = Self::tree(name, "");
        tree["metadata"]["labels"] = json!({"of": label});
        self.create(tree).await.expect("a config map is made")
    }

    pub(super) async fn get(&self, name: &str) -> Result<Object, Error> {
        self.client.get(self.map(name)).await
    }

    pub(super) async fn update(&self, name: &str, tree: Value) -> Result<Object, Error> {
        self.client.update(self.map(name), Payload::Tree(tree), WriteOptions::default()).await
    }

    pub(super) async fn patch(&self, name: &str, kind: PatchType, body: Value) -> Result<Object, Error> {
        let patch = Patch { kind, body: body.to_string().into(), force: false };
        self.client.patch(self.map(name), patch, WriteOptions::default()).await
    }

    pub(super) async fn set(&self, name: &str, value: &str) -> Object {
        let body = json!({"data": {"value": value}});
        self.patch(name, PatchType::Merge, body).await.expect("a config map is patched")
    }

    pub(super) async fn label(&self, name: &str, label: &str) -> Object {
        let body = json!({"metadata": {"labels": {"of": label}}});
        self.patch(name, PatchType::Merge, body).await.expect("a config map is patched")
    }

    pub(super) async fn delete(&self, name: &str) -> Result<Option<Object>, Error> {
        self.client.delete(self.map(name), DeleteOptions::default()).await
    }

    pub(super) async fn list(&self, change: impl FnOnce(&mut ListOptions)) -> ObjectList {
        // Clusters put maps of their own into every namespace.
        let mut options = ListOptions { fields: own(), ..ListOptions::default() };
        change(&mut options);
        self.client.list(self.maps(), options).await.expect("config maps are listed")
    }

    pub(super) async fn revision(&self) -> Revision {
        self.list(|_| {}).await.revision
    }

    pub(super) async fn watch(&self, change: impl FnOnce(&mut WatchOptions)) -> WatchStream {
        let mut options = WatchOptions { fields: own(), ..WatchOptions::default() };
        change(&mut options);
        self.client.watch(self.maps(), options).await.expect("config maps are watched")
    }
}

/// All but what clusters put into every namespace.
fn own() -> crate::api::selector::FieldSelector {
    "metadata.name!=kube-root-ca.crt".parse().expect("a selector")
}

pub(super) fn value(object: &Object) -> String {
    object.tree()["data"]["value"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn names(list: &ObjectList) -> Vec<&str> {
    list.items.iter().map(Object::name).collect()
}

/// Code and reason of a failure.
pub(super) fn said<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String) {
    match result {
        Ok(answer) => panic!("it should have been refused: {answer:?}"),
        Err(error) => match error.status() {
            Some(status) => (status.code, status.reason.clone()),
            None => (0, error.to_string()),
        },
    }
}

pub(super) fn reason(code: u16, reason: &str) -> (u16, String) {
    (code, reason.to_owned())
}
