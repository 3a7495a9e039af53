//! Acting as somebody else: `kubectl --as`.
//!
//! Whoever may impersonate acts as that user from then on, and with none of their own rights. There are
//! several ways to be allowed to (`mode`): to do one thing as one sort of user, or, as ever, everything as
//! whoever one may `impersonate`. The first way that is open is taken; where none is, the answer says what the
//! first that applies lacked.
//!
//! Source: `WithConstrainedImpersonation` of `k8s.io/apiserver/pkg/endpoints/filters/impersonation` (1.36). It
//! keeps what was allowed for ten seconds, and begins with the way by which the same user acted last; nothing
//! is kept here, and the order is always the same.

mod mode;

use std::collections::BTreeMap;

use http::HeaderMap;

use super::front_proxy::extra;
use crate::api::{Status, status};
use crate::client::Identity;
use crate::server::{ApiServer, Attributes};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
const NODE: &str = "system:node:";

/// Whom a request acts as, which is mostly who it is from. What was asked for is taken out of the headers;
/// `asked` tells what the request is about.
///
/// # Errors
///
/// 403 where the caller may not act as that user, 400 where groups are asked for without a user.
pub(crate) fn act_as(
    server: &ApiServer,
    identity: &Identity,
    headers: &mut HeaderMap,
    asked: impl FnOnce() -> Attributes,
) -> Result<Option<Identity>, Status> {
    if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Ok(None);
    }
    let texts = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(str::to_owned).collect()
    };
    let one = |name: &str| texts(name).into_iter().next().unwrap_or_default();
    let extra = extra(headers, EXTRA).into_iter().collect();
    let wish = Wish { user: one(USER), groups: texts(GROUP), uid: one(UID), extra };
    if wish.user.is_empty() {
        if wish.is_for_a_name_alone() {
            return Ok(None);
        }
        return Err(status::bad_request(format!(
            "requested {} without impersonating a user name",
            wish.in_go()
        )));
    }
    let granted = mode::grant(server, identity, &wish, &asked())?;
    let names: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    tracing::debug!(user = identity.user, acts_as = wish.user, "somebody acts as somebody else");
    Ok(Some(granted))
}

/// Whom somebody wants to be.
#[derive(Clone, Debug, Default)]
struct Wish {
    user: String,
    groups: Vec<String>,
    uid: String,
    extra: BTreeMap<String, Vec<String>>,
}

impl Wish {
    /// Whether nothing is asked for but the user's name.
    fn is_for_a_name_alone(&self) -> bool {
        self.groups.is_empty() && self.uid.is_empty() && self.extra.is_empty()
    }

    /// The user, with these groups and those that it has anyway.
    fn granted(&self, mut groups: Vec<String>, agent: &str) -> Identity {
        let (authenticated, unauthenticated) = ("system:authenticated", "system:unauthenticated");
        let has = |name: &str| groups.iter().any(|own| own == name);
        if self.user == "system:anonymous" {
            if !has(unauthenticated) {
                groups.push(unauthenticated.into());
            }
        } else if !has(authenticated) && !has(unauthenticated) {
            groups.push(authenticated.into());
        }
        let (user, uid) = (self.user.clone(), self.uid.clone());
        Identity { user, uid, groups, extra: self.extra.clone(), agent: agent.to_owned() }
    }

    /// As Go writes a value of `user.DefaultInfo`.
    fn in_go(&self) -> String {
        let list = |texts: &[String]| match texts {
            [] => "[]string(nil)".to_owned(),
            texts => format!(
                "[]string{{{}}}",
                texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ")
            ),
        };
        let extra: Vec<_> =
            self.extra.iter().map(|(key, values)| format!("{key:?}:{}", list(values))).collect();
        let extra = if extra.is_empty() { "(nil)".to_owned() } else { format!("{{{}}}", extra.join(", ")) };
        let (user, uid, groups) = (&self.user, &self.uid, list(&self.groups));
        format!(
            "&user.DefaultInfo{{Name:{user:?}, UID:{uid:?}, Groups:{groups}, Extra:map[string][]string{extra}}}"
        )
    }
}

/// Namespace and name of the service account that a user is.
fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    let valid = crate::api::names::dns1123_label(namespace).is_empty()
        && crate::api::names::dns1123_subdomain(name).is_empty();
    valid.then_some((namespace, name))
}

/// The name of the node that a user is.
fn node(user: &str) -> Option<&str> {
    let name = user.strip_prefix(NODE)?;
    crate::api::names::dns1123_subdomain(name).is_empty().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_written_as_go_has_it() {
        let mut wish = Wish { groups: vec!["dev".into()], ..Wish::default() };
        let written =
            r#"&user.DefaultInfo{Name:"", UID:"", Groups:[]string{"dev"}, Extra:map[string][]string(nil)}"#;
        assert_eq!(wish.in_go(), written);
        wish.groups.clear();
        wish.extra.insert("team".into(), vec!["red".into(), "blue".into()]);
        let written = r#"&user.DefaultInfo{Name:"", UID:"", Groups:[]string(nil), Extra:map[string][]string{"team":[]string{"red", "blue"}}}"#;
        assert_eq!(wish.in_go(), written);
    }

    #[test]
    fn groups_follow_from_the_user_too() {
        let groups = |user: &str, groups: &[&str]| {
            let wish = Wish { user: user.into(), ..Wish::default() };
            wish.granted(groups.iter().map(|group| (*group).to_owned()).collect(), "").groups
        };
        assert_eq!(groups("user-a", &[]), ["system:authenticated"]);
        assert_eq!(groups("user-a", &["dev"]), ["dev", "system:authenticated"]);
        assert_eq!(groups("user-a", &["system:unauthenticated"]), ["system:unauthenticated"]);
        assert_eq!(groups("system:anonymous", &[]), ["system:unauthenticated"]);
    }
}
