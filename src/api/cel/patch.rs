//! The types that patches are made of: `Object`, `Object.spec` and so on, of any fields, and `JSONPatch`.
//!
//! Source: `pkg/cel/mutation` of `k8s.io/apiserver` (1.36).

use super::types::Type;

/// The type of an object that is applied. Those of its fields are named by where they stand below it.
pub(super) const OBJECT: &str = "Object";
/// The type of one operation of a JSON patch.
pub(super) const JSON_PATCH: &str = "JSONPatch";

/// The fields of an operation that are strings.
pub(super) const TEXTS: [&str; 3] = ["op", "path", "from"];
/// The field of an operation that is of any type.
pub(super) const VALUE: &str = "value";

/// Whether a name is that of a type of patches.
pub(super) fn is_type(name: &str) -> bool {
    name == OBJECT
        || name == JSON_PATCH
        || name.strip_prefix(OBJECT).is_some_and(|rest| rest.starts_with('.'))
}

/// The type of a field. An operation has others only in name: theirs is no type at all, which agrees with nothing
/// but `dyn`.
pub(super) fn field(of: &str, field: &str) -> Type {
    match field {
        _ if of != JSON_PATCH => Type::Dyn,
        VALUE => Type::Dyn,
        _ if TEXTS.contains(&field) => Type::String,
        _ => Type::opaque(""),
    }
}
