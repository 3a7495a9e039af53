//! The cells of devices and claims.

use jiff::Timestamp;
use serde_json::Value;

use super::cells::since;
use super::{NONE, list};

pub(super) fn claim_state(claim: &Value, _: Timestamp) -> Value {
    let (status, deleted) = (&claim["status"], !claim["metadata"]["deletionTimestamp"].is_null());
    let allocated = !status["allocation"].is_null();
    let states = [
        ("deleted", deleted),
        ("pending", !allocated && !deleted),
        ("allocated", allocated),
        ("reserved", allocated && !list(&status["reservedFor"]).is_empty()),
    ];
    let held: Vec<_> = states.into_iter().filter(|(_, holds)| *holds).map(|(state, _)| state).collect();
    held.join(",").into()
}

pub(super) fn time_added(rule: &Value, now: Timestamp) -> Value {
    match &rule["spec"]["taint"]["timeAdded"] {
        Value::Null => "".into(),
        time => since(time, now),
    }
}

/// The first condition that says that it is answered, or never will be.
fn end(request: &Value) -> Option<&Value> {
    list(&request["status"]["conditions"])
        .iter()
        .filter(|condition| condition["status"] == "True")
        .find(|condition| condition["type"] == "Complete" || condition["type"] == "Failed")
}

fn is_counted(request: &Value) -> bool {
    !request["status"].is_null() && end(request).is_none_or(|end| end["type"] != "Failed")
}

/// A count of devices, over all pools.
pub(super) fn sum(request: &Value, field: &str) -> Value {
    if !is_counted(request) {
        return "-".into();
    }
    let counts = list(&request["status"]["pools"]).iter().filter_map(|pool| pool[field].as_i64());
    counts.sum::<i64>().to_string().into()
}

pub(super) fn pool_errors(request: &Value, _: Timestamp) -> Value {
    if !is_counted(request) {
        return "-".into();
    }
    let wrong = list(&request["status"]["pools"]).iter().filter(|pool| !pool["validationError"].is_null());
    wrong.count().to_string().into()
}

fn pool_count(request: &Value) -> i64 {
    request["status"]["poolCount"].as_i64().unwrap_or(0)
}

pub(super) fn pools(request: &Value, _: Timestamp) -> Value {
    pool_count(request).into()
}

pub(super) fn pool_status(request: &Value, _: Timestamp) -> Value {
    let (all, shown) = (pool_count(request), list(&request["status"]["pools"]).len());
    match end(request) {
        None => "Pending".into(),
        Some(end) if end["type"] == "Failed" => "Failed".into(),
        Some(_) if usize::try_from(all).is_ok_and(|all| all > shown) => {
            format!("Complete ({shown}/{all} pools)").into()
        }
        Some(_) => "Complete".into(),
    }
}

pub(super) fn pools_completed(request: &Value, now: Timestamp) -> Value {
    match end(request) {
        Some(end) if end["type"] == "Complete" => since(&end["lastTransitionTime"], now),
        _ => NONE.into(),
    }
}
