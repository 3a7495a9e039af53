//! The way from a request to what runs on nodes: logs, exec, attach, port-forward, and the proxies of pods,
//! services and nodes.
//!
//! The server looks up the pod and its node, opens a stream through the
//! [`NodeDialer`](crate::client::NodeDialer), speaks HTTP/1.1 at the kubelet's paths (or to the
//! port that is proxied), and then only passes bytes on: what goes through an upgraded stream is between
//! the caller and who is behind it. Wording and defaults follow `pkg/registry/core/pod` (1.36).

mod agent;
mod options;
mod pod;
mod proxy;
mod relay;

use http::Response;

pub(crate) use agent::STREAM_PROTOCOL;
pub(crate) use proxy::{BEARER, Onward, Peer, proxy, wants_upgrade};
pub(crate) use relay::relay;

use super::ApiServer;
use super::rest::ResponseBody;
use crate::api::{Status, status};
use crate::client::wire::Query;
use crate::client::{self, Target};

/// What a connection is to become, with the subprotocols that the caller speaks, best first.
pub(crate) enum Upgrade {
    WebSocket(Vec<String>),
    Spdy(Vec<String>),
}

/// Opens a stream to a subresource of a pod: `exec`, `attach` or `portforward`. The caller has been
/// authorized.
pub(crate) async fn open(
    server: &ApiServer,
    target: &Target,
    query: &str,
    upgrade: &Upgrade,
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
    agent::upgrade(server, node, &path, upgrade).await
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
