//! An object: a body, a revision and its row.
//!
//! The body is canonical JSON (keys sorted, no white space) without `resourceVersion`, which is
//! spliced in when the object is encoded; so bytes that exist are never encoded again, for any
//! number of readers. The tree and typed values are views: each is made at most once while
//! somebody holds it, is shared by all who ask meanwhile, and is not kept afterwards, since a
//! decoded Pod is eight times its bytes.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Resource, Revision};

/// An object of any kind. Clones share everything.
#[derive(Clone)]
pub struct Object(Arc<Inner>);

struct Inner {
    resource: Arc<Resource>,
    revision: Revision,
    body: Bytes,
    /// Where in the body `metadata`'s first field stands, if it has any field, or its closing brace.
    splice: usize,
    head: Arc<Head>,
    tree: Mutex<Weak<Value>>,
    typed: Mutex<Vec<Weak<dyn Any + Send + Sync>>>,
}

/// What everybody asks of an object, read out once.
#[derive(Debug, Default)]
struct Head {
    key: ObjectKey,
    uid: String,
    generation: i64,
    deleting: bool,
    labels: BTreeMap<String, String>,
    /// The values of the row's selectable fields, in its order.
    fields: Vec<Box<str>>,
}

/// Namespace and name. The namespace of an object of cluster scope is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Namespace; empty for cluster scope.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Bytes or a tree that are no object, or no object of the type that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("cannot decode {what}: {source}")]
pub struct DecodeError {
    what: String,
    #[source]
    source: serde_json::Error,
}

#[cfg(feature = "remote")]
impl DecodeError {
    pub(crate) fn new(what: &str, source: serde_json::Error) -> Self {
        Self { what: what.to_owned(), source }
    }
}

impl Object {
    /// The object that this tree is. `apiVersion` and `kind` are the row's, whatever the tree says;
    /// its `resourceVersion` is dropped in favour of `revision`.
    ///
    /// # Errors
    ///
    /// When the tree is no object, or its metadata are none.
    pub fn from_tree(
        resource: Arc<Resource>,
        revision: Revision,
        mut tree: Value,
    ) -> Result<Self, DecodeError> {
        let wrong = |what: &str| DecodeError {
            what: format!("{} as an object", resource.kind),
            source: serde::de::Error::custom(format!("expected {what}")),
        };
        let root = tree.as_object_mut().ok_or_else(|| wrong("a JSON object"))?;
        root.insert("apiVersion".into(), resource.api_version().into());
        root.insert("kind".into(), resource.kind.as_ref().into());
        let metadata = root.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        metadata
            .as_object_mut()
            .ok_or_else(|| wrong("metadata to be a JSON object"))?
            .remove("resourceVersion");
        let body = Bytes::from(
            serde_json::to_vec(&tree)
                .map_err(|source| DecodeError { what: format!("{} as JSON", resource.kind), source })?,
        );
        let head = Arc::new(Head::read(&resource, &tree));
        Ok(Self::assemble(resource, revision, body, head))
    }

    /// The object that this typed value is.
    ///
    /// # Errors
    ///
    /// When the value does not serialize to an object.
    pub fn from_typed<T: Serialize + ?Sized>(
        resource: Arc<Resource>,
        revision: Revision,
        value: &T,
    ) -> Result<Self, DecodeError> {
        let tree = serde_json::to_value(value)
            .map_err(|source| DecodeError { what: resource.kind.to_string(), source })?;
        Self::from_tree(resource, revision, tree)
    }

    /// The object that this body, as [`Object::body`] gave it, is.
    ///
    /// A body from elsewhere is brought into canonical form first.
    ///
    /// # Errors
    ///
    /// When the bytes are no JSON object.
    pub fn from_body(resource: Arc<Resource>, revision: Revision, body: &[u8]) -> Result<Self, DecodeError> {
        let tree = serde_json::from_slice(body)
            .map_err(|source| DecodeError { what: format!("the body of a {}", resource.kind), source })?;
        Self::from_tree(resource, revision, tree)
    }

    fn assemble(resource: Arc<Resource>, revision: Revision, body: Bytes, head: Arc<Head>) -> Self {
        let splice = metadata_start(&body);
        Self(Arc::new(Inner {
            resource,
            revision,
            body,
            splice,
            head,
            tree: Mutex::new(Weak::new()),
            typed: Mutex::new(Vec::new()),
        }))
    }

    /// The same body at another revision.
    #[must_use]
    pub fn at(&self, revision: Revision) -> Self {
        Self::assemble(self.0.resource.clone(), revision, self.0.body.clone(), self.0.head.clone())
    }

    /// The row of the scheme that this object belongs to.
    #[must_use]
    pub fn resource(&self) -> &Arc<Resource> {
        &self.0.resource
    }

    /// The revision at which this body was committed; none for one that never was.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.0.revision
    }

    /// Canonical JSON without `resourceVersion`: what is stored.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.0.head.key
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.head.key.name
    }

    /// Namespace, for an object that lives in one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        Some(self.0.head.key.namespace.as_str()).filter(|namespace| !namespace.is_empty())
    }

    /// `metadata.uid`; empty where there is none.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.0.head.uid
    }

    /// `metadata.generation`; 0 where there is none.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.0.head.generation
    }

    /// Whether `metadata.deletionTimestamp` is set.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.0.head.deleting
    }

    /// `metadata.labels`.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.0.head.labels
    }

    /// The value of a field that selectors may name: `metadata.name`, `metadata.namespace`, or one
    /// of the row's selectable fields. `None` for any other.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "metadata.name" => Some(self.name()),
            "metadata.namespace" => Some(&self.0.head.key.namespace),
            _ => {
                let position = self.0.resource.selectable.iter().position(|field| field.name == name)?;
                self.0.head.fields.get(position).map(AsRef::as_ref)
            }
        }
    }

    /// The whole object as JSON, `resourceVersion` included.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let Inner { body, splice, revision, .. } = &*self.0;
        if *revision == Revision::NONE {
            return body.clone();
        }
        let comma = if body.get(*splice) == Some(&b'}') { "" } else { "," };
        let field = format!(r#""resourceVersion":"{revision}"{comma}"#);
        let mut out = BytesMut::with_capacity(body.len() + field.len());
        out.extend_from_slice(&body[..*splice]);
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(&body[*splice..]);
        out.freeze()
    }

    /// The object as a JSON tree, `resourceVersion` included; shared with all who hold it.
    #[must_use]
    pub fn tree(&self) -> Arc<Value> {
        let mut slot = self.0.tree.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = slot.upgrade() {
            return tree;
        }
        let tree = Arc::new(serde_json::from_slice(&self.encode()).expect("a body is JSON that we encoded"));
        *slot = Arc::downgrade(&tree);
        tree
    }

    /// The object as a typed value, `resourceVersion` included; shared with all who hold it.
    ///
    /// # Errors
    ///
    /// When the body is no `T`.
    pub fn view<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, DecodeError> {
        let mut slots = self.0.typed.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|slot| slot.strong_count() > 0);
        if let Some(shared) = slots.iter().filter_map(Weak::upgrade).find_map(|any| any.downcast::<T>().ok())
        {
            return Ok(shared);
        }
        let value: T = serde_json::from_slice(&self.encode()).map_err(|source| DecodeError {
            what: format!("{} {}", self.0.resource.kind, self.0.head.key),
            source,
        })?;
        let shared = Arc::new(value);
        let any: Arc<dyn Any + Send + Sync> = shared.clone();
        slots.push(Arc::downgrade(&any));
        Ok(shared)
    }
}

impl Head {
    fn read(resource: &Resource, tree: &Value) -> Self {
        let metadata = &tree["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
        let labels = metadata["labels"].as_object().map(|labels| {
            labels
                .iter()
                .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect()
        });
        Self {
            key: ObjectKey { namespace: text("namespace"), name: text("name") },
            uid: text("uid"),
            generation: metadata["generation"].as_i64().unwrap_or(0),
            deleting: metadata.get("deletionTimestamp").is_some_and(|time| !time.is_null()),
            labels: labels.unwrap_or_default(),
            fields: resource.selectable.iter().map(|field| field.value(tree).into()).collect(),
        }
    }
}

/// The offset just behind the brace that opens the root's `metadata`.
///
/// Canonical JSON has sorted keys, so what stands before `metadata` at depth one may hold any
/// value; strings are skipped whole, so a key inside one is never taken for ours.
fn metadata_start(body: &[u8]) -> usize {
    const KEY: &[u8] = br#""metadata":{"#;
    let (mut at, mut depth) = (0, 0usize);
    while at < body.len() {
        match body[at] {
            b'"' => {
                if depth == 1 && body[at..].starts_with(KEY) && matches!(body[at - 1], b'{' | b',') {
                    return at + KEY.len();
                }
                at += 1;
                while body[at] != b'"' {
                    at += if body[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    unreachable!("an object is made with metadata")
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} @{}", self.0.resource.kind, self.0.head.key, self.0.revision)
    }
}

/// Same resource, same revision, same body.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.0.revision == other.0.revision
            && self.0.body == other.0.body
            && self.0.resource.plural == other.0.resource.plural
            && self.0.resource.group == other.0.resource.group
    }
}

impl ObjectKey {
    /// A key in a namespace, or of cluster scope where `namespace` is empty.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// `namespace/name`, or `name` for cluster scope.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn config_map(tree: Value) -> Object {
        Object::from_tree(Arc::new(Resource::of::<ConfigMap>()), Revision(7), tree).unwrap()
    }

    #[test]
    fn a_body_holds_no_revision_and_every_reading_does() {
        let object = config_map(json!({"metadata": {"name": "a", "namespace": "b", "resourceVersion": "3"}}));
        assert!(!String::from_utf8_lossy(object.body()).contains("resourceVersion"));
        assert_eq!(object.tree()["metadata"]["resourceVersion"], "7");
        let typed = object.view::<ConfigMap>().unwrap();
        assert_eq!(typed.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(object.key().to_string(), "b/a");
    }

    #[test]
    fn the_revision_is_spliced_into_the_objects_own_metadata() {
        for data in [json!({}), json!({"a": "\"metadata\":{\\"}), json!({"metadata": "{"})] {
            let object = config_map(json!({"data": data, "metadata": {}}));
            let tree: Value = serde_json::from_slice(&object.encode()).unwrap();
            assert_eq!(tree["metadata"], json!({"resourceVersion": "7"}), "{tree}");
        }
    }

    #[test]
    fn views_are_shared_while_held_and_not_kept() {
        let object = config_map(json!({"metadata": {"name": "a"}}));
        let first = object.view::<ConfigMap>().unwrap();
        assert!(Arc::ptr_eq(&first, &object.view::<ConfigMap>().unwrap()));
        let weak = Arc::downgrade(&first);
        drop(first);
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let row = Arc::new(Resource::of::<ConfigMap>());
        for tree in [json!([]), json!("x"), json!({"metadata": 1})] {
            assert!(Object::from_tree(row.clone(), Revision::NONE, tree).is_err());
        }
    }
}
