//! Resource names, as small numbers.

use std::collections::BTreeMap;

use crate::api::predicates::Resources;

/// A resource, as the number of its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(u16);

impl ResourceId {
    /// Milli-CPUs.
    pub const CPU: Self = Self(0);
    /// Bytes of memory.
    pub const MEMORY: Self = Self(1);
    /// Bytes of local disk.
    pub const EPHEMERAL_STORAGE: Self = Self(2);
    /// How many pods.
    pub const PODS: Self = Self(3);

    pub(super) fn at(self) -> usize {
        self.0.into()
    }

    pub(in crate::sched) fn number(self) -> i64 {
        self.0.into()
    }
}

/// The names that are known, each with its number.
#[derive(Clone, Debug)]
pub struct ResourceNames {
    names: Vec<String>,
    ids: BTreeMap<String, ResourceId>,
}

impl Default for ResourceNames {
    fn default() -> Self {
        let mut own = Self { names: Vec::new(), ids: BTreeMap::new() };
        for name in ["cpu", "memory", "ephemeral-storage", "pods"] {
            own.id(name);
        }
        own
    }
}

impl ResourceNames {
    /// The number of a name, given now if it has none. Beyond 65,536 names, the last is shared.
    pub fn id(&mut self, name: &str) -> ResourceId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let Ok(number) = u16::try_from(self.names.len()) else { return ResourceId(u16::MAX) };
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), ResourceId(number));
        ResourceId(number)
    }

    /// The name of a number.
    #[must_use]
    pub fn name(&self, id: ResourceId) -> &str {
        &self.names[id.at()]
    }

    /// The names with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ResourceId, &str)> {
        (0..).map(ResourceId).zip(self.names.iter().map(String::as_str))
    }

    /// Amounts in the unit of their column: thousandths of CPUs, whole numbers of all else.
    pub fn amounts(&mut self, resources: &Resources) -> Vec<(ResourceId, i64)> {
        let amount = |(name, quantity): (&str, crate::api::quantity::Quantity)| {
            let id = self.id(name);
            (id, if id == ResourceId::CPU { quantity.milli_value() } else { quantity.value() })
        };
        resources.iter().map(amount).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}
