//! What a volume is made from, in a pod and as a PersistentVolume: one source of many.
//!
//! Source: `validateVolumeSource` and `ValidatePersistentVolumeSpec` of
//! `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).

use super::at::At;
use super::checks::Errors;

pub(super) mod paths;
mod remote;

pub(super) use remote::{Owner, check, names_too_long};

/// A kind of source.
pub(super) struct Source {
    /// The field that holds it.
    pub(super) field: &'static str,
    /// The field that errors inside it name; mostly the same.
    place: &'static str,
    /// The field that is named when it is one too many; mostly the same.
    surplus: &'static str,
}

/// A kind of source whose errors name it by its field.
pub(super) const fn plain(field: &'static str) -> Source {
    Source { field, place: field, surplus: field }
}

/// A kind of source whose errors name other fields.
pub(super) const fn known_as(field: &'static str, place: &'static str, surplus: &'static str) -> Source {
    Source { field, place, surplus }
}

/// The source that a volume is made from: the first there is. All others are one too many.
pub(super) fn chosen<'a>(
    volume: &'a At<'a>,
    sources: &'static [Source],
    errors: &mut Errors,
) -> Option<(&'static str, At<'a>)> {
    let mut found = None;
    for source in sources {
        let at = volume.get(source.field);
        if !at.is_set() {
            continue;
        }
        match found {
            None => found = Some((source.field, at.named(source.place))),
            Some(_) => {
                errors.push(at.named(source.surplus).forbidden("may not specify more than 1 volume type"));
            }
        }
    }
    if found.is_none() {
        errors.push(volume.required("must specify a volume type"));
    }
    found
}
