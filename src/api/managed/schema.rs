//! What is known of a kind's fields.
//!
//! Built-in kinds are read from the schema table; custom resources from the OpenAPI of their definition,
//! interpreted as it stands, or deduced from the values where there is none: maps by entry, lists as a
//! whole.

use std::sync::Arc;

use serde_json::Value;

use super::open_api::Open;
use super::types::{PLAIN, Type};
use crate::api::Resource;
use crate::api::schema::table::{self, Entry};

/// What is known of a kind's fields.
#[derive(Clone, Debug)]
pub struct Schema(Source);

#[derive(Clone, Debug)]
enum Source {
    Table(&'static Entry),
    Custom(Option<Arc<Value>>),
}

impl Schema {
    /// The schema of a resource: its type in the schema table, that of its definition, or else
    /// [`deduced`](Self::deduced).
    #[must_use]
    pub fn of(resource: &Resource) -> Self {
        if let Some(version) = &resource.custom {
            return version.managed_schema();
        }
        resource.schema.as_deref().and_then(Self::named).unwrap_or_else(Self::deduced)
    }

    /// The schema table's type of this name, such as `io.k8s.api.core.v1.Pod`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        table::find(name).map(|entry| Self(Source::Table(entry)))
    }

    /// A custom resource with the `openAPIV3Schema` of its definition.
    ///
    /// Its `metadata` are known whatever the schema says of them.
    #[must_use]
    pub fn open_api(schema: impl Into<Arc<Value>>) -> Self {
        Self(Source::Custom(Some(schema.into())))
    }

    /// A custom resource of which nothing but its `metadata` is known.
    #[must_use]
    pub fn deduced() -> Self {
        Self(Source::Custom(None))
    }

    /// Whether what fitted once may fit no longer, since a definition is another by now.
    pub(super) fn may_change(&self) -> bool {
        matches!(self.0, Source::Custom(_))
    }

    pub(super) fn root(&self) -> Type<'_> {
        match &self.0 {
            Source::Table(entry) => Type::Record(entry, &PLAIN),
            Source::Custom(schema) => Type::Open(Open::object(schema.as_deref())),
        }
    }
}
