//! Whether somebody may do something.
//!
//! An [`Authorizer`] has an [`Opinion`]; the server makes a [`Decision`] of it, and whatever nobody allows is
//! denied. Authorizers are chained by a [`Union`]. The group `system:masters` is asked after first and may do
//! anything, whatever authorizers say, so that no rule ever shuts everybody out.
//!
//! Sources: `k8s.io/apiserver/pkg/authorization` and `pkg/kubeapiserver/authorizer` (1.36).

use std::sync::Arc;

use super::{ApiServer, Attributes, Rule};
use crate::api::{Status, status};
use crate::client::Identity;

/// Knows who may do what; the same for clients in process and over HTTP.
///
/// ```
/// use windlass::client::Identity;
/// use windlass::server::{Attributes, Authorizer, Opinion};
///
/// /// Everybody may read what is in the namespace `public`.
/// struct Public;
///
/// impl Authorizer for Public {
///     fn authorize(&self, _: &Identity, attributes: &Attributes) -> Opinion {
///         let reads = ["get", "list", "watch"].contains(&attributes.verb.as_str());
///         if reads && attributes.namespace == "public" { Opinion::Allow } else { Opinion::none() }
///     }
/// }
/// ```
///
/// # Contract
///
/// An opinion follows from identity and attributes alone and is there at once: no waiting, no I/O.
/// What an authorizer needs to know it keeps at hand.
pub trait Authorizer: Send + Sync + 'static {
    /// Whether `identity` may do this.
    fn authorize(&self, identity: &Identity, attributes: &Attributes) -> Opinion;

    /// What `identity` may do in a namespace, as far as rules can say it: what
    /// `kubectl auth can-i --list` shows.
    fn rules(&self, identity: &Identity, namespace: &str) -> Vec<Rule> {
        let _ = (identity, namespace);
        Vec::new()
    }
}

/// What an authorizer thinks of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It may be done, whatever authorizers behind this one think.
    Allow,
    /// It may not be done, whatever authorizers behind this one think.
    Deny {
        /// Why.
        reason: String,
    },
    /// This one does not know; where nobody does, it may not be done.
    None {
        /// Why not, where there is something to say.
        reason: String,
    },
}

impl Opinion {
    /// No opinion, and nothing to say about it.
    #[must_use]
    pub fn none() -> Self {
        Self::None { reason: String::new() }
    }
}

/// What became of an opinion.
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
    /// Whether it may be done.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        *self == Self::Allow
    }
}

impl From<Opinion> for Decision {
    fn from(opinion: Opinion) -> Self {
        match opinion {
            Opinion::Allow => Self::Allow,
            Opinion::Deny { reason } | Opinion::None { reason } => Self::Deny { reason },
        }
    }
}

/// Authorizers in an order: the first that allows or denies has its way.
///
/// Source: `unionAuthzHandler` of `k8s.io/apiserver/pkg/authorization/union` (1.36).
#[derive(Clone, Default)]
pub struct Union(Vec<Arc<dyn Authorizer>>);

impl Union {
    /// These, in this order.
    #[must_use]
    pub fn new(authorizers: impl IntoIterator<Item = Arc<dyn Authorizer>>) -> Self {
        Self(authorizers.into_iter().collect())
    }
}

impl Authorizer for Union {
    fn authorize(&self, identity: &Identity, attributes: &Attributes) -> Opinion {
        let mut reasons = Vec::new();
        for authorizer in &self.0 {
            match authorizer.authorize(identity, attributes) {
                Opinion::None { reason } if reason.is_empty() => {}
                Opinion::None { reason } => reasons.push(reason),
                opinion => return opinion,
            }
        }
        Opinion::None { reason: reasons.join("\n") }
    }

    fn rules(&self, identity: &Identity, namespace: &str) -> Vec<Rule> {
        self.0.iter().flat_map(|authorizer| authorizer.rules(identity, namespace)).collect()
    }
}

/// Everybody may do anything, as `--authorization-mode=AlwaysAllow` of kube-apiserver.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysAllow;

impl Authorizer for AlwaysAllow {
    fn authorize(&self, _: &Identity, _: &Attributes) -> Opinion {
        Opinion::Allow
    }

    fn rules(&self, _: &Identity, _: &str) -> Vec<Rule> {
        Rule::everything()
    }
}

/// Nobody may do anything, as `--authorization-mode=AlwaysDeny` of kube-apiserver.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysDeny;

impl Authorizer for AlwaysDeny {
    fn authorize(&self, _: &Identity, _: &Attributes) -> Opinion {
        Opinion::None { reason: "Everything is forbidden.".into() }
    }
}

/// The group whose members may do anything.
const MASTERS: &str = "system:masters";

impl ApiServer {
    /// Whether `identity` may do this.
    #[must_use]
    pub fn authorize(&self, identity: &Identity, attributes: &Attributes) -> Decision {
        if identity.in_group(MASTERS) {
            return Decision::Allow;
        }
        self.authorizer().authorize(identity, attributes).into()
    }

    /// What `identity` may do in a namespace, as far as rules can say it.
    pub(crate) fn rules(&self, identity: &Identity, namespace: &str) -> Vec<Rule> {
        let everything = if identity.in_group(MASTERS) { Rule::everything() } else { Vec::new() };
        let mut rules = self.authorizer().rules(identity, namespace);
        rules.splice(0..0, everything.into_iter().filter(|rule| !rules.contains(rule)).collect::<Vec<_>>());
        rules
    }
}

impl<A: Authorizer + ?Sized> Authorizer for Arc<A> {
    fn authorize(&self, identity: &Identity, attributes: &Attributes) -> Opinion {
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

    struct Says(Opinion);

    impl Authorizer for Says {
        fn authorize(&self, _: &Identity, _: &Attributes) -> Opinion {
            self.0.clone()
        }
    }

    #[test]
    fn the_first_opinion_counts_and_reasons_are_gathered() {
        let deny = || Opinion::Deny { reason: "never".into() };
        let none = |reason: &str| Opinion::None { reason: reason.into() };
        let cases = [
            (vec![], none("")),
            (vec![none(""), Opinion::Allow, deny()], Opinion::Allow),
            (vec![none("a"), deny(), Opinion::Allow], deny()),
            (vec![none("a"), none(""), none("b")], none("a\nb")),
        ];
        for (opinions, expected) in cases {
            let union = Union::new(
                opinions.into_iter().map(|opinion| Arc::new(Says(opinion)) as Arc<dyn Authorizer>),
            );
            assert_eq!(union.authorize(&Identity::anonymous(), &Attributes::default()), expected);
        }
        assert_eq!(Decision::from(none("b")), Decision::Deny { reason: "b".into() });
    }

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
