//! JSON patch (RFC 6902), with Kubernetes' bounds and words.

use json_patch::jsonptr::Pointer;
use json_patch::{PatchErrorKind, PatchOperation};
use serde_json::Value;

use super::Error;

/// How many operations a patch may have.
const MAX_OPERATIONS: usize = 10_000;
/// How much `copy` operations may copy together, in bytes of JSON.
const MAX_COPIED: usize = 3 << 20;

/// Applies a JSON patch as a whole or not at all.
///
/// # Errors
///
/// When the patch is malformed, has more than 10,000 operations, copies more than 3 MiB, or one of
/// its operations does not apply.
pub fn json(tree: &mut Value, patch: &[u8]) -> Result<(), Error> {
    let operations: Vec<PatchOperation> = serde_json::from_slice(patch)
        .map_err(|error| Error::Malformed(format!("error decoding patch: {error}")))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(Error::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut patched = tree.clone();
    let mut copied = 0;
    for operation in operations {
        if let PatchOperation::Copy(copy) = &operation {
            // Copying a tree into itself doubles it: thirty operations would fill the memory.
            copied += copy.from.resolve(&patched).map_or(0, |value| value.to_string().len());
            if copied > MAX_COPIED {
                return Err(Error::TooLarge(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, \
                     exceeding the limit {MAX_COPIED}"
                )));
            }
        }
        if let PatchOperation::Test(test) = &operation
            && test.value.is_null()
            && is_absent(&patched, &test.path)
        {
            continue;
        }
        json_patch::patch_unsafe(&mut patched, std::slice::from_ref(&operation))
            .map_err(|error| Error::Unprocessable(refusal(&patched, &operation, &error.kind)))?;
    }
    *tree = patched;
    Ok(())
}

/// Whether a map has nothing in this field: then it is as good as `null` to a test. RFC 6902 has such a test
/// fail; the library that Kubernetes uses lets it pass, and clients ask so whether a list is still empty.
///
/// Source: `Patch.test` of `gopkg.in/evanphx/json-patch.v4`.
fn is_absent(tree: &Value, path: &Pointer) -> bool {
    let Some((parent, last)) = path.split_back() else { return false };
    let parent = parent.resolve(tree).ok().and_then(Value::as_object);
    parent.is_some_and(|parent| !parent.contains_key(&*last.decoded()))
}

/// Why an operation does not apply, in the words of the patch library that Kubernetes uses.
fn refusal(tree: &Value, operation: &PatchOperation, kind: &PatchErrorKind) -> String {
    let path = operation.path();
    let parent = path.parent().and_then(|parent| parent.resolve(tree).ok());
    let last = path.last().map(|token| token.decoded().into_owned()).unwrap_or_default();
    match (operation, kind) {
        (PatchOperation::Test(_), _) => format!("testing value {path} failed: test failed"),
        (PatchOperation::Add(_) | PatchOperation::Remove(_), _) if parent.is_some_and(Value::is_array) => {
            let verb = if matches!(operation, PatchOperation::Add(_)) { "add" } else { "remove" };
            format!(
                "error in {verb} for path: '{path}': Unable to access invalid index: {last}: \
                 invalid index referenced"
            )
        }
        (PatchOperation::Remove(_), _) if parent.is_some_and(Value::is_object) => {
            format!(
                "error in remove for path: '{path}': Unable to remove nonexistent key: {last}: missing value"
            )
        }
        (PatchOperation::Add(_), _) => {
            format!("add operation does not apply: doc is missing path: \"{path}\": missing value")
        }
        (PatchOperation::Remove(_), _) => {
            format!("remove operation does not apply: doc is missing path: \"{path}\": missing value")
        }
        (PatchOperation::Replace(_), _) => {
            format!("replace operation does not apply: doc is missing key: {path}: missing value")
        }
        (PatchOperation::Move(operation), PatchErrorKind::InvalidFromPointer) => {
            format!(
                "move operation does not apply: doc is missing from path: {}: missing value",
                operation.from
            )
        }
        (PatchOperation::Copy(operation), PatchErrorKind::InvalidFromPointer) => {
            format!(
                "copy operation does not apply: doc is missing from path: {}: missing value",
                operation.from
            )
        }
        (PatchOperation::Move(_), _) => {
            format!("move operation does not apply: doc is missing destination path: {path}: missing value")
        }
        (PatchOperation::Copy(_), _) => {
            format!("copy operation does not apply: doc is missing destination path: {path}: missing value")
        }
    }
}
