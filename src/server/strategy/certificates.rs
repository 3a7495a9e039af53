//! Requests for certificates: who asks is what the server knows of them, and a decision stands.

use serde_json::{Value, json};

use super::{CONDITIONAL_STATUS_APART, Context, DEFAULT, Strategy};
use crate::api::field::{Error, Path};
use crate::server::tree::{at, copy_field, map_mut, text};
use crate::server::{Attributes, Decision};

/// Source: `csrStrategy` and `csrStatusStrategy` of `k8s.io/kubernetes/pkg/registry/certificates` (1.36).
pub(super) const REQUEST: Strategy = Strategy {
    create: |context, tree| {
        let spec = map_mut(tree, "spec");
        for field in ["username", "uid", "groups", "extra"] {
            spec.remove(field);
        }
        let caller = context.identity;
        if !caller.user.is_empty() {
            spec.insert("username".into(), caller.user.clone().into());
        }
        if !caller.uid.is_empty() {
            spec.insert("uid".into(), caller.uid.clone().into());
        }
        if !caller.groups.is_empty() {
            spec.insert("groups".into(), json!(caller.groups));
        }
        if !caller.extra.is_empty() {
            spec.insert("extra".into(), json!(caller.extra));
        }
    },
    update: |_, new, old| {
        if let Some(new) = new.as_object_mut() {
            copy_field(new, old.as_object(), "spec");
        }
    },
    update_status: |context, new, old| {
        for decision in ["Approved", "Denied"] {
            keep_instances(new, old, decision);
        }
        stamp(context, new, old);
    },
    ..DEFAULT
};

/// The same for whoever decides on a request: the conditions change, not the certificate.
///
/// Source: `csrApprovalStrategy` of `k8s.io/kubernetes/pkg/registry/certificates` (1.36).
pub(crate) const APPROVAL: Strategy = Strategy {
    update_status: |context, new, old| {
        stamp(context, new, old);
        let decided = new["status"].as_object().cloned();
        if let Some(new) = new.as_object_mut() {
            copy_field(new, old.as_object(), "status");
        }
        copy_field(map_mut(new, "status"), decided.as_ref(), "conditions");
    },
    ..REQUEST
};

/// Only who may sign for the signer says what became of it.
///
/// Source: `StatusStrategy` of `k8s.io/kubernetes/pkg/registry/certificates/podcertificaterequest` (1.36).
pub(super) const POD_REQUEST: Strategy = Strategy {
    judge_status: |context, new, old| {
        let signer = text(old, &["spec", "signerName"]);
        if new.get("status") == old.get("status") || may_sign(context, signer) {
            return None;
        }
        let why =
            format!("User {:?} is not permitted to \"sign\" for signer {signer:?}", context.identity.user);
        Some(Error::forbidden(&Path::new("spec").child("signerName"), why))
    },
    ..CONDITIONAL_STATUS_APART
};

/// Whether the caller may sign for this signer, or for all of its domain.
///
/// Source: `IsAuthorizedForSignerName` of `k8s.io/kubernetes/pkg/certauthorization` (1.36).
fn may_sign(context: &Context<'_>, signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    [signer.to_owned(), format!("{domain}/*")].into_iter().any(|name| {
        let attributes = Attributes {
            verb: "sign".into(),
            group: "certificates.k8s.io".into(),
            version: "*".into(),
            resource: "signers".into(),
            name,
            ..Attributes::default()
        };
        context.server.authorize(context.identity, &attributes) == Decision::Allow
    })
}

fn conditions(tree: &Value) -> &[Value] {
    at(tree, &["status", "conditions"]).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn conditions_mut(tree: &mut Value) -> &mut [Value] {
    tree.pointer_mut("/status/conditions").and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

/// A decision that stood stays as it was; that one is added or gone is for validation to refuse.
fn keep_instances(new: &mut Value, old: &Value, kind: &str) {
    let is_one = |condition: &&Value| condition["type"] == kind;
    let before: Vec<Value> = conditions(old).iter().filter(is_one).cloned().collect();
    if conditions(new).iter().filter(is_one).count() != before.len() {
        return;
    }
    let now = conditions_mut(new).iter_mut().filter(|condition| condition["type"] == kind);
    for (condition, kept) in now.zip(before) {
        *condition = kept;
    }
}

/// Says when a condition was written, and when it came to be what it is.
fn stamp(context: &Context<'_>, new: &mut Value, old: &Value) {
    let now = Value::from(context.now.to_string());
    for condition in conditions_mut(new) {
        let transition = conditions(old)
            .iter()
            .filter(|was| was["type"] == condition["type"] && was["status"] == condition["status"])
            .find(|was| !text(was, &["lastTransitionTime"]).is_empty())
            .map_or_else(|| now.clone(), |was| was["lastTransitionTime"].clone());
        for (field, time) in [("lastUpdateTime", now.clone()), ("lastTransitionTime", transition)] {
            if text(condition, &[field]).is_empty()
                && let Some(condition) = condition.as_object_mut()
            {
                condition.insert(field.into(), time);
            }
        }
    }
}
