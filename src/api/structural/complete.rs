//! What alternatives speak of is declared outside of them, too: those of the whole object, that is.
//! Kubernetes looks at no others.
//!
//! Source: `schema/complete.go` of `k8s.io/apiextensions-apiserver/pkg/apiserver` (1.36).

use serde_json::Value;

use crate::api::field::{Error, Path};

/// `values` are the value validations of some place, `structure` is the schema that declares it.
pub(super) fn values(
    values: &Value,
    structure: Option<&Value>,
    structure_path: &Path,
    path: &Path,
    errors: &mut Vec<Error>,
) {
    let not = values.get("not").filter(|not| !not.is_null()).map(|not| (path.child("not"), not));
    let lists = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|name| {
        let list = values.get(name).and_then(Value::as_array).into_iter().flatten().enumerate();
        list.map(move |(index, part)| (path.child(name).index(index), part))
    });
    for (path, part) in not.into_iter().chain(lists) {
        nested(part, structure, structure_path, &path, errors);
    }
}

fn nested(part: &Value, structure: Option<&Value>, at: &Path, path: &Path, errors: &mut Vec<Error>) {
    let Some(structure) = structure else {
        errors.push(Error::required(at, format!("because it is defined in {path}")));
        return;
    };
    values(part, Some(structure), at, path, errors);
    if let Some(items) = part.get("items").filter(|items| items.is_object()) {
        let own = structure.get("items").filter(|items| items.is_object());
        nested(items, own, &at.child("items"), &path.child("items"), errors);
    }
    for (name, property) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let own = structure.get("properties").and_then(|properties| properties.get(name));
        let step = |path: &Path| path.child("properties").key(name);
        nested(property, own, &step(at), &step(path), errors);
    }
}
