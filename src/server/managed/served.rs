//! The versions in which a kind is served, as owners' fields belong to them.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::managed::{Schema, Versions};
use crate::api::{Resource, Scheme};
use crate::server::convert;

/// The rows of a kind, whatever version they are of, with what is known of their fields.
pub(super) struct Served {
    versions: Vec<Version>,
    /// The version that was asked for comes first.
    stored: Arc<Resource>,
}

struct Version {
    api_version: String,
    row: Arc<Resource>,
    schema: Schema,
}

impl Served {
    pub(super) fn of(scheme: &Scheme, asked: &Arc<Resource>, stored: &Arc<Resource>) -> Self {
        let others = scheme
            .iter()
            .filter(|row| row.storage == asked.storage && row.kind == asked.kind && !is_same(row, asked));
        let versions = std::iter::once(asked).chain(others).map(Version::of).collect();
        Self { versions, stored: stored.clone() }
    }

    pub(super) fn asked_row(&self) -> &Resource {
        // There is always the one that was asked for.
        self.versions.first().map_or(&self.stored, |version| &version.row)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.versions.iter().map(|version| &version.row)
    }

    /// A tree of the stored version in the one that was asked for.
    pub(super) fn asked<'t>(&self, tree: &'t Value) -> Cow<'t, Value> {
        let asked = self.asked_row();
        if tree.is_null() || is_same(asked, &self.stored) {
            return Cow::Borrowed(tree);
        }
        Cow::Owned(convert::tree(&self.stored, asked, tree.clone()))
    }

    /// An object of which nothing but the kind is said.
    pub(super) fn nothing(&self) -> Value {
        let asked = self.asked_row();
        json!({"apiVersion": asked.api_version(), "kind": asked.kind})
    }

    fn version(&self, api_version: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.api_version == api_version)
    }
}

impl Version {
    fn of(row: &Arc<Resource>) -> Self {
        Self { api_version: row.api_version(), row: row.clone(), schema: Schema::of(row) }
    }
}

impl Versions for Served {
    fn schema(&self, api_version: &str) -> Option<&Schema> {
        self.version(api_version).map(|version| &version.schema)
    }

    fn convert(&self, tree: &Value, from: &str, to: &str) -> Result<Value, String> {
        match (self.version(from), self.version(to)) {
            (Some(from), Some(to)) => Ok(convert::tree(&from.row, &to.row, tree.clone())),
            _ => Err(format!("no conversion from {from} to {to}")),
        }
    }
}

fn is_same(one: &Resource, other: &Resource) -> bool {
    one.group == other.group && one.version == other.version
}
