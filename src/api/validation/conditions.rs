//! Conditions as all newer kinds have them.
//!
//! Source: `ValidateConditions` of `k8s.io/apimachinery/pkg/apis/meta/v1/validation` (1.36).

use std::collections::BTreeSet;

use super::at::At;
use super::checks::{self, Errors};
use crate::api::field::Error;
use crate::api::names;

const MAX_REASON: usize = 1 << 10;
const MAX_MESSAGE: usize = 32 << 10;

pub(super) fn all(conditions: &At<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for condition in conditions.items() {
        let kind = condition.get("type");
        if !seen.insert(kind.text().to_owned()) {
            errors.push(Error::duplicate(&kind.path(), kind.text()));
        }
        one(&condition, errors);
    }
}

fn one(condition: &At<'_>, errors: &mut Errors) {
    let (kind, status) = (condition.get("type"), condition.get("status"));
    let wrong = names::qualified_name(kind.text()).into_iter();
    errors.extend(wrong.map(|sentence| Error::invalid(&kind.path(), kind.text(), sentence)));
    if !matches!(status.text(), "True" | "False" | "Unknown") {
        errors.push(Error::not_supported(&status.path(), status.text(), &["False", "True", "Unknown"]));
    }
    let observed = condition.get("observedGeneration");
    if observed.number().is_some_and(|generation| generation < 0) {
        errors.push(observed.invalid("must be greater than or equal to zero"));
    }
    let (since, reason, message) =
        (condition.get("lastTransitionTime"), condition.get("reason"), condition.get("message"));
    if !since.is_set() {
        errors.push(since.required(""));
    }
    if checks::present(&reason, errors) {
        if !is_reason(reason.text()) {
            errors.push(reason.invalid(
                "a condition reason must start with alphabetic character, optionally followed by a string of \
                 alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. \
                 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used \
                 for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')",
            ));
        }
        if reason.text().len() > MAX_REASON {
            errors.push(reason.too_long(MAX_REASON));
        }
    }
    if message.text().len() > MAX_MESSAGE {
        errors.push(message.too_long(MAX_MESSAGE));
    }
}

fn is_reason(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last().is_some_and(|&byte| word(byte))
        && bytes.iter().all(|&byte| word(byte) || matches!(byte, b',' | b':'))
}
