//! The cells of requests for certificates.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::cells::labels;
use super::{NONE, list, str_or};
use crate::api::duration::human;

pub(super) fn signer(object: &Value, _: Timestamp) -> Value {
    str_or(&object["spec"]["signerName"], NONE).into()
}

pub(super) fn duration(request: &Value, _: Timestamp) -> Value {
    let seconds = request["spec"]["expirationSeconds"].as_i64();
    seconds.map_or_else(|| NONE.to_owned(), |seconds| human(SignedDuration::from_secs(seconds))).into()
}

pub(super) fn condition(request: &Value, _: Timestamp) -> Value {
    let has = |kind: &str| list(&request["status"]["conditions"]).iter().any(|own| own["type"] == kind);
    let decision = match () {
        () if has("Denied") => "Denied",
        () if has("Approved") => "Approved",
        () => "Pending",
    };
    let failed = if has("Failed") { ",Failed" } else { "" };
    let issued = if str_or(&request["status"]["certificate"], "").is_empty() { "" } else { ",Issued" };
    format!("{decision}{failed}{issued}").into()
}

pub(super) fn pod_state(request: &Value, _: Timestamp) -> Value {
    let mut kinds =
        list(&request["status"]["conditions"]).iter().map(|condition| str_or(&condition["type"], ""));
    kinds.rfind(|kind| ["Issued", "Denied", "Failed"].contains(kind)).unwrap_or("Pending").into()
}

pub(super) fn pod_annotations(request: &Value, _: Timestamp) -> Value {
    labels(&request["spec"]["unverifiedUserAnnotations"]).into()
}
