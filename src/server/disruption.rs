//! Disruption budgets: whether one more pod may be evicted.
//!
//! Source: `EvictionREST` of `k8s.io/kubernetes/pkg/registry/core/pod/storage` (1.36).

use std::sync::Arc;

use jiff::Timestamp;
use kube_core::response::{StatusCause, StatusDetails};
use serde_json::{Map, Value, json};

use super::registry::{Call, Change, Committed, store_error};
use super::tree::{at, map_mut, text};
use crate::api::selector::LabelSelector;
use crate::api::{Object, Resource, Status, status};
use crate::server::allocate::Claims;
use crate::server::managed::Owners;
use crate::store::cached::ListQuery;

/// So many evictions may wait until somebody has counted them.
const DISRUPTED_PODS: usize = 2000;

const VIOLATES: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// Leave to evict a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// No budget is about it, or one disruption of the budget was taken for it.
    Granted,
    /// It does not work, so that this budget loses nothing by it, as long as it stays so.
    Unhealthy { budget: String },
}

/// Takes one disruption of the budget that covers a pod, if there is one; 429 if none is left.
pub(super) async fn check(call: &Call<'_>, pod: &Object, dry_run: bool) -> Result<Leave, Status> {
    let Some(row) = call.server.row("policy", "v1", "poddisruptionbudgets") else {
        return Ok(Leave::Granted);
    };
    loop {
        let Some(budget) = covering(call, &row, pod).await? else { return Ok(Leave::Granted) };
        let tree = budget.tree();
        if !is_ready(&pod.tree()) && loses_nothing(&tree) {
            return Ok(Leave::Unhealthy { budget: budget.name().to_owned() });
        }
        let now = call.server.env().clock.now_seconds();
        let mut new = taken(&tree, pod.name(), budget.generation(), now)?;
        if dry_run {
            return Ok(Leave::Granted);
        }
        Owners::server(call.server, &row, "status").update(&tree, &mut new);
        let object = Object::from_tree(row.clone(), budget.revision(), new)
            .map_err(|error| status::internal(error.to_string()))?;
        let change = Change::Update { object, from: budget.revision() };
        if let Committed::At(_) = call.server.commit(change, &Claims::default(), None).await? {
            return Ok(Leave::Granted);
        }
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = at(pod, &["status", "conditions"]).and_then(Value::as_array);
    conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn count(budget: &Value, field: &str) -> i64 {
    at(budget, &["status", field]).and_then(Value::as_i64).unwrap_or(0)
}

/// Whether a pod that is not ready may always go: the budget says so, or has what it wants without it.
fn loses_nothing(budget: &Value) -> bool {
    let wanted = count(budget, "desiredHealthy");
    text(budget, &["spec", "unhealthyPodEvictionPolicy"]) == "AlwaysAllow"
        || (wanted > 0 && count(budget, "currentHealthy") >= wanted)
}

/// The budget with one disruption less, for the pod of this name.
fn taken(budget: &Value, pod: &str, generation: i64, now: Timestamp) -> Result<Value, Status> {
    let name = text(budget, &["metadata", "name"]);
    if count(budget, "observedGeneration") < generation {
        return Err(still_processed(name));
    }
    let forbidden = |why| Err(status::forbidden("policy", "poddisruptionbudget", name, why));
    let left = count(budget, "disruptionsAllowed");
    if left < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    let disrupted = at(budget, &["status", "disruptedPods"]).and_then(Value::as_object).map_or(0, Map::len);
    if disrupted > DISRUPTED_PODS {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if left == 0 {
        return Err(too_many(0, &why_none_is_left(budget, name)));
    }
    let mut new = budget.clone();
    if left == 1 {
        exhausted(&mut new, now);
    }
    let status = map_mut(&mut new, "status");
    status.insert("disruptionsAllowed".into(), (left - 1).into());
    let disrupted = status.entry("disruptedPods").or_insert_with(|| json!({}));
    disrupted[pod] = now.to_string().into();
    Ok(new)
}

fn allowed_condition(budget: &Value) -> Option<&Value> {
    let conditions = at(budget, &["status", "conditions"]).and_then(Value::as_array);
    conditions.into_iter().flatten().find(|one| one["type"] == "DisruptionAllowed")
}

fn why_none_is_left(budget: &Value, name: &str) -> String {
    let refused = allowed_condition(budget)
        .filter(|one| one["status"] == "False" && !text(one, &["message"]).is_empty())
        .map(|one| (text(one, &["reason"]), text(one, &["message"])));
    let (wanted, healthy) = (count(budget, "desiredHealthy"), count(budget, "currentHealthy"));
    match refused {
        // What is counted means nothing where counting has failed.
        Some(("SyncFailed", why)) => format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {why}"
        ),
        _ if healthy <= wanted => {
            format!("The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently")
        }
        Some((reason, why)) => {
            format!("The disruption budget {name} does not allow evicting pods currently ({reason}): {why}")
        }
        None => format!("The disruption budget {name} does not allow evicting pods currently"),
    }
}

/// Says that no disruption is left.
///
/// Source: `UpdateDisruptionAllowedCondition` of `k8s.io/kubernetes/pkg/controller/disruption` (1.36).
fn exhausted(budget: &mut Value, now: Timestamp) {
    let observed = count(budget, "observedGeneration");
    let since = allowed_condition(budget)
        .filter(|one| one["status"] == "False")
        .map_or_else(|| now.to_string().into(), |one| one["lastTransitionTime"].clone());
    let condition = json!({
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "InsufficientPods",
        "message": "",
        "observedGeneration": observed,
        "lastTransitionTime": since,
    });
    let list = map_mut(budget, "status").entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else { return };
    match list.iter_mut().find(|one| one["type"] == "DisruptionAllowed") {
        Some(own) => *own = condition,
        None => list.push(condition),
    }
}

async fn covering(call: &Call<'_>, row: &Arc<Resource>, pod: &Object) -> Result<Option<Object>, Status> {
    let query = ListQuery { namespace: pod.namespace().map(Into::into), ..ListQuery::default() };
    let page = call.server.cached().list(row, &query).await.map_err(|error| store_error(&error))?;
    let mut covering = page.items.into_iter().filter(|budget| {
        let tree = budget.tree();
        let selector = at(&tree, &["spec", "selector"]).cloned();
        let selector = selector.and_then(|selector| serde_json::from_value(selector).ok());
        LabelSelector::from_k8s(selector.as_ref()).is_ok_and(|selector| selector.selects(pod))
    });
    let first = covering.next();
    if covering.next().is_some() {
        return Err(status::failure(
            500,
            "",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    Ok(first)
}

/// 429: the budget has changed, and nobody has counted since.
pub(super) fn still_processed(budget: &str) -> Status {
    too_many(10, &format!("The disruption budget {budget} is still being processed by the server."))
}

fn too_many(retry_after_seconds: u32, why: &str) -> Status {
    let mut answer = status::too_many_requests(VIOLATES, retry_after_seconds);
    answer.details = Some(StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: vec![StatusCause {
            reason: "DisruptionBudget".into(),
            message: why.into(),
            field: String::new(),
        }],
        retry_after_seconds,
    });
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(status: Value) -> Value {
        json!({"metadata": {"name": "web"}, "spec": {}, "status": status})
    }

    fn said(status: Value) -> String {
        let now = Timestamp::UNIX_EPOCH;
        match taken(&budget(status), "a", 2, now) {
            Ok(new) => new["status"].to_string(),
            Err(status) => {
                let details = status.details.as_ref();
                let why = details.and_then(|details| details.causes.first()).map(|cause| &cause.message);
                let after = details.map_or(0, |details| details.retry_after_seconds);
                format!("{} {after} {}", status.code, why.unwrap_or(&status.message))
            }
        }
    }

    #[test]
    fn what_a_budget_says() {
        let counted = |fields: Value| {
            let mut status = json!({"observedGeneration": 2});
            status.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            status
        };
        let condition = |reason: &str| json!([{"type": "DisruptionAllowed", "status": "False", "reason": reason, "message": "no"}]);
        for (status, expected) in [
            (
                json!({"observedGeneration": 1, "disruptionsAllowed": 5}),
                "429 10 The disruption budget web is still being processed by the server.",
            ),
            (
                counted(json!({"desiredHealthy": 2, "currentHealthy": 1})),
                "429 0 The disruption budget web needs 2 healthy pods and has 1 currently",
            ),
            (
                counted(
                    json!({"desiredHealthy": 2, "currentHealthy": 1, "conditions": condition("SyncFailed")}),
                ),
                "429 0 The disruption budget web does not allow evicting pods currently because it failed sync: no",
            ),
            (
                counted(json!({"desiredHealthy": 1, "currentHealthy": 2, "conditions": condition("Other")})),
                "429 0 The disruption budget web does not allow evicting pods currently (Other): no",
            ),
            (
                counted(json!({"desiredHealthy": 1, "currentHealthy": 2})),
                "429 0 The disruption budget web does not allow evicting pods currently",
            ),
            (
                counted(json!({"disruptionsAllowed": -1})),
                "403 0 poddisruptionbudget.policy \"web\" is forbidden: pdb disruptions allowed is negative",
            ),
        ] {
            assert_eq!(said(status), expected);
        }
        let two: Value = serde_json::from_str(&said(counted(json!({"disruptionsAllowed": 2})))).unwrap();
        assert_eq!(two["disruptionsAllowed"], 1);
        assert_eq!(two["disruptedPods"], json!({"a": "1970-01-01T00:00:00Z"}));
        assert_eq!(two.get("conditions"), None);
        let last: Value = serde_json::from_str(&said(counted(json!({"disruptionsAllowed": 1})))).unwrap();
        assert_eq!(last["conditions"][0]["reason"], "InsufficientPods");
    }

    #[test]
    fn a_pod_that_does_not_work_is_missed_by_none_who_has_enough() {
        let status = |healthy, wanted| json!({"currentHealthy": healthy, "desiredHealthy": wanted});
        assert!(loses_nothing(&budget(status(2, 2))));
        assert!(!loses_nothing(&budget(status(1, 2))));
        assert!(!loses_nothing(&budget(status(0, 0))));
        let mut always = budget(status(0, 3));
        always["spec"]["unhealthyPodEvictionPolicy"] = "AlwaysAllow".into();
        assert!(loses_nothing(&always));
    }
}
