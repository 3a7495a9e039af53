//! Requests: the API's verbs, with their targets and options.

use std::time::Duration;

use bytes::Bytes;
use kube_core::GroupVersionResource;
use serde_json::Value;

use crate::api::selector::{FieldSelector, LabelSelector};
use crate::api::{Object, Resource, Revision};

/// One request. What each is answered with stands at its variant.
#[derive(Debug)]
#[non_exhaustive]
pub enum Request {
    /// Reads an object or a subresource: [`Response::Object`](super::Response::Object).
    Get {
        /// Which.
        target: Target,
        /// How.
        options: GetOptions,
    },
    /// Reads many objects at one revision: [`Response::List`](super::Response::List).
    List {
        /// Which resource, and in which namespace; all where none is named.
        target: Target,
        /// How.
        options: ListOptions,
    },
    /// Follows many objects: [`Response::Watch`](super::Response::Watch). That what it should begin with is
    /// no longer kept, or has not happened, is told by the watch itself, as an error that ends it.
    Watch {
        /// Which resource, and in which namespace; all where none is named.
        target: Target,
        /// How.
        options: WatchOptions,
    },
    /// Makes an object (or posts to a subresource): [`Response::Object`](super::Response::Object).
    Create {
        /// Where; with a name only for a subresource.
        target: Target,
        /// What.
        object: Payload,
        /// How.
        options: WriteOptions,
    },
    /// Replaces an object or a subresource: [`Response::Object`](super::Response::Object).
    Update {
        /// Which.
        target: Target,
        /// What it is to be.
        object: Payload,
        /// How.
        options: WriteOptions,
    },
    /// Changes an object or a subresource: [`Response::Object`](super::Response::Object).
    Patch {
        /// Which.
        target: Target,
        /// What is to change.
        patch: Patch,
        /// How.
        options: WriteOptions,
    },
    /// Deletes an object: [`Response::Object`](super::Response::Object) while it lives on (finalizers, grace), else
    /// [`Response::Status`](super::Response::Status).
    Delete {
        /// Which.
        target: Target,
        /// How.
        options: DeleteOptions,
    },
    /// Deletes many objects: [`Response::List`](super::Response::List) of what was deleted.
    DeleteCollection {
        /// Which resource, and in which namespace.
        target: Target,
        /// Which of them.
        list: ListOptions,
        /// How.
        options: DeleteOptions,
    },
    /// Opens a stream in both directions to a subresource (exec, attach, port-forward):
    /// [`Response::Connection`](super::Response::Connection).
    Connect {
        /// Which.
        target: Target,
        /// The query string, such as `container=web&stdout=true`.
        query: String,
        /// The WebSocket subprotocols that the caller speaks, best first.
        protocols: Vec<String>,
    },
    /// Anything else, as HTTP: [`Response::Raw`](super::Response::Raw).
    Raw(http::Request<Bytes>),
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Group, version and plural name.
    pub resource: GroupVersionResource,
    /// Namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Subresource.
    pub subresource: Option<String>,
}

/// An object on its way to the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Payload {
    /// One that exists in this process.
    Object(Object),
    /// A JSON tree.
    Tree(Value),
    /// What came over a wire. Only here can a field stand twice.
    Bytes {
        /// `application/json` or `application/yaml`.
        media_type: String,
        /// The document.
        bytes: Bytes,
    },
}

/// A change of an object.
#[derive(Clone, Debug)]
pub struct Patch {
    /// How to read it.
    pub kind: PatchType,
    /// The patch, as JSON or (for apply) YAML.
    pub body: Bytes,
    /// Take over fields that another manager owns (apply only).
    pub force: bool,
}

/// The kinds of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7396.
    Merge,
    /// Kubernetes' own: lists merge by key.
    StrategicMerge,
    /// Server-side apply.
    Apply,
}

/// How to read an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GetOptions {
    /// At least this old; whatever is newest where none is given.
    pub resource_version: Option<Revision>,
}

/// How to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListOptions {
    /// Which labels.
    pub labels: LabelSelector,
    /// Which fields.
    pub fields: FieldSelector,
    /// At most so many; all where none is given.
    pub limit: Option<u64>,
    /// Where the list before this one ended.
    pub continue_token: Option<String>,
    /// The revision to read at, as `resource_version_match` says.
    pub resource_version: Option<Revision>,
    /// How `resource_version` is meant.
    pub resource_version_match: Option<ResourceVersionMatch>,
}

/// How the revision of a list is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceVersionMatch {
    /// This one, or any newer.
    NotOlderThan,
    /// This one exactly.
    Exact,
}

/// How to watch.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WatchOptions {
    /// Which labels.
    pub labels: LabelSelector,
    /// Which fields.
    pub fields: FieldSelector,
    /// Deliver what happened after this revision. 0 or none: first all that exists, as added, as if
    /// `send_initial_events` were set.
    pub resource_version: Option<Revision>,
    /// How `resource_version` is meant (with `send_initial_events`).
    pub resource_version_match: Option<ResourceVersionMatch>,
    /// Deliver bookmarks.
    pub bookmarks: bool,
    /// First all that exists, then (with `bookmarks`) a bookmark that says so.
    pub send_initial_events: Option<bool>,
    /// End the watch after so long.
    pub timeout: Option<Duration>,
}

/// How to write.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Do everything but store.
    pub dry_run: bool,
    /// Who manages the fields that are written.
    pub field_manager: Option<String>,
    /// What becomes of unknown and duplicate fields; the server's default (warn) where none is given.
    pub field_validation: Option<FieldValidation>,
}

/// What becomes of unknown and duplicate fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped in silence.
    Ignore,
    /// They are dropped with a warning.
    Warn,
    /// The request fails.
    Strict,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DeleteOptions {
    /// Seconds until the object must be gone; the object's own where none is given.
    pub grace_period_seconds: Option<i64>,
    /// What must hold of the object.
    pub preconditions: Preconditions,
    /// What becomes of its dependents.
    pub propagation: Option<PropagationPolicy>,
    /// Do everything but delete.
    pub dry_run: bool,
    /// Delete an object that cannot be read, and no other: without a look at its finalizers, and whatever
    /// depends on it. Goes with no other option, and needs the verb `unsafe-delete-ignore-read-errors`.
    /// Kubernetes (1.36) heeds it where its feature `AllowUnsafeMalformedObjectDeletion` is on, which it is
    /// not by default; here it always is.
    pub ignore_store_read_error_with_cluster_breaking_potential: bool,
}

/// What must hold of an object before it is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// It has this uid.
    pub uid: Option<String>,
    /// It was last written at this revision.
    pub resource_version: Option<Revision>,
}

/// What becomes of the dependents of an object that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropagationPolicy {
    /// They stay, without this owner.
    Orphan,
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
}

impl Target {
    /// All objects of a resource.
    #[must_use]
    pub fn all(resource: &Resource) -> Self {
        Self { resource: resource.gvr(), namespace: None, name: None, subresource: None }
    }

    /// The same, in a namespace (none where it is empty).
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into()).filter(|namespace| !namespace.is_empty());
        self
    }

    /// The object of this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A subresource.
    #[must_use]
    pub fn subresource(mut self, name: impl Into<String>) -> Self {
        self.subresource = Some(name.into());
        self
    }
}
