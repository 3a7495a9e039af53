//! What several subjects need: a server, a port for it, and a way to say that a test cannot run here.
#![allow(dead_code, reason = "not every subject needs all of it")]

#[cfg(feature = "etcd")]
pub(crate) mod etcd;
pub(crate) mod kubectl;
pub(crate) mod tool;
pub(crate) mod wire;

use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower_service::Service;
use windlass::client::{Identity, Kubeconfig};
use windlass::env::{Task, Tasks};
use windlass::server::ApiServer;
use windlass::server::https::{Certificates, HttpsOptions, HttpsServer, Tokens};
use windlass::store::MemoryStore;

/// Says that a test cannot run here; fails it where everything must run.
pub(crate) fn skip(test: &str, reason: &str) {
    assert!(
        std::env::var("WINDLASS_REQUIRE_ALL").as_deref() != Ok("1"),
        "{test} cannot run here: {reason}, and WINDLASS_REQUIRE_ALL=1 wants every test to run"
    );
    eprintln!("SKIPPED {test}: {reason}");
}

/// A server over an empty store in memory.
pub(crate) async fn server() -> ApiServer {
    ApiServer::builder().store(Arc::new(MemoryStore::new())).build().await.expect("a server")
}

/// A server on a port, with a token beside its certificates.
pub(crate) struct Served {
    pub(crate) server: ApiServer,
    pub(crate) certificates: Certificates,
    pub(crate) https: HttpsServer,
}

/// The administrator's bearer token at every [`Served`].
pub(crate) const TOKEN: &str = "administrators-token";

/// Serves on a free port of the loopback interface.
pub(crate) async fn serve(server: ApiServer) -> Served {
    serve_with(server, |options| options).await
}

/// The same, with other options.
pub(crate) async fn serve_with(server: ApiServer, more: impl FnOnce(HttpsOptions) -> HttpsOptions) -> Served {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let certificates =
        Certificates::generate(&["localhost", "127.0.0.1"], &server.env().clock).expect("certificates");
    let options = HttpsOptions::new(certificates.server_config().expect("TLS"))
        .authenticator(Tokens::new().with(TOKEN, Identity::admin()));
    let https = HttpsServer::start(&server, listener, more(options)).expect("a listener");
    Served { server, certificates, https }
}

impl Served {
    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.https.address())
    }

    /// The administrator's way in.
    pub(crate) fn kubeconfig(&self) -> Kubeconfig {
        self.certificates.admin_kubeconfig(&self.url()).expect("a kubeconfig")
    }

    /// Ends the listener and the server.
    pub(crate) async fn shutdown(self) {
        self.https.shutdown().await;
        self.server.shutdown().await;
    }
}

/// Keeps paused time where it is, though nothing is left to do here but to wait for sockets: otherwise it
/// would run on to the next timeout. Only a test moves it then.
pub(crate) struct Standstill(Task<()>);

impl Standstill {
    pub(crate) fn begin() -> Self {
        Self(Tasks::new().spawn("standstill", async {
            loop {
                tokio::task::yield_now().await;
            }
        }))
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Code, reason and message of a failure.
    pub(crate) fn failure(&self) -> (u16, String, String) {
        let status = self.json();
        assert_eq!(status["kind"], "Status", "{status}");
        assert_eq!(status["apiVersion"], "v1", "{status}");
        assert_eq!(status["status"], "Failure", "{status}");
        assert_eq!(status["code"], self.code.as_u16(), "{status}");
        let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
        (self.code.as_u16(), text("reason"), text("message"))
    }
}

/// Sends one request through the tower service and reads the answer whole.
pub(crate) async fn send(
    server: &ApiServer,
    identity: Identity,
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: impl Into<String>,
) -> Reply {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(bytes::Bytes::from(body.into()))).expect("a request");
    let response = server.service(identity).call(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    Reply { code: parts.status, headers: parts.headers, text }
}

/// A get by the administrator.
pub(crate) async fn get(server: &ApiServer, uri: &str, headers: &[(&str, &str)]) -> Reply {
    send(server, Identity::admin(), Method::GET, uri, headers, "").await
}

/// A write of JSON by the administrator.
pub(crate) async fn write(server: &ApiServer, method: Method, uri: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    send(server, Identity::admin(), method, uri, &headers, body.to_string()).await
}
