//! Admission: what may not be, though the caller may, and what is filled in on the way.

mod namespace;
mod node;
mod pod;

use serde_json::Value;

use super::registry::Call;
use super::tree::text;
use crate::api::{Object, Status};

/// Looks at an object that is to be made, and fills in what is missing.
pub(crate) async fn create(call: &Call<'_>, tree: &mut Value) -> Result<(), Status> {
    namespace::exists(call, tree).await?;
    node::create(call, tree)?;
    if call.row.group.is_empty() && call.row.kind == "Pod" {
        pod::create(call, tree).await?;
    }
    Ok(())
}

/// Looks at an object that is to be changed or deleted, as it is now.
pub(crate) fn modify(call: &Call<'_>, current: &Object) -> Result<(), Status> {
    node::modify(call, current)
}

/// Looks at a deletion.
pub(crate) fn delete(call: &Call<'_>) -> Result<(), Status> {
    namespace::may_go(call)
}

/// The name by which a refusal calls a new object, which may have none yet.
fn name_of(tree: &Value) -> &str {
    match text(tree, &["metadata", "name"]) {
        "" => text(tree, &["metadata", "generateName"]),
        name => name,
    }
}
