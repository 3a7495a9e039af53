//! Leases, and who would like to have them.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/coordination/validation` (1.36).

use super::at::At;
use super::checks::{self, Errors};
use super::devices::is_semantic_version;
use crate::api::field::Error;
use crate::api::names;

const STRATEGIES: [&str; 1] = ["OldestEmulationVersion"];

pub(super) fn object(lease: &At<'_>, errors: &mut Errors) {
    let spec = lease.get("spec");
    let duration = spec.get("leaseDurationSeconds");
    if duration.number().is_some_and(|seconds| seconds <= 0) {
        errors.push(duration.invalid("must be greater than 0"));
    }
    checks::non_negative(&spec.get("leaseTransitions"), errors);
    let (strategy, preferred) = (spec.get("strategy"), spec.get("preferredHolder"));
    if strategy.is_set() {
        self::strategy(&strategy, errors);
    }
    if !preferred.text().is_empty() && strategy.text().is_empty() {
        errors.push(preferred.forbidden("may only be specified if `strategy` is defined"));
    }
}

/// How the holder of a lease is chosen: a name of Kubernetes', or one with a domain. Errors stand at a
/// field of the field, as Kubernetes has it.
fn strategy(at: &At<'_>, errors: &mut Errors) {
    let path = at.path().child("strategy");
    if !at.text().contains('/') {
        if !STRATEGIES.contains(&at.text()) {
            errors.push(Error::not_supported(&path, at.text(), &STRATEGIES));
        }
        return;
    }
    let sentences = names::qualified_name(at.text());
    errors.extend(sentences.into_iter().map(|sentence| Error::invalid(&path, at.text(), sentence)));
}

/// Somebody who would like to have a lease.
pub(super) fn candidate(candidate: &At<'_>, errors: &mut Errors) {
    let spec = candidate.get("spec");
    checks::present(&spec.get("leaseName"), errors);
    let (emulated, binary) = (spec.get("emulationVersion"), spec.get("binaryVersion"));
    const VERSION: &str = "must be a valid semantic version";
    let emulates = !emulated.text().is_empty();
    if emulates && !is_semantic_version(emulated.text()) {
        errors.push(emulated.invalid(VERSION));
    }
    if checks::present(&binary, errors) && !is_semantic_version(binary.text()) {
        errors.push(binary.invalid(VERSION));
    }
    if emulates && precedence(binary.text()) < precedence(emulated.text()) && !binary.text().is_empty() {
        errors.push(binary.invalid("must be greater than or equal to `emulationVersion`"));
    }
    let strategy = spec.get("strategy");
    if checks::present(&strategy, errors) {
        let nothing = [0; 3];
        if strategy.text() == STRATEGIES[0] && precedence(emulated.text()).0 == nothing {
            errors.push(emulated.required("must be specified when `strategy` is 'OldestEmulationVersion'"));
        }
        self::strategy(&strategy, errors);
    }
}

/// What versions compare by: their numbers, and a pre-release before the release.
fn precedence(version: &str) -> ([u64; 3], bool) {
    let version = version.split('+').next().unwrap_or_default();
    let (core, before) =
        version.split_once('-').map_or((version, None), |(core, before)| (core, Some(before)));
    let mut numbers = [0; 3];
    for (slot, part) in numbers.iter_mut().zip(core.split('.')) {
        *slot = part.parse().unwrap_or(0);
    }
    (numbers, before.is_none())
}

pub(super) fn candidate_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    checks::immutable(&spec.get("leaseName"), &before.get("leaseName"), errors);
}
