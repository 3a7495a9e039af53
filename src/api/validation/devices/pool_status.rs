//! Questions about pools of devices, which are answered in their status.

use super::pool_name;
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::conditions;

const MAX_POOLS: usize = 1000;
const MAX_CONDITIONS: usize = 10;

pub(super) fn request(request: &At<'_>, errors: &mut Errors) {
    let spec = request.get("spec");
    let (driver, pool, limit) = (spec.get("driver"), spec.get("poolName"), spec.get("limit"));
    if checks::present(&driver, errors) {
        checks::sentences(&driver, names::dns1123_subdomain(&driver.text().to_lowercase()), errors);
    }
    if pool.is_set() {
        pool_name(&pool, errors);
    }
    if let Some(number) = limit.number() {
        if number < 1 {
            errors.push(limit.invalid("must be greater than or equal to 1"));
        }
        if number > 1000 {
            errors.push(limit.invalid("must be less than or equal to 1000"));
        }
    }
}

/// An answer is given once.
pub(super) fn status(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (status, before) = (new.get("status"), old.get("status"));
    if before.is_set() {
        checks::immutable(&status, &before, errors);
        return;
    }
    if !status.is_set() {
        return;
    }
    let (count, pools, conditions) = (status.get("poolCount"), status.get("pools"), status.get("conditions"));
    match count.number() {
        None => errors.push(count.required("")),
        Some(_) => checks::non_negative(&count, errors),
    }
    for (list, max) in [(&pools, MAX_POOLS), (&conditions, MAX_CONDITIONS)] {
        if list.len() > max {
            errors.push(Error::too_many(&list.path(), list.len(), max));
        }
    }
    conditions::all(&conditions, errors);
}
