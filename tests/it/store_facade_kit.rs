//! A store behind etcd's gRPC API, and short words for asking it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;
use windlass::env::{Clock, Env};
use windlass::store::MemoryStore;
use windlass::store::etcd_server::proto::{
    self, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp, TxnRequest, TxnResponse,
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse, request_op,
    watch_request::RequestUnion,
};
use windlass::store::etcd_server::{EtcdServer, EtcdServerOptions};

/// How long anything may take before it counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A store that is served.
pub(crate) struct Served {
    pub(crate) env: Env,
    pub(crate) server: EtcdServer,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) channel: Channel,
}

pub(crate) async fn serve() -> Served {
    serve_with(EtcdServerOptions::default()).await
}

pub(crate) async fn serve_with(options: EtcdServerOptions) -> Served {
    serve_store(MemoryStore::new(), options).await
}

pub(crate) async fn serve_store(store: MemoryStore, options: EtcdServerOptions) -> Served {
    let (env, store) = (Env::system(), Arc::new(store));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = EtcdServer::start(&env, store.clone(), listener, options).expect("a server");
    let channel = Endpoint::from_shared(format!("http://{}", server.address()))
        .expect("an address")
        .connect()
        .await
        .expect("a connection");
    Served { env, server, store, channel }
}

impl Served {
    pub(crate) async fn call<Q, A>(&self, path: &'static str, message: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(64 << 20);
        grpc.ready().await.expect("a connection");
        let path = PathAndQuery::from_static(path);
        let answer = grpc.unary(Request::new(message), path, ProstCodec::<Q, A>::default()).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn put(&self, key: &str, value: &str) -> PutResponse {
        let request = PutRequest { key: copied(key), value: copied(value), ..PutRequest::default() };
        self.call("/etcdserverpb.KV/Put", request).await.expect("a put")
    }

    pub(crate) async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Status> {
        self.call("/etcdserverpb.KV/Range", request).await
    }

    pub(crate) async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Status> {
        self.call("/etcdserverpb.KV/Txn", request).await
    }

    /// A stream of requests and answers, such as watches are.
    pub(crate) async fn stream<Q, A>(&self, path: &'static str) -> Duplex<Q, A>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        open(self.channel.clone(), path).await
    }

    pub(crate) async fn watches(&self) -> Duplex<WatchRequest, WatchResponse> {
        self.stream("/etcdserverpb.Watch/Watch").await
    }

    pub(crate) async fn shutdown(self) {
        drop(self.channel);
        self.server.shutdown().await;
        self.env.tasks.shutdown().await;
    }
}

pub(crate) async fn open<Q, A>(channel: Channel, path: &'static str) -> Duplex<Q, A>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let (requests, mut waiting) = mpsc::unbounded_channel();
    let requests_of = stream::poll_fn(move |context| waiting.poll_recv(context));
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(64 << 20);
    grpc.ready().await.expect("a connection");
    let path = PathAndQuery::from_static(path);
    let answers = grpc
        .streaming(Request::new(requests_of), path, ProstCodec::<Q, A>::default())
        .await
        .expect("a stream")
        .into_inner();
    Duplex { requests, answers }
}

pub(crate) struct Duplex<Q, A> {
    pub(crate) requests: mpsc::UnboundedSender<Q>,
    pub(crate) answers: Streaming<A>,
}

impl<Q, A> Duplex<Q, A> {
    pub(crate) async fn next(&mut self) -> Result<Option<A>, Status> {
        Clock::system().timeout(PATIENCE, self.answers.message()).await.expect("an answer in time")
    }

    pub(crate) async fn answer(&mut self) -> A {
        self.next().await.expect("an answer").expect("no end")
    }
}

impl Duplex<WatchRequest, WatchResponse> {
    pub(crate) fn create(&self, request: WatchCreateRequest) {
        self.send(RequestUnion::Create(request));
    }

    pub(crate) fn cancel(&self, watch_id: i64) {
        self.send(RequestUnion::Cancel(WatchCancelRequest { watch_id }));
    }

    pub(crate) fn progress(&self) {
        self.send(RequestUnion::Progress(WatchProgressRequest {}));
    }

    pub(crate) fn send(&self, request: RequestUnion) {
        self.requests.send(WatchRequest { request_union: Some(request) }).expect("the stream is open");
    }
}

pub(crate) fn copied(text: &str) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(text.as_bytes())
}

pub(crate) fn watch(key: &str, range_end: &str, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        key: copied(key),
        range_end: copied(range_end),
        start_revision,
        ..WatchCreateRequest::default()
    }
}

pub(crate) fn get(key: &str, range_end: &str) -> RangeRequest {
    RangeRequest { key: copied(key), range_end: copied(range_end), ..RangeRequest::default() }
}

pub(crate) fn op(request: request_op::Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

pub(crate) fn put_op(key: &str, value: &str) -> RequestOp {
    op(request_op::Request::Put(PutRequest {
        key: copied(key),
        value: copied(value),
        ..PutRequest::default()
    }))
}

pub(crate) fn revision(header: Option<&proto::ResponseHeader>) -> i64 {
    header.expect("a header").revision
}

pub(crate) fn keys(response: &RangeResponse) -> Vec<&str> {
    response.kvs.iter().map(|kv| std::str::from_utf8(&kv.key).expect("text")).collect()
}
