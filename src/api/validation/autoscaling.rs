//! The scale of something that has replicas.

use super::at::At;
use super::checks::{self, Errors};

pub(super) fn scale(object: &At<'_>, errors: &mut Errors) {
    checks::non_negative(&object.get("spec").get("replicas"), errors);
}
