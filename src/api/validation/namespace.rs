//! Namespaces.

use super::at::At;
use super::checks::Errors;
use crate::api::field::{Error, Path};
use crate::api::names;

pub(super) fn object(namespace: &At<'_>, errors: &mut Errors) {
    let spec = namespace.get("spec");
    let finalizers = spec.get("finalizers");
    for finalizer in finalizers.items() {
        finalizer_name(&finalizers.holding(finalizer.value()), errors);
    }
}

/// The finalizers of a namespace's content, each judged where it stands.
pub(super) fn finalize(namespace: &At<'_>, errors: &mut Errors) {
    let spec = namespace.get("spec");
    let finalizers = spec.get("finalizers");
    finalizers.items().for_each(|finalizer| finalizer_name(&finalizer, errors));
}

fn finalizer_name(at: &At<'_>, errors: &mut Errors) {
    let wrong = |sentence: String| Error::invalid(&at.path(), at.text(), sentence);
    errors.extend(names::qualified_name(at.text()).into_iter().map(wrong));
    let standard = matches!(at.text(), "kubernetes" | "orphan" | "foregroundDeletion");
    if !at.text().contains('/') && !standard {
        errors.push(wrong("name is neither a standard finalizer name nor is it fully qualified".to_owned()));
    }
}

/// Only a deletion makes a namespace terminate, and nothing keeps it from it.
pub(super) fn status(namespace: &At<'_>, errors: &mut Errors) {
    let phase = namespace.get("status").text_of("phase");
    let (wanted, why) = if namespace.get("metadata").has("deletionTimestamp") {
        ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
    } else {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    };
    if phase != wanted {
        errors.push(Error::invalid(&Path::new("status").child("Phase"), phase, why));
    }
}
