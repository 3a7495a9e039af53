//! The scheme: the rows of all resources that a server serves.

mod columns;
mod deprecated;
mod fields;
mod row;
mod table;
mod unstable;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use kube_core::{GroupVersionKind, GroupVersionResource};

use super::{Resource, RuntimeConfig};

/// All resources that are known, as a value: adding a row makes another scheme.
#[derive(Clone, Debug, Default)]
pub struct Scheme {
    /// By group, version, then plural name.
    rows: BTreeMap<String, BTreeMap<String, Version>>,
}

#[derive(Clone, Debug, Default)]
struct Version {
    plurals: BTreeMap<String, Arc<Resource>>,
    kinds: BTreeMap<String, Arc<Resource>>,
}

impl Scheme {
    /// No resource at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The stable resources of Kubernetes 1.36.
    ///
    /// A group that has several versions of one kind is here in the newest (`autoscaling/v2`).
    #[must_use]
    pub fn builtin() -> Self {
        static BUILTIN: OnceLock<Scheme> = OnceLock::new();
        BUILTIN
            .get_or_init(|| table::ROWS.iter().fold(Self::empty(), |scheme, row| scheme.with(row.resource())))
            .clone()
    }

    /// The resources of Kubernetes 1.36, alpha and beta ones too, as far as `config` has them served.
    #[must_use]
    pub fn builtin_with(config: &RuntimeConfig) -> Self {
        let rows = table::ROWS.iter().chain(unstable::ROWS).map(row::Row::resource);
        rows.filter(|row| config.serves(row)).fold(Self::empty(), Self::with)
    }

    /// This scheme and one row more; a row of the same group, version and plural name is replaced.
    #[must_use]
    pub fn with(mut self, resource: Resource) -> Self {
        self = self.without(&resource.gvr());
        let row = Arc::new(resource);
        let versions = self.rows.entry(row.group.to_string()).or_default();
        let version = versions.entry(row.version.to_string()).or_default();
        version.plurals.insert(row.plural.to_string(), row.clone());
        version.kinds.insert(row.kind.to_string(), row);
        self
    }

    /// This scheme without the row of this group, version and plural name.
    #[must_use]
    pub fn without(mut self, gvr: &GroupVersionResource) -> Self {
        let Some(versions) = self.rows.get_mut(&gvr.group) else { return self };
        let Some(version) = versions.get_mut(&gvr.version) else { return self };
        if let Some(row) = version.plurals.remove(&gvr.resource)
            && version.kinds.get(row.kind.as_ref()).is_some_and(|known| Arc::ptr_eq(known, &row))
        {
            version.kinds.remove(row.kind.as_ref());
        }
        if version.plurals.is_empty() {
            versions.remove(&gvr.version);
        }
        if versions.is_empty() {
            self.rows.remove(&gvr.group);
        }
        self
    }

    /// All rows, by group, version and plural name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.rows.values().flat_map(BTreeMap::values).flat_map(|version| version.plurals.values())
    }

    /// The row of this group, version and plural name.
    #[must_use]
    pub fn resource(&self, gvr: &GroupVersionResource) -> Option<&Arc<Resource>> {
        self.rows.get(&gvr.group)?.get(&gvr.version)?.plurals.get(&gvr.resource)
    }

    /// The row of this kind.
    #[must_use]
    pub fn kind(&self, gvk: &GroupVersionKind) -> Option<&Arc<Resource>> {
        self.rows.get(&gvk.group)?.get(&gvk.version)?.kinds.get(&gvk.kind)
    }

    /// The row of a kind, by an object's own `apiVersion` and `kind`.
    #[must_use]
    pub fn api_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.rows.get(group)?.get(version)?.kinds.get(kind)
    }

    /// The row of a Rust type.
    #[must_use]
    pub fn of<K: kube_core::Resource<DynamicType = ()>>(&self) -> Option<&Arc<Resource>> {
        self.rows.get(&*K::group(&()))?.get(&*K::version(&()))?.plurals.get(&*K::plural(&()))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    #[test]
    fn a_row_is_found_by_each_of_its_names() {
        let scheme = Scheme::builtin();
        let pods = scheme.of::<Pod>().unwrap();
        assert_eq!(scheme.kind(&pods.gvk()).unwrap().plural, "pods");
        assert_eq!(scheme.resource(&pods.gvr()).unwrap().kind, "Pod");
        assert_eq!(scheme.api_kind("apps/v1", "Deployment").unwrap().short_names, ["deploy"]);
        assert!(scheme.api_kind("v1", "Deployment").is_none());
    }

    #[test]
    fn a_scheme_is_a_value() {
        let scheme = Scheme::builtin();
        let pods = scheme.of::<Pod>().unwrap().gvr();
        let without = scheme.clone().without(&pods);
        assert!(without.of::<Pod>().is_none() && scheme.of::<Pod>().is_some());
        assert_eq!(without.iter().count() + 1, scheme.iter().count());
        let again = without.with(Resource::of::<Pod>());
        assert!(again.of::<Pod>().unwrap().columns.is_empty());
    }

    #[test]
    fn keys_are_kube_apiservers() {
        let scheme = Scheme::builtin();
        for (api_version, kind, key) in [
            ("v1", "Node", "/registry/minions/n"),
            ("v1", "Service", "/registry/services/specs/ns/n"),
            ("v1", "Endpoints", "/registry/services/endpoints/ns/n"),
            ("apps/v1", "Deployment", "/registry/deployments/ns/n"),
            ("coordination.k8s.io/v1", "Lease", "/registry/leases/ns/n"),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "/registry/apiextensions.k8s.io/customresourcedefinitions/n",
            ),
        ] {
            let row = scheme.api_kind(api_version, kind).unwrap();
            let namespace = row.namespaced().then_some("ns");
            assert_eq!(row.storage_key(namespace, Some("n")), key);
        }
    }

    #[test]
    fn subresources_borrow_kinds() {
        let scheme = Scheme::builtin();
        let pods = scheme.of::<Pod>().unwrap();
        assert_eq!(pods.subresource("eviction").unwrap().kind.api_version(), "policy/v1");
        assert_eq!(pods.subresource("status").unwrap().kind, pods.gvk());
        let deployments = scheme.api_kind("apps/v1", "Deployment").unwrap();
        assert_eq!(deployments.subresource("scale").unwrap().kind.kind, "Scale");
        assert_eq!(
            scheme.api_kind("v1", "Node").unwrap().subresource("proxy").unwrap().kind.kind,
            "NodeProxyOptions"
        );
        assert_eq!(scheme.api_kind("authentication.k8s.io/v1", "TokenReview").unwrap().verbs, ["create"]);
    }
}
