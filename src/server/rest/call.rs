//! What a request asks for, as far as its head tells: what limits, deadlines and metrics go by.
//!
//! Source: `endpoints/request/requestinfo.go`, `endpoints/metrics/metrics.go` and
//! `server/filters/longrunning.go` of `k8s.io/apiserver/pkg` (1.36).

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method, Request};

use super::resource;
use crate::api::{Status, status};
use crate::client::wire::{self, ApiPath, Query, ResourcePath, parse_path};
use crate::server::metrics::{Asked, Series};
use crate::server::{ApiServer, Attributes};

/// Subresources whose requests last as long as their callers like.
const LASTING: &[&str] = &["attach", "exec", "log", "portforward", "proxy"];
/// The paths, beside resources, whose requests are counted by their path.
const COUNTED: &[&str] =
    &["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];
/// The components of Kubernetes that metrics tell apart.
const COMPONENTS: &[&str] = &["kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// The head of a request, taken apart.
pub(super) struct Call {
    pub(super) path: ApiPath,
    pub(super) query: Query,
    /// As metrics name it.
    verb: &'static str,
    scope: &'static str,
    /// Whether it may change something, as far as limits are concerned.
    pub(super) mutating: bool,
    /// Whether it lasts as long as its caller likes.
    pub(super) long_running: bool,
}

impl Call {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let path = parse_path(request.uri().path());
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let method = request.method();
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let ApiPath::Resource(resource) = &path else {
            let verb = if reads { "GET" } else { name(method) };
            let mutating = *method != Method::GET;
            return Self { path, query, verb, scope: "", mutating, long_running: false };
        };
        let target = &resource.target;
        let watches = resource.watch || (reads && target.name.is_none() && query.flag("watch"));
        let lasting = target.subresource.as_deref().is_some_and(|name| LASTING.contains(&name));
        let scope = match (&target.name, &target.namespace) {
            (Some(_), _) => "resource",
            _ if *method == Method::POST => "resource",
            (None, Some(_)) => "namespace",
            (None, None) => "cluster",
        };
        let verb = match () {
            () if lasting => "CONNECT",
            () if watches => "WATCH",
            () if reads && scope != "resource" => "LIST",
            () if reads => "GET",
            () if *method == Method::PATCH && is_apply(request.headers()) => "APPLY",
            () => name(method),
        };
        let (mutating, long_running) = (!reads && !watches, watches || lasting);
        Self { path, query, verb, scope, mutating, long_running }
    }

    /// What it is about, as authorization sees it.
    pub(super) fn attributes(&self, method: &Method, path: &str) -> Attributes {
        let ApiPath::Resource(ResourcePath { target, watch, .. }) = &self.path else {
            return Attributes::path(&method.as_str().to_lowercase(), path);
        };
        let verb = resource::verb(method, target, resource::watches(method, target, *watch, &self.query));
        let attributes = Attributes::on(verb, target);
        if !matches!(verb, "list" | "watch" | "deletecollection") {
            return attributes;
        }
        let text = |name| self.query.get(name).unwrap_or_default();
        // A selector that cannot be read selects nothing out, as in Kubernetes.
        let fields = text("fieldSelector").parse().unwrap_or_default();
        attributes.selecting(&fields, &text("labelSelector").parse().unwrap_or_default())
    }

    /// Whether metrics tell how large its answers are.
    pub(super) fn reads(&self) -> bool {
        matches!(self.verb, "GET" | "LIST")
    }

    /// Where it is counted. What is not served has no series of its own.
    pub(super) fn series(&self, server: &ApiServer, headers: &HeaderMap) -> Arc<Series> {
        let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let client = agent.split_once('/').and_then(|(name, _)| COMPONENTS.iter().find(|own| **own == name));
        let asked = Asked {
            verb: self.verb,
            group: "",
            version: "",
            resource: "",
            subresource: "",
            scope: self.scope,
            dry_run: self.query.get("dryRun").is_some(),
            client: client.copied().unwrap_or_default(),
        };
        let requests = &server.metrics().requests;
        match &self.path {
            ApiPath::Resource(resource) => {
                let scheme = server.scheme();
                let Some(row) = scheme.resource(&resource.target.resource) else {
                    return requests.series(&asked);
                };
                let subresource = resource.target.subresource.as_deref().unwrap_or_default();
                let subresource = row.subresource(subresource).map_or("", |own| &own.name);
                requests.series(&Asked { subresource, ..asked.of(row) })
            }
            ApiPath::Other(path) => {
                let subresource = COUNTED.iter().copied().find(|known| known == path).unwrap_or_default();
                requests.series(&Asked { subresource, ..asked })
            }
            _ => requests.series(&asked),
        }
    }

    /// How long it may take, of `limit` at most; none for one that is long-running.
    ///
    /// # Errors
    ///
    /// 400 where the caller asks for a time that is none.
    ///
    /// Source: `endpoints/filters/request_deadline.go` (1.36).
    pub(super) fn timeout(&self, limit: Duration) -> Result<Option<Duration>, Status> {
        if self.long_running {
            return Ok(None);
        }
        let Some(asked) = self.query.get("timeout") else { return Ok(Some(limit)) };
        let asked = wire::parse_duration(asked).map_err(|error| {
            status::bad_request(format!("invalid timeout specified in the request URL - {error}"))
        })?;
        // Zero, as well as less, is no wish at all.
        Ok(Some(asked.filter(|asked| !asked.is_zero()).map_or(limit, |asked| asked.min(limit))))
    }
}

/// Whether a path's percent signs stand for bytes, all of them.
pub(super) fn is_well_formed(path: &str) -> bool {
    let mut parts = path.as_bytes().split(|byte| *byte == b'%');
    parts.next();
    parts.all(|part| part.len() >= 2 && part[..2].iter().all(u8::is_ascii_hexdigit))
}

fn is_apply(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/apply-patch+yaml")
}

fn name(method: &Method) -> &'static str {
    match *method {
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: Method, uri: &str) -> Call {
        Call::of(&Request::builder().method(method).uri(uri).body(()).unwrap())
    }

    #[test]
    fn verbs_are_told_by_method_path_and_query() {
        let get = Method::GET;
        for (method, uri, verb, scope, mutating, long_running) in [
            (get.clone(), "/api/v1/pods", "LIST", "cluster", false, false),
            (get.clone(), "/api/v1/namespaces/a/pods", "LIST", "namespace", false, false),
            (get.clone(), "/api/v1/namespaces/a/pods?watch=true", "WATCH", "namespace", false, true),
            (get.clone(), "/api/v1/namespaces/a/pods?watch=0", "LIST", "namespace", false, false),
            (get.clone(), "/api/v1/watch/pods", "WATCH", "cluster", false, true),
            (get.clone(), "/api/v1/namespaces/a/pods/b", "GET", "resource", false, false),
            (get.clone(), "/api/v1/namespaces/a/pods/b/log", "CONNECT", "resource", false, true),
            (Method::POST, "/api/v1/namespaces/a/pods/b/exec", "CONNECT", "resource", true, true),
            (Method::POST, "/api/v1/namespaces/a/pods", "POST", "resource", true, false),
            (Method::DELETE, "/api/v1/namespaces/a/pods", "DELETE", "namespace", true, false),
            (Method::TRACE, "/api/v1/namespaces/a/pods", "other", "namespace", true, false),
            (get, "/healthz", "GET", "", false, false),
            (Method::POST, "/healthz", "POST", "", true, false),
        ] {
            let call = call(method, uri);
            assert_eq!(
                (call.verb, call.scope, call.mutating, call.long_running),
                (verb, scope, mutating, long_running),
                "{uri}"
            );
        }
    }

    #[test]
    fn a_caller_may_ask_for_less_time_and_not_for_more() {
        let limit = Duration::from_secs(60);
        let timeout = |query: &str| {
            let uri = format!("/api/v1/pods?{query}");
            call(Method::GET, &uri).timeout(limit).map_err(|status| status.message)
        };
        assert_eq!(timeout(""), Ok(Some(limit)));
        assert_eq!(timeout("timeout=1m30s"), Ok(Some(limit)));
        assert_eq!(timeout("timeout=1.5s"), Ok(Some(Duration::from_millis(1500))));
        assert_eq!(timeout("timeout=0s"), Ok(Some(limit)));
        assert_eq!(timeout("timeout=-3s"), Ok(Some(limit)));
        assert_eq!(timeout("timeout=x&watch=true"), Ok(None));
        let why = "invalid timeout specified in the request URL - time: missing unit in duration \"5\"";
        assert_eq!(timeout("timeout=5"), Err(why.into()));
    }

    #[test]
    fn percent_signs_stand_for_bytes() {
        for (path, well) in [("/a", true), ("/a%2F", true), ("/a%", false), ("/a%2", false), ("/%zz", false)]
        {
            assert_eq!(is_well_formed(path), well, "{path}");
        }
    }
}
