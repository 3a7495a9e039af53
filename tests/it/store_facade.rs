//! A store behind etcd's gRPC API, as a client sees it on the wire.

use tokio::io::AsyncWriteExt;
use tonic::{Code, Status};
use windlass::env::Clock;
use windlass::store::etcd_server::EtcdServerOptions;
use windlass::store::etcd_server::proto::{
    self, Compare, CompareResult, CompareTarget, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, RequestOp, SortOrder, SortTarget, TxnRequest, TxnResponse,
    compare::TargetUnion, request_op, response_op,
};
use windlass::store::{HistoryFull, MemoryOptions, MemoryStore};

use super::store_facade_kit::*;

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
