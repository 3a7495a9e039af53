//! Handlers that store nothing, for what the transport allows on this machine.
//!
//! Both are tonic servers of the same HTTP/2 stack as the facade's, and answer every put with an empty
//! message. One does so at once. The other waits until a bare file has been synced with as many bytes as
//! came in: whoever is durable keeps requests waiting by the hundred, which costs a transport more than
//! answering them in passing.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};
use windlass::store::etcd_server::proto::{PutRequest, PutResponse};

use crate::facade::{Served, runtime};

/// How long a record of 1 KB is in a log.
const RECORD: usize = 1100;
/// The file is written over from the start when it is so long.
const FILE: usize = 64 << 20;

/// Answers every put with an empty message.
#[derive(Clone, Copy)]
struct Nothing;

impl tower_service::Service<Request<PutRequest>> for Nothing {
    type Response = Response<PutResponse>;
    type Error = Status;
    type Future = Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<PutRequest>) -> Self::Future {
        ready(Ok(Response::new(PutResponse::default())))
    }
}

/// Serves a handler that waits for something before each answer.
fn serve<W, F>(before: W) -> Served
where
    W: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            let before = before.clone();
            let service = service_fn(move |request: http::Request<Incoming>| {
                let before = before.clone();
                async move {
                    let codec = tonic_prost::ProstCodec::<PutResponse, PutRequest>::default();
                    let answer = tonic::server::Grpc::new(codec).unary(Nothing, request).await;
                    before().await;
                    Ok::<_, Infallible>(answer)
                }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(u32::MAX)
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Served::new(address, runtime)
}

/// Answers at once.
pub(crate) fn at_once() -> Served {
    serve(|| ready(()))
}

/// Answers when a file has been synced, which one sync does for all who wait.
pub(crate) fn synced() -> Served {
    let (queue, queued) = channel();
    std::thread::spawn(move || keep_syncing(&queued));
    serve(move || wait(queue.clone()))
}

async fn wait(queue: Sender<oneshot::Sender<()>>) {
    let (answer, waiting) = oneshot::channel();
    queue.send(answer).expect("the file is synced for as long as somebody asks");
    waiting.await.expect("an answer");
}

fn keep_syncing(queued: &Receiver<oneshot::Sender<()>>) {
    let file = tempfile::tempfile().expect("a file");
    let bytes = vec![b'x'; FILE];
    file.write_all_at(&bytes, 0).expect("a write");
    file.sync_all().expect("a sync");
    let mut end = 0;
    while let Ok(first) = queued.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(queued.try_iter()).collect();
        let length = batch.len() * RECORD;
        if end + length > FILE {
            end = 0;
        }
        file.write_all_at(&bytes[..length], end as u64).expect("a write");
        file.sync_data().expect("a sync");
        end += length;
        for answer in batch {
            // Who asked may have gone.
            let _ = answer.send(());
        }
    }
}
