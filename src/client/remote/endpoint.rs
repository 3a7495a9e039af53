//! Where the server is.

use std::fmt;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

use super::RemoteError;

/// The server of a kubeconfig's URL.
pub(super) struct Endpoint {
    host: String,
    port: u16,
    host_header: HeaderValue,
    /// What every path starts with; without a slash at its end, mostly empty.
    prefix: String,
}

impl Endpoint {
    pub(super) fn parse(url: &str) -> Result<Self, RemoteError> {
        let wrong = |why: String| RemoteError::Url { url: url.to_owned(), why };
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(wrong("only https is spoken".into()));
        }
        let authority = uri.authority().ok_or_else(|| wrong("there is no host".into()))?;
        if authority.as_str().contains('@') {
            return Err(wrong("credentials do not belong there".into()));
        }
        if uri.query().is_some() {
            return Err(wrong("a query does not belong there".into()));
        }
        let host = authority.host();
        // An IPv6 address stands in brackets in URLs, and in no other place.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host_header =
            HeaderValue::try_from(authority.as_str()).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(443),
            host_header,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    /// The path and query of a request, as they are sent to this server.
    pub(super) fn uri(&self, asked: &Uri) -> Result<Uri, http::uri::InvalidUri> {
        let path = asked.path_and_query().map_or("/", PathAndQuery::as_str);
        if self.prefix.is_empty() { path.parse() } else { format!("{}{path}", self.prefix).parse() }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}{}", self.host, self.port, self.prefix),
            false => write!(f, "{}:{}{}", self.host, self.port, self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_kubeconfigs_have_them() {
        let cases = [
            ("https://10.0.0.1:6443", "10.0.0.1:6443", "/api/v1/pods?limit=1"),
            ("https://example.org", "example.org:443", "/api/v1/pods?limit=1"),
            ("https://[::1]:6443/", "[::1]:6443", "/api/v1/pods?limit=1"),
            ("https://example.org/k8s/c/", "example.org:443/k8s/c", "/k8s/c/api/v1/pods?limit=1"),
        ];
        for (url, shown, path) in cases {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.to_string(), shown);
            let asked = "https://elsewhere/api/v1/pods?limit=1".parse().unwrap();
            assert_eq!(endpoint.uri(&asked).unwrap().to_string(), path);
        }
        for url in ["http://10.0.0.1", "10.0.0.1:6443", "", "https://a:b@c", "https://c/?d=e"] {
            assert!(matches!(Endpoint::parse(url), Err(RemoteError::Url { .. })), "{url}");
        }
    }
}
