//! Pods act as service accounts.
//!
//! Source: `ServiceAccount` of `k8s.io/kubernetes/plugin/pkg/admission/serviceaccount` (1.36).

mod mount;
mod secrets;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::pod_references as references;
use super::{AdmissionPlugin, AdmissionRequest, Operation};
use crate::api::{Object, Status};
use crate::server::tree::{at, map_mut, text};

const DEFAULT: &str = "default";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// How often the account that a controller makes in every namespace is looked for.
const ATTEMPTS: usize = 10;

/// Gives a new pod the account `default` where it names none, the account's token as a projected volume
/// `kube-api-access-…`, and its `imagePullSecrets`; refuses accounts that do not exist, and, where the
/// account says so, secrets that it does not list.
///
/// In Kubernetes a controller makes the account `default` in each namespace. A control plane in a test mostly
/// has none, so by default its absence is no reason to refuse a pod: the pod is admitted without a token,
/// as it is under kube-builder's envtest. [`ServiceAccount::strict`] refuses it, as kube-apiserver does.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceAccount {
    strict: bool,
    limit_secrets: bool,
}

impl ServiceAccount {
    /// Its place in the chain.
    pub const NAME: &str = "ServiceAccount";

    /// The account `default` must exist like any other.
    #[must_use]
    pub fn strict() -> Self {
        Self { strict: true, ..Self::default() }
    }

    /// The same, and pods may refer to no secret that their account does not list, whether or not the
    /// account asks for that by the annotation `kubernetes.io/enforce-mountable-secrets`.
    #[must_use]
    pub fn limit_secret_references(mut self) -> Self {
        self.limit_secrets = true;
        self
    }

    /// The account of a pod; none where it is the default one and may be missing.
    async fn account(&self, request: &AdmissionRequest<'_>, name: &str) -> Result<Option<Object>, Status> {
        let waits = self.strict && name == DEFAULT;
        for attempt in 0..if waits { ATTEMPTS } else { 1 } {
            if attempt > 0 {
                let pause = Duration::from_millis(100);
                request.server.env().clock.sleep(request.server.watch_jitter(pause)).await;
            }
            let found = request.stored("", "serviceaccounts", request.namespace, name).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        if name == DEFAULT && !self.strict {
            return Ok(None);
        }
        let namespace = request.namespace;
        let why =
            format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
        Err(request.forbidden(&why))
    }

    fn limits_secrets(&self, account: &Object) -> bool {
        let asked = account.tree();
        let asked = at(&asked, &["metadata", "annotations", "kubernetes.io/enforce-mountable-secrets"])
            .and_then(Value::as_str)
            // What Go's `strconv.ParseBool` takes for true.
            .is_some_and(|text| matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"));
        self.limit_secrets || asked
    }
}

#[async_trait]
impl AdmissionPlugin for ServiceAccount {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
        match request.operation {
            Operation::Create => request.concerns("", "pods", ""),
            Operation::Update => request.concerns("", "pods", "ephemeralcontainers"),
            Operation::Delete | Operation::Connect => false,
        }
    }

    async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
        if request.operation != Operation::Create {
            return Ok(());
        }
        let Some(pod) = request.object() else { return Ok(()) };
        if is_mirror(pod) {
            return mirror(request, pod);
        }
        let name = match text(pod, &["spec", "serviceAccountName"]) {
            "" => DEFAULT,
            name => name,
        };
        let name = name.to_owned();
        let account = self.account(request, &name).await?;
        let volume = request.server.name_suffix();
        let Some(pod) = request.object_mut() else { return Ok(()) };
        let spec = map_mut(pod, "spec");
        spec.insert("serviceAccountName".into(), name.clone().into());
        // The field's old name follows.
        spec.insert("serviceAccount".into(), name.into());
        let Some(account) = account else { return Ok(()) };
        let account = account.tree();
        if automounts(&account, pod) {
            mount::token(pod, &volume);
        }
        if references::items(pod, &["spec", "imagePullSecrets"]).next().is_none() {
            let secrets: Vec<Value> = references::items(&account, &["imagePullSecrets"])
                .map(|secret| json!({"name": text(secret, &["name"])}))
                .collect();
            if !secrets.is_empty() {
                map_mut(pod, "spec").insert("imagePullSecrets".into(), secrets.into());
            }
        }
        Ok(())
    }

    async fn validate(&self, request: &AdmissionRequest<'_>) -> Result<(), Status> {
        let Some(pod) = request.object() else { return Ok(()) };
        let ephemeral = request.operation == Operation::Update;
        if is_mirror(pod) && !ephemeral {
            return mirror(request, pod);
        }
        let name = text(pod, &["spec", "serviceAccountName"]);
        if name.is_empty() {
            let (namespace, pod) = (request.namespace, request.name());
            return Err(request.forbidden(&format!("no service account specified for pod {namespace}/{pod}")));
        }
        let Some(account) = self.account(request, name).await? else { return Ok(()) };
        if !self.limits_secrets(&account) {
            return Ok(());
        }
        let account = account.tree();
        let refused = if ephemeral { secrets::ephemeral(&account, pod) } else { secrets::pod(&account, pod) };
        refused.map_or(Ok(()), |why| Err(request.forbidden(&why)))
    }
}

fn is_mirror(pod: &Value) -> bool {
    at(pod, &["metadata", "annotations", MIRROR]).is_some()
}

/// A pod that shows what a node runs by itself refers to nothing that the API could refuse.
fn mirror(request: &AdmissionRequest<'_>, pod: &Value) -> Result<(), Status> {
    let why = if !text(pod, &["spec", "serviceAccountName"]).is_empty() {
        "a mirror pod may not reference service accounts"
    } else if references::has_secrets(pod) {
        "a mirror pod may not reference secrets"
    } else if references::projects_token(pod) {
        "a mirror pod may not use ServiceAccountToken volume projections"
    } else {
        return Ok(());
    };
    Err(request.forbidden(why))
}

/// Whether a pod is to have its account's token: as it says itself, else as its account says, else yes.
fn automounts(account: &Value, pod: &Value) -> bool {
    let said = |tree: &Value, path: &[&str]| at(tree, path).and_then(Value::as_bool);
    said(pod, &["spec", "automountServiceAccountToken"])
        .or_else(|| said(account, &["automountServiceAccountToken"]))
        .unwrap_or(true)
}
