//! A store behind etcd's gRPC API, as a client sees it on the wire, and as etcdctl does.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http::uri::PathAndQuery;
use prost::Message;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use windlass::env::{Clock, Env};
use windlass::store::etcd_server::proto::{
    self, Compare, CompareResult, CompareTarget, DeleteRangeRequest, DeleteRangeResponse, FilterType,
    PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp, SortOrder, SortTarget, TxnRequest,
    TxnResponse, WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
    compare::TargetUnion, request_op, response_op, watch_request::RequestUnion,
};
use windlass::store::etcd_server::{EtcdServer, EtcdServerOptions};
use windlass::store::{
    HistoryFull, MemoryOptions, MemoryStore, ObjectStore, ObjectStoreExt, Op, Revision, Txn,
};

use super::support::skip;

/// How long anything may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store that is served.
struct Served {
    env: Env,
    server: EtcdServer,
    store: Arc<MemoryStore>,
    channel: Channel,
}

async fn serve() -> Served {
    serve_with(EtcdServerOptions::default()).await
}

async fn serve_with(options: EtcdServerOptions) -> Served {
    serve_store(MemoryStore::new(), options).await
}

async fn serve_store(store: MemoryStore, options: EtcdServerOptions) -> Served {
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
    async fn call<Q, A>(&self, path: &'static str, message: Q) -> Result<A, Status>
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

    async fn put(&self, key: &str, value: &str) -> PutResponse {
        let request = PutRequest { key: copied(key), value: copied(value), ..PutRequest::default() };
        self.call("/etcdserverpb.KV/Put", request).await.expect("a put")
    }

    async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Status> {
        self.call("/etcdserverpb.KV/Range", request).await
    }

    async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Status> {
        self.call("/etcdserverpb.KV/Txn", request).await
    }

    /// A stream of requests and answers, such as watches are.
    async fn stream<Q, A>(&self, path: &'static str) -> Duplex<Q, A>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        open(self.channel.clone(), path).await
    }

    async fn watches(&self) -> Duplex<WatchRequest, WatchResponse> {
        self.stream("/etcdserverpb.Watch/Watch").await
    }

    async fn shutdown(self) {
        drop(self.channel);
        self.server.shutdown().await;
        self.env.tasks.shutdown().await;
    }
}

async fn open<Q, A>(channel: Channel, path: &'static str) -> Duplex<Q, A>
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

struct Duplex<Q, A> {
    requests: mpsc::UnboundedSender<Q>,
    answers: Streaming<A>,
}

impl<Q, A> Duplex<Q, A> {
    async fn next(&mut self) -> Result<Option<A>, Status> {
        Clock::system().timeout(PATIENCE, self.answers.message()).await.expect("an answer in time")
    }

    async fn answer(&mut self) -> A {
        self.next().await.expect("an answer").expect("no end")
    }
}

impl Duplex<WatchRequest, WatchResponse> {
    fn create(&self, request: WatchCreateRequest) {
        self.send(RequestUnion::Create(request));
    }

    fn cancel(&self, watch_id: i64) {
        self.send(RequestUnion::Cancel(WatchCancelRequest { watch_id }));
    }

    fn progress(&self) {
        self.send(RequestUnion::Progress(WatchProgressRequest {}));
    }

    fn send(&self, request: RequestUnion) {
        self.requests.send(WatchRequest { request_union: Some(request) }).expect("the stream is open");
    }
}

fn copied(text: &str) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(text.as_bytes())
}

fn watch(key: &str, range_end: &str, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        key: copied(key),
        range_end: copied(range_end),
        start_revision,
        ..WatchCreateRequest::default()
    }
}

fn get(key: &str, range_end: &str) -> RangeRequest {
    RangeRequest { key: copied(key), range_end: copied(range_end), ..RangeRequest::default() }
}

fn op(request: request_op::Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn put_op(key: &str, value: &str) -> RequestOp {
    op(request_op::Request::Put(PutRequest {
        key: copied(key),
        value: copied(value),
        ..PutRequest::default()
    }))
}

fn revision(header: Option<&proto::ResponseHeader>) -> i64 {
    header.expect("a header").revision
}

fn keys(response: &RangeResponse) -> Vec<&str> {
    response.kvs.iter().map(|kv| std::str::from_utf8(&kv.key).expect("text")).collect()
}

#[tokio::test]
async fn errors_are_etcds_to_the_letter() {
    let served = serve().await;
    served.put("/a", "1").await;
    served.put("/a", "2").await;
    let refused = |code, text: &'static str| (code, text.to_owned());
    let told = |result: Result<PutResponse, Status>| {
        let status = result.expect_err("refused");
        (status.code(), status.message().to_owned())
    };
    let put = |request: PutRequest| served.call("/etcdserverpb.KV/Put", request);
    let whole = PutRequest { key: copied("/a"), value: copied("3"), ..PutRequest::default() };

    let empty = put(PutRequest { key: copied(""), ..whole.clone() }).await;
    assert_eq!(told(empty), refused(Code::InvalidArgument, "etcdserver: key is not provided"));
    let value = put(PutRequest { ignore_value: true, ..whole.clone() }).await;
    assert_eq!(told(value), refused(Code::InvalidArgument, "etcdserver: value is provided"));
    let lease = put(PutRequest { ignore_lease: true, lease: 5, ..whole.clone() }).await;
    assert_eq!(told(lease), refused(Code::InvalidArgument, "etcdserver: lease is provided"));
    let absent = PutRequest { key: copied("/b"), value: copied(""), ignore_value: true, ..whole.clone() };
    assert_eq!(told(put(absent).await), refused(Code::InvalidArgument, "etcdserver: key not found"));
    let unknown = put(PutRequest { lease: 12345, ..whole.clone() }).await;
    assert_eq!(told(unknown), refused(Code::NotFound, "etcdserver: requested lease not found"));
    let big = put(PutRequest { value: vec![0; 1600 * 1024].into(), ..whole.clone() }).await;
    assert_eq!(told(big), refused(Code::InvalidArgument, "etcdserver: request is too large"));
    let bigger = put(PutRequest { value: vec![0; 3 << 20].into(), ..whole }).await.expect_err("refused");
    assert_eq!(bigger.code(), Code::ResourceExhausted);
    assert!(bigger.message().starts_with("grpc: received message larger than max"), "{bigger}");

    let told = |result: Result<RangeResponse, Status>| {
        let status = result.expect_err("refused");
        (status.code(), status.message().to_owned())
    };
    let future = served.range(RangeRequest { revision: 99, ..get("/a", "") }).await;
    let words = "etcdserver: mvcc: required revision is a future revision";
    assert_eq!(told(future), refused(Code::OutOfRange, words));
    let compact = proto::CompactionRequest { revision: 3, physical: true };
    let compacted: proto::CompactionResponse =
        served.call("/etcdserverpb.KV/Compact", compact).await.expect("compaction");
    assert_eq!(revision(compacted.header.as_ref()), 3);
    let past = served.range(RangeRequest { revision: 2, ..get("/a", "") }).await;
    assert_eq!(
        told(past),
        refused(Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted")
    );

    let told = |result: Result<TxnResponse, Status>| {
        let status = result.expect_err("refused");
        (status.code(), status.message().to_owned())
    };
    let twice = TxnRequest { success: vec![put_op("/c", "1"), put_op("/c", "2")], ..TxnRequest::default() };
    let words = "etcdserver: duplicate key given in txn request";
    assert_eq!(told(served.txn(twice).await), refused(Code::InvalidArgument, words));
    let many = (0..129).map(|number| put_op(&format!("/many/{number}"), "")).collect();
    let many = TxnRequest { failure: many, ..TxnRequest::default() };
    let words = "etcdserver: too many operations in txn request";
    assert_eq!(told(served.txn(many).await), refused(Code::InvalidArgument, words));
    let nothing = TxnRequest { success: vec![RequestOp { request: None }], ..TxnRequest::default() };
    assert_eq!(told(served.txn(nothing).await), refused(Code::InvalidArgument, "etcdserver: key not found"));

    let unknown: Result<PutResponse, _> = served.call("/etcdserverpb.KV/Push", PutRequest::default()).await;
    assert_eq!(unknown.expect_err("refused").code(), Code::Unimplemented);
    let unknown: Result<PutResponse, _> = served.call("/v3lockpb.Lock/Lock", PutRequest::default()).await;
    assert_eq!(unknown.expect_err("refused").code(), Code::Unimplemented);
    let login: Result<(), _> = served.call("/etcdserverpb.Auth/Authenticate", ()).await;
    assert_eq!(login.expect_err("refused").message(), "etcdserver: authentication is not enabled");
    let moved: Result<(), _> =
        served.call("/etcdserverpb.Maintenance/MoveLeader", proto::MoveLeaderRequest { target_id: 1 }).await;
    assert_eq!(moved.expect_err("refused").message(), "etcdserver: bad leader transferee");
    served.shutdown().await;
}

#[tokio::test]
async fn ranges_are_sorted_chosen_and_cut_as_asked() {
    let served = serve().await;
    for (key, value) in [("/a", "3"), ("/b", "1"), ("/c", "2"), ("/b", "0")] {
        served.put(key, value).await;
    }
    served.put("/d", "other").await;
    let all = served.range(get("/", "0")).await.unwrap();
    assert_eq!((keys(&all), all.count, all.more), (vec!["/a", "/b", "/c", "/d"], 4, false));
    assert_eq!(revision(all.header.as_ref()), 6);
    let from = served.range(get("/c", "\0")).await.unwrap();
    assert_eq!(keys(&from), ["/c", "/d"]);
    let inverted = served.range(get("/c", "/a")).await.unwrap();
    assert_eq!((inverted.kvs.len(), inverted.count), (0, 0));
    let by_value = RangeRequest {
        sort_target: SortTarget::Value.into(),
        sort_order: SortOrder::Descend.into(),
        limit: 2,
        keys_only: true,
        ..get("/", "0")
    };
    let sorted = served.range(by_value).await.unwrap();
    assert_eq!((keys(&sorted), sorted.more, sorted.count), (vec!["/d", "/a"], true, 4));
    assert!(sorted.kvs.iter().all(|kv| kv.value.is_empty()));
    let late = served.range(RangeRequest { min_mod_revision: 5, ..get("/", "0") }).await.unwrap();
    assert_eq!((keys(&late), late.count), (vec!["/b", "/d"], 4));
    let early = RangeRequest { max_create_revision: 3, limit: 1, ..get("/", "0") };
    let early = served.range(early).await.unwrap();
    assert_eq!((keys(&early), early.more), (vec!["/a"], true));
    let counted = served.range(RangeRequest { count_only: true, ..get("/", "0") }).await.unwrap();
    assert_eq!((counted.kvs.len(), counted.count), (0, 4));
    let past = served.range(RangeRequest { revision: 3, ..get("/b", "") }).await.unwrap();
    assert_eq!((&past.kvs[0].value[..], revision(past.header.as_ref())), (&b"1"[..], 6));
    let deleted: DeleteRangeResponse = served
        .call(
            "/etcdserverpb.KV/DeleteRange",
            DeleteRangeRequest { key: copied("/b"), range_end: copied("/d"), prev_kv: true },
        )
        .await
        .unwrap();
    assert_eq!((deleted.deleted, deleted.prev_kvs.len()), (2, 2));
    assert_eq!(revision(deleted.header.as_ref()), 7);
    served.shutdown().await;
}

#[tokio::test]
async fn a_transaction_tells_of_each_operation_the_revision_that_it_saw() {
    let served = serve().await;
    served.put("/a", "1").await;
    let compare = |target_union, target: CompareTarget, result: CompareResult| Compare {
        result: result.into(),
        target: target.into(),
        key: copied("/a"),
        target_union: Some(target_union),
        ..Compare::default()
    };
    let inner = TxnRequest {
        compare: vec![compare(TargetUnion::Value(copied("2")), CompareTarget::Value, CompareResult::Equal)],
        success: vec![put_op("/wrong", "")],
        failure: vec![put_op("/c", "3"), op(request_op::Request::Range(get("/", "0")))],
    };
    let request = TxnRequest {
        compare: vec![
            compare(TargetUnion::ModRevision(2), CompareTarget::Mod, CompareResult::Equal),
            compare(TargetUnion::Version(0), CompareTarget::Version, CompareResult::Greater),
            compare(TargetUnion::Lease(0), CompareTarget::Lease, CompareResult::Equal),
        ],
        success: vec![
            op(request_op::Request::Range(get("/a", ""))),
            put_op("/a", "2"),
            op(request_op::Request::Txn(inner)),
        ],
        failure: vec![],
    };
    let answer = served.txn(request).await.unwrap();
    assert!(answer.succeeded);
    assert_eq!(revision(answer.header.as_ref()), 3);
    let responses: Vec<_> = answer.responses.into_iter().map(|response| response.response.unwrap()).collect();
    let response_op::Response::Range(range) = &responses[0] else { panic!("{responses:?}") };
    assert_eq!((&range.kvs[0].value[..], revision(range.header.as_ref())), (&b"1"[..], 2));
    let response_op::Response::Put(put) = &responses[1] else { panic!("{responses:?}") };
    assert_eq!(revision(put.header.as_ref()), 3);
    let response_op::Response::Txn(inner) = &responses[2] else { panic!("{responses:?}") };
    assert!(!inner.succeeded, "what it compares is the state before the whole");
    let Some(response_op::Response::Range(range)) = &inner.responses[1].response else { panic!("{inner:?}") };
    assert_eq!((keys(range), revision(range.header.as_ref())), (vec!["/a", "/c"], 3));
    served.shutdown().await;
}

#[tokio::test]
async fn watches_are_numbered_refused_and_cancelled_as_in_etcd() {
    let served = serve().await;
    served.put("/a", "1").await;
    let mut watches = served.watches().await;
    watches.create(watch("/a", "", 0));
    let created = watches.answer().await;
    assert_eq!((created.watch_id, created.created, created.canceled), (0, true, false));
    assert_eq!(revision(created.header.as_ref()), 2);
    watches.create(WatchCreateRequest { watch_id: 7, ..watch("/a", "", 0) });
    assert_eq!(watches.answer().await.watch_id, 7);
    let mut refused = async |request: WatchCreateRequest| {
        watches.create(request);
        let answer = watches.answer().await;
        assert_eq!((answer.watch_id, answer.created, answer.canceled), (-1, true, true));
        answer.cancel_reason
    };
    let twice = refused(WatchCreateRequest { watch_id: 7, ..watch("/b", "", 0) }).await;
    assert_eq!(twice, "mvcc: duplicate watch ID provided on the WatchStream");
    assert_eq!(refused(watch("/b", "/a", 0)).await, "mvcc: watcher range is empty");
    let negative = refused(watch("/b", "", -1)).await;
    assert_eq!(negative, "etcdserver: mvcc: required revision has been compacted");
    // A watch that is not there is not spoken of: the next answer is that of the one that is.
    watches.cancel(99);
    watches.cancel(7);
    let cancelled = watches.answer().await;
    assert_eq!((cancelled.watch_id, cancelled.canceled, cancelled.created), (7, true, false));
    served.put("/a", "2").await;
    let told = watches.answer().await;
    assert_eq!((told.watch_id, told.events.len()), (0, 1));
    watches.create(watch("/a", "", 0));
    assert_eq!(watches.answer().await.watch_id, 1);
    // The client has nothing more to ask: the stream ends well.
    drop(std::mem::replace(&mut watches.requests, mpsc::unbounded_channel().0));
    assert!(watches.next().await.unwrap().is_none());
    served.shutdown().await;
}

#[tokio::test]
async fn a_watch_tells_what_it_is_to_tell() {
    let served = serve().await;
    served.put("/a", "1").await;
    served.put("/a", "2").await;
    served.store.delete("/a").await.unwrap();
    served.put("/b", "3").await;
    let mut watches = served.watches().await;
    watches.create(WatchCreateRequest { prev_kv: true, ..watch("/", "0", 2) });
    watches.answer().await;
    // Four revisions that lie behind come in one answer.
    let told = watches.answer().await;
    assert_eq!((told.events.len(), revision(told.header.as_ref())), (4, 5));
    let shown: Vec<_> = told
        .events
        .iter()
        .map(|event| {
            let kv = event.kv.as_ref().unwrap();
            let before = event.prev_kv.as_ref().map_or(0, |kv| kv.mod_revision);
            (event.r#type, &kv.key[..], &kv.value[..], kv.mod_revision, kv.version, before)
        })
        .collect();
    let expected = [
        (0, &b"/a"[..], &b"1"[..], 2, 1, 0),
        (0, b"/a", b"2", 3, 2, 2),
        (1, b"/a", b"", 4, 0, 3),
        (0, b"/b", b"3", 5, 1, 0),
    ];
    assert_eq!(shown, expected);
    watches.create(WatchCreateRequest { filters: vec![FilterType::NoPut.into()], ..watch("/", "0", 2) });
    assert!(watches.answer().await.created);
    let told = watches.answer().await;
    assert_eq!((told.events.len(), told.events[0].r#type), (1, 1));
    assert!(told.events[0].prev_kv.is_none(), "nobody asked for what was there before");
    watches.create(WatchCreateRequest { filters: vec![FilterType::NoDelete.into()], ..watch("/a", "", 2) });
    assert!(watches.answer().await.created);
    assert_eq!(watches.answer().await.events.len(), 2);
    // An empty key is the first there can be.
    watches.create(watch("", "\0", 5));
    assert!(watches.answer().await.created);
    assert_eq!(watches.answer().await.events.len(), 1);
    served.shutdown().await;
}

#[tokio::test]
async fn a_watch_of_what_is_compacted_is_made_and_ended() {
    let served = serve().await;
    for number in 0..5 {
        served.put("/a", &number.to_string()).await;
    }
    served.store.compact(Revision(5)).await.unwrap();
    let mut watches = served.watches().await;
    watches.create(watch("/a", "", 3));
    let created = watches.answer().await;
    assert!(created.created && !created.canceled);
    let ended = watches.answer().await;
    assert_eq!((ended.canceled, ended.compact_revision, ended.watch_id), (true, 5, created.watch_id));
    assert!(ended.cancel_reason.is_empty() && ended.events.is_empty());
    // The number is the client's until it gives it back.
    watches.cancel(created.watch_id);
    assert!(watches.answer().await.canceled);
    watches.create(watch("/a", "", 5));
    assert!(watches.answer().await.created);
    assert_eq!(watches.answer().await.events.len(), 2);
    served.shutdown().await;
}

/// One revision of five megabytes.
async fn long_revision(store: &MemoryStore) -> i64 {
    let txn = (0..100).fold(Txn::new(), |txn, number| {
        txn.then(Op::put(format!("/long/{number:03}"), vec![number as u8; 50_000]))
    });
    i64::try_from(store.commit(txn).await.unwrap().revision.0).unwrap()
}

#[tokio::test]
async fn a_long_revision_comes_in_fragments_only_to_whom_takes_them() {
    let served = serve().await;
    let mut watches = served.watches().await;
    watches.create(WatchCreateRequest { fragment: true, ..watch("/long/", "/long0", 0) });
    watches.create(WatchCreateRequest { watch_id: 9, ..watch("/long/", "/long0", 0) });
    watches.answer().await;
    watches.answer().await;
    let at = long_revision(&served.store).await;
    let (mut parts, mut whole) = (Vec::new(), None);
    while whole.is_none() || parts.last().is_none_or(|part: &WatchResponse| part.fragment) {
        let told = watches.answer().await;
        assert_eq!(revision(told.header.as_ref()), at);
        if told.watch_id == 9 {
            assert!(whole.replace(told).is_none());
        } else {
            parts.push(told);
        }
    }
    assert_eq!(whole.unwrap().events.len(), 100);
    assert!(parts.len() > 2 && parts.iter().all(|part| part.encoded_len() < 2 << 20));
    let events: Vec<_> = parts.iter().flat_map(|part| &part.events).collect();
    assert_eq!(events.len(), 100);
    assert!(
        events.windows(2).all(|pair| pair[0].kv.as_ref().unwrap().key < pair[1].kv.as_ref().unwrap().key)
    );
    served.shutdown().await;
}

#[tokio::test]
async fn progress_comes_behind_everything_that_it_speaks_for() {
    let served = serve().await;
    let mut watches = served.watches().await;
    watches.create(watch("/a/", "/a0", 0));
    watches.create(watch("/b/", "/b0", 0));
    watches.answer().await;
    watches.answer().await;
    for round in 0..20 {
        for number in 0..20 {
            served.put(&format!("/{}/{number}", if number % 2 == 0 { "a" } else { "c" }), "x").await;
        }
        let newest = i64::try_from(served.store.revision().await.unwrap().0).unwrap();
        watches.progress();
        let mut seen = 0;
        loop {
            let told = watches.answer().await;
            if told.watch_id == -1 {
                assert!(told.events.is_empty() && revision(told.header.as_ref()) >= newest);
                break;
            }
            assert_eq!(told.watch_id, 0);
            seen += told.events.len();
        }
        assert_eq!(seen, 10, "round {round}");
    }
    // Of a watch that begins later there is no progress, and so of the whole stream none.
    watches.create(watch("/d", "", 10_000));
    assert!(watches.answer().await.created);
    watches.progress();
    watches.cancel(2);
    assert!(watches.answer().await.canceled);
    watches.progress();
    assert_eq!(watches.answer().await.watch_id, -1);
    served.shutdown().await;
}

#[tokio::test]
async fn a_quiet_watch_says_now_and_then_how_far_it_is() {
    let options = EtcdServerOptions::default().progress_interval(Duration::from_millis(50));
    let served = serve_with(options).await;
    let mut watches = served.watches().await;
    watches.create(WatchCreateRequest { progress_notify: true, ..watch("/a", "", 0) });
    watches.create(watch("/a", "", 0));
    watches.answer().await;
    watches.answer().await;
    let at = revision(served.put("/other", "x").await.header.as_ref());
    loop {
        let told = watches.answer().await;
        assert_eq!((told.watch_id, told.events.len()), (0, 0));
        if revision(told.header.as_ref()) >= at {
            break;
        }
    }
    served.shutdown().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_up_and_misses_nothing() {
    const WRITES: usize = 10_000;
    let served = serve().await;
    // A connection of its own, so that only the slow one is full.
    let slow = Endpoint::from_shared(format!("http://{}", served.server.address()))
        .unwrap()
        .initial_stream_window_size(16 * 1024)
        .initial_connection_window_size(64 * 1024)
        .connect()
        .await
        .unwrap();
    let mut unread = open::<WatchRequest, WatchResponse>(slow, "/etcdserverpb.Watch/Watch").await;
    unread.create(watch("/a", "/b", 0));
    assert!(unread.answer().await.created);
    let mut read = served.watches().await;
    read.create(watch("/a", "/b", 0));
    assert!(read.answer().await.created);
    let value = "x".repeat(1000);
    let store = served.store.clone();
    let writes = async {
        for number in 0..WRITES {
            store.put(format!("/a/{}", number % 10), value.clone()).await.unwrap();
            if number % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    let follow = async |watches: &mut Duplex<WatchRequest, WatchResponse>| {
        let (mut next, mut answers) = (2, 0);
        while next < 2 + WRITES as i64 {
            let told = watches.answer().await;
            answers += 1;
            for event in told.events {
                assert_eq!(event.kv.unwrap().mod_revision, next);
                next += 1;
            }
        }
        answers
    };
    tokio::join!(writes, follow(&mut read));
    // Ten megabytes are written and read by the other; this one has not taken any of it.
    let answers = follow(&mut unread).await;
    assert!(answers < WRITES / 10, "what lies behind comes many revisions at a time: {answers}");
    drop(unread);
    served.shutdown().await;
}

#[tokio::test]
async fn a_server_that_shuts_down_sends_its_watches_elsewhere() {
    let served = serve().await;
    let mut watches = served.watches().await;
    watches.create(watch("/a", "", 0));
    watches.answer().await;
    let address = served.server.address();
    let (ended, ()) = tokio::join!(watches.next(), served.server.shutdown());
    let status = ended.expect_err("the watch ends");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: server stopped"));
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is free again");
    served.shutdown().await;
}

#[tokio::test]
async fn a_member_says_who_it_is() {
    let served = serve().await;
    served.put("/a", "1").await;
    let status: proto::StatusResponse = served.call("/etcdserverpb.Maintenance/Status", ()).await.unwrap();
    let header = status.header.unwrap();
    assert_eq!((status.leader, header.revision), (header.member_id, 2));
    assert!(status.version.starts_with("3.5.") && status.errors.is_empty());
    let members: proto::MemberListResponse =
        served.call("/etcdserverpb.Cluster/MemberList", ()).await.unwrap();
    assert_eq!(members.members[0].id, header.member_id);
    assert_eq!(members.members[0].client_urls, [format!("http://{}", served.server.address())]);
    let auth: proto::AuthStatusResponse = served.call("/etcdserverpb.Auth/AuthStatus", ()).await.unwrap();
    assert!(!auth.enabled);
    served.shutdown().await;
}

#[tokio::test]
async fn leases_are_kept_alive_listed_and_revoked() {
    let served = serve().await;
    let grant = |id, ttl| {
        served.call::<_, proto::LeaseGrantResponse>(
            "/etcdserverpb.Lease/LeaseGrant",
            proto::LeaseGrantRequest { id, ttl },
        )
    };
    let granted = grant(7, 100).await.unwrap();
    assert_eq!((granted.id, granted.ttl, revision(granted.header.as_ref())), (7, 100, 1));
    assert!(grant(0, 100).await.unwrap().id > 0);
    let twice = grant(7, 100).await.expect_err("refused");
    assert_eq!(
        (twice.code(), twice.message()),
        (Code::FailedPrecondition, "etcdserver: lease already exists")
    );
    let long = grant(8, 9_000_000_001).await.expect_err("refused");
    assert_eq!((long.code(), long.message()), (Code::OutOfRange, "etcdserver: too large lease TTL"));
    let put = PutRequest { key: copied("/leased"), value: copied("x"), lease: 7, ..PutRequest::default() };
    let _: PutResponse = served.call("/etcdserverpb.KV/Put", put).await.unwrap();
    let left = |id| {
        served.call::<_, proto::LeaseTimeToLiveResponse>(
            "/etcdserverpb.Lease/LeaseTimeToLive",
            proto::LeaseTimeToLiveRequest { id, keys: true },
        )
    };
    let status = left(7).await.unwrap();
    assert_eq!((status.granted_ttl, &status.keys[..]), (100, &[copied("/leased")][..]));
    assert!((90..=100).contains(&status.ttl), "{}", status.ttl);
    let mut alive = served.stream("/etcdserverpb.Lease/LeaseKeepAlive").await;
    for (id, ttl) in [(7, 100), (99, 0), (7, 100)] {
        alive.requests.send(proto::LeaseKeepAliveRequest { id }).unwrap();
        let answer: proto::LeaseKeepAliveResponse = alive.answer().await;
        assert_eq!((answer.id, answer.ttl, revision(answer.header.as_ref())), (id, ttl, 2));
    }
    let all: proto::LeaseLeasesResponse = served.call("/etcdserverpb.Lease/LeaseLeases", ()).await.unwrap();
    assert_eq!(all.leases.len(), 2);
    let revoke = || {
        served.call::<_, proto::LeaseRevokeResponse>(
            "/etcdserverpb.Lease/LeaseRevoke",
            proto::LeaseRevokeRequest { id: 7 },
        )
    };
    assert_eq!(revision(revoke().await.unwrap().header.as_ref()), 3);
    assert_eq!(revoke().await.expect_err("gone").message(), "etcdserver: requested lease not found");
    assert_eq!(left(7).await.unwrap().ttl, -1);
    assert_eq!(served.range(get("/leased", "")).await.unwrap().count, 0);
    served.shutdown().await;
}

#[tokio::test]
async fn a_store_that_is_full_says_so_until_it_is_compacted() {
    let options = MemoryOptions::default().history_bytes(64 * 1024).history_full(HistoryFull::NoSpace);
    let served = serve_store(MemoryStore::with_options(options), EtcdServerOptions::default()).await;
    let put = || {
        let request = PutRequest { key: copied("/a"), value: vec![0; 4096].into(), ..PutRequest::default() };
        served.call::<_, PutResponse>("/etcdserverpb.KV/Put", request)
    };
    let mut newest = 0;
    let refused = loop {
        match put().await {
            Ok(answer) => newest = revision(answer.header.as_ref()),
            Err(status) => break status,
        }
        assert!(newest < 100, "a history of 64 KiB never fills");
    };
    let words = "etcdserver: mvcc: database space exceeded";
    assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, words));
    assert_eq!(served.range(get("/a", "")).await.unwrap().count, 1);
    let alarm = |action: proto::AlarmAction, alarm: proto::AlarmType, member_id| {
        let request = proto::AlarmRequest { action: action.into(), member_id, alarm: alarm.into() };
        served.call::<_, proto::AlarmResponse>("/etcdserverpb.Maintenance/Alarm", request)
    };
    let raised = alarm(proto::AlarmAction::Get, proto::AlarmType::None, 0).await.unwrap().alarms;
    assert!(raised.iter().all(|alarm| alarm.alarm() == proto::AlarmType::NoSpace));
    let compact = proto::CompactionRequest { revision: newest, physical: true };
    let _: proto::CompactionResponse = served.call("/etcdserverpb.KV/Compact", compact).await.unwrap();
    for each in raised {
        let gone = alarm(proto::AlarmAction::Deactivate, each.alarm(), each.member_id).await.unwrap();
        assert_eq!(gone.alarms, [each]);
    }
    put().await.expect("there is room again");
    let left = alarm(proto::AlarmAction::Get, proto::AlarmType::None, 0).await.unwrap();
    assert!(left.alarms.is_empty());
    served.shutdown().await;
}

#[tokio::test]
async fn what_is_not_grpc_is_refused() {
    let served = serve().await;
    let mut socket = tokio::net::TcpStream::connect(served.server.address()).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut answer);
    // The connection ends: nothing but HTTP/2 is spoken here.
    let _ = Clock::system().timeout(PATIENCE, read).await.expect("an end");
    served.put("/still", "here").await;
    served.shutdown().await;
}

/// etcdctl, led to a server.
struct Etcdctl {
    program: PathBuf,
    endpoint: String,
}

impl Etcdctl {
    /// What `WINDLASS_ETCDCTL` names, or the one on the path; where there is none, the test is skipped.
    fn find(test: &str, served: &Served) -> Option<Self> {
        let named = std::env::var_os("WINDLASS_ETCDCTL").map(PathBuf::from);
        let program = named.or_else(|| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).map(|folder| folder.join("etcdctl")).find(|file| file.is_file())
        });
        if program.is_none() {
            skip(test, "there is no etcdctl: set WINDLASS_ETCDCTL");
        }
        Some(Self { program: program?, endpoint: served.server.address().to_string() })
    }

    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoint])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn output(&self, arguments: &[&str]) -> std::process::Output {
        Clock::system()
            .timeout(PATIENCE, self.command(arguments).output())
            .await
            .unwrap_or_else(|_| panic!("etcdctl {arguments:?} does not end"))
            .expect("etcdctl runs")
    }

    /// What it prints when all goes well.
    async fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What it complains of.
    async fn fails(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        assert!(!output.status.success(), "etcdctl {arguments:?} succeeds");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-w", "json"]].concat();
        serde_json::from_str(&self.run(&arguments).await).expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_reads_and_writes() {
    let served = serve().await;
    let Some(etcdctl) = Etcdctl::find("etcdctl_reads_and_writes", &served) else { return };
    for (key, value) in [("/a/1", "one"), ("/a/2", "two"), ("/a/3", "three"), ("/a/1", "uno")] {
        assert_eq!(etcdctl.run(&["put", key, value]).await, "OK\n");
    }
    assert_eq!(etcdctl.run(&["put", "--prev-kv", "/a/2", "dos"]).await, "OK\n/a/2\ntwo\n");
    assert_eq!(etcdctl.run(&["get", "--prefix", "/a/", "--print-value-only"]).await, "uno\ndos\nthree\n");
    let sorted = ["get", "--prefix", "/a/", "--keys-only", "--sort-by", "MODIFY", "--order", "DESCEND"];
    assert_eq!(etcdctl.run(&sorted).await, "/a/2\n\n/a/1\n\n/a/3\n\n");
    assert_eq!(etcdctl.run(&["get", "/a/1", "--rev", "2"]).await, "/a/1\none\n");
    let json = etcdctl.json(&["get", "--prefix", "/a/", "--limit", "1"]).await;
    assert_eq!(
        (&json["count"], &json["more"], &json["header"]["revision"]),
        (&3.into(), &true.into(), &6.into())
    );
    assert_eq!(json["kvs"][0]["version"], 2);
    let mut txn = etcdctl.command(&["txn"]).stdin(Stdio::piped()).spawn().unwrap();
    let program =
        b"mod(\"/a/1\") = \"5\"\nvalue(\"/a/2\") = \"dos\"\n\nput /a/4 cuatro\nget /a/4\n\nget /a/1\n\n";
    txn.stdin.take().unwrap().write_all(program).await.unwrap();
    let answer = txn.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "SUCCESS\n\nOK\n\n/a/4\ncuatro\n");
    assert_eq!(etcdctl.run(&["del", "--prefix", "/a/4", "--prev-kv"]).await, "1\n/a/4\ncuatro\n");
    assert_eq!(etcdctl.run(&["compaction", "--physical", "6"]).await, "compacted revision 6\n");
    let compacted = etcdctl.fails(&["get", "/a/1", "--rev", "3"]).await;
    assert!(compacted.contains("required revision has been compacted"), "{compacted}");
    let future = etcdctl.fails(&["compaction", "99"]).await;
    assert!(future.contains("required revision is a future revision"), "{future}");
    served.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_watches() {
    let served = serve().await;
    let Some(etcdctl) = Etcdctl::find("etcdctl_watches", &served) else { return };
    for value in ["1", "2"] {
        served.put("/w/a", value).await;
    }
    let mut watching =
        etcdctl.command(&["watch", "--prefix", "/w/", "--rev", "2", "--prev-kv"]).spawn().unwrap();
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(watching.stdout.take().unwrap()));
    let mut next = async || {
        Clock::system().timeout(PATIENCE, lines.next_line()).await.expect("a line").unwrap().expect("a line")
    };
    for expected in ["PUT", "/w/a", "1", "PUT", "/w/a", "1", "/w/a", "2"] {
        assert_eq!(next().await, expected);
    }
    served.put("/w/b", "3").await;
    for expected in ["PUT", "/w/b", "3"] {
        assert_eq!(next().await, expected);
    }
    served.store.delete("/w/a").await.unwrap();
    for expected in ["DELETE", "/w/a", "2", "/w/a", ""] {
        assert_eq!(next().await, expected);
    }
    watching.kill().await.unwrap();
    served.store.compact(Revision(4)).await.unwrap();
    let compacted = etcdctl.fails(&["watch", "/w/a", "--rev", "2"]).await;
    assert!(compacted.contains("required revision has been compacted"), "{compacted}");
    served.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_asks_how_it_is() {
    let served = serve().await;
    let Some(etcdctl) = Etcdctl::find("etcdctl_asks_how_it_is", &served) else { return };
    served.put("/a", "1").await;
    let members = etcdctl.json(&["member", "list"]).await;
    assert_eq!(members["members"][0]["name"], "default");
    let status = etcdctl.json(&["endpoint", "status"]).await;
    assert_eq!(status[0]["Status"]["header"]["revision"], 2);
    let by_url = Etcdctl { endpoint: format!("http://{}", etcdctl.endpoint), ..etcdctl };
    assert_eq!(by_url.run(&["get", "/a", "--print-value-only"]).await, "1\n");
    // For these, etcdctl 3.4 has a connection whose authority is the whole URL.
    let status = by_url.json(&["endpoint", "status"]).await;
    assert_eq!(status[0]["Status"]["header"]["revision"], 2);
    by_url.run(&["defrag"]).await;
    let etcdctl = Etcdctl { endpoint: served.server.address().to_string(), ..by_url };
    let health = etcdctl.output(&["endpoint", "health"]).await;
    assert!(health.status.success(), "{health:?}");
    assert_eq!(etcdctl.run(&["alarm", "list"]).await, "");
    let refused = etcdctl.fails(&["auth", "enable"]).await;
    assert!(refused.contains("root user does not exist"), "{refused}");
    let refused = etcdctl.fails(&["member", "add", "second", "--peer-urls=http://127.0.0.1:1"]).await;
    assert!(refused.contains("not enough started members"), "{refused}");
    served.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_leases_locks_and_elects() {
    let served = serve().await;
    let Some(etcdctl) = Etcdctl::find("etcdctl_leases_locks_and_elects", &served) else { return };
    let granted = etcdctl.run(&["lease", "grant", "100"]).await;
    let id = granted.split(' ').nth(1).expect("a number").to_owned();
    etcdctl.run(&["put", "/leased", "x", "--lease", &id]).await;
    let alive = etcdctl.run(&["lease", "keep-alive", "--once", &id]).await;
    assert!(alive.contains("keepalived with TTL(100)"), "{alive}");
    let left = etcdctl.run(&["lease", "timetolive", "--keys", &id]).await;
    assert!(left.contains("granted with TTL(100s)") && left.contains("/leased"), "{left}");
    assert!(etcdctl.run(&["lease", "list"]).await.contains(&id));
    etcdctl.run(&["lease", "revoke", &id]).await;
    assert_eq!(etcdctl.run(&["get", "/leased"]).await, "");
    assert!(etcdctl.run(&["lease", "timetolive", &id]).await.contains("already expired"));
    assert!(etcdctl.run(&["lock", "mutex", "echo", "held"]).await.contains("held"));
    let mut elected = etcdctl.command(&["elect", "chair", "first"]).spawn().unwrap();
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(elected.stdout.take().unwrap()));
    for expected in ["chair/", "first"] {
        let line = Clock::system().timeout(PATIENCE, lines.next_line()).await.expect("a line");
        assert!(line.unwrap().unwrap().starts_with(expected));
    }
    elected.kill().await.unwrap();
    served.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_saves_a_snapshot_that_a_store_is_made_of() {
    let served = serve().await;
    let Some(etcdctl) = Etcdctl::find("etcdctl_saves_a_snapshot", &served) else { return };
    for number in 0..1000 {
        served.store.put(format!("/{number}"), vec![number as u8; 700]).await.unwrap();
    }
    etcdctl.run(&["defrag"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved");
    let saved = etcdctl.run(&["snapshot", "save", file.to_str().unwrap()]).await;
    assert!(saved.contains("Snapshot saved at"), "{saved}");
    let bytes = bytes::Bytes::from(std::fs::read(&file).unwrap());
    assert_eq!(bytes.len() % 512, 32, "whole pages and a checksum");
    let pieces = futures_util::stream::iter([Ok(bytes)]);
    let restored = MemoryStore::restore(MemoryOptions::default(), Box::pin(pieces)).await.unwrap();
    assert_eq!(restored.revision().await.unwrap(), Revision(1001));
    assert_eq!(restored.get(b"/999").await.unwrap().unwrap().value.len(), 700);
    served.shutdown().await;
}

/// The whole contract, through a real client of etcd: what a store promises, it promises over the wire.
#[cfg(feature = "etcd")]
mod conformance {
    use std::sync::Arc;

    use bytes::Bytes;
    use tokio::net::TcpListener;
    use windlass::env::Env;
    use windlass::store::conformance::Subject;
    use windlass::store::etcd_server::{EtcdServer, EtcdServerOptions};
    use windlass::store::{EtcdOptions, EtcdStore, MemoryOptions, MemoryStore};

    windlass::store_conformance!(
        served(MemoryStore::new()).await;
        quota = quota;
        restore = restored;
    );

    async fn served(store: MemoryStore) -> Subject {
        let env = Env::system();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = EtcdServer::start(&env, Arc::new(store), listener, EtcdServerOptions::default())
            .expect("a server");
        let endpoint = format!("http://{}", server.address());
        let client = EtcdStore::connect([endpoint], EtcdOptions::default()).await.expect("it answers");
        Subject::new(client).holding((server, env))
    }

    async fn quota(bytes: u64) -> Subject {
        served(MemoryStore::with_options(MemoryOptions::default().quota_bytes(bytes))).await
    }

    async fn restored(snapshot: Bytes) -> Subject {
        let pieces = futures_util::stream::iter([Ok(snapshot)]);
        let store = MemoryStore::restore(MemoryOptions::default(), Box::pin(pieces)).await;
        served(store.expect("a snapshot")).await
    }
}
