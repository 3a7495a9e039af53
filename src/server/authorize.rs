//! Whether somebody may do something.

use super::{Attributes, Rule};
use crate::api::{Status, status};
use crate::client::Identity;

/// Decides who may do what; the same for clients in process and over HTTP.
///
/// # Contract
///
/// A decision follows from identity and attributes alone and is made at once: no waiting, no I/O.
/// What an authorizer needs to know it keeps at hand.
pub trait Authorizer: Send + Sync + 'static {
    /// Whether `identity` may do this.
    fn authorize(&self, identity: &Identity, attributes: &Attributes) -> Decision;

    /// What `identity` may do in a namespace, as far as rules can say it: what
    /// `kubectl auth can-i --list` shows.
    fn rules(&self, identity: &Identity, namespace: &str) -> Vec<Rule> {
        let _ = (identity, namespace);
        Vec::new()
    }
}

/// What an authorizer decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be done.
    Allow,
    /// It may not.
    Deny {
        /// Why, where there is more to say than that nothing allows it.
        reason: String,
    },
}

impl Decision {
    /// Denied, since nothing allows it.
    #[must_use]
    pub fn no_rule() -> Self {
        Self::Deny { reason: String::new() }
    }

    /// Whether it may be done.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        *self == Self::Allow
    }
}

impl<A: Authorizer + ?Sized> Authorizer for std::sync::Arc<A> {
    fn authorize(&self, identity: &Identity, attributes: &Attributes) -> Decision {
        (**self).authorize(identity, attributes)
    }

    fn rules(&self, identity: &Identity, namespace: &str) -> Vec<Rule> {
        (**self).rules(identity, namespace)
    }
}

/// The answer to somebody who may not.
///
/// Wording: `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go` (1.36).
pub(crate) fn refusal(identity: &Identity, attributes: &Attributes, reason: &str) -> Status {
    let Attributes { verb, group, resource, subresource, namespace, name, path, .. } = attributes;
    let user = &identity.user;
    let mut why = match path {
        Some(path) => format!("User {user:?} cannot {verb} path {path:?}"),
        None => {
            let resource = match subresource.as_str() {
                "" => resource.clone(),
                subresource => format!("{resource}/{subresource}"),
            };
            let scope = match namespace.as_str() {
                "" => " at the cluster scope".to_owned(),
                namespace => format!(" in the namespace {namespace:?}"),
            };
            format!("User {user:?} cannot {verb} resource {resource:?} in API group {group:?}{scope}")
        }
    };
    if !reason.is_empty() {
        why = format!("{why}: {reason}");
    }
    status::forbidden(group, resource, name, &why)
}

#[cfg(test)]
mod tests {
    use kube_core::GroupVersionResource;

    use super::*;
    use crate::client::Target;

    #[test]
    fn refusals_read_as_kubernetes_words_them() {
        let target = Target {
            resource: GroupVersionResource::gvr("", "v1", "pods"),
            namespace: Some("default".into()),
            name: None,
            subresource: None,
        };
        let said =
            |attributes: &Attributes, reason| refusal(&Identity::user("x"), attributes, reason).message;
        assert_eq!(
            said(&Attributes::on("list", &target), ""),
            r#"pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "default""#
        );
        let exec =
            Target { namespace: None, name: Some("web".into()), subresource: Some("exec".into()), ..target };
        assert_eq!(
            said(&Attributes::on("create", &exec), "no"),
            r#"pods "web" is forbidden: User "x" cannot create resource "pods/exec" in API group "" at the cluster scope: no"#
        );
        assert_eq!(
            said(&Attributes::path("get", "/metrics"), ""),
            r#"forbidden: User "x" cannot get path "/metrics""#
        );
    }
}
