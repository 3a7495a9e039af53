//! The kubelet's API: what others ask a node's agent for.
//!
//! HTTP/1.1 over any stream, at the kubelet's own paths, so that a kube-apiserver (or ours) reaches
//! it as it reaches a kubelet. Who may ask is settled by whoever hands the stream over.
//!
//! | path | what |
//! |---|---|
//! | `/healthz` | `ok` |
//! | `/pods` | the pods of this node, as a PodList |
//! | `/containerLogs/{namespace}/{pod}/{container}` | what a container printed, and prints |
//! | `/exec/…`, `/attach/…` | a WebSocket (`v5.channel.k8s.io` and older), or SPDY/3.1 |
//! | `/portForward/{namespace}/{pod}` | the same (`SPDY/3.1+portforward.k8s.io`, `v4.channel.k8s.io`) |

mod attach;
mod channels;
mod exec;
mod idle;
mod logs;
mod port_forward;
mod remote;
mod tunnel;
mod upgrade;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::json;

use super::NodeAgent;
use super::context::{Context, View};
use super::lifecycle::spec;
use crate::client::wire::Query;
use crate::env::BoxIo;
use crate::runtime::ContainerId;

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Answer = Result<Response<Body>, Refusal>;

/// Why a request is refused: a status and a text, as the kubelet answers.
struct Refusal(StatusCode, String);

impl NodeAgent {
    /// Serves the kubelet's API on a stream, until the other side closes it or the agent ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the stream, unless it has become a WebSocket: that lives with
    /// the agent.
    pub fn serve_connection(&self, io: BoxIo) -> impl Future<Output = ()> + Send + 'static {
        let context = self.context.clone();
        async move {
            let ended = context.env.tasks.clone();
            let service = service_fn(move |request| {
                let context = context.clone();
                async move { Ok::<_, Infallible>(answer(&context, request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(io), service)
                .with_upgrades();
            crate::select! {
                served = connection => {
                    if let Err(error) = served {
                        tracing::debug!(%error, "a connection to the agent broke");
                    }
                }
                () = ended.cancelled() => {}
            }
        }
    }
}

async fn answer(context: &Arc<Context>, request: Request<Incoming>) -> Response<Body> {
    match route(context, request).await {
        Ok(response) => response,
        Err(Refusal(code, text)) => {
            let mut response = plain(text);
            *response.status_mut() = code;
            response
        }
    }
}

async fn route(context: &Arc<Context>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let steps: Vec<_> = path.split('/').skip(1).collect();
    let get = *request.method() == Method::GET;
    match *steps.as_slice() {
        ["healthz"] if get => Ok(plain("ok".into())),
        ["pods"] if get => Ok(pods(context)),
        ["containerLogs", namespace, pod, container] if get => {
            logs::serve(context, &find(context, namespace, pod, "does not exist")?, container, &query).await
        }
        ["exec", namespace, pod, container] => {
            exec::serve(
                context,
                &find(context, namespace, pod, "does not exist")?,
                container,
                &query,
                request,
            )
            .await
        }
        ["attach", namespace, pod, container] => {
            attach::serve(
                context,
                &find(context, namespace, pod, "does not exist")?,
                container,
                &query,
                request,
            )
            .await
        }
        ["portForward", namespace, pod] => {
            port_forward::serve(context, &find(context, namespace, pod, "does not exist")?, &query, request)
        }
        ["healthz" | "pods"] | ["containerLogs", ..] => {
            Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed".into()))
        }
        _ => Err(Refusal(StatusCode::NOT_FOUND, "404 page not found".into())),
    }
}

/// The newest pod of this name.
fn find(context: &Context, namespace: &str, name: &str, what: &str) -> Result<View, Refusal> {
    let named = |view: &View| {
        view.pod.metadata.namespace.as_deref() == Some(namespace)
            && view.pod.metadata.name.as_deref() == Some(name)
    };
    let all = context.views.all().into_iter().filter(named);
    all.max_by_key(|view| view.pod.metadata.creation_timestamp.clone())
        .ok_or_else(|| Refusal(StatusCode::NOT_FOUND, format!("pod {name:?} {what}")))
}

fn pods(context: &Context) -> Response<Body> {
    let pods: Vec<_> = context
        .views
        .all()
        .into_iter()
        .map(|view| Pod { status: Some(view.status), ..Arc::unwrap_or_clone(view.pod) })
        .collect();
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods});
    let mut response = plain(list.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The instance of a container to run something in.
fn target(view: &View, container: &str) -> Result<ContainerId, Refusal> {
    if declares(view, container) {
        return running(view, container);
    }
    let pod = view.pod.metadata.name.as_deref().unwrap_or_default();
    Err(Refusal(StatusCode::NOT_FOUND, format!("container {container:?} not found in pod {pod:?}")))
}

/// The status of a pod's container.
fn status<'a>(view: &'a View, container: &str) -> Option<&'a ContainerStatus> {
    let status = &view.status;
    let all = status
        .container_statuses
        .iter()
        .chain(&status.init_container_statuses)
        .chain(&status.ephemeral_container_statuses)
        .flatten();
    all.into_iter().find(|status| status.name == container)
}

/// The id in `name://id`.
fn id(text: Option<&str>) -> Option<ContainerId> {
    text.and_then(|text| text.split_once("://")).map(|(_, id)| ContainerId(id.to_owned()))
}

/// The instance of a container that runs.
fn running(view: &View, container: &str) -> Result<ContainerId, Refusal> {
    status(view, container)
        .filter(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
        .and_then(|status| id(status.container_id.as_deref()))
        .ok_or_else(|| Refusal(StatusCode::NOT_FOUND, format!("container not found ({container:?})")))
}

fn declares(view: &View, container: &str) -> bool {
    let spec = spec(&view.pod);
    let ephemeral = spec.ephemeral_containers.iter().flatten().any(|one| one.name == container);
    ephemeral
        || spec.init_containers.iter().flatten().chain(&spec.containers).any(|one| one.name == container)
}
