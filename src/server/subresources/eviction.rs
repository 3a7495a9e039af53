//! `pods/eviction`: a pod is deleted, unless a disruption budget forbids it.
//!
//! Source: `EvictionREST` of `k8s.io/kubernetes/pkg/registry/core/pod/storage` (1.36).

use serde_json::{Value, json};

use super::{body_row, conditions, success};
use crate::api::field::{Error, Path};
use crate::api::{Object, Revision, Status, status};
use crate::client::wire::{Query, decode_delete};
use crate::client::{DeleteOptions, Payload, WriteOptions};
use crate::server::Answer;
use crate::server::disruption::{self, Leave};
use crate::server::registry::{Call, Next, check_preconditions, decode_as, delete_object, modify};
use crate::server::tree::{at, text};

/// Evicts a pod.
pub(crate) async fn evict(
    call: &mut Call<'_>,
    payload: Payload,
    options: &WriteOptions,
) -> Result<Answer, Status> {
    let row = body_row("policy", "v1", "Eviction", "evictions");
    let eviction = decode_as(call, &row, payload, options.field_validation)?;
    if text(&eviction, &["metadata", "name"]) != call.name() {
        return Err(status::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut delete = match at(&eviction, &["deleteOptions"]) {
        Some(asked) => decode_delete(&Query::default(), Some(&bare(asked))).map_err(|status| *status)?,
        None => DeleteOptions::default(),
    };
    if delete.ignore_store_read_error_with_cluster_breaking_potential {
        let path = Path::new("deleteOptions").child("ignoreStoreReadErrorWithClusterBreakingPotential");
        let why = "can not be set for pod eviction, try after removing the option";
        return Err(status::invalid("policy", "Eviction", call.name(), &[Error::invalid(&path, true, why)]));
    }
    delete.dry_run |= options.dry_run;
    // Whoever names a revision means that one; anybody else means the pod as it comes to be.
    let insists = delete.preconditions.resource_version.is_some();
    loop {
        let pod = call.current().await?.ok_or_else(|| call.not_found())?;
        let mut delete = delete.clone();
        let leave = if unguarded(&pod) {
            if !settled(&pod) && !insists {
                // It may come up meanwhile, and then be guarded.
                delete.preconditions.resource_version = Some(pod.revision());
            }
            None
        } else {
            let leave = disruption::check(call, &pod, delete.dry_run).await?;
            if let Leave::Unhealthy { .. } = leave {
                delete.preconditions.resource_version =
                    delete.preconditions.resource_version.or(Some(pod.revision()));
            }
            Some(leave)
        };
        match (mark_and_delete(call, &delete).await, leave) {
            (Ok(()), _) => return Ok(Answer { created: true, ..success(201).into() }),
            (Err(status), None) if status.reason == "Conflict" && !insists => {}
            // What was taken for unhealthy has changed since: that is to be looked at anew, by the caller.
            (Err(status), Some(Leave::Unhealthy { budget })) if status.reason == "Conflict" && !insists => {
                return Err(disruption::still_processed(&budget));
            }
            (Err(status), _) => return Err(status),
        }
    }
}

/// Delete options without the kind that an Eviction may give them.
fn bare(options: &Value) -> Value {
    let mut options = options.clone();
    if let Some(options) = options.as_object_mut() {
        options.remove("kind");
        options.remove("apiVersion");
    }
    options
}

/// What has ended, never began or is going disturbs nobody.
fn unguarded(pod: &Object) -> bool {
    settled(pod) || matches!(text(&pod.tree(), &["status", "phase"]), "Pending")
}

fn settled(pod: &Object) -> bool {
    pod.is_deleting() || matches!(text(&pod.tree(), &["status", "phase"]), "Succeeded" | "Failed")
}

/// Says in the pod why it goes, and deletes it.
async fn mark_and_delete(call: &mut Call<'_>, options: &DeleteOptions) -> Result<(), Status> {
    let mut options = options.clone();
    if !options.dry_run {
        let mut again = false;
        let marked = modify(call, false, |call, current| {
            check_preconditions(call, current, &options.preconditions, std::mem::replace(&mut again, true))?;
            let mut tree = (*current.tree()).clone();
            let condition = json!({
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting",
            });
            conditions::set(&mut tree, condition, call.server.env().clock.now_seconds());
            let next = call.object(tree)?;
            Ok(if next.body() == current.body() { Next::Keep } else { Next::Put(Box::new(next)) })
        })
        .await?;
        if options.preconditions.resource_version.is_some() && marked.revision() != Revision::NONE {
            options.preconditions.resource_version = Some(marked.revision());
        }
    }
    delete_object(call, &options).await.map(|_| ())
}
