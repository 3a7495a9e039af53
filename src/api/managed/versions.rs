//! The versions of a kind: each entry's fields belong to one.

use serde_json::Value;

use super::schema::Schema;

/// What is known of the versions of a kind.
///
/// # Contract
///
/// Pure: the same question gets the same answer while a write is worked out.
pub trait Versions {
    /// The schema of a version; none where it is not served (any more).
    fn schema(&self, api_version: &str) -> Option<&Schema>;

    /// An object's tree in another version that has a schema.
    ///
    /// # Errors
    ///
    /// When the tree cannot be converted.
    fn convert(&self, tree: &Value, from: &str, to: &str) -> Result<Value, String>;
}

/// A kind with one version.
#[derive(Clone, Debug)]
pub struct OneVersion {
    api_version: String,
    schema: Schema,
}

impl OneVersion {
    /// The version, such as `apps/v1`, and its schema.
    #[must_use]
    pub fn new(api_version: impl Into<String>, schema: Schema) -> Self {
        Self { api_version: api_version.into(), schema }
    }
}

impl Versions for OneVersion {
    fn schema(&self, api_version: &str) -> Option<&Schema> {
        (api_version == self.api_version).then_some(&self.schema)
    }

    fn convert(&self, tree: &Value, _: &str, _: &str) -> Result<Value, String> {
        Ok(tree.clone())
    }
}
