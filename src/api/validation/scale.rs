//! The scale of something that has replicas.

use super::at::At;
use super::checks::{self, Errors};

pub(super) fn object(scale: &At<'_>, errors: &mut Errors) {
    checks::non_negative(&scale.get("spec").get("replicas"), errors);
}
