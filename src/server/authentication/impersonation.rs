//! Acting as somebody else: `kubectl --as`.
//!
//! Whoever may `impersonate` each thing that is asked for (the user, each group, the uid, each further
//! value) acts as that user from then on, and with none of their own rights.
//!
//! Source: `WithImpersonation` of `k8s.io/apiserver/pkg/endpoints/filters/impersonation` (1.36). The modes of
//! constrained impersonation, which are beta there, are asked for nothing; what they would allow beyond
//! this is refused.

use http::HeaderMap;

use super::front_proxy::extra;
use crate::api::{Status, status};
use crate::client::Identity;
use crate::server::{ApiServer, Attributes, Decision, authorize};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Whom a request acts as, which is mostly who it is from. What was asked for is taken out of the headers.
///
/// # Errors
///
/// 403 where the caller may not act as that user, 400 where groups are asked for without a user.
pub(crate) fn act_as(
    server: &ApiServer,
    identity: &Identity,
    headers: &mut HeaderMap,
) -> Result<Option<Identity>, Status> {
    if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Ok(None);
    }
    let texts = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(str::to_owned).collect()
    };
    let one = |name: &str| texts(name).into_iter().next().unwrap_or_default();
    let wished = Wish { user: one(USER), groups: texts(GROUP), uid: one(UID), extra: extra(headers, EXTRA) };
    if wished.user.is_empty() {
        if wished.groups.is_empty() && wished.uid.is_empty() && wished.extra.is_empty() {
            return Ok(None);
        }
        return Err(status::bad_request(format!("requested {wished:?} without impersonating a user")));
    }
    for attributes in wished.attributes() {
        if let Decision::Deny { reason } = server.authorize(identity, &attributes) {
            return Err(authorize::refusal(identity, &attributes, &reason));
        }
    }
    let names: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    tracing::debug!(user = identity.user, acts_as = wished.user, "somebody acts as somebody else");
    Ok(Some(wished.granted(&identity.agent)))
}

/// Whom somebody wants to be.
#[derive(Debug)]
struct Wish {
    user: String,
    groups: Vec<String>,
    uid: String,
    extra: Vec<(String, Vec<String>)>,
}

impl Wish {
    /// Namespace and name of the service account that the user is.
    fn service_account(&self) -> Option<(&str, &str)> {
        let (namespace, name) = self.user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
        let valid = crate::api::names::dns1123_label(namespace).is_empty()
            && crate::api::names::dns1123_subdomain(name).is_empty();
        valid.then_some((namespace, name))
    }

    /// What its bearer must be allowed.
    fn attributes(&self) -> Vec<Attributes> {
        let impersonate = |group: &str, resource: &str, name: &str| Attributes {
            verb: "impersonate".into(),
            group: group.into(),
            version: if group.is_empty() { String::new() } else { "v1".into() },
            resource: resource.into(),
            name: name.into(),
            ..Attributes::default()
        };
        const GROUP_OF_EXTRA: &str = "authentication.k8s.io";
        let mut all = vec![match self.service_account() {
            Some((namespace, name)) => {
                Attributes { namespace: namespace.into(), ..impersonate("", "serviceaccounts", name) }
            }
            None => impersonate("", "users", &self.user),
        }];
        all.extend(self.groups.iter().map(|group| impersonate("", "groups", group)));
        for (key, values) in &self.extra {
            all.extend(values.iter().map(|value| Attributes {
                subresource: key.clone(),
                ..impersonate(GROUP_OF_EXTRA, "userextras", value)
            }));
        }
        if !self.uid.is_empty() {
            all.push(impersonate(GROUP_OF_EXTRA, "uids", &self.uid));
        }
        all
    }

    /// The user, with the groups that it has anyway.
    fn granted(self, agent: &str) -> Identity {
        let mut groups = self.groups.clone();
        if let Some((namespace, _)) = self.service_account().filter(|_| groups.is_empty()) {
            groups = crate::server::service_accounts::groups(namespace).into();
        }
        let (authenticated, unauthenticated) = ("system:authenticated", "system:unauthenticated");
        let has = |name: &str| groups.iter().any(|own| own == name);
        if self.user == "system:anonymous" {
            if !has(unauthenticated) {
                groups.push(unauthenticated.into());
            }
        } else if !has(authenticated) && !has(unauthenticated) {
            groups.push(authenticated.into());
        }
        Identity {
            user: self.user,
            uid: self.uid,
            groups,
            extra: self.extra.into_iter().collect(),
            agent: agent.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(user: &str, groups: &[&str]) -> Wish {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Wish { user: user.into(), groups, uid: String::new(), extra: Vec::new() }
    }

    #[test]
    fn groups_follow_from_the_user_where_none_are_asked_for() {
        let groups = |user: &str, groups: &[&str]| wish(user, groups).granted("").groups;
        assert_eq!(groups("user-a", &[]), ["system:authenticated"]);
        assert_eq!(groups("user-a", &["dev"]), ["dev", "system:authenticated"]);
        assert_eq!(groups("user-a", &["system:unauthenticated"]), ["system:unauthenticated"]);
        assert_eq!(groups("system:anonymous", &[]), ["system:unauthenticated"]);
        assert_eq!(
            groups("system:serviceaccount:ns:robot", &[]),
            ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]
        );
        assert_eq!(groups("system:serviceaccount:ns:robot", &["dev"]), ["dev", "system:authenticated"]);
    }

    #[test]
    fn each_thing_is_asked_for_by_itself() {
        let wish = Wish {
            uid: "7".into(),
            extra: vec![("example.com/team".into(), vec!["red".into(), "blue".into()])],
            ..wish("system:serviceaccount:ns:robot", &["dev"])
        };
        let asked: Vec<_> = wish
            .attributes()
            .into_iter()
            .map(|own| {
                format!("{} {}/{} {} {}", own.group, own.resource, own.subresource, own.namespace, own.name)
            })
            .collect();
        assert_eq!(
            asked,
            [
                " serviceaccounts/ ns robot",
                " groups/  dev",
                "authentication.k8s.io userextras/example.com/team  red",
                "authentication.k8s.io userextras/example.com/team  blue",
                "authentication.k8s.io uids/  7",
            ]
        );
    }
}
