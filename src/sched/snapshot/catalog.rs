//! The objects that plugins look up beside nodes and pods: volumes and claims to them, devices, budgets.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::resource::v1::{DeviceClass, ResourceClaim, ResourceSlice};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::client::Typed;

/// The objects of a namespace, by name.
type Within<K> = Arc<BTreeMap<String, Arc<K>>>;

/// Objects of one kind, by namespace and name.
#[derive(Clone, Debug)]
pub struct Shelf<K> {
    objects: Arc<BTreeMap<String, Within<K>>>,
    version: u64,
}

impl<K> Default for Shelf<K> {
    fn default() -> Self {
        Self { objects: Arc::default(), version: 0 }
    }
}

/// A kind that a [`Catalog`] keeps.
pub trait Catalogued:
    Typed + kube_core::Resource<DynamicType = (), Scope: 'static> + k8s_openapi::Metadata<Ty = ObjectMeta>
{
    /// Which it is.
    const WHICH: ObjectKind;

    /// Where the catalog has them.
    fn shelf(catalog: &Catalog) -> &Shelf<Self>;

    /// The same, to be changed.
    fn shelf_mut(catalog: &mut Catalog) -> &mut Shelf<Self>;

    /// The node whose verdicts change with the object, where it is about a single one.
    fn node(&self) -> Option<&str> {
        None
    }
}

/// What is done for a kind that is known only as a value.
pub(in crate::sched) trait KindVisitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<K: Catalogued>(self) -> Self::Output;
}

macro_rules! catalog {
    ($($(#[$doc:meta])* $shelf:ident: $kind:ident $({ $($body:tt)* })?)*) => {
        /// The objects that plugins look up, by kind, namespace and name.
        #[derive(Clone, Debug, Default)]
        pub struct Catalog {
            $($shelf: Shelf<$kind>,)*
        }

        /// A kind of objects that plugins look up.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ObjectKind {
            $($(#[$doc])* $kind,)*
        }

        $(impl Catalogued for $kind {
            const WHICH: ObjectKind = ObjectKind::$kind;

            fn shelf(catalog: &Catalog) -> &Shelf<Self> {
                &catalog.$shelf
            }

            fn shelf_mut(catalog: &mut Catalog) -> &mut Shelf<Self> {
                &mut catalog.$shelf
            }

            $($($body)*)?
        })*

        impl ObjectKind {
            /// All of them.
            pub(in crate::sched) const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Visits the kind as a type.
            pub(in crate::sched) fn visit<V: KindVisitor>(self, visitor: V) -> V::Output {
                match self {
                    $(Self::$kind => visitor.visit::<$kind>(),)*
                }
            }
        }
    };
}

catalog! {
    /// Persistent volumes.
    persistent_volumes: PersistentVolume
    /// Claims to persistent volumes.
    persistent_volume_claims: PersistentVolumeClaim
    /// Storage classes.
    storage_classes: StorageClass
    /// How many volumes of which driver a node attaches.
    csi_nodes: CSINode {
        fn node(&self) -> Option<&str> {
            self.metadata.name.as_deref()
        }
    }
    /// Drivers of volumes.
    csi_drivers: CSIDriver
    /// How much a driver has left to give, and where.
    csi_storage_capacities: CSIStorageCapacity
    /// Volumes that are attached to nodes.
    volume_attachments: VolumeAttachment
    /// How many pods may be disrupted at a time.
    pod_disruption_budgets: PodDisruptionBudget
    /// Claims to devices.
    resource_claims: ResourceClaim
    /// The devices there are.
    resource_slices: ResourceSlice
    /// Classes of devices.
    device_classes: DeviceClass
}

fn names(meta: &ObjectMeta) -> (&str, &str) {
    (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

impl Catalog {
    /// The object of this name; of a kind without namespaces, in the namespace that is empty.
    #[must_use]
    pub fn get<K: Catalogued>(&self, namespace: &str, name: &str) -> Option<&Arc<K>> {
        K::shelf(self).objects.get(namespace)?.get(name)
    }

    /// All objects of a kind, by namespace and name.
    pub fn all<K: Catalogued>(&self) -> impl Iterator<Item = &Arc<K>> {
        K::shelf(self).objects.values().flat_map(|within| within.values())
    }

    /// The objects of a kind in a namespace, by name.
    pub fn within<K: Catalogued>(&self, namespace: &str) -> impl Iterator<Item = &Arc<K>> {
        K::shelf(self).objects.get(namespace).into_iter().flat_map(|within| within.values())
    }

    /// Ticks with every change of an object of a kind: what was worked out from all of them is good while it stays.
    #[must_use]
    pub fn version<K: Catalogued>(&self) -> u64 {
        K::shelf(self).version
    }

    /// Puts an object in, or in the place of its old self, which is returned.
    pub(super) fn set<K: Catalogued>(&mut self, object: Arc<K>) -> Option<Arc<K>> {
        let shelf = K::shelf_mut(self);
        shelf.version += 1;
        let (namespace, name) = names(object.metadata());
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let within = Arc::make_mut(&mut shelf.objects).entry(namespace).or_default();
        Arc::make_mut(within).insert(name, object)
    }

    pub(super) fn remove<K: Catalogued>(&mut self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let shelf = K::shelf_mut(self);
        shelf.objects.get(namespace)?.get(name)?;
        let objects = Arc::make_mut(&mut shelf.objects);
        let within = Arc::make_mut(objects.get_mut(namespace)?);
        let old = within.remove(name)?;
        if within.is_empty() {
            objects.remove(namespace);
        }
        shelf.version += 1;
        Some(old)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(namespace: &str, name: &str) -> Arc<PersistentVolumeClaim> {
        let claim = json!({"metadata": {"namespace": namespace, "name": name}});
        Arc::new(serde_json::from_value(claim).unwrap())
    }

    #[test]
    fn what_is_put_in_is_found_by_name_until_it_is_taken_out() {
        let mut catalog = Catalog::default();
        let named = |catalog: &Catalog, namespace: &str| {
            let claims = catalog.within::<PersistentVolumeClaim>(namespace);
            claims.map(|claim| claim.metadata.name.clone().unwrap()).collect::<Vec<_>>()
        };
        for (namespace, name) in [("b", "x"), ("a", "y"), ("a", "x")] {
            assert!(catalog.set(claim(namespace, name)).is_none());
        }
        assert_eq!(named(&catalog, "a"), ["x", "y"]);
        assert_eq!(catalog.all::<PersistentVolumeClaim>().count(), 3);
        let before = catalog.version::<PersistentVolumeClaim>();
        assert!(catalog.set(claim("a", "x")).is_some());
        assert!(catalog.remove::<PersistentVolumeClaim>("a", "y").is_some());
        assert!(catalog.remove::<PersistentVolumeClaim>("a", "y").is_none());
        assert_eq!(catalog.version::<PersistentVolumeClaim>(), before + 2);
        assert_eq!(named(&catalog, "a"), ["x"]);
        assert!(catalog.get::<PersistentVolumeClaim>("b", "x").is_some());
        assert_eq!(catalog.version::<PersistentVolume>(), 0);
    }
}
