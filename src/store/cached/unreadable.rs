//! Keys of a resource whose values are no objects: they do not open, or do not decode.
//!
//! They stand on the shelf beside the objects. What does not need them goes on; what does fails and
//! says which they are, so that nobody takes what is left for all there is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::objects::StoreOrder;
use crate::api::{Object, ObjectKey, Resource};
use crate::store::{Error, KeyValue, Result, Revision};

/// A key of a resource, the value of which cannot be read as an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// The key in the store.
    pub key: Bytes,
    /// Whose key it is.
    pub object: ObjectKey,
    /// The revision at which it was last written.
    pub revision: Revision,
    /// What is wrong with its value.
    pub defect: Defect,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// It does not open; why.
    Untransformable(Arc<str>),
    /// It opens, and is not the object that its key stands for; why.
    Undecodable(Arc<str>),
}

impl Unreadable {
    /// How many are named at once, at most.
    ///
    /// Source: `listErrAggrFactory` of kube-apiserver's `storage/etcd3/store.go` (1.36).
    pub const MOST: usize = 100;
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = String::from_utf8_lossy(&self.key);
        write!(f, "{key} at revision {}: {}", self.revision, self.defect)
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Untransformable(why) | Self::Undecodable(why)) = self;
        f.write_str(why)
    }
}

/// How a kube-apiserver marks what it has encrypted.
///
/// Source: `identity.NewEncryptCheckTransformer` of `k8s.io/apiserver/pkg/storage/value/encrypt` (1.36).
const ENCRYPTED: &[u8] = b"k8s:enc:";

/// Why a value that a kube-apiserver has encrypted cannot be read: its keys are not here. The provider and the
/// key that it names stand before the fourth and fifth colon.
fn encrypted(body: &[u8]) -> String {
    let named: Vec<_> = body.splitn(6, |byte| *byte == b':').take(5).map(String::from_utf8_lossy).collect();
    let named = if named.iter().all(|part| part.len() < 64) { named.join(":") } else { "k8s:enc".into() };
    format!("identity transformer tried to read encrypted data ({named})")
}

/// What a key holds.
#[derive(Clone, Debug)]
pub(super) enum Stored {
    Object(Object),
    Unreadable(Arc<Unreadable>),
}

impl Stored {
    /// What the key of an object holds, once its value has been opened, or could not be. An object that is
    /// `known` to have this body is not decoded again.
    pub(super) fn of(
        resource: &Arc<Resource>,
        key: &ObjectKey,
        kv: &KeyValue,
        opened: Result<Bytes>,
        known: impl FnOnce(&Bytes) -> Option<Object>,
    ) -> Self {
        let defect = match opened {
            Err(Error::Corrupt { what }) => Defect::Untransformable(what),
            Err(error) => Defect::Untransformable(error.to_string().into()),
            Ok(body) if body.starts_with(ENCRYPTED) => Defect::Untransformable(encrypted(&body).into()),
            Ok(body) => {
                if let Some(known) = known(&body) {
                    return Self::Object(known.at(kv.mod_revision));
                }
                match Object::from_body(resource.clone(), kv.mod_revision, &body) {
                    Ok(object) if object.key() == key => return Self::Object(object),
                    Ok(object) => Defect::Undecodable(format!("it is called {} itself", object.key()).into()),
                    Err(error) => Defect::Undecodable(error.to_string().into()),
                }
            }
        };
        let revision = kv.mod_revision;
        Self::Unreadable(Arc::new(Unreadable { key: kv.key.clone(), object: key.clone(), revision, defect }))
    }

    pub(super) fn key(&self) -> &ObjectKey {
        match self {
            Self::Object(object) => object.key(),
            Self::Unreadable(value) => &value.object,
        }
    }

    pub(super) fn object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::Unreadable(_) => None,
        }
    }

    /// The object, or why there is none to be had.
    pub(super) fn into_object(self) -> Result<Object> {
        match self {
            Self::Object(object) => Ok(object),
            Self::Unreadable(value) => Err(Error::unreadable([value])),
        }
    }
}

/// What cannot be read, in the order of its keys in the store. Clones stand still, and share.
#[derive(Clone, Debug, Default)]
pub(super) struct Unreadables(Arc<BTreeMap<StoreOrder, Arc<Unreadable>>>);

impl Unreadables {
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Arc<Unreadable>> {
        // Mostly there are none, and nothing is copied to look for one.
        if self.0.is_empty() { None } else { self.0.get(&StoreOrder(key.clone())) }
    }

    pub(super) fn insert(&mut self, value: Arc<Unreadable>) {
        Arc::make_mut(&mut self.0).insert(StoreOrder(value.object.clone()), value);
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) {
        if self.get(key).is_some() {
            Arc::make_mut(&mut self.0).remove(&StoreOrder(key.clone()));
        }
    }

    /// Those whose keys are wanted.
    pub(super) fn only(&self, wanted: impl Fn(&ObjectKey) -> bool) -> Self {
        if self.0.is_empty() {
            return self.clone();
        }
        self.iter().filter(|value| wanted(&value.object)).cloned().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Unreadable>> {
        self.0.values()
    }
}

impl FromIterator<Arc<Unreadable>> for Unreadables {
    fn from_iter<I: IntoIterator<Item = Arc<Unreadable>>>(values: I) -> Self {
        let keyed = values.into_iter().map(|value| (StoreOrder(value.object.clone()), value));
        Self(Arc::new(keyed.collect()))
    }
}
