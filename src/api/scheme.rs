//! The scheme: the rows of all resources that a server serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube_core::{GroupVersionKind, GroupVersionResource};

use super::Resource;

/// All resources that are known, as a value: adding a row makes another scheme.
#[derive(Clone, Debug, Default)]
pub struct Scheme {
    rows: BTreeMap<(String, String, String), Arc<Resource>>,
}

impl Scheme {
    /// No resource at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// This scheme and one row more; a row of the same group, version and plural name is replaced.
    #[must_use]
    pub fn with(mut self, resource: Resource) -> Self {
        let key = (resource.group.to_string(), resource.version.to_string(), resource.plural.to_string());
        self.rows.insert(key, Arc::new(resource));
        self
    }

    /// This scheme without the row of this group, version and plural name.
    #[must_use]
    pub fn without(mut self, gvr: &GroupVersionResource) -> Self {
        self.rows.remove(&(gvr.group.clone(), gvr.version.clone(), gvr.resource.clone()));
        self
    }

    /// All rows, by group, version and plural name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.rows.values()
    }

    /// The row of this group, version and plural name.
    #[must_use]
    pub fn resource(&self, gvr: &GroupVersionResource) -> Option<&Arc<Resource>> {
        self.rows.get(&(gvr.group.clone(), gvr.version.clone(), gvr.resource.clone()))
    }

    /// The row of this kind.
    #[must_use]
    pub fn kind(&self, gvk: &GroupVersionKind) -> Option<&Arc<Resource>> {
        self.rows
            .values()
            .find(|row| row.group == gvk.group && row.version == gvk.version && row.kind == gvk.kind)
    }
}
