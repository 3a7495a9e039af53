//! Where a proxy goes, and where it does not.

use std::net::IpAddr;

/// What names the end of a proxied path: `name`, `name:port` or `scheme:name:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) scheme: Scheme,
    pub(super) name: String,
    /// A number or a name; empty where none is said.
    pub(super) port: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Named {
    /// Source: `SplitSchemeNamePort` of `k8s.io/apimachinery/pkg/util/net` (1.36).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split(':').collect();
        let (scheme, name, port) = match *parts.as_slice() {
            [name] => ("", name, ""),
            [name, port] => ("", name, port),
            [scheme @ ("" | "http" | "https"), name, port] => (scheme, name, port),
            _ => return None,
        };
        let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
        (!name.is_empty()).then(|| Self { scheme, name: name.to_owned(), port: port.to_owned() })
    }
}

/// Whether a proxy may go to an address: never to the machine of the server itself, to its link, or to many
/// at once. `loopback` lets those pods be reached that live on the server's own machine.
///
/// Names of hosts are never looked up here, so that nothing can change between a look and a connection.
///
/// Source: `ResourceLocation` of `k8s.io/kubernetes/pkg/registry/core/pod` and
/// `isProxyableHostname` of `pkg/registry/core/node` (1.36), by `IsGlobalUnicast` of Go's `net`.
pub(super) fn allowed(address: IpAddr, loopback: bool) -> bool {
    match address.to_canonical() {
        address if address.is_loopback() => loopback,
        IpAddr::V4(v4) => {
            !(v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast() || v4.is_link_local())
        }
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_names_and_ports() {
        let named =
            |scheme, name: &str, port: &str| Some(Named { scheme, name: name.into(), port: port.into() });
        for (text, expected) in [
            ("web", named(Scheme::Http, "web", "")),
            ("web:80", named(Scheme::Http, "web", "80")),
            ("web:http", named(Scheme::Http, "web", "http")),
            ("https:web:443", named(Scheme::Https, "web", "443")),
            ("http:web:", named(Scheme::Http, "web", "")),
            (":web:80", named(Scheme::Http, "web", "80")),
            ("ftp:web:21", None),
            (":80", None),
            ("https::443", None),
            ("", None),
            ("a:b:c:d", None),
        ] {
            assert_eq!(Named::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn only_what_one_host_has_for_itself_is_reached() {
        for (address, loopback, expected) in [
            ("10.1.2.3", false, true),
            ("192.168.0.1", false, true),
            ("8.8.8.8", false, true),
            ("fd00::1", false, true),
            ("127.0.0.1", false, false),
            ("127.9.9.9", true, true),
            ("::1", false, false),
            ("::ffff:127.0.0.1", false, false),
            ("0.0.0.0", true, false),
            ("::", true, false),
            ("169.254.169.254", true, false),
            ("::ffff:169.254.169.254", true, false),
            ("fe80::1", true, false),
            ("224.0.0.1", true, false),
            ("ff02::1", true, false),
            ("255.255.255.255", true, false),
        ] {
            assert_eq!(allowed(address.parse().unwrap(), loopback), expected, "{address}");
        }
    }
}
