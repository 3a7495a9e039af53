//! Priorities: what class a pod is of, and what that is worth.
//!
//! Source: `Priority` of `k8s.io/kubernetes/plugin/pkg/admission` (1.36). The two classes of the system are
//! known here whether or not their objects are there.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::{AdmissionPlugin, AdmissionRequest, Operation};
use crate::api::{Object, Revision, Status};
use crate::server::registry::store_error;
use crate::server::tree::{at, map_mut, text};
use crate::store::cached::{At, ListQuery};
use crate::store::{KeyRange, ListOptions};

/// Works out a new pod's priority and preemption policy from its class, or from the class that is the
/// default, and sees to it that only one class is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Priority;

/// The class of pods that name none, and the state of all classes of which that is true.
#[derive(Debug, Default)]
pub(crate) struct DefaultClass(Mutex<Option<(State, Option<Object>)>>);

/// How many classes there are, and the revision of the last that was written. No two states of a history have both
/// in common, since whatever comes is newer and whatever goes is missing.
type State = (usize, Revision);

/// The classes of the system, with their values.
///
/// Source: `SystemPriorityClasses` of `k8s.io/kubernetes/pkg/apis/scheduling/v1` (1.36).
const SYSTEM: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// What a class says.
struct Class {
    name: String,
    value: i64,
    policy: Option<Value>,
}

impl Priority {
    /// Its place in the chain.
    pub const NAME: &str = "Priority";
}

#[async_trait]
impl AdmissionPlugin for Priority {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        matches!(request.operation, Operation::Create | Operation::Update)
            && (request.concerns("", "pods", "")
                || request.concerns("scheduling.k8s.io", "priorityclasses", ""))
    }

    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        match (request.operation, request.concerns("", "pods", "")) {
            (Operation::Create, true) => new_pod(request).await,
            (Operation::Update, true) => {
                keep(request);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn validate(&self, request: &AdmissionRequest<'_>) -> Result<(), Status> {
        if request.concerns("", "pods", "") {
            return Ok(());
        }
        let Some(class) = request.object() else { return Ok(()) };
        if class["globalDefault"] != true {
            return Ok(());
        }
        match default_class(request).await? {
            Some(other) if request.operation == Operation::Create || other.name() != request.name() => {
                let why = format!(
                    "PriorityClass {} is already marked as default. Only one default can exist",
                    other.name()
                );
                Err(request.forbidden(&why))
            }
            _ => Ok(()),
        }
    }
}

async fn new_pod(request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
    let named = request.object().map(|pod| text(pod, &["spec", "priorityClassName"])).unwrap_or_default();
    let class = match named.to_owned() {
        name if name.is_empty() => match default_class(request).await? {
            Some(class) => Class::of(&class),
            None => Class { name, value: 0, policy: Some("PreemptLowerPriority".into()) },
        },
        name => match request.stored("scheduling.k8s.io", "priorityclasses", "", &name).await? {
            Some(class) => Class::of(&class),
            None => match SYSTEM.iter().find(|(own, _)| *own == name) {
                Some((_, value)) => {
                    Class { name, value: *value, policy: Some("PreemptLowerPriority".into()) }
                }
                None => {
                    return Err(request.forbidden(&format!("no PriorityClass with name {name} was found")));
                }
            },
        },
    };
    let spec = |field: &str| request.object().and_then(|pod| at(pod, &["spec", field]));
    if let Some(said) = spec("priority").and_then(Value::as_i64).filter(|said| *said != class.value) {
        let why = format!(
            "the integer value of priority ({said}) must not be provided in pod spec; priority admission \
             controller computed {} from the given PriorityClass name",
            class.value
        );
        return Err(request.forbidden(&why));
    }
    if let (Some(policy), Some(said)) = (&class.policy, spec("preemptionPolicy"))
        && policy != said
    {
        let (said, policy) = (said.as_str().unwrap_or_default(), policy.as_str().unwrap_or_default());
        let why = format!(
            "the string value of PreemptionPolicy ({said}) must not be provided in pod spec; priority \
             admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(request.forbidden(&why));
    }
    let Some(pod) = request.object_mut() else { return Ok(()) };
    let spec = map_mut(pod, "spec");
    if !class.name.is_empty() {
        spec.insert("priorityClassName".into(), class.name.into());
    }
    spec.insert("priority".into(), class.value.into());
    if let Some(policy) = class.policy {
        spec.insert("preemptionPolicy".into(), policy);
    }
    Ok(())
}

/// An update that says nothing of them leaves priority and policy as they are.
fn keep(request: &mut AdmissionRequest<'_>) {
    let Some(old) = request.old().map(Object::tree) else { return };
    let Some(pod) = request.object_mut() else { return };
    for field in ["priority", "preemptionPolicy"] {
        if let (Some(value), None) = (at(&old, &["spec", field]), at(pod, &["spec", field])) {
            map_mut(pod, "spec").insert(field.into(), value.clone());
        }
    }
}

/// The class of a pod that names none: the lowest of those that say they are the default.
async fn default_class(request: &AdmissionRequest<'_>) -> Result<Option<Object>, Status> {
    let Some(row) = request.server.row("scheduling.k8s.io", "v1", "priorityclasses") else {
        return Ok(None);
    };
    let cached = request.server.cached();
    // Mostly they are the same as the last time; then nothing is decoded.
    let keys = ListOptions { keys_only: true, ..ListOptions::default() };
    let range = KeyRange::prefix(row.storage_key(None, None));
    let held = cached.store().list(range, keys).await.map_err(|error| store_error(&error))?;
    let newest = held.items.iter().map(|item| item.mod_revision).max();
    let Some(newest) = newest else { return Ok(None) };
    let state = (held.items.len(), newest);
    let DefaultClass(known) = request.server.default_priority_class();
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, class)) = lock().as_ref().filter(|(of, _)| *of == state) {
        return Ok(class.clone());
    }
    let at = At::AtLeast(held.revision);
    let page = cached.list(&row, &ListQuery { at, ..ListQuery::default() }).await;
    let page = page.map_err(|error| store_error(&error))?;
    let value = |class: &Object| class.tree()["value"].as_i64().unwrap_or(0);
    let class =
        page.items.into_iter().filter(|class| class.tree()["globalDefault"] == true).min_by_key(value);
    *lock() = Some((state, class.clone()));
    Ok(class)
}

impl Class {
    fn of(object: &Object) -> Self {
        let tree = object.tree();
        Self {
            name: object.name().to_owned(),
            value: tree["value"].as_i64().unwrap_or(0),
            policy: at(&tree, &["preemptionPolicy"]).cloned(),
        }
    }
}
