//! A real etcd as the store: the contract's suite, judged by the original, and one member's bounds,
//! TLS, users and restarts. What a cluster does besides is in `store_etcd_cluster`.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{Client, ConnectOptions, Permission, PermissionType};
use futures_util::StreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify};
use windlass::api::{Object, ObjectKey, Resource, Scope};
use windlass::env::{Clock, Env};
use windlass::store::cached::{Change, ListQuery, ObjectEvent, Outcome, WatchQuery};
use windlass::store::conformance::Subject;
use windlass::store::{
    Cached, Error, EtcdOptions, EtcdStore, EtcdTls, KeyRange, KeyValue, ListOptions, Maintenance,
    ObjectStore, ObjectStoreExt, Op, Result, Revision, StoreStatus, Txn, WatchBatch, WatchOptions,
    WatchStream,
};

use crate::support::etcd::{Config, Etcd, Tls, find, wait};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

mod conformance {
    use super::{absent, quota, restored, single};
    use crate::support::skip;

    windlass::store_conformance!(
        single().await;
        quota = quota;
        restore = restored;
        all = true;
        absent = absent();
        skip = skip;
    );
}

fn absent() -> Option<String> {
    let missing = find("WINDLASS_ETCD", "etcd").is_none();
    missing.then(|| "there is no etcd: set WINDLASS_ETCD, or install etcd-server".to_owned())
}

pub(crate) async fn connect(etcd: &Etcd) -> EtcdStore {
    EtcdStore::connect(etcd.endpoints(), EtcdOptions::default()).await.expect("etcd answers")
}

/// An empty store on a member of its own.
async fn single() -> Subject {
    subject(Config::default()).await
}

async fn quota(bytes: u64) -> Subject {
    subject(Config::default().arguments(&["--quota-backend-bytes", &bytes.to_string()])).await
}

/// A store that goes on from a snapshot.
async fn restored(snapshot: Bytes) -> Subject {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("snapshot");
    std::fs::write(&file, snapshot).expect("a file");
    subject(Config::default().snapshot(file)).await
}

async fn subject(config: Config) -> Subject {
    let etcd = Etcd::start_with("the suite", config).await.expect("there is one");
    let store = connect(&etcd).await;
    let etcd = Rc::new(Mutex::new(etcd));
    let again = etcd.clone();
    let reopen = move || {
        let etcd = again.clone();
        async move {
            let mut etcd = etcd.lock().await;
            etcd.kill(0);
            etcd.restart(0).await;
            connect(&etcd).await
        }
    };
    Subject::new(store).holding(etcd).reopened_by(reopen)
}

/// The next item of a watch, which must come.
pub(crate) async fn item(watch: &mut WatchStream) -> Result<WatchBatch> {
    let item = Clock::system().timeout(PATIENCE, watch.next()).await.expect("a watch delivers what there is");
    item.expect("a watch ends with an error")
}

/// The next batch with events.
pub(crate) async fn next(watch: &mut WatchStream) -> WatchBatch {
    loop {
        let batch = item(watch).await.expect("the watch goes on");
        if !batch.events.is_empty() {
            return batch;
        }
    }
}

/// What must be refused, and nothing of it done.
async fn refused(store: &EtcdStore, txn: Txn, word: &str) {
    let before = store.revision().await.unwrap();
    match store.commit(txn).await {
        Err(Error::Refused { why }) => assert!(why.contains(word), "{why}"),
        answer => panic!("{word}: {answer:?}"),
    }
    assert_eq!(store.revision().await.unwrap(), before);
}

#[tokio::test]
async fn what_is_too_big_is_refused_in_words() {
    let Some(etcd) = Etcd::start("what_is_too_big_is_refused_in_words").await else { return };
    let store = connect(&etcd).await;
    let many = |count: usize| {
        (0..count).fold(Txn::new(), |txn, number| txn.then(Op::put(format!("/{number}"), "x")))
    };
    assert!(store.commit(many(128)).await.unwrap().succeeded);
    refused(&store, many(129), "too many operations").await;
    refused(&store, Txn::new().then(Op::Txn(many(128))), "too many operations").await;
    let big = |bytes: usize| Txn::new().then(Op::put("/big", vec![1; bytes]));
    assert!(store.commit(big(1_500_000)).await.unwrap().succeeded);
    // The first bound is etcd's, the second that of its gRPC server.
    refused(&store, big(1_600_000), "request is too large").await;
    refused(&store, big(4_000_000), "larger than max").await;
    // Answers have no bound.
    for number in 0..10 {
        store.put(format!("/much/{number}"), vec![2; 1_000_000]).await.unwrap();
    }
    let page = store.list(KeyRange::prefix("/much/"), ListOptions::default()).await.unwrap();
    assert_eq!(page.items.iter().map(|kv| kv.value.len()).sum::<usize>(), 10_000_000);
}

#[tokio::test]
async fn nobody_is_reached_where_nobody_is() {
    let Some(etcd) = Etcd::start("nobody_is_reached_where_nobody_is").await else { return };
    let options = || EtcdOptions::default().request_timeout(Duration::from_millis(500));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = format!("http://{nobody}");
    assert!(matches!(EtcdStore::connect([dead.clone()], options()).await, Err(Error::Unavailable { .. })));
    assert!(matches!(EtcdStore::connect(Vec::<String>::new(), options()).await, Err(Error::Refused { .. })));
    assert!(matches!(EtcdStore::connect(["http://a b"], options()).await, Err(Error::Refused { .. })));
    // One that is there is enough, whichever is asked first.
    for seed in 0..4 {
        let env = Env { random: windlass::env::Random::seeded(seed), ..Env::system() };
        let store = EtcdStore::connect([dead.clone(), etcd.endpoint(0)], options().env(env)).await.unwrap();
        store.put("/a", seed.to_string()).await.unwrap();
    }
}

#[tokio::test]
async fn a_revision_that_etcd_sends_in_fragments_is_one_batch() {
    let Some(etcd) = Etcd::start("a_revision_that_etcd_sends_in_fragments_is_one_batch").await else {
        return;
    };
    let store = connect(&etcd).await;
    let start = store.revision().await.unwrap().next();
    let mut live = store.watch(KeyRange::all(), WatchOptions::from(start).with_previous()).await.unwrap();
    // What a key held before doubles the answer, which so exceeds the 1.5 MiB that the request keeps to.
    let all = |value: u8| {
        (0..70).fold(Txn::new(), |txn, key| txn.then(Op::put(format!("/{key:02}"), vec![value; 20_000])))
    };
    for value in 1..5 {
        store.commit(all(value)).await.unwrap();
    }
    let mut late = store.watch(KeyRange::all(), WatchOptions::from(start).with_previous()).await.unwrap();
    for watch in [&mut live, &mut late] {
        for value in 1..5 {
            let batch = next(watch).await;
            assert_eq!((batch.revision, batch.events.len()), (Revision(start.0 + value - 1), 70));
            for (key, event) in batch.events.iter().enumerate() {
                assert_eq!(event.kv.key, format!("/{key:02}"));
                assert!(event.kv.value.iter().all(|byte| u64::from(*byte) == value));
                let before = |kv: &KeyValue| u64::from(kv.value[0]) == value - 1;
                assert_eq!(event.previous.as_ref().is_some_and(before), value > 1);
            }
        }
    }
}

#[tokio::test]
async fn a_watch_that_is_not_read_holds_little_and_misses_nothing() {
    let Some(etcd) = Etcd::start("a_watch_that_is_not_read_holds_little_and_misses_nothing").await else {
        return;
    };
    let options = EtcdOptions::default().watch_buffer_bytes(10_000);
    let store = EtcdStore::connect(etcd.endpoints(), options).await.unwrap();
    let start = store.revision().await.unwrap().next();
    let mut slow = store.watch(KeyRange::prefix("/a"), WatchOptions::default()).await.unwrap();
    let mut overtaken = store.watch(KeyRange::prefix("/a"), WatchOptions::default()).await.unwrap();
    for number in 0..300 {
        store.put("/a", vec![number as u8; 1000]).await.unwrap();
    }
    for number in 0..200 {
        assert_eq!(next(&mut slow).await.revision, Revision(start.0 + number));
    }
    // The rest of the other one is not here but at the server, and compacted there.
    let floor = Revision(start.0 + 150);
    store.compact(floor).await.unwrap();
    let mut expected = start;
    let oldest = loop {
        match item(&mut overtaken).await {
            Ok(batch) if batch.events.is_empty() => {}
            Ok(batch) => {
                assert_eq!(batch.revision, expected);
                expected = expected.next();
            }
            Err(Error::Compacted { oldest }) => break oldest,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(oldest, floor);
    assert!((start.0 + 1..start.0 + 50).contains(&expected.0), "it held everything up to {expected}");
    for number in 200..300 {
        assert_eq!(next(&mut slow).await.revision, Revision(start.0 + number));
    }
}

#[tokio::test]
async fn a_member_that_comes_back_finds_its_watches_where_they_were() {
    let test = "a_member_that_comes_back_finds_its_watches_where_they_were";
    let Some(mut etcd) = Etcd::start(test).await else { return };
    let options = EtcdOptions::default().request_timeout(Duration::from_millis(300));
    let store = EtcdStore::connect(etcd.endpoints(), options).await.unwrap();
    let mut seen = store.watch(KeyRange::prefix("/a/"), WatchOptions::default()).await.unwrap();
    let mut quiet = store.watch(KeyRange::prefix("/quiet/"), WatchOptions::default()).await.unwrap();
    for round in 0..3 {
        let written = wait("the member to answer", async || store.put("/a/x", "x").await.ok()).await;
        let mut batch = next(&mut seen).await;
        // A put whose answer was lost may have happened before.
        while batch.revision < written {
            batch = next(&mut seen).await;
        }
        etcd.kill(0);
        let answer = store.put("/a/x", "lost").await;
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
        let answer = store.get(b"/a/x").await;
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
        etcd.restart(0).await;
        let written = wait("the member to answer", async || store.put("/quiet/x", "x").await.ok()).await;
        let first = next(&mut quiet).await;
        let last = if first.revision < written { next(&mut quiet).await } else { first };
        assert_eq!((last.revision, last.events[0].kv.version > round), (written, true));
    }
}

/// Between a client and a member. While told to, it lets requests through and keeps the answers; then
/// it hangs up.
struct Gag {
    endpoint: String,
    state: Arc<GagState>,
    env: Env,
}

#[derive(Default)]
struct GagState {
    keeps: AtomicBool,
    /// Answers that were kept.
    kept: AtomicUsize,
    taken_off: Notify,
}

impl Gag {
    async fn start(member: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (state, env) = (Arc::new(GagState::default()), Env::system());
        let (shared, tasks) = (state.clone(), env.tasks.clone());
        env.tasks.spawn("gag", async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&member).await.unwrap();
                tasks.spawn("gagged", Self::pass(client, server, shared.clone()));
            }
        });
        Self { endpoint, state, env }
    }

    async fn pass(client: TcpStream, server: TcpStream, state: Arc<GagState>) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let requests = tokio::io::copy(&mut from_client, &mut to_server);
        let answers = async {
            let mut bytes = vec![0; 65_536];
            while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                let taken_off = state.taken_off.notified();
                if state.keeps.load(Ordering::SeqCst) {
                    state.kept.fetch_add(1, Ordering::SeqCst);
                    return taken_off.await;
                }
                if to_client.write_all(&bytes[..count]).await.is_err() {
                    return;
                }
            }
        };
        windlass::select! {
            _ = requests => {},
            () = answers => {},
        }
    }

    /// Loses the answer of a call, once `happened` says that it was heard.
    async fn lose<T>(&self, call: impl Future<Output = T>, happened: impl AsyncFn() -> bool) -> T {
        self.state.keeps.store(true, Ordering::SeqCst);
        let before = self.state.kept.load(Ordering::SeqCst);
        let hang_up = async {
            wait("the request to be heard", async || {
                let kept = self.state.kept.load(Ordering::SeqCst) > before;
                (kept && happened().await).then_some(())
            })
            .await;
            self.state.keeps.store(false, Ordering::SeqCst);
            self.state.taken_off.notify_waiters();
        };
        futures_util::future::join(call, hang_up).await.0
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_not_sent_again() {
    let Some(etcd) = Etcd::start("a_commit_whose_answer_is_lost_is_not_sent_again").await else { return };
    let direct = connect(&etcd).await;
    let gag = Gag::start(etcd.endpoint(0).trim_start_matches("http://").to_owned()).await;
    let store = EtcdStore::connect([gag.endpoint.clone()], EtcdOptions::default()).await.unwrap();
    for round in 1..4 {
        let before = direct.revision().await.unwrap();
        let happened = async || direct.revision().await.unwrap() > before;
        let answer = gag.lose(store.put("/a", "x"), happened).await;
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
        // It happened once. And a read whose answer is lost is asked again.
        let held = gag.lose(store.get(b"/a"), async || true).await.unwrap().expect("it happened");
        assert_eq!((held.version, held.mod_revision), (round, before.next()));
    }
    gag.env.tasks.shutdown().await;
}

/// A certificate authority's files, a server's and a client's.
struct Pki {
    ca: String,
    client: (String, String),
    tls: Tls,
}

fn pki(folder: &std::path::Path) -> Pki {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        KeyUsagePurpose,
    };
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let sign = |names: Vec<String>, usages: &[ExtendedKeyUsagePurpose]| {
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = usages.to_vec();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &ca).unwrap().pem(), key.serialize_pem())
    };
    let both = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let server = sign(vec!["127.0.0.1".into()], &both);
    let client = sign(vec!["client".into()], &both[1..]);
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let tls = Tls {
        certificate: file("server.crt", &server.0),
        key: file("server.key", &server.1),
        client_ca: Some(file("ca.crt", &ca.pem())),
    };
    Pki { ca: ca.pem(), client, tls }
}

#[tokio::test]
async fn tls_lets_in_those_who_show_the_right_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (pki(folder.path()), tempfile::tempdir().unwrap());
    let other = pki(other.path());
    let config = Config::default().tls(ours.tls.clone());
    let test = "tls_lets_in_those_who_show_the_right_certificate";
    let Some(etcd) = Etcd::start_with(test, config).await else { return };
    let endpoint = etcd.endpoint(0);
    assert!(endpoint.starts_with("https://"));
    let connect = async |ca: &str, identity: Option<&(String, String)>, endpoint: &str| {
        let mut tls = EtcdTls::new().ca(ca);
        if let Some((certificate, key)) = identity {
            tls = tls.identity(certificate.clone(), key.clone());
        }
        let options = EtcdOptions::default().tls(tls).request_timeout(Duration::from_secs(2));
        EtcdStore::connect([endpoint], options).await
    };
    let store = connect(&ours.ca, Some(&ours.client), &endpoint).await.unwrap();
    let mut seen = store.watch(KeyRange::all(), WatchOptions::default()).await.unwrap();
    let written = store.put("/a", "1").await.unwrap();
    assert_eq!(next(&mut seen).await.revision, written);
    // An endpoint without a scheme is one of TLS, where there is TLS.
    let bare = endpoint.trim_start_matches("https://");
    assert!(connect(&ours.ca, Some(&ours.client), bare).await.is_ok());
    // A server that we do not trust, and clients that it does not.
    for (ca, identity) in [(&other.ca, Some(&ours.client)), (&ours.ca, Some(&other.client)), (&ours.ca, None)]
    {
        let answer = connect(ca, identity, &endpoint).await;
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    }
}

fn refused_to<T: std::fmt::Debug>(answer: Result<T>) {
    assert!(matches!(answer, Err(Error::Refused { .. })), "{answer:?}");
}

/// Lets `root`, who may do everything, and `reader`, who may see and change what is below `/mine/`,
/// in, and nobody else.
async fn switch_on_users(etcd: &Etcd) {
    let mut admin = Client::connect(etcd.endpoints(), None).await.unwrap();
    for (user, password) in [("root", "root's"), ("reader", "reader's")] {
        admin.user_add(user, password, None).await.unwrap();
    }
    admin.role_add("root").await.unwrap();
    admin.user_grant_role("root", "root").await.unwrap();
    admin.role_add("mine").await.unwrap();
    let mine = Permission::new(PermissionType::Readwrite, "/mine/").with_prefix();
    admin.role_grant_permission("mine", mine).await.unwrap();
    admin.user_grant_role("reader", "mine").await.unwrap();
    admin.auth_enable().await.unwrap();
}

#[tokio::test]
async fn users_are_let_in_by_their_password_and_kept_to_what_is_theirs() {
    let test = "users_are_let_in_by_their_password_and_kept_to_what_is_theirs";
    let Some(mut etcd) = Etcd::start(test).await else { return };
    let options = |user: &str, password: &str| {
        EtcdOptions::default().user(user, password).request_timeout(Duration::from_secs(5))
    };
    let endpoints = etcd.endpoints();
    // One who comes before users are switched on, with a password or without.
    let early = EtcdStore::connect(endpoints.clone(), options("root", "root's")).await.unwrap();
    let nobody = EtcdStore::connect(endpoints.clone(), EtcdOptions::default()).await.unwrap();
    early.put("/before", "1").await.unwrap();
    switch_on_users(&etcd).await;
    early.put("/after", "1").await.unwrap();
    let answer = nobody.put("/after", "2").await;
    assert!(matches!(answer, Err(Error::Refused { .. })), "{answer:?}");
    for (user, password) in [("root", "wrong"), ("stranger", "root's")] {
        let answer = EtcdStore::connect(endpoints.clone(), options(user, password)).await;
        assert!(matches!(answer, Err(Error::Refused { .. })), "{answer:?}");
    }

    let root = EtcdStore::connect(endpoints.clone(), options("root", "root's")).await.unwrap();
    let mut everything = root.watch(KeyRange::all(), WatchOptions::default()).await.unwrap();
    // The reader sees and changes what is his, and learns the revision by a key of his.
    let refused = EtcdStore::connect(endpoints.clone(), options("reader", "reader's")).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    let options = options("reader", "reader's").revision_key("/mine/revision");
    let reader = EtcdStore::connect(endpoints, options).await.unwrap();
    let mut mine = reader.watch(KeyRange::prefix("/mine/"), WatchOptions::default()).await.unwrap();
    let written = reader.put("/mine/a", "0").await.unwrap();
    assert_eq!(next(&mut mine).await.revision, written);
    refused_to(reader.put("/other/a", "0").await);
    refused_to(reader.list(KeyRange::all(), ListOptions::default()).await);
    let mut others = reader.watch(KeyRange::prefix("/other/"), WatchOptions::default()).await.unwrap();
    refused_to(item(&mut others).await);
    // That did not disturb the other watch.
    let written = reader.put("/mine/a", "00").await.unwrap();
    assert_eq!(next(&mut mine).await.revision, written);

    // A member that restarts has forgotten the tokens it gave.
    for _ in 0..2 {
        etcd.kill(0);
        etcd.restart(0).await;
        let written = wait("the member to answer", async || root.put("/mine/a", "1").await.ok()).await;
        while next(&mut everything).await.revision < written {}
        // And a change of rights makes every token old.
        let admin = ConnectOptions::new().with_user("root", "root's");
        let mut admin = Client::connect(etcd.endpoints(), Some(admin)).await.unwrap();
        let more = Permission::new(PermissionType::Read, "/more/").with_prefix();
        admin.role_grant_permission("mine", more).await.unwrap();
        let written = root.put("/mine/a", "2").await.unwrap();
        while next(&mut everything).await.revision < written {}
        let mut late = root.watch(KeyRange::prefix("/mine/"), WatchOptions::from(written)).await.unwrap();
        assert_eq!(next(&mut late).await.revision, written);
    }
}

#[tokio::test]
async fn the_status_is_the_members_and_its_alarm_can_be_taken_back() {
    let test = "the_status_is_the_members_and_its_alarm_can_be_taken_back";
    let config = Config::default().arguments(&["--quota-backend-bytes", "2000000"]);
    let Some(etcd) = Etcd::start_with(test, config).await else { return };
    let store = connect(&etcd).await;
    let upkeep: &dyn Maintenance = &store;
    let StoreStatus { floor, no_space, .. } = upkeep.status().await.unwrap();
    assert_eq!((floor, no_space), (Revision(1), false));
    let full = async || {
        for _ in 0..1000 {
            if matches!(store.put("/a", vec![1; 100_000]).await, Err(Error::NoSpace)) {
                return;
            }
        }
        panic!("there is no end of room");
    };
    full().await;
    assert!(upkeep.status().await.unwrap().no_space);
    let newest = store.revision().await.unwrap();
    store.compact(newest).await.unwrap();
    upkeep.defragment().await.unwrap();
    upkeep.disarm().await.unwrap();
    let status = upkeep.status().await.unwrap();
    assert_eq!((status.floor, status.no_space), (newest, false));
    assert!(status.size_bytes < 1_000_000, "{status:?}");
    store.put("/a", vec![1; 100_000]).await.unwrap();
    full().await;
}

#[tokio::test]
async fn the_cache_stands_on_etcd_as_on_any_store() {
    let Some(mut etcd) = Etcd::start("the_cache_stands_on_etcd_as_on_any_store").await else { return };
    let store = Arc::new(connect(&etcd).await);
    let env = Env::system();
    let cached = Cached::new(store.clone(), &env);
    let row = Arc::new(Resource::new("", "v1", "Pod", "pods", Scope::Namespaced));
    let pod = |name: &str, label: &str| {
        let tree = json!({"metadata": {"namespace": "a", "name": name, "labels": {"l": label}}});
        Object::from_tree(row.clone(), Revision::NONE, tree).unwrap()
    };
    let commit = async |change: Change| cached.commit(vec![change]).await.unwrap();
    let mut watch = cached.watch(&row, &WatchQuery::default()).await.unwrap();
    let mut seen = async || {
        let event = Clock::system().timeout(PATIENCE, watch.next()).await.expect("an event");
        event.expect("the watch goes on").expect("the watch goes on")
    };
    let Outcome::Committed(created) = commit(Change::Create(pod("x", "1"))).await else {
        panic!("a conflict")
    };
    let event = seen().await;
    assert!(matches!(&event, ObjectEvent::Added(object) if object.revision() == created), "{event:?}");
    let conflict = commit(Change::Create(pod("x", "2"))).await;
    assert!(
        matches!(&conflict, Outcome::Conflict { current: Some(object), .. } if object.revision() == created)
    );
    let stale = Change::Update { object: pod("x", "2"), from: Revision(created.0 - 1) };
    assert!(matches!(commit(stale).await, Outcome::Conflict { .. }));
    // A list sees what was committed before it, by whomever, though nothing happened to pods.
    let other = store.put("/registry/nodes/n", "{}").await.unwrap();
    let page = cached.list(&row, &ListQuery::default()).await.unwrap();
    assert_eq!((page.revision, page.items.len()), (other, 1));
    // And after a restart of the member.
    etcd.kill(0);
    etcd.restart(0).await;
    let other = wait("the member to answer", async || store.put("/registry/nodes/n", "{}").await.ok()).await;
    let page =
        wait("the cache to answer", async || cached.list(&row, &ListQuery::default()).await.ok()).await;
    assert!(page.revision >= other);
    let update = Change::Update { object: pod("x", "3"), from: created };
    let Outcome::Committed(changed) = commit(update).await else { panic!("a conflict") };
    let event = seen().await;
    assert!(matches!(&event, ObjectEvent::Modified(object) if object.revision() == changed), "{event:?}");
    let got = cached.get(&row, &ObjectKey::new("a", "x")).await.unwrap().expect("it is there");
    assert_eq!(got.revision(), changed);
}
