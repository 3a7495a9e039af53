//! Paths.

use kube_core::GroupVersionResource;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::client::Target;

/// What may stand in a path segment as it is (RFC 3986, `pchar`).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiPath {
    /// `/api`: the versions of the core group.
    Legacy,
    /// `/apis`: all groups.
    Groups,
    /// `/apis/apps`: one group.
    Group(String),
    /// `/api/v1` or `/apis/apps/v1`: the resources of a version.
    Version {
        /// Group; empty for the core group.
        group: String,
        /// Version.
        version: String,
    },
    /// A resource, an object or a part of one.
    Resource(ResourcePath),
    /// Anything else, without a slash at its end.
    Other(String),
}

/// A path below a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourcePath {
    /// What it names.
    pub target: Target,
    /// Whether it has the old `/watch/` prefix, which makes a get or list a watch.
    pub watch: bool,
    /// What stands behind `…/proxy`, with its slash; empty where nothing does.
    pub rest: String,
}

/// Reads a path, without its query string. An empty step is no step of a resource's path, nor is one that
/// goes up: such a path names nothing.
#[must_use]
pub fn parse_path(path: &str) -> ApiPath {
    let trimmed = path.trim_end_matches('/');
    let raw: Vec<&str> = trimmed.strip_prefix('/').unwrap_or(trimmed).split('/').collect();
    // What stands behind a proxy is somebody else's path.
    let own = raw.iter().position(|step| *step == "proxy").map_or(raw.len(), |proxy| proxy.max(4));
    if raw.iter().take(own).any(|step| step.is_empty()) {
        return ApiPath::Other(trimmed.to_owned());
    }
    let mut steps = raw.into_iter().map(decode);
    let (group, version) = match steps.next().as_deref() {
        Some("api") => match steps.next() {
            None => return ApiPath::Legacy,
            Some(version) => (String::new(), version),
        },
        Some("apis") => match (steps.next(), steps.next()) {
            (None, _) => return ApiPath::Groups,
            (Some(group), None) => return ApiPath::Group(group),
            (Some(group), Some(version)) => (group, version),
        },
        _ => return ApiPath::Other(trimmed.to_owned()),
    };
    let mut steps: Vec<String> = steps.collect();
    let watch = steps.first().is_some_and(|first| first == "watch");
    if watch {
        steps.remove(0);
    }
    if steps.is_empty() {
        return ApiPath::Version { group, version };
    }
    // `/namespaces/a` and its own parts are the namespace; anything further lives in it.
    let own_part = |step: &String| matches!(step.as_str(), "status" | "finalize");
    let inside = group.is_empty() && steps.len() == 3 && own_part(&steps[2]);
    let mut namespace = None;
    if steps[0] == "namespaces" && steps.len() > 2 && !inside {
        namespace = Some(steps.remove(1));
        steps.remove(0);
    }
    let mut steps = steps.into_iter();
    let resource = steps.next().unwrap_or_default();
    let (name, subresource) = (steps.next(), steps.next());
    let mut rest: String = steps.flat_map(|step| ["/".to_owned(), step]).collect();
    if subresource.as_deref() == Some("proxy") && path.ends_with('/') {
        rest.push('/');
    }
    ApiPath::Resource(ResourcePath {
        target: Target {
            resource: GroupVersionResource::gvr(&group, &version, &resource),
            namespace,
            name,
            subresource,
        },
        watch,
        rest,
    })
}

/// The path that names a target.
#[must_use]
pub fn target_path(target: &Target) -> String {
    let GroupVersionResource { group, version, resource, .. } = &target.resource;
    let mut path = String::from(if group.is_empty() { "/api" } else { "/apis" });
    let namespace = target.namespace.as_deref().map(|namespace| ["namespaces", namespace]);
    let steps = Some(group.as_str())
        .filter(|group| !group.is_empty())
        .into_iter()
        .chain([version.as_str()])
        .chain(namespace.into_iter().flatten())
        .chain([resource.as_str()])
        .chain(target.name.as_deref())
        .chain(target.subresource.as_deref());
    for step in steps {
        path.push('/');
        path.extend(utf8_percent_encode(step, SEGMENT));
    }
    path
}

fn decode(step: &str) -> String {
    percent_decode_str(step).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> (String, Option<String>, Option<String>, Option<String>, bool) {
        match parse_path(path) {
            ApiPath::Resource(ResourcePath { target, watch, .. }) => {
                (target.resource.resource, target.namespace, target.name, target.subresource, watch)
            }
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn paths_name_what_kubernetes_says() {
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            ("/api/v1/pods", ("pods", None, None, None, false)),
            ("/api/v1/namespaces", ("namespaces", None, None, None, false)),
            ("/api/v1/namespaces/a", ("namespaces", None, some("a"), None, false)),
            ("/api/v1/namespaces/a/", ("namespaces", None, some("a"), None, false)),
            ("/api/v1/namespaces/a/status", ("namespaces", None, some("a"), some("status"), false)),
            ("/api/v1/namespaces/a/finalize", ("namespaces", None, some("a"), some("finalize"), false)),
            ("/api/v1/namespaces/a/pods", ("pods", some("a"), None, None, false)),
            ("/api/v1/namespaces/a/pods/b", ("pods", some("a"), some("b"), None, false)),
            ("/api/v1/namespaces/a/pods/b/log", ("pods", some("a"), some("b"), some("log"), false)),
            (
                "/apis/apps/v1/namespaces/a/deployments/b/scale",
                ("deployments", some("a"), some("b"), some("scale"), false),
            ),
            ("/api/v1/watch/namespaces/a/pods/b", ("pods", some("a"), some("b"), None, true)),
            ("/apis/x.io/v1/things/a%2Fb", ("things", None, some("a/b"), None, false)),
        ];
        for (path, (resource, namespace, name, subresource, watch)) in cases {
            assert_eq!(target(path), (resource.to_owned(), namespace, name, subresource, watch), "{path}");
        }
    }

    #[test]
    fn paths_above_resources() {
        let version =
            |group: &str, version: &str| ApiPath::Version { group: group.into(), version: version.into() };
        assert_eq!(parse_path("/api/"), ApiPath::Legacy);
        assert_eq!(parse_path("/apis"), ApiPath::Groups);
        assert_eq!(parse_path("/apis/apps"), ApiPath::Group("apps".into()));
        assert_eq!(parse_path("/apis/apps/v1"), version("apps", "v1"));
        assert_eq!(parse_path("/api/v1"), version("", "v1"));
        assert_eq!(parse_path("/healthz/"), ApiPath::Other("/healthz".into()));
        assert_eq!(parse_path("/"), ApiPath::Other(String::new()));
    }

    #[test]
    fn the_rest_behind_a_proxy_is_kept() {
        let rest = |path| match parse_path(path) {
            ApiPath::Resource(path) => path.rest,
            other => panic!("{other:?}"),
        };
        assert_eq!(rest("/api/v1/nodes/a/proxy"), "");
        assert_eq!(rest("/api/v1/nodes/a/proxy/"), "/");
        assert_eq!(rest("/api/v1/nodes/a/proxy/logs/x"), "/logs/x");
    }

    #[test]
    fn a_written_path_is_read_back() {
        for path in [
            "/api/v1/pods",
            "/api/v1/namespaces/a/pods/b/exec",
            "/apis/apps/v1/namespaces/a/deployments",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x",
            "/apis/x.io/v1/things/a%2Fb",
        ] {
            match parse_path(path) {
                ApiPath::Resource(read) => assert_eq!(target_path(&read.target), path),
                other => panic!("{other:?}"),
            }
        }
    }
}
