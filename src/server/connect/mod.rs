//! The way from a request to a node's agent: logs, exec, attach, port-forward, the node's proxy.
//!
//! The server looks up the pod and its node, opens a stream through the
//! [`NodeDialer`](crate::client::NodeDialer), speaks HTTP/1.1 to the agent at the kubelet's paths,
//! and then only passes bytes on: what goes through an upgraded stream is between the caller and
//! the agent. Wording and defaults follow `pkg/registry/core/pod` (1.36).

mod agent;
mod options;
mod pod;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body_util::Full;

use super::ApiServer;
use super::rest::ResponseBody;
use crate::api::{Status, status};
use crate::client::wire::Query;
use crate::client::{self, Target};

/// A request that goes on to a node's agent as it is.
pub(crate) struct Onward {
    pub(crate) method: Method,
    /// The path at the agent; empty is its root.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Opens a stream to a subresource of a pod: `exec`, `attach` or `portforward`. The caller has been
/// authorized.
pub(crate) async fn open(
    server: &ApiServer,
    target: &Target,
    query: &str,
    protocols: &[String],
) -> Result<client::Response, Status> {
    let query = Query::parse(query);
    let pod = pod::find(server, target).await?;
    let subresource = target.subresource.as_deref().unwrap_or_default();
    let path = match (target.resource.resource.as_str(), subresource) {
        ("pods", "portforward") => {
            let ports = options::port_forward(&query)?;
            format!("/portForward/{}/{}{ports}", pod.namespace, pod.name)
        }
        ("pods", verb @ ("exec" | "attach")) => {
            let container = pod.container(query.get("container"))?;
            let streams = options::streams(verb, &query)?;
            format!("/{verb}/{}/{}/{container}{streams}", pod.namespace, pod.name)
        }
        _ => return Err(status::no_such_resource()),
    };
    let node = pod.node()?;
    agent::upgrade(server, node, &path, protocols).await
}

/// What a container printed, or prints. The caller has been authorized.
pub(crate) async fn log(
    server: &ApiServer,
    target: &Target,
    query: &Query,
) -> Result<Response<ResponseBody>, Status> {
    let name = target.name.as_deref().unwrap_or_default();
    let options = options::log(query, name)?;
    let pod = pod::find(server, target).await?;
    let container = pod.container(query.get("container"))?;
    let Ok(node) = pod.node() else {
        // A pod that is nowhere has printed nothing.
        return Ok(super::rest::plain(""));
    };
    let path = format!("/containerLogs/{}/{}/{container}{options}", pod.namespace, pod.name);
    let request = agent::get(&path)?;
    let response = agent::send(server, node, request).await?;
    if !response.status().is_success() {
        return Err(agent::refusal(response, "pods/log", name).await);
    }
    Ok(super::rest::plain_stream(super::rest::incoming(response.into_body())))
}

/// Passes a request on to the agent of a node. The caller has been authorized.
pub(crate) async fn proxy(
    server: &ApiServer,
    target: &Target,
    onward: Onward,
) -> Result<Response<ResponseBody>, Status> {
    let node = target.name.as_deref().unwrap_or_default();
    pod::node_exists(server, target).await?;
    let Onward { method, path, query, headers, body } = onward;
    let path = if path.is_empty() { "/" } else { &path };
    let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut request = http::Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() =
        uri.parse().map_err(|error: http::uri::InvalidUri| status::bad_request(error.to_string()))?;
    *request.headers_mut() = agent::end_to_end(headers);
    let response = agent::send(server, node, request).await?;
    let (mut parts, body) = response.into_parts();
    parts.headers = agent::end_to_end(parts.headers);
    Ok(Response::from_parts(parts, super::rest::incoming(body)))
}
