//! One resource through a client, as typed values.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Client, ClientExt, DeleteOptions, Error, ListOptions, Patch, PatchType, Payload, Target, WatchEvent,
    WatchOptions, WriteOptions, apply,
};
use crate::api::{Object, Resource, Revision};

/// A value that an [`Api`] or an [`Informer`](super::Informer) can carry: anything that JSON becomes.
pub trait Typed: Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<K: Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static> Typed for K {}

/// One resource, in one namespace or all, as typed values.
///
/// Errors and cancel safety are those of [`Client::call`].
pub struct Api<K> {
    client: Arc<dyn Client>,
    resource: Arc<Resource>,
    namespace: Option<String>,
    value: PhantomData<fn() -> K>,
}

/// Typed values at one revision.
#[derive(Clone, Debug)]
pub struct List<K> {
    /// The revision that was read.
    pub revision: Revision,
    /// The values, by namespace and name.
    pub items: Vec<K>,
    /// Where the next part starts, if there is one.
    pub continue_token: Option<String>,
}

/// What happened to a typed value.
#[derive(Clone, Debug)]
pub enum Event<K> {
    /// It is there, or it has come to match.
    Added(Arc<K>),
    /// It has changed.
    Modified(Arc<K>),
    /// It is gone, or it no longer matches.
    Deleted(Arc<K>),
    /// Everything up to this revision has been delivered.
    Bookmark(Revision),
}

impl<K> Api<K>
where
    K: Typed + kube_core::Resource<DynamicType = ()>,
    K::Scope: 'static,
{
    /// Objects of cluster scope, or those of all namespaces.
    #[must_use]
    pub fn all(client: Arc<dyn Client>) -> Self {
        Self::of(client, Arc::new(Resource::of::<K>()), None)
    }

    /// Objects of one namespace.
    #[must_use]
    pub fn namespaced(client: Arc<dyn Client>, namespace: &str) -> Self {
        Self::of(client, Arc::new(Resource::of::<K>()), Some(namespace.to_owned()))
    }
}

impl<K: Typed> Api<K> {
    /// Objects of this row, whatever type they are read as.
    #[must_use]
    pub fn of(client: Arc<dyn Client>, resource: Arc<Resource>, namespace: Option<String>) -> Self {
        Self { client, resource, namespace, value: PhantomData }
    }

    /// The same resource in another namespace.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Self {
        Self::of(self.client.clone(), self.resource.clone(), Some(namespace.to_owned()))
    }

    /// The client below.
    #[must_use]
    pub fn client(&self) -> &Arc<dyn Client> {
        &self.client
    }

    /// The row.
    #[must_use]
    pub fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    fn target(&self) -> Target {
        Target::all(&self.resource).namespace(self.namespace.clone().unwrap_or_default())
    }

    /// The object of this name.
    pub async fn get(&self, name: &str) -> Result<K, Error> {
        value(&self.client.get(self.target().name(name)).await?)
    }

    /// The object of this name, or `None` where there is none.
    pub async fn get_opt(&self, name: &str) -> Result<Option<K>, Error> {
        match self.get(name).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A subresource of the object of this name.
    pub async fn get_subresource<T: Typed>(&self, name: &str, subresource: &str) -> Result<T, Error> {
        value(&self.client.get(self.target().name(name).subresource(subresource)).await?)
    }

    /// Objects at one revision.
    pub async fn list(&self, options: ListOptions) -> Result<List<K>, Error> {
        let list = self.client.list(self.target(), options).await?;
        let items = list.items.iter().map(value).collect::<Result<_, _>>()?;
        Ok(List { revision: list.revision, items, continue_token: list.continue_token })
    }

    /// Follows objects.
    pub async fn watch(
        &self,
        options: WatchOptions,
    ) -> Result<BoxStream<'static, Result<Event<K>, Error>>, Error> {
        let stream = self.client.watch(self.target(), options).await?;
        Ok(stream
            .map(|event| {
                Ok(match event? {
                    WatchEvent::Added(object) => Event::Added(object.view()?),
                    WatchEvent::Modified(object) => Event::Modified(object.view()?),
                    WatchEvent::Deleted(object) => Event::Deleted(object.view()?),
                    WatchEvent::Bookmark { revision, .. } => Event::Bookmark(revision),
                })
            })
            .boxed())
    }

    /// Makes an object.
    pub async fn create(&self, object: &K) -> Result<K, Error> {
        self.create_with(object, WriteOptions::default()).await
    }

    /// Makes an object.
    pub async fn create_with(&self, object: &K, options: WriteOptions) -> Result<K, Error> {
        let created = self.client.create(self.target(), self.payload(object)?, options).await?;
        value(&created.ok_or_else(|| Error::unexpected("create"))?)
    }

    /// Makes an object, and leaves what became of it unread.
    pub async fn post(&self, object: &K) -> Result<(), Error> {
        self.client.create(self.target(), self.payload(object)?, WriteOptions::default()).await.map(drop)
    }

    /// Posts to a subresource, such as `eviction` or `binding`.
    pub async fn create_subresource<T: Serialize + Sync>(
        &self,
        name: &str,
        subresource: &str,
        posted: &T,
    ) -> Result<(), Error> {
        let target = self.target().name(name).subresource(subresource);
        self.client.create(target, Payload::Tree(tree(posted)?), WriteOptions::default()).await.map(drop)
    }

    /// Replaces an object. A value with a resource version replaces that version only.
    pub async fn update(&self, object: &K) -> Result<K, Error> {
        let payload = self.payload(object)?;
        let target = self.target().name(name_of(&payload));
        value(&self.client.update(target, payload, WriteOptions::default()).await?)
    }

    /// Replaces an object's status; nothing else of the value counts.
    pub async fn update_status(&self, object: &K) -> Result<K, Error> {
        self.update_subresource(object, "status").await
    }

    /// Replaces a subresource that has the object's own kind.
    pub async fn update_subresource(&self, object: &K, subresource: &str) -> Result<K, Error> {
        let payload = self.payload(object)?;
        let target = self.target().name(name_of(&payload)).subresource(subresource);
        value(&self.client.update(target, payload, WriteOptions::default()).await?)
    }

    /// Changes an object by a merge patch.
    pub async fn merge_patch(&self, name: &str, patch: &Value) -> Result<K, Error> {
        self.patch(self.target().name(name), PatchType::Merge, patch).await
    }

    /// Changes an object by a strategic merge patch.
    pub async fn strategic_merge_patch(&self, name: &str, patch: &Value) -> Result<K, Error> {
        self.patch(self.target().name(name), PatchType::StrategicMerge, patch).await
    }

    /// Changes an object's status by a merge patch.
    pub async fn merge_patch_status(&self, name: &str, patch: &Value) -> Result<K, Error> {
        self.patch(self.target().name(name).subresource("status"), PatchType::Merge, patch).await
    }

    /// Applies a configuration on the server's side, as `manager`: makes the object, or merges into it what
    /// the configuration says. Fields that others own are taken over with `force`, and else are a
    /// [`Conflict`](Error::Conflict).
    ///
    /// A configuration says only what its manager wants to own; `apiVersion`, `kind` and the name are filled
    /// in.
    pub async fn apply(&self, name: &str, config: &Value, manager: &str, force: bool) -> Result<K, Error> {
        self.apply_to(self.target().name(name), config, manager, force).await
    }

    /// Applies a configuration to an object's status; nothing else of it counts.
    pub async fn apply_status(
        &self,
        name: &str,
        config: &Value,
        manager: &str,
        force: bool,
    ) -> Result<K, Error> {
        self.apply_to(self.target().name(name).subresource("status"), config, manager, force).await
    }

    async fn apply_to(&self, target: Target, config: &Value, manager: &str, force: bool) -> Result<K, Error> {
        let mut config = config.clone();
        // What is no object is for the server to refuse.
        if let (Some(fields), Some(name)) = (config.as_object_mut(), &target.name) {
            fields.insert("apiVersion".into(), self.resource.api_version().into());
            fields.insert("kind".into(), self.resource.kind.as_ref().into());
            let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("name".into(), name.as_str().into());
            }
        }
        let (patch, options) = (apply::configuration(&config, force), apply::managed_by(manager));
        value(&self.client.patch(target, patch, options).await?)
    }

    async fn patch(&self, target: Target, kind: PatchType, patch: &Value) -> Result<K, Error> {
        let patch = Patch { kind, body: patch.to_string().into(), force: false };
        value(&self.client.patch(target, patch, WriteOptions::default()).await?)
    }

    /// Deletes an object; answers it while it lives on (finalizers, grace).
    pub async fn delete(&self, name: &str, options: DeleteOptions) -> Result<Option<K>, Error> {
        match self.client.delete(self.target().name(name), options).await? {
            // What a delete answers may be of the object's kind or a Status; only the former counts.
            Some(object) => value(&object).map(Some),
            None => Ok(None),
        }
    }

    /// Deletes many objects; answers how many.
    pub async fn delete_collection(&self, list: ListOptions, options: DeleteOptions) -> Result<usize, Error> {
        Ok(self.client.delete_collection(self.target(), list, options).await?.items.len())
    }

    fn payload(&self, object: &K) -> Result<Payload, Error> {
        let mut tree = tree(object)?;
        // Types of one's own may leave these out; the row knows them.
        tree["apiVersion"] = self.resource.api_version().into();
        tree["kind"] = self.resource.kind.as_ref().into();
        Ok(Payload::Tree(tree))
    }
}

fn tree<T: Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value)
        .map_err(|source| Error::Transport { operation: "serialize", source: Box::new(source) })
}

fn name_of(payload: &Payload) -> String {
    match payload {
        Payload::Tree(tree) => tree["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

fn value<K: Typed>(object: &Object) -> Result<K, Error> {
    Ok(Arc::unwrap_or_clone(object.view::<K>()?))
}

impl<K> Clone for Api<K> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            resource: self.resource.clone(),
            namespace: self.namespace.clone(),
            value: PhantomData,
        }
    }
}

impl<K> fmt::Debug for Api<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Api({} in {:?})", self.resource.qualified(), self.namespace)
    }
}
