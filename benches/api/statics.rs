//! The same bytes from memory, over the same TLS and HTTP: what the transport allows.
//!
//! A path is asked of the API server once, and its answer served to all who come later. `/events/COUNT` below a
//! watch's path sends so many of the events that the watch begins with, each a piece, as a watch would.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower_service::Service;
use windlass::client::Identity;
use windlass::server::ApiServer;
use windlass::server::rest::ResponseBody;

type Kept = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// Serves; answers where.
pub(crate) async fn serve(server: ApiServer, tls: Arc<ServerConfig>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (acceptor, kept) = (TlsAcceptor::from(tls), Kept::default());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, server, kept) = (acceptor.clone(), server.clone(), kept.clone());
            tokio::spawn(async move {
                socket.set_nodelay(true).expect("no delay");
                let Ok(tls) = acceptor.accept(socket).await else { return };
                let service = service_fn(move |request| answer(server.clone(), kept.clone(), request));
                let _ = http2::Builder::new(TokioExecutor::new())
                    .max_send_buf_size(64 * 1024)
                    .serve_connection(TokioIo::new(tls), service)
                    .await;
            });
        }
    });
    address
}

async fn answer(
    server: ApiServer,
    kept: Kept,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let (path, events) = match path.split_once("/events/") {
        Some((path, count)) => (path.to_owned(), count.parse::<usize>().ok()),
        None => (path, None),
    };
    let known = kept.lock().expect("a lock").get(&path).cloned();
    let bytes = match known {
        Some(bytes) => bytes,
        None => {
            let bytes = fetch(&server, &path, events.is_some()).await;
            kept.lock().expect("a lock").insert(path, bytes.clone());
            bytes
        }
    };
    Ok(Response::new(match events {
        // One event after another, as a stream that nobody knows the end of.
        Some(count) => ResponseBody::stream(stream::iter((0..count).map(move |_| Ok(bytes.clone())))),
        None => ResponseBody::whole(bytes),
    }))
}

/// An answer's bytes: the first piece, or all.
async fn fetch(server: &ApiServer, path: &str, first: bool) -> Bytes {
    let request = Request::get(path).body(Full::new(Bytes::new())).expect("a request");
    let answer = server.service(Identity::admin()).call(request).await.expect("an answer");
    if first {
        let mut pieces = answer.into_body().into_data_stream();
        return pieces.next().await.expect("a piece").expect("bytes");
    }
    answer.into_body().collect().await.expect("a body").to_bytes()
}
