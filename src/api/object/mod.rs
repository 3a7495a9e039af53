//! An object: a body, a revision and its row.
//!
//! The body is canonical JSON (keys sorted, no white space) without `resourceVersion`, which is
//! spliced in when the object is encoded; so bytes that exist are never encoded again, for any
//! number of readers. The tree and typed values are views: each is made at most once while
//! somebody holds it, is shared by all who ask meanwhile, and is not kept afterwards, since a
//! decoded Pod is eight times its bytes.

mod head;
mod skim;

use std::any::Any;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::head::Head;
use super::schema::{self, ProtobufError};
use super::structural::Version;
use super::{Resource, Revision, conversion, defaults};

pub use self::head::Labels;

/// An object of any kind. Clones share everything.
#[derive(Clone)]
pub struct Object(Arc<Inner>);

struct Inner {
    revision: Revision,
    core: Arc<Core>,
    /// Made for the first who asks for one.
    views: OnceLock<Box<Views>>,
}

/// What does not change with the revision.
struct Core {
    resource: Arc<Resource>,
    body: Bytes,
    head: Head,
}

#[derive(Default)]
struct Views {
    tree: Mutex<Weak<Value>>,
    typed: Mutex<Vec<Weak<dyn Any + Send + Sync>>>,
    /// The same, without managed fields.
    lean: Mutex<Vec<Weak<dyn Any + Send + Sync>>>,
    /// Kept until it is swept, as the next one is: the watchers who want it come one after another.
    protobuf: Mutex<Option<Bytes>>,
    /// The event that it was last written as, and what it is called there.
    event: Mutex<Option<(&'static str, Bytes)>>,
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
        Self::close(resource, revision, &mut tree)
    }

    /// The same, with its [tree](Object::tree), which nobody has to decode for as long as it is held.
    ///
    /// # Errors
    ///
    /// As for [`Object::from_tree`].
    pub fn with_tree(
        resource: Arc<Resource>,
        revision: Revision,
        mut tree: Value,
    ) -> Result<(Self, Arc<Value>), DecodeError> {
        let object = Self::close(resource, revision, &mut tree)?;
        if revision != Revision::NONE {
            tree["metadata"]["resourceVersion"] = revision.to_string().into();
        }
        let tree = Arc::new(tree);
        *object.views().tree.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&tree);
        Ok((object, tree))
    }

    fn close(resource: Arc<Resource>, revision: Revision, tree: &mut Value) -> Result<Self, DecodeError> {
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
        let body = serde_json::to_vec(tree)
            .map_err(|source| DecodeError { what: format!("{} as JSON", resource.kind), source })?;
        // Boxed, so that no room is kept for more.
        let body = Bytes::from(body.into_boxed_slice());
        let head = skim::skim(&resource, &body, true).ok_or_else(|| wrong("less than 4 GiB"))?;
        Ok(Self::assemble(revision, Arc::new(Core { resource, body, head })))
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

    /// The object that this body, as [`Object::body`] gave it, is; it shares the bytes.
    ///
    /// A body from elsewhere is brought into canonical form first, its kind's defaults included: other JSON,
    /// or the protobuf that a kube-apiserver stores; in another version of the kind, too.
    ///
    /// # Errors
    ///
    /// When the bytes are no JSON object, and no protobuf of a built-in kind; when they are of a version of the
    /// kind of which nothing is known.
    pub fn from_body(resource: Arc<Resource>, revision: Revision, body: &Bytes) -> Result<Self, DecodeError> {
        if let Some(version) = resource.custom.clone() {
            return Self::from_custom_body(resource, &version, revision, body);
        }
        Self::from_plain_body(resource, revision, body)
    }

    /// A custom resource as its definition has it by now, whatever it had when it was stored. One that was
    /// stored in another version stays in that one, of which nothing is known here.
    fn from_custom_body(
        resource: Arc<Resource>,
        version: &Version,
        revision: Revision,
        body: &Bytes,
    ) -> Result<Self, DecodeError> {
        let what = || format!("the body of a {}", resource.kind);
        let mut tree: Value =
            serde_json::from_slice(body).map_err(|source| DecodeError { what: what(), source })?;
        let stored = tree.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        if !stored.is_empty() && stored != resource.api_version() {
            let version = stored.rsplit('/').next().unwrap_or_default().to_owned();
            let foreign = Resource { version: version.into(), custom: None, ..(*resource).clone() };
            return Self::from_plain_body(Arc::new(foreign), revision, body);
        }
        version.read(&mut tree);
        let read = Self::from_tree(resource, revision, tree)?;
        // What is as it was stored shares its bytes.
        if read.body() == body {
            return Self::from_plain_body(read.resource().clone(), revision, body);
        }
        Ok(read)
    }

    fn from_plain_body(
        resource: Arc<Resource>,
        revision: Revision,
        body: &Bytes,
    ) -> Result<Self, DecodeError> {
        if let Some(head) = skim::skim(&resource, body, false) {
            return Ok(Self::assemble(revision, Arc::new(Core { resource, body: body.clone(), head })));
        }
        let tree = if body.starts_with(schema::PROTOBUF_MAGIC) {
            let alike = |version: &str, kind: &str| conversion::protobuf(&resource, version, kind);
            schema::decode_stored_protobuf(body, alike).map_err(serde::de::Error::custom)
        } else {
            serde_json::from_slice(body)
        };
        let tree =
            tree.and_then(|tree| conversion::from_stored(&resource, tree).map_err(serde::de::Error::custom));
        let mut tree =
            tree.map_err(|source| DecodeError { what: format!("the body of a {}", resource.kind), source })?;
        schema::apply_defaults(&resource, &mut tree);
        defaults::apply(&resource, &mut tree)?;
        Self::from_tree(resource, revision, tree)
    }

    fn assemble(revision: Revision, core: Arc<Core>) -> Self {
        Self(Arc::new(Inner { revision, core, views: OnceLock::new() }))
    }

    fn head(&self) -> &Head {
        &self.0.core.head
    }

    /// The same body at another revision.
    #[must_use]
    pub fn at(&self, revision: Revision) -> Self {
        if revision == self.0.revision {
            return self.clone();
        }
        Self::assemble(revision, self.0.core.clone())
    }

    /// The row of the scheme that this object belongs to.
    #[must_use]
    pub fn resource(&self) -> &Arc<Resource> {
        &self.0.core.resource
    }

    /// The revision at which this body was committed; none for one that never was.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.0.revision
    }

    /// Canonical JSON without `resourceVersion`: what is stored.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.core.body
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.head().key
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.head().key.name
    }

    /// Namespace, for an object that lives in one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        Some(self.head().key.namespace.as_str()).filter(|namespace| !namespace.is_empty())
    }

    /// `metadata.uid`; empty where there is none.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.head().uid(&self.0.core.body)
    }

    /// `metadata.generation`; 0 where there is none.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.head().generation
    }

    /// Whether `metadata.deletionTimestamp` is set.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.head().deleting
    }

    /// `metadata.labels`.
    #[must_use]
    pub fn labels(&self) -> Labels<'_> {
        self.head().labels(&self.0.core.resource, &self.0.core.body)
    }

    /// The value of a field that selectors may name: `metadata.name`, `metadata.namespace`, or one
    /// of the row's selectable fields. `None` for any other.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "metadata.name" => Some(self.name()),
            "metadata.namespace" => Some(&self.head().key.namespace),
            _ => {
                let Core { resource, body, head } = &*self.0.core;
                let position = resource.selectable.iter().position(|field| field.name == name)?;
                head.field(resource, position, body)
            }
        }
    }

    /// The whole object as JSON, `resourceVersion` included.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        if self.0.revision == Revision::NONE {
            return self.0.core.body.clone();
        }
        let mut out = BytesMut::with_capacity(self.encoded_len());
        self.encode_to(&mut out);
        out.freeze()
    }

    /// Writes what [`Object::encode`] gives behind what `out` holds.
    pub fn encode_to(&self, out: &mut BytesMut) {
        let (body, revision) = (&self.0.core.body, self.0.revision);
        if revision == Revision::NONE {
            return out.extend_from_slice(body);
        }
        let (before, after) = body.split_at(self.head().splice as usize);
        out.extend_from_slice(before);
        // To write into memory does not fail.
        let _ = write!(out, r#""resourceVersion":"{revision}""#);
        if after.first() != Some(&b'}') {
            out.extend_from_slice(b",");
        }
        out.extend_from_slice(after);
    }

    /// How many bytes [`Object::encode`] gives.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let (body, revision) = (&self.0.core.body, self.0.revision);
        if revision == Revision::NONE {
            return body.len();
        }
        let comma = usize::from(body.get(self.head().splice as usize) != Some(&b'}'));
        let digits = revision.0.ilog10() as usize + 1;
        body.len() + r#""resourceVersion":"""#.len() + digits + comma
    }

    /// A watch's event about the object, such as `ADDED`, as a line of JSON; shared with all who ask for the
    /// same until the object is swept.
    #[must_use]
    pub fn event_line(&self, kind: &'static str) -> Bytes {
        let mut slot = self.views().event.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, line)) = slot.as_ref().filter(|(known, _)| *known == kind) {
            return line.clone();
        }
        let mut line = BytesMut::with_capacity(self.encoded_len() + kind.len() + 24);
        let _ = write!(line, r#"{{"type":"{kind}","object":"#);
        self.encode_to(&mut line);
        line.extend_from_slice(b"}\n");
        let line = line.freeze();
        *slot = Some((kind, line.clone()));
        line
    }

    /// The whole object as protobuf, `resourceVersion` included; shared with all who ask until the
    /// object is swept. Not for lists, which would keep as much again as all their objects.
    ///
    /// # Errors
    ///
    /// When the object has no protobuf, as a custom resource has none.
    pub fn protobuf(&self) -> Result<Bytes, ProtobufError> {
        let mut slot = self.views().protobuf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = &*slot {
            return Ok(bytes.clone());
        }
        let bytes = Bytes::from(schema::encode_protobuf(&self.tree())?.into_boxed_slice());
        Ok(slot.insert(bytes).clone())
    }

    /// Gives back the memory of views that nobody holds any more, down to the last: a view that is
    /// dropped frees all that it points to, and its own few hundred bytes when it is swept.
    pub(crate) fn sweep(&self) {
        if let Some(views) = self.0.views.get() {
            let mut tree = views.tree.lock().unwrap_or_else(PoisonError::into_inner);
            if tree.strong_count() == 0 {
                *tree = Weak::new();
            }
            for views in [&views.typed, &views.lean] {
                views.lock().unwrap_or_else(PoisonError::into_inner).retain(|slot| slot.strong_count() > 0);
            }
            views.protobuf.lock().unwrap_or_else(PoisonError::into_inner).take();
            views.event.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    fn views(&self) -> &Views {
        self.0.views.get_or_init(Box::default)
    }

    /// The object as a JSON tree, `resourceVersion` included; shared with all who hold it.
    #[must_use]
    pub fn tree(&self) -> Arc<Value> {
        let mut slot = self.views().tree.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.shared(&self.views().typed, || self.encode())
    }

    /// The same without `metadata.managedFields`: they are as large as all the rest of many an object, and few who
    /// hold it look at them.
    ///
    /// # Errors
    ///
    /// When the body is no `T`.
    pub fn lean_view<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, DecodeError> {
        let managed = self.head().managed.range();
        if managed.is_empty() {
            return self.view();
        }
        self.shared(&self.views().lean, || {
            let whole = self.encode();
            // They stand behind the place where the revision is spliced in.
            let after = whole.len() - (self.body().len() - managed.end);
            let mut lean = BytesMut::with_capacity(whole.len() - managed.len() + 4);
            lean.extend_from_slice(&whole[..after - managed.len()]);
            lean.extend_from_slice(b"null");
            lean.extend_from_slice(&whole[after..]);
            lean.freeze()
        })
    }

    /// The value of this type that somebody holds, or else the one that `encoded` says.
    fn shared<T: DeserializeOwned + Send + Sync + 'static>(
        &self,
        slots: &Mutex<Vec<Weak<dyn Any + Send + Sync>>>,
        encoded: impl FnOnce() -> Bytes,
    ) -> Result<Arc<T>, DecodeError> {
        let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|slot| slot.strong_count() > 0);
        if let Some(shared) = slots.iter().filter_map(Weak::upgrade).find_map(|any| any.downcast::<T>().ok())
        {
            return Ok(shared);
        }
        let value: T = serde_json::from_slice(&encoded()).map_err(|source| DecodeError {
            what: format!("{} {}", self.resource().kind, self.key()),
            source,
        })?;
        let shared = Arc::new(value);
        let any: Arc<dyn Any + Send + Sync> = shared.clone();
        slots.push(Arc::downgrade(&any));
        Ok(shared)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} @{}", self.resource().kind, self.key(), self.0.revision)
    }
}

/// Same resource, same revision, same body.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.0.revision == other.0.revision
            && (Arc::ptr_eq(&self.0.core, &other.0.core)
                || (self.body() == other.body()
                    && self.resource().plural == other.resource().plural
                    && self.resource().group == other.resource().group))
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
        let held = object.tree();
        object.sweep();
        assert!(object.views().typed.lock().unwrap().is_empty(), "nothing holds its room");
        assert!(Arc::ptr_eq(&held, &object.tree()), "what is held is still shared");
    }

    #[test]
    fn a_lean_view_lacks_managed_fields_and_nothing_else() {
        let entry = json!({"manager": "a", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:]\"": {}}}});
        for metadata in [
            json!({"name": "a"}),
            json!({"name": "a", "managedFields": []}),
            json!({"managedFields": [entry.clone()]}),
            json!({"annotations": {"managedFields": "[x]"}, "labels": {"managedFields": "y"}, "name": "a",
                "managedFields": [entry.clone(), entry.clone()], "uid": "u"}),
        ] {
            let object = config_map(json!({"metadata": metadata, "data": {"managedFields": "[]"}}));
            for object in [object.clone(), object.at(Revision::NONE), object.at(Revision(70_000))] {
                let mut whole = (*object.view::<ConfigMap>().unwrap()).clone();
                let lean = object.lean_view::<ConfigMap>().unwrap();
                assert_eq!((*lean).clone().metadata.managed_fields, None);
                whole.metadata.managed_fields = None;
                assert_eq!(*lean, whole);
                assert!(Arc::ptr_eq(&lean, &object.lean_view().unwrap()), "it is shared while it is held");
            }
        }
    }

    #[test]
    fn a_tree_that_is_held_is_the_one_that_would_be_decoded() {
        for revision in [Revision::NONE, Revision(7)] {
            let row = config_map(json!({})).resource().clone();
            let given = json!({"metadata": {"name": "a", "resourceVersion": "5"}, "data": {"a": "b"}});
            let (object, held) = Object::with_tree(row.clone(), revision, given.clone()).unwrap();
            assert!(Arc::ptr_eq(&held, &object.tree()));
            let decoded: Value = serde_json::from_slice(&object.encode()).unwrap();
            assert_eq!(*held, decoded);
            assert_eq!(object, Object::from_tree(row, revision, given).unwrap());
            drop(held);
            assert_eq!(*object.tree(), decoded);
        }
    }

    #[test]
    fn an_event_is_written_once_until_it_is_swept() {
        for data in [json!({}), json!({"a": "b"})] {
            let object = config_map(json!({"metadata": data}));
            let line = object.event_line("ADDED");
            let tree: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(tree, json!({"type": "ADDED", "object": *object.tree()}));
            assert!(line.ends_with(b"}\n"));
            assert_eq!(line.as_ptr(), object.event_line("ADDED").as_ptr());
            assert!(object.event_line("DELETED").starts_with(br#"{"type":"DELETED""#));
            object.sweep();
            assert_eq!(line, object.event_line("ADDED"));
            assert_eq!(object.encoded_len(), object.encode().len());
        }
        let unstored = config_map(json!({})).at(Revision::NONE);
        assert_eq!(unstored.encoded_len(), unstored.encode().len());
    }

    #[test]
    fn protobuf_is_written_once_until_it_is_swept() {
        let object = config_map(json!({"metadata": {"name": "a"}}));
        let first = object.protobuf().unwrap();
        assert_eq!(schema::decode_protobuf(&first), Ok((*object.tree()).clone()));
        assert_eq!(first.as_ptr(), object.protobuf().unwrap().as_ptr());
        object.sweep();
        let again = object.protobuf().unwrap();
        assert_ne!(first.as_ptr(), again.as_ptr());
        assert_eq!(first, again);
        // Whatever body it came from, it is that of its row, and its revision its own.
        let body = Object::from_body(object.resource().clone(), Revision(7), &first).unwrap();
        assert_eq!((body.body(), body.revision()), (object.body(), Revision(7)));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let row = Arc::new(Resource::of::<ConfigMap>());
        for tree in [json!([]), json!("x"), json!({"metadata": 1})] {
            assert!(Object::from_tree(row.clone(), Revision::NONE, tree).is_err());
        }
    }
}
