//! The ways to act as somebody else, and what each asks the authorizer.
//!
//! Each but the last first asks whether the caller may do what it is about to do in this way
//! (`impersonate-on:<mode>:<verb>`, on what the request is about), and then whether it may be that user
//! (`impersonate:<mode>`). So a role can say: this agent may list pods as the node that it runs on, and nothing
//! else. The last, `impersonate` alone, is for whatever the caller does.
//!
//! Source: `mode.go` of `k8s.io/apiserver/pkg/endpoints/filters/impersonation` (1.36).

use super::{Wish, node, service_account};
use crate::api::field::{self, Path};
use crate::api::{Status, names};
use crate::client::Identity;
use crate::server::{ApiServer, Attributes, Decision, authorize, service_accounts};

/// Where users, and what they are made of, are resources.
const OF_USERS: &str = "authentication.k8s.io";
/// What the identity of a pod's account says of its node.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
/// What is said of an account in place of all else that is known of it.
const NODE_KEYS: &str = "authentication.kubernetes.io/associated-node-keys";
const MASTERS: &str = "system:masters";
/// From so many on, somebody is asked for all at once first.
const MANY: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// As the node that the caller, a pod's account, runs on.
    AssociatedNode,
    /// As any node.
    ArbitraryNode,
    ServiceAccount,
    /// As anybody else.
    UserInfo,
    /// As anybody, whatever for.
    Legacy,
}

const MODES: [Mode; 5] =
    [Mode::AssociatedNode, Mode::ArbitraryNode, Mode::ServiceAccount, Mode::UserInfo, Mode::Legacy];

/// Who `identity` is where it acts as somebody, for what it asks for.
///
/// # Errors
///
/// What the first of the modes that apply lacks.
pub(super) fn grant(
    server: &ApiServer,
    identity: &Identity,
    wish: &Wish,
    asked: &Attributes,
) -> Result<Identity, Status> {
    let authorize = |identity: &Identity, attributes: &Attributes| server.authorize(identity, attributes);
    try_each(&authorize, identity, wish, asked)
}

type Ask<'a> = dyn Fn(&Identity, &Attributes) -> Decision + 'a;

fn try_each(ask: &Ask<'_>, identity: &Identity, wish: &Wish, asked: &Attributes) -> Result<Identity, Status> {
    let mut first = None;
    for mode in MODES.into_iter().filter(|mode| mode.applies(identity, wish)) {
        match (Attempt { mode, ask, identity, wish }).grant(asked) {
            Ok(granted) => return Ok(granted),
            Err(status) => first = first.or(Some(status)),
        }
    }
    // The last mode always applies.
    Err(first.unwrap_or_else(|| crate::api::status::internal("all impersonation modes failed")))
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::AssociatedNode => "associated-node",
            Self::ArbitraryNode => "arbitrary-node",
            Self::ServiceAccount => "serviceaccount",
            Self::UserInfo => "user-info",
            Self::Legacy => "",
        }
    }

    fn verb(self) -> String {
        match self {
            Self::Legacy => "impersonate".into(),
            mode => format!("impersonate:{}", mode.name()),
        }
    }

    /// Whether this is a way for this caller to be that user.
    fn applies(self, identity: &Identity, wish: &Wish) -> bool {
        let alone = wish.is_for_a_name_alone();
        match self {
            Self::AssociatedNode => alone && node(&wish.user).is_some_and(|node| runs_on(identity, node)),
            Self::ArbitraryNode => alone && node(&wish.user).is_some(),
            Self::ServiceAccount => alone && service_account(&wish.user).is_some(),
            Self::UserInfo => node(&wish.user).is_none() && service_account(&wish.user).is_none(),
            Self::Legacy => true,
        }
    }
}

/// Whether somebody is the account of a pod on this node.
fn runs_on(identity: &Identity, node: &str) -> bool {
    let known = identity.extra.get(NODE_NAME).map(Vec::as_slice);
    service_account(&identity.user).is_some() && matches!(known, Some([own]) if own == node)
}

/// One way that is tried.
struct Attempt<'a> {
    mode: Mode,
    ask: &'a Ask<'a>,
    identity: &'a Identity,
    wish: &'a Wish,
}

impl Attempt<'_> {
    fn grant(&self, asked: &Attributes) -> Result<Identity, Status> {
        if self.is_constrained() {
            let verb = format!("impersonate-on:{}:{}", self.mode.name(), asked.verb);
            self.check(&Attributes { verb, ..asked.clone() })?;
        }
        let groups = self.user()?;
        self.uid()?;
        self.groups()?;
        self.extra()?;
        Ok(self.wish.granted(groups, &self.identity.agent))
    }

    fn is_constrained(&self) -> bool {
        self.mode != Mode::Legacy
    }

    fn check(&self, attributes: &Attributes) -> Result<(), Status> {
        // Of an account that is its node, only that much counts: not which of its pods asks, on which node.
        let known;
        let identity = if self.mode == Mode::AssociatedNode {
            let keys = self.identity.extra.keys().cloned().collect();
            known = Identity { extra: [(NODE_KEYS.to_owned(), keys)].into(), ..self.identity.clone() };
            &known
        } else {
            self.identity
        };
        match (self.ask)(identity, attributes) {
            Decision::Allow => Ok(()),
            Decision::Deny { reason } => Err(authorize::refusal(identity, attributes, &reason)),
        }
    }

    fn attributes(&self, group: &str, resource: &str, name: &str) -> Attributes {
        Attributes {
            verb: self.mode.verb(),
            group: group.into(),
            version: "v1".into(),
            resource: resource.into(),
            name: name.into(),
            ..Attributes::default()
        }
    }

    /// Where users and groups are resources: once that was the core group.
    fn group(&self) -> &'static str {
        if self.is_constrained() { OF_USERS } else { "" }
    }

    /// Asks for the user; gives the groups to begin with.
    fn user(&self) -> Result<Vec<String>, Status> {
        let mut attributes = self.attributes(self.group(), "users", &self.wish.user);
        let mut groups = self.wish.groups.clone();
        if let Some(name) = node(&self.wish.user).filter(|_| self.is_constrained()) {
            let name = if self.mode == Mode::AssociatedNode { "*" } else { name };
            (attributes.resource, attributes.name) = ("nodes".into(), name.into());
            groups = vec!["system:nodes".into()];
        } else if let Some((namespace, name)) = service_account(&self.wish.user) {
            attributes.resource = "serviceaccounts".into();
            (attributes.namespace, attributes.name) = (namespace.into(), name.into());
            if groups.is_empty() {
                groups = service_accounts::groups(namespace).into();
            }
        }
        self.check(&attributes).map(|()| groups)
    }

    fn uid(&self) -> Result<(), Status> {
        if self.wish.uid.is_empty() {
            return Ok(());
        }
        self.check(&self.attributes(OF_USERS, "uids", &self.wish.uid))
    }

    fn groups(&self) -> Result<(), Status> {
        let groups = &self.wish.groups;
        let of = |name: &str| self.attributes(self.group(), "groups", name);
        if self.is_constrained() {
            if groups.iter().any(String::is_empty) {
                return Err(self.refuse(&of(""), "impersonating the empty string group is not allowed"));
            }
            if groups.iter().any(|group| group == MASTERS) {
                let why = "impersonating the system:masters group is not allowed";
                return Err(self.refuse(&of(MASTERS), why));
            }
            if groups.len() >= MANY && self.check(&of("*")).is_ok() {
                return Ok(());
            }
        }
        groups.iter().try_for_each(|group| self.check(&of(group)))
    }

    fn extra(&self) -> Result<(), Status> {
        let extra = &self.wish.extra;
        let of = |key: &str, value: &str| Attributes {
            subresource: key.into(),
            ..self.attributes(OF_USERS, "userextras", value)
        };
        if self.is_constrained() {
            for (key, values) in extra {
                valid(key, values).map_err(|why| self.refuse(&of("", ""), &why))?;
            }
            let count = extra.values().map(Vec::len).sum::<usize>();
            if extra.len().max(count) >= MANY && self.check(&of("*", "*")).is_ok() {
                return Ok(());
            }
        }
        let all = extra.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
        all.into_iter().try_for_each(|(key, value)| self.check(&of(key, value)))
    }

    fn refuse(&self, attributes: &Attributes, why: &str) -> Status {
        authorize::refusal(self.identity, attributes, why)
    }
}

/// What may be said of a user besides, where that is judged.
fn valid(key: &str, values: &[String]) -> Result<(), String> {
    if key.is_empty() {
        return Err("impersonating the empty string key in extra is not allowed".into());
    }
    let wrong = domain_prefixed(key);
    if !wrong.is_empty() {
        let wrong = if let [one] = &*wrong { one.clone() } else { format!("[{}]", wrong.join(", ")) };
        return Err(format!("impersonating an invalid key in extra is not allowed: {wrong}"));
    }
    if key.chars().any(char::is_uppercase) {
        return Err(format!("impersonating a non-lowercase key in extra is not allowed: {key:?}"));
    }
    if values.is_empty() {
        return Err("impersonating empty values in extra is not allowed".into());
    }
    if values.iter().any(String::is_empty) {
        return Err("impersonating the empty string value in extra is not allowed".into());
    }
    Ok(())
}

/// What keeps a key from being a path below a domain.
fn domain_prefixed(key: &str) -> Vec<String> {
    let at = Path::new("extra").child("key");
    let wrong = |part: &str, why: String| field::Error::invalid(&at, part, why).to_string();
    let Some((host, path)) = key.split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty())
    else {
        return vec![wrong(key, "must be a domain-prefixed path (such as \"acme.io/foo\")".into())];
    };
    let host = names::dns1123_subdomain(host).into_iter().map(|why| wrong(host, why));
    host.chain(names::http_path(path).into_iter().map(|why| wrong(path, why))).collect()
}

#[cfg(test)]
mod tests;
