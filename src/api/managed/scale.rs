//! Owners of replicas: between an object's managed fields and those of its Scale.
//!
//! A Scale shows one field of its object under another name, and is written by subresource. Whoever owns
//! that field of the object owns the Scale's, and what a write to the Scale does to its owners is done to
//! the object's. Follows apimachinery 1.36 (`util/managedfields/scalehandler.go`).

use std::collections::BTreeMap;

use super::element::{Path, PathElement};
use super::entries::{ManagedFields, Owned};
use super::set::FieldSet;

const SCALE: &str = "autoscaling/v1";

/// Where the versions of a kind keep their replicas.
///
/// A version that is known but has no Scale has no path; entries of versions that are not known are lost
/// with a write to the Scale, as in Kubernetes.
#[derive(Clone, Debug, Default)]
pub struct Replicas(BTreeMap<String, Option<Path>>);

impl Replicas {
    /// No version.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a version, such as `apps/v1`, and the dotted path of its replicas, if it has a Scale.
    #[must_use]
    pub fn version(mut self, api_version: impl Into<String>, path: Option<&str>) -> Self {
        let steps = |path: &str| path.split('.').map(PathElement::field).collect();
        self.0.insert(api_version.into(), path.map(steps));
        self
    }

    /// The managed fields of the Scale of an object that has these.
    #[must_use]
    pub fn to_scale(&self, object: &ManagedFields) -> ManagedFields {
        let mut out = ManagedFields::new();
        for (manager, owned) in &object.entries {
            let path = self.0.get(&owned.api_version).and_then(Option::as_ref);
            if path.is_some_and(|path| owned.fields.contains(path)) {
                let owned = Owned {
                    api_version: SCALE.to_owned(),
                    fields: FieldSet::of(&in_scale()),
                    time: owned.time,
                };
                out.insert(manager.clone(), owned);
            }
        }
        out
    }

    /// The managed fields of an object that had these and whose Scale was written in this version of the
    /// object, by the managed fields that the Scale has now.
    ///
    /// Owners that are new have no time, as in Kubernetes.
    #[must_use]
    pub fn to_object(
        &self,
        object: &ManagedFields,
        scale: &ManagedFields,
        api_version: &str,
    ) -> ManagedFields {
        let (mut out, mut scale) = (ManagedFields::new(), scale.clone());
        for (manager, owned) in &object.entries {
            let Some(path) = self.0.get(&owned.api_version) else { continue };
            let mut owned = owned.clone();
            if let Some(path) = path.as_ref().filter(|path| owned.fields.contains(path))
                && scale.entries.remove(manager).is_none()
            {
                owned.fields = owned.fields.difference(&FieldSet::of(path));
                if owned.fields.is_empty() {
                    continue;
                }
            }
            out.insert(manager.clone(), owned);
        }
        let Some(Some(path)) = self.0.get(api_version) else { return out };
        for (manager, owned) in scale.entries {
            if owned.fields.contains(&in_scale()) {
                let time = object.entries.get(&manager).and_then(|owned| owned.time);
                let owned = Owned { api_version: api_version.to_owned(), fields: FieldSet::of(path), time };
                out.insert(manager, owned);
            }
        }
        out
    }
}

fn in_scale() -> Path {
    vec![PathElement::field("spec"), PathElement::field("replicas")]
}
