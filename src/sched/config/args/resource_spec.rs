//! A resource and how much it counts.

use crate::sched::config::reader::{Fields, Record};

/// A resource and how much it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceSpec {
    /// Its name.
    pub name: String,
    /// How much it counts.
    pub weight: i64,
}

impl ResourceSpec {
    /// CPU and memory, which count the same.
    pub(super) fn defaults() -> Vec<Self> {
        ["cpu", "memory"].map(|name| Self { name: name.to_owned(), weight: 1 }).to_vec()
    }

    /// Resources as they are read: those by default where there are none, and 1 for the weight 0.
    pub(super) fn or_defaults(resources: Vec<Self>) -> Vec<Self> {
        if resources.is_empty() {
            return Self::defaults();
        }
        let weighted = |spec: Self| if spec.weight == 0 { Self { weight: 1, ..spec } } else { spec };
        resources.into_iter().map(weighted).collect()
    }
}

impl Record for ResourceSpec {
    const GO: &'static str = "v1.ResourceSpec";

    fn read(fields: &mut Fields<'_>) -> Self {
        Self { name: fields.plain("name"), weight: fields.plain("weight") }
    }
}
