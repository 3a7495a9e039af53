//! What must hold of an object before it is stored.

use crate::api::field::{Error, Path};
use crate::api::{Object, names};

/// What is wrong with a new object.
pub(super) fn create(object: &Object) -> Vec<Error> {
    let path = Path::new("metadata").child("name");
    if object.name().is_empty() {
        return vec![Error::required(&path, "name or generateName is required")];
    }
    names::path_segment(object.name())
        .into_iter()
        .map(|why| Error::invalid(&path, object.name(), why))
        .collect()
}

/// What is wrong with an object that is changed.
pub(super) fn update(new: &Object, _old: &Object) -> Vec<Error> {
    create(new)
}

/// What is wrong with an object whose status is changed.
pub(super) fn update_status(new: &Object, _old: &Object) -> Vec<Error> {
    create(new)
}
