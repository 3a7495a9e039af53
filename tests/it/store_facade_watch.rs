//! Watches of a store behind etcd's gRPC API, as a client sees them on the wire.

use std::time::Duration;

use prost::Message;
use tokio::sync::mpsc;
use tonic::transport::Endpoint;
use windlass::store::etcd_server::EtcdServerOptions;
use windlass::store::etcd_server::proto::{FilterType, WatchCreateRequest, WatchRequest, WatchResponse};
use windlass::store::{MemoryStore, ObjectStore, ObjectStoreExt, Op, Revision, Txn};

use super::store_facade_kit::*;

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
