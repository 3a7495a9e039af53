//! What a step sees, and what it may say.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{GroupVersionKind, Object, ObjectKey, Resource, Status, status};
use crate::client::{Identity, Target};
use crate::server::ApiServer;
use crate::server::registry::store_error;
use crate::server::tree::text;

/// What a request is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Make an object, or post to a subresource.
    Create,
    /// Change an object: by an update, a patch or an apply.
    Update,
    /// Delete an object.
    Delete,
    /// Open a stream to something.
    Connect,
}

impl Operation {
    /// As Kubernetes spells it: `CREATE`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request as a step of admission sees it.
///
/// Objects are trees in the version in which they are stored; [`AdmissionRequest::typed`] and
/// [`Object::view`] give the typed values.
pub struct AdmissionRequest<'a> {
    pub(super) server: &'a ApiServer,
    pub(super) identity: &'a Identity,
    pub(super) operation: Operation,
    pub(super) resource: &'a Arc<Resource>,
    pub(super) kind: GroupVersionKind,
    pub(super) subresource: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) dry_run: bool,
    pub(super) subject: Subject,
    pub(super) old: Option<&'a Object>,
    pub(super) notes: Mutex<Notes>,
    pub(super) again: bool,
}

/// What is being admitted.
pub(super) enum Subject {
    /// A deletion has no new object.
    Nothing,
    /// What came in, while it may still be changed.
    Open(Value),
    /// What came of it. Its tree is made for the first who asks.
    Closed(Object, OnceLock<Arc<Value>>),
    /// What came of something that is never stored.
    ClosedBody(Arc<Value>),
}

/// What steps have said.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) warnings: Vec<String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) reinvoke: bool,
    pub(super) changed: bool,
}

impl AdmissionRequest<'_> {
    /// What is about to happen.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Who asks for it.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.identity
    }

    /// The resource that the request is about; for a subresource that of its parent.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        self.resource
    }

    /// The kind of the object; for a subresource that may be one of its own, such as `Scale`.
    #[must_use]
    pub fn kind(&self) -> &GroupVersionKind {
        &self.kind
    }

    /// The subresource; mostly empty.
    #[must_use]
    pub fn subresource(&self) -> &str {
        self.subresource
    }

    /// The namespace; empty for an object of cluster scope.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace
    }

    /// The object's name; empty where it is still to be generated.
    #[must_use]
    pub fn name(&self) -> &str {
        if !self.name.is_empty() {
            return self.name;
        }
        self.object().map(|object| text(object, &["metadata", "name"])).unwrap_or_default()
    }

    /// Whether nothing will be stored, whatever is decided.
    #[must_use]
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// Whether the request is about this group, plural name and subresource, in any version.
    #[must_use]
    pub fn concerns(&self, group: &str, plural: &str, subresource: &str) -> bool {
        self.resource.group == group && self.resource.plural == plural && self.subresource == subresource
    }

    /// The object as it is to be; for a connection its options. None for a deletion.
    #[must_use]
    pub fn object(&self) -> Option<&Value> {
        match &self.subject {
            Subject::Nothing => None,
            Subject::Open(tree) => Some(tree),
            Subject::Closed(object, tree) => Some(tree.get_or_init(|| object.tree())),
            Subject::ClosedBody(tree) => Some(tree),
        }
    }

    /// The object, to be changed; none while it is validated. What a step writes that the kind does not have
    /// is dropped, and what it leaves out is defaulted again.
    pub fn object_mut(&mut self) -> Option<&mut Value> {
        match &mut self.subject {
            Subject::Open(tree) => {
                self.notes.get_mut().unwrap_or_else(PoisonError::into_inner).changed = true;
                Some(tree)
            }
            _ => None,
        }
    }

    /// The object as a typed value, such as k8s-openapi's; none for a deletion.
    ///
    /// # Errors
    ///
    /// 400 when the object is no `T`.
    pub fn typed<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Option<Arc<T>>, Status> {
        let wrong = |error: &dyn fmt::Display| {
            let kind = &self.kind.kind;
            status::bad_request(format!(
                "resource was marked with kind {kind} but was unable to be converted: {error}"
            ))
        };
        match &self.subject {
            Subject::Nothing => Ok(None),
            Subject::Closed(object, _) => object.view().map(Some).map_err(|error| wrong(&error)),
            Subject::Open(tree) => {
                T::deserialize(tree).map(|value| Some(Arc::new(value))).map_err(|e| wrong(&e))
            }
            Subject::ClosedBody(tree) => {
                T::deserialize(&**tree).map(|value| Some(Arc::new(value))).map_err(|e| wrong(&e))
            }
        }
    }

    /// The object as it is now: what an update changes or a deletion ends.
    #[must_use]
    pub fn old(&self) -> Option<&Object> {
        self.old
    }

    /// The server. What a step writes through a client of it is admitted itself.
    #[must_use]
    pub fn server(&self) -> &ApiServer {
        self.server
    }

    /// Another object as it is stored now, whatever the caller may see.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn find(&self, target: &Target) -> Result<Option<Object>, Status> {
        let Some(row) = self.server.scheme().resource(&target.resource).cloned() else { return Ok(None) };
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let key = ObjectKey::new(text(&target.namespace), text(&target.name));
        let row = crate::server::convert::judged(&self.server.scheme(), &row);
        self.server.cached().get(&row, &key).await.map_err(|error| store_error(&error))
    }

    /// Tells the caller something, in a `Warning` header.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let warnings = &mut self.notes().warnings;
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Writes something down for the audit log, under `plugin/key`; what was written first stays.
    pub fn annotate(&self, plugin: &dyn super::AdmissionPlugin, key: &str, value: impl Into<String>) {
        let key = format!("{}/{key}", plugin.name().to_lowercase());
        self.notes().annotations.entry(key).or_insert_with(|| value.into());
    }

    /// Has the whole chain look once more at what it has come to. A step that has changed what steps before
    /// it look at asks for this; it is granted once.
    pub fn reinvoke(&self) {
        self.notes().reinvoke = true;
    }

    /// Whether this is that second time.
    #[must_use]
    pub fn is_reinvocation(&self) -> bool {
        self.again
    }

    /// 403 with this reason, worded as Kubernetes words it.
    ///
    /// Source: `NewForbidden` of `k8s.io/apiserver/pkg/admission` (1.36).
    #[must_use]
    pub fn forbidden(&self, why: &str) -> Status {
        let name = match self.name() {
            "" => self.object().map(|object| text(object, &["metadata", "generateName"])).unwrap_or_default(),
            name => name,
        };
        let name = if name.is_empty() { "Unknown" } else { name };
        status::forbidden(&self.resource.group, &self.resource.plural, name, why)
    }

    pub(super) fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stored object of a built-in kind that the steps here look at.
    pub(super) async fn stored(
        &self,
        group: &str,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Object>, Status> {
        let Some(row) = self.server.row(group, "v1", plural) else { return Ok(None) };
        let key = ObjectKey::new(namespace, name);
        self.server.cached().get(&row, &key).await.map_err(|error| store_error(&error))
    }
}

impl fmt::Debug for AdmissionRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionRequest")
            .field("operation", &self.operation)
            .field("resource", &self.resource.plural)
            .field("subresource", &self.subresource)
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
