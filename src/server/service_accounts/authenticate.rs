//! Whom a token speaks for.

use jiff::Timestamp;

use super::claims::{Claims, LEEWAY_SECONDS, Reference};
use crate::api::{Object, ObjectKey};
use crate::client::Identity;
use crate::server::ApiServer;
use crate::server::authentication::Unauthorized;
use crate::server::tree::text;

/// Where it is said by which credential somebody was known.
pub(crate) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// The groups of a service account.
pub(crate) fn groups(namespace: &str) -> [String; 2] {
    ["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")]
}

impl ApiServer {
    /// Whom a service account token of this server's issuer speaks for, at this server; nobody where it is no
    /// such token.
    ///
    /// # Errors
    ///
    /// Why such a token is not good: its signature, its time, its audience, or what it is bound to.
    pub async fn authenticate_token(&self, token: &str) -> Result<Option<Identity>, Unauthorized> {
        let audiences = self.service_accounts().audiences();
        Ok(self.review_service_account(token, audiences).await?.map(|(identity, _)| identity))
    }

    /// The same, for one of `wanted`, and for which of them.
    pub(crate) async fn review_service_account(
        &self,
        token: &str,
        wanted: &[String],
    ) -> Result<Option<(Identity, Vec<String>)>, Unauthorized> {
        let issuer = self.service_accounts();
        let Some(claims) = issuer.verify(token)? else { return Ok(None) };
        let audiences = claims.check_audiences(issuer.audiences(), wanted)?;
        let now = self.env().clock.now();
        claims.check_time(now)?;
        self.check_bonds(&claims, now).await?;
        Ok(Some((identity(&claims), audiences)))
    }

    /// Whether the account, and what the token is bound to, are still there.
    async fn check_bonds(&self, claims: &Claims, now: Timestamp) -> Result<(), Unauthorized> {
        let own = &claims.kubernetes;
        let (namespace, name) = (own.namespace.as_str(), own.serviceaccount.name.as_str());
        let Some(account) = self.bond("serviceaccounts", namespace, name).await? else {
            return Err(Unauthorized::new(format!("serviceaccounts {name:?} not found")));
        };
        if account.uid() != own.serviceaccount.uid {
            return Err(Unauthorized::new(format!(
                "service account UID ({}) does not match claim ({})",
                account.uid(),
                own.serviceaccount.uid
            )));
        }
        if is_gone(&account, now) {
            let why = format!("service account {namespace}/{name} has been deleted");
            return Err(Unauthorized::new(why));
        }
        // The node of a pod is only told; the pod is what counts.
        let node = own.node.as_ref().filter(|_| own.pod.is_none());
        let bonds: [(&str, &str, &str, &str, Option<&Reference>); 3] = [
            ("secrets", namespace, "secret", "service account secret ref claim", own.secret.as_ref()),
            ("pods", namespace, "pod", "service account pod ref claim", own.pod.as_ref()),
            ("nodes", "", "node", "service account node ref claim", node),
        ];
        for (plural, namespace, what, claim, reference) in bonds {
            let Some(reference) = reference else { continue };
            let invalidated = || Unauthorized::new("service account token has been invalidated");
            let found = self.bond(plural, namespace, &reference.name).await?.ok_or_else(invalidated)?;
            if found.uid() != reference.uid {
                let (uid, asked) = (found.uid(), &reference.uid);
                return Err(Unauthorized::new(format!(
                    "{what} UID ({uid}) does not match {claim} ({asked})"
                )));
            }
            if is_gone(&found, now) {
                return Err(invalidated());
            }
        }
        Ok(())
    }

    async fn bond(&self, plural: &str, namespace: &str, name: &str) -> Result<Option<Object>, Unauthorized> {
        let Some(row) = self.row("", "v1", plural) else { return Ok(None) };
        let found = self.cached().get(&row, &ObjectKey::new(namespace, name)).await;
        found.map_err(|error| Unauthorized::new(error.to_string()))
    }
}

/// Whether an object should have been gone for a while.
fn is_gone(object: &Object, now: Timestamp) -> bool {
    if !object.is_deleting() {
        return false;
    }
    let tree = object.tree();
    let at: Option<Timestamp> = text(&tree, &["metadata", "deletionTimestamp"]).parse().ok();
    at.is_some_and(|at| at.as_second() < now.as_second() - LEEWAY_SECONDS)
}

/// Source: `ServiceAccountInfo.UserInfo` of `k8s.io/apiserver/pkg/authentication/serviceaccount` (1.36).
fn identity(claims: &Claims) -> Identity {
    let own = &claims.kubernetes;
    let (namespace, name) = (&own.namespace, &own.serviceaccount.name);
    let mut identity = Identity::user(format!("system:serviceaccount:{namespace}:{name}"));
    identity.groups.splice(0..0, groups(namespace));
    identity.uid.clone_from(&own.serviceaccount.uid);
    let mut tell = |key: &str, value: &str| {
        if !value.is_empty() {
            identity.extra.insert(key.to_owned(), vec![value.to_owned()]);
        }
    };
    if !claims.jti.is_empty() {
        tell(CREDENTIAL_ID, &format!("JTI={}", claims.jti));
    }
    for (what, reference) in [("pod", &own.pod), ("node", &own.node)] {
        if let Some(Reference { name, uid }) = reference {
            tell(&format!("authentication.kubernetes.io/{what}-name"), name);
            tell(&format!("authentication.kubernetes.io/{what}-uid"), uid);
        }
    }
    identity
}
