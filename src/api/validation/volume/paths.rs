//! Paths in volumes.

use crate::api::validation::at::At;
use crate::api::validation::checks::Errors;

/// What a file's permissions may be.
pub(in crate::api::validation) fn mode(mode: &At<'_>, errors: &mut Errors) {
    if mode.number().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.push(mode.invalid("must be a number between 0 and 0777 (octal), both inclusive"));
    }
}

/// A path below something, outside the names that the writer of volumes keeps for itself.
pub(in crate::api::validation) fn relative(path: &At<'_>, errors: &mut Errors) {
    descending(path, errors);
    if path.text().starts_with("..") && !path.text().starts_with("../") {
        errors.push(path.invalid("must not start with '..'"));
    }
}

/// A path below something.
pub(in crate::api::validation) fn descending(path: &At<'_>, errors: &mut Errors) {
    if path.text().starts_with('/') {
        errors.push(path.invalid("must be a relative path"));
    }
    no_backsteps(path, errors);
}

pub(in crate::api::validation) fn no_backsteps(path: &At<'_>, errors: &mut Errors) {
    if has_backsteps(path.text()) {
        errors.push(path.invalid("must not contain '..'"));
    }
}

pub(in crate::api::validation) fn has_backsteps(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}
