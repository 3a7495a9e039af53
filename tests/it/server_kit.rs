//! A control plane with nothing but a server, and short words for asking it.

use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use windlass::api::{Object, Revision, Status};
use windlass::client::{
    Client, ClientExt, DeleteOptions, Error, FieldValidation, Identity, ListOptions, ObjectList, Patch,
    PatchType, Payload, Target, WatchEvent, WatchOptions, WatchStream, WriteOptions,
};
use windlass::env::Env;
use windlass::server::{ApiServer, ApiServerBuilder};
use windlass::store::MemoryStore;

pub(crate) struct Kit {
    pub(crate) server: ApiServer,
    pub(crate) client: Arc<dyn Client>,
}

/// A server on virtual time, and its administrator.
pub(crate) async fn kit() -> Kit {
    kit_with(|builder| builder).await
}

pub(crate) async fn kit_with(more: impl FnOnce(ApiServerBuilder) -> ApiServerBuilder) -> Kit {
    let builder = ApiServer::builder().store(Arc::new(MemoryStore::new())).env(Env::simulated(7));
    let server = more(builder).build().await.unwrap();
    let client = server.client(Identity::admin());
    Kit { server, client }
}

pub(crate) fn write_options(change: impl FnOnce(&mut WriteOptions)) -> WriteOptions {
    let mut options = WriteOptions::default();
    change(&mut options);
    options
}

pub(crate) fn delete_options(change: impl FnOnce(&mut DeleteOptions)) -> DeleteOptions {
    let mut options = DeleteOptions::default();
    change(&mut options);
    options
}

pub(crate) fn list_options(change: impl FnOnce(&mut ListOptions)) -> ListOptions {
    let mut options = ListOptions::default();
    change(&mut options);
    options
}

pub(crate) fn watch_options(change: impl FnOnce(&mut WatchOptions)) -> WatchOptions {
    let mut options = WatchOptions::default();
    change(&mut options);
    options
}

pub(crate) fn strict() -> WriteOptions {
    write_options(|options| options.field_validation = Some(FieldValidation::Strict))
}

pub(crate) fn dry_run() -> WriteOptions {
    write_options(|options| options.dry_run = true)
}

/// What a refusal says: code, reason, message.
pub(crate) fn said(error: &Error) -> (u16, &str, &str) {
    let status = error.status().unwrap_or_else(|| panic!("no status: {error}"));
    (status.code, &status.reason, &status.message)
}

pub(crate) fn status_of<T: std::fmt::Debug>(result: Result<T, Error>) -> Status {
    result.unwrap_err().into_status()
}

impl Kit {
    /// The same server, asked by somebody else.
    pub(crate) fn acting_as(&self, identity: Identity) -> Kit {
        Kit { server: self.server.clone(), client: self.server.client(identity) }
    }

    /// `pods` of a namespace, or `pods/web/status`; a namespace of `""` is none.
    pub(crate) fn at(&self, namespace: &str, path: &str) -> Target {
        let mut parts = path.split('/');
        let plural = parts.next().unwrap();
        let scheme = self.server.scheme();
        let row = scheme.iter().find(|row| row.plural == plural).unwrap_or_else(|| panic!("no {plural}"));
        let mut target = Target::all(row).namespace(namespace);
        if let Some(name) = parts.next() {
            target = target.name(name);
        }
        if let Some(subresource) = parts.next() {
            target = target.subresource(subresource);
        }
        target
    }

    pub(crate) async fn create(&self, namespace: &str, path: &str, tree: Value) -> Result<Value, Error> {
        self.create_with(namespace, path, tree, WriteOptions::default()).await
    }

    pub(crate) async fn create_with(
        &self,
        namespace: &str,
        path: &str,
        tree: Value,
        options: WriteOptions,
    ) -> Result<Value, Error> {
        let made = self.client.create(self.at(namespace, path), Payload::Tree(tree), options).await?;
        Ok(made.map_or(Value::Null, |object| shown(&object)))
    }

    pub(crate) async fn get(&self, namespace: &str, path: &str) -> Result<Value, Error> {
        Ok(shown(&self.client.get(self.at(namespace, path)).await?))
    }

    pub(crate) async fn update(&self, namespace: &str, path: &str, tree: Value) -> Result<Value, Error> {
        self.update_with(namespace, path, tree, WriteOptions::default()).await
    }

    pub(crate) async fn update_with(
        &self,
        namespace: &str,
        path: &str,
        tree: Value,
        options: WriteOptions,
    ) -> Result<Value, Error> {
        Ok(shown(&self.client.update(self.at(namespace, path), Payload::Tree(tree), options).await?))
    }

    pub(crate) async fn merge(&self, namespace: &str, path: &str, patch: Value) -> Result<Value, Error> {
        self.patch(namespace, path, PatchType::Merge, patch, WriteOptions::default()).await
    }

    pub(crate) async fn patch(
        &self,
        namespace: &str,
        path: &str,
        kind: PatchType,
        patch: Value,
        options: WriteOptions,
    ) -> Result<Value, Error> {
        let patch = Patch { kind, body: patch.to_string().into(), force: false };
        Ok(shown(&self.client.patch(self.at(namespace, path), patch, options).await?))
    }

    /// The object while it lives on, else nothing.
    pub(crate) async fn delete(&self, namespace: &str, path: &str) -> Result<Option<Value>, Error> {
        self.delete_with(namespace, path, DeleteOptions::default()).await
    }

    pub(crate) async fn delete_with(
        &self,
        namespace: &str,
        path: &str,
        options: DeleteOptions,
    ) -> Result<Option<Value>, Error> {
        let left = self.client.delete(self.at(namespace, path), options).await?;
        Ok(left.map(|object| shown(&object)))
    }

    pub(crate) async fn list(
        &self,
        namespace: &str,
        path: &str,
        options: ListOptions,
    ) -> Result<ObjectList, Error> {
        self.client.list(self.at(namespace, path), options).await
    }

    pub(crate) async fn names(&self, namespace: &str, path: &str) -> Vec<String> {
        let list = self.list(namespace, path, ListOptions::default()).await.unwrap();
        list.items.iter().map(|object| object.name().to_owned()).collect()
    }

    pub(crate) async fn watch(
        &self,
        namespace: &str,
        path: &str,
        options: WatchOptions,
    ) -> Result<WatchStream, Error> {
        self.client.watch(self.at(namespace, path), options).await
    }

    /// The newest revision, as any list says it.
    pub(crate) async fn revision(&self) -> Revision {
        self.list("", "namespaces", ListOptions::default()).await.unwrap().revision
    }
}

pub(crate) fn shown(object: &Object) -> Value {
    (*object.tree()).clone()
}

pub(crate) fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

pub(crate) fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "app"}]}})
}

pub(crate) fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": "app"}]},
        },
    }})
}

pub(crate) fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}})
}

/// The definition of a kind whose objects can be selected by a node that may change.
pub(crate) fn placed_kind(plural: &str, kind: &str, scope: &str) -> Value {
    json!({
        "metadata": {"name": format!("{plural}.example.com")},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": plural, "kind": kind},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                        "properties": {"nodeName": {"type": "string"}}}}}},
                "selectableFields": [{"jsonPath": ".spec.nodeName"}],
            }],
        },
    })
}

/// A server with `slots` (namespaced) and `racks` (cluster scope), and namespaces for the former.
pub(crate) async fn placed_kit(namespaces: &[&str]) -> Kit {
    let kit = kit().await;
    for (plural, kind, scope) in [("slots", "Slot", "Namespaced"), ("racks", "Rack", "Cluster")] {
        kit.create("", "customresourcedefinitions", placed_kind(plural, kind, scope)).await.unwrap();
    }
    for namespace in namespaces {
        kit.create("", "namespaces", json!({"metadata": {"name": namespace}})).await.unwrap();
    }
    kit
}

/// A slot or rack on a node.
pub(crate) fn placed(name: &str, node: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"nodeName": node}})
}

impl Kit {
    /// Writes an object, whether it exists or not; answers it as it is stored.
    pub(crate) async fn put(&self, namespace: &str, path: &str, mut tree: Value) -> Object {
        if let Ok(held) = self.get(namespace, path).await {
            tree["metadata"]["resourceVersion"] = held["metadata"]["resourceVersion"].clone();
            self.update(namespace, path, tree).await.unwrap();
        } else {
            let plural = path.split('/').next().unwrap();
            self.create(namespace, plural, tree).await.unwrap();
        }
        self.client.get(self.at(namespace, path)).await.unwrap()
    }

    /// A config map of the default namespace, and the revision that made it.
    pub(crate) async fn config_map(&self, name: &str) -> Revision {
        self.put("default", &format!("configmaps/{name}"), config_map(name)).await.revision()
    }
}

/// What a watch has told by now, once its cache has reached what `kit` has written.
pub(crate) async fn told(kit: &Kit, plural: &str, watch: &mut WatchStream) -> Vec<Result<WatchEvent, Error>> {
    kit.list("", plural, ListOptions::default()).await.unwrap();
    std::iter::from_fn(|| watch.next().now_or_never().flatten()).collect()
}
