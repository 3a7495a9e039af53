//! A proxy in front, which has authenticated its callers itself and says in headers who they are.
//!
//! Source: `authentication/request/headerrequest` of `k8s.io/apiserver` (1.36).

use std::collections::BTreeSet;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName};

use super::{Authenticator, Credentials, Unauthorized};
use crate::client::Identity;

/// Believes the headers of a proxy, which is known by its client certificate.
///
/// It must be asked before [`ClientCertificates`](crate::server::https::ClientCertificates), which would take the proxy for a
/// user: so it belongs to the [server](crate::server::ApiServerBuilder::authenticator), whose authenticators come
/// before a listener's. Kubernetes has an authority of its own for such proxies. Where the cluster's authority signs their
/// certificates, their names are all that tells them from its users, and so they must be given here.
#[derive(Clone, Debug)]
pub struct FrontProxy {
    names: BTreeSet<String>,
    user: Vec<HeaderName>,
    uid: Vec<HeaderName>,
    group: Vec<HeaderName>,
    extra: Vec<String>,
}

impl FrontProxy {
    /// Believes who has a certificate with one of these common names; it says who is calling in
    /// `X-Remote-User`, `X-Remote-Uid`, `X-Remote-Group` and `X-Remote-Extra-…`, as kubeadm sets it up.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let header = |name| vec![HeaderName::from_static(name)];
        Self {
            names: names.into_iter().map(str::to_owned).collect(),
            user: header("x-remote-user"),
            uid: header("x-remote-uid"),
            group: header("x-remote-group"),
            extra: vec!["x-remote-extra-".into()],
        }
    }

    /// The same, with other headers for users: the first that is there counts.
    #[must_use]
    pub fn user_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.user = names.into_iter().collect();
        self
    }

    /// The same, with other headers for groups: all count.
    #[must_use]
    pub fn group_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.group = names.into_iter().collect();
        self
    }

    /// The same, with other headers for uids: the first that is there counts.
    #[must_use]
    pub fn uid_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.uid = names.into_iter().collect();
        self
    }

    /// The same, with another prefix of headers for whatever else is known of a user.
    #[must_use]
    pub fn extra_prefix(mut self, prefix: &str) -> Self {
        self.extra = vec![prefix.to_ascii_lowercase()];
        self
    }

    fn is_proxy(&self, certificate: &[u8]) -> bool {
        common_name(certificate).is_some_and(|name| self.names.contains(&name))
    }
}

#[cfg(feature = "tls")]
fn common_name(certificate: &[u8]) -> Option<String> {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    certificate.subject().iter_common_name().find_map(|name| name.as_str().ok().map(str::to_owned))
}

/// Without TLS nobody has verified a certificate.
#[cfg(not(feature = "tls"))]
fn common_name(_: &[u8]) -> Option<String> {
    None
}

#[async_trait]
impl Authenticator for FrontProxy {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Identity>, Unauthorized> {
        if !credentials.certificate.is_some_and(|certificate| self.is_proxy(certificate)) {
            return Ok(None);
        }
        let values = |names: &[HeaderName]| -> Vec<String> {
            let all = names.iter().flat_map(|name| credentials.headers.get_all(name));
            let texts = all.filter_map(|value| value.to_str().ok());
            texts.filter(|text| !text.is_empty()).map(str::to_owned).collect()
        };
        let Some(user) = values(&self.user).into_iter().next() else { return Ok(None) };
        let mut identity = Identity {
            user,
            uid: values(&self.uid).into_iter().next().unwrap_or_default(),
            groups: values(&self.group),
            ..Identity::default()
        };
        for prefix in &self.extra {
            identity.extra.extend(extra(credentials.headers, prefix));
        }
        Ok(Some(identity))
    }

    /// Whoever has sent them: they would be believed further on.
    fn forget(&self, headers: &mut HeaderMap) {
        let own = |name: &HeaderName| {
            [&self.user, &self.uid, &self.group].iter().any(|list| list.contains(name))
                || self.extra.iter().any(|prefix| name.as_str().starts_with(prefix))
        };
        let names: Vec<HeaderName> = headers.keys().filter(|name| own(name)).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
}

/// What headers with a prefix say: the rest of their names, decoded, and their values.
pub(super) fn extra(headers: &HeaderMap, prefix: &str) -> Vec<(String, Vec<String>)> {
    let named = headers.keys().filter_map(|name| Some((name, name.as_str().strip_prefix(prefix)?)));
    named
        .map(|(name, key)| {
            let key = percent_encoding::percent_decode_str(key).decode_utf8();
            let key = key.map_or_else(|_| name.as_str()[prefix.len()..].to_owned(), |key| key.into_owned());
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            (key, values.map(str::to_owned).collect())
        })
        .collect()
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use http::HeaderValue;
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::env::Clock;
    use crate::server::https::Certificates;

    #[tokio::test]
    async fn headers_are_believed_of_the_proxy_and_of_nobody_else() {
        let made = Certificates::generate(&["localhost"], &Clock::system()).unwrap();
        let certificate = |name: &str| {
            let pair = made.client(name, None).unwrap();
            CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()
        };
        let mut headers = HeaderMap::new();
        let given = [
            ("x-remote-user", "user-a"),
            ("x-remote-group", "dev"),
            ("x-remote-group", "ops"),
            ("x-remote-uid", "7"),
            ("x-remote-extra-example.com%2fteam", "red"),
            ("accept", "application/json"),
        ];
        for (name, value) in given {
            headers.append(name, HeaderValue::from_static(value));
        }
        let proxy = FrontProxy::new(["front-proxy-client"]);
        let ask = async |name: &str, headers: &HeaderMap| {
            let der = certificate(name);
            let credentials = Credentials { headers, certificate: Some(&der), path: "/" };
            proxy.authenticate(credentials).await.unwrap()
        };
        let known = ask("front-proxy-client", &headers).await.unwrap();
        assert_eq!((known.user.as_str(), known.uid.as_str()), ("user-a", "7"));
        assert_eq!(known.groups, ["dev", "ops"]);
        assert_eq!(known.extra["example.com/team"], ["red"]);
        assert_eq!(ask("somebody", &headers).await, None);
        let bare = Credentials { headers: &headers, certificate: None, path: "/" };
        assert_eq!(proxy.authenticate(bare).await.unwrap(), None);
        proxy.forget(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
        assert_eq!(ask("front-proxy-client", &headers).await, None);
    }
}
