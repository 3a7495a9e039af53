//! What a new pod is given: an account, a priority, and patience with a node that is lost.
//!
//! Sources: the plugins `ServiceAccount`, `Priority` and `DefaultTolerationSeconds` of Kubernetes
//! (1.36). A pod needs no account that exists, and no token is mounted.

use std::sync::Arc;

use serde_json::{Value, json};

use super::name_of;
use crate::api::{ObjectKey, Resource, Scope, Status};
use crate::server::registry::{Call, store_error};
use crate::server::tree::{at, map_mut, text};
use crate::store::cached::ListQuery;
use crate::store::{KeyRange, ListOptions};

/// How long a pod stays on a node that is lost, in seconds.
const PATIENCE_SECONDS: i64 = 300;

pub(super) async fn create(call: &Call<'_>, tree: &mut Value) -> Result<(), Status> {
    account(tree);
    priority(call, tree).await?;
    tolerations(tree);
    Ok(())
}

fn account(tree: &mut Value) {
    let spec = map_mut(tree, "spec");
    let named = spec.get("serviceAccountName").and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = if named.is_empty() { "default".to_owned() } else { named };
    spec.insert("serviceAccount".into(), name.clone().into());
    spec.insert("serviceAccountName".into(), name.into());
}

async fn priority(call: &Call<'_>, tree: &mut Value) -> Result<(), Status> {
    let class = text(tree, &["spec", "priorityClassName"]).to_owned();
    let (class, value, policy) = match class.as_str() {
        "" => default_class(call).await?,
        "system-node-critical" => (class, 2_000_001_000, None),
        "system-cluster-critical" => (class, 2_000_000_000, None),
        _ => {
            let found = match class_row(call) {
                Some(row) => {
                    let key = ObjectKey::new("", &class);
                    call.server.cached().get(&row, &key).await.map_err(|error| store_error(&error))?
                }
                None => None,
            };
            let Some(found) = found else {
                let why = format!("no PriorityClass with name {class} was found");
                return Err(call.forbidden(name_of(tree), &why));
            };
            let found = found.tree();
            (class, found["value"].as_i64().unwrap_or(0), at(&found, &["preemptionPolicy"]).cloned())
        }
    };
    if let Some(said) = at(tree, &["spec", "priority"]).and_then(Value::as_i64).filter(|said| *said != value)
    {
        let why = format!(
            "the integer value of priority ({said}) must not be provided in pod spec; priority admission \
             controller computed {value} from the given PriorityClass name"
        );
        return Err(call.forbidden(name_of(tree), &why));
    }
    let spec = map_mut(tree, "spec");
    if !class.is_empty() {
        spec.insert("priorityClassName".into(), class.into());
    }
    spec.insert("priority".into(), value.into());
    let policy = policy.unwrap_or_else(|| "PreemptLowerPriority".into());
    spec.entry("preemptionPolicy").or_insert(policy);
    Ok(())
}

fn class_row(call: &Call<'_>) -> Option<Arc<Resource>> {
    let row = Resource::new("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", Scope::Cluster);
    call.server.scheme().resource(&row.gvr()).cloned()
}

/// The class of a pod that names none: the lowest of those that say they are the default.
async fn default_class(call: &Call<'_>) -> Result<(String, i64, Option<Value>), Status> {
    let Some(row) = class_row(call) else { return Ok((String::new(), 0, None)) };
    // Mostly there is none; then nothing is decoded, and no cache is kept.
    let count = ListOptions { count_only: true, ..ListOptions::default() };
    let range = KeyRange::prefix(row.storage_key(None, None));
    let held = call.server.cached().store().list(range, count).await.map_err(|error| store_error(&error))?;
    if held.count == 0 {
        return Ok((String::new(), 0, None));
    }
    let page =
        call.server.cached().list(&row, &ListQuery::default()).await.map_err(|error| store_error(&error))?;
    let lowest = page
        .items
        .iter()
        .map(crate::api::Object::tree)
        .filter(|class| class["globalDefault"] == true)
        .min_by_key(|class| class["value"].as_i64().unwrap_or(0));
    Ok(lowest.map_or((String::new(), 0, None), |class| {
        (
            text(&class, &["metadata", "name"]).to_owned(),
            class["value"].as_i64().unwrap_or(0),
            at(&class, &["preemptionPolicy"]).cloned(),
        )
    }))
}

fn tolerations(tree: &mut Value) {
    let spec = map_mut(tree, "spec");
    let list = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = list.iter().any(|toleration| {
            let own = text(toleration, &["key"]);
            let any = own.is_empty() && text(toleration, &["operator"]) == "Exists";
            (own == key || any) && matches!(text(toleration, &["effect"]), "" | "NoExecute")
        });
        if !covered {
            list.push(json!({
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": PATIENCE_SECONDS,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_says_nothing_waits_five_minutes_for_a_lost_node() {
        let mut pod = json!({"spec": {}});
        tolerations(&mut pod);
        assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 2);
        assert_eq!(pod["spec"]["tolerations"][0]["tolerationSeconds"], 300);
        let mut own = json!({"spec": {"tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
            {"operator": "Exists", "effect": "NoSchedule"},
        ]}});
        tolerations(&mut own);
        assert_eq!(own["spec"]["tolerations"].as_array().unwrap().len(), 3);
        let mut all = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
        tolerations(&mut all);
        assert_eq!(all["spec"]["tolerations"].as_array().unwrap().len(), 1);
    }
}
