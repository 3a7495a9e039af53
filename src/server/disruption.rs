//! Disruption budgets: whether one more pod may be evicted.
//!
//! Source: `EvictionREST` of `k8s.io/kubernetes/pkg/registry/core/pod/storage` (1.36).

use std::sync::Arc;

use kube_core::response::{StatusCause, StatusDetails};
use serde_json::{Value, json};

use super::registry::{Call, Change, Committed, store_error};
use super::tree::{at, map_mut, text};
use crate::api::selector::LabelSelector;
use crate::api::{Object, Resource, Status, status};
use crate::server::allocate::Claims;
use crate::server::managed::Owners;
use crate::store::cached::ListQuery;

/// Takes one disruption of the budget that covers a pod, if there is one; 429 if none is left.
pub(super) async fn check(call: &Call<'_>, pod: &Object, dry_run: bool) -> Result<(), Status> {
    let tree = pod.tree();
    // What has ended, never began or is going disturbs nobody.
    if matches!(text(&tree, &["status", "phase"]), "Succeeded" | "Failed" | "Pending" | "")
        || pod.is_deleting()
    {
        return Ok(());
    }
    let Some(row) = call.server.row("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
    loop {
        let Some(budget) = covering(call, &row, pod).await? else { return Ok(()) };
        let mut new = (*budget.tree()).clone();
        let count = |field: &str| at(&new, &["status", field]).and_then(Value::as_i64).unwrap_or(0);
        if count("observedGeneration") < budget.generation() {
            return Err(too_many(
                budget.name(),
                "Cannot evict pod as it would violate the pod's disruption budget.",
                &format!("The disruption budget {} is still being processed by the server.", budget.name()),
            ));
        }
        let left = count("disruptionsAllowed");
        if left <= 0 {
            let why = format!(
                "The disruption budget {} needs {} healthy pods and has {} currently",
                budget.name(),
                count("desiredHealthy"),
                count("currentHealthy")
            );
            return Err(too_many(
                budget.name(),
                "Cannot evict pod as it would violate the pod's disruption budget.",
                &why,
            ));
        }
        if dry_run {
            return Ok(());
        }
        let now = call.server.env().clock.now_seconds().to_string();
        let status = map_mut(&mut new, "status");
        status.insert("disruptionsAllowed".into(), (left - 1).into());
        let disrupted = status.entry("disruptedPods").or_insert_with(|| json!({}));
        disrupted[pod.name()] = now.into();
        Owners::server(call.server, &row, "status").update(&budget.tree(), &mut new);
        let object = Object::from_tree(row.clone(), budget.revision(), new)
            .map_err(|error| status::internal(error.to_string()))?;
        let change = Change::Update { object, from: budget.revision() };
        if let Committed::At(_) = call.server.commit(change, &Claims::default(), None).await? {
            return Ok(());
        }
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

fn too_many(budget: &str, message: &str, why: &str) -> Status {
    let mut answer = status::too_many_requests(message, 0);
    answer.details = Some(StatusDetails {
        name: budget.into(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: vec![StatusCause {
            reason: "DisruptionBudget".into(),
            message: why.into(),
            field: String::new(),
        }],
        retry_after_seconds: 0,
    });
    answer
}
