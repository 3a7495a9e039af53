//! The remote client against the server, over TLS on a port of the loopback interface.

use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use windlass::api::{Object, Revision, Scheme};
use windlass::client::remote::{RemoteClient, RemoteError};
use windlass::client::{
    Api, Client, ClientExt, DeleteOptions, Error, Informer, Kubeconfig, ListOptions, NodeDialer, Patch,
    PatchType, Payload, Request, Response, Target, WatchEvent, WatchOptions, WriteOptions,
};
use windlass::env::{BoxIo, Env, Task};
use windlass::kube_core::GroupVersionResource;
use windlass::sched::Scheduler;
use windlass::server::ApiServer;
use windlass::server::https::Certificates;
use windlass::store::MemoryStore;

use crate::server_kit::{delete_options, list_options, said, watch_options};
use crate::support::{Served, TOKEN, serve, server};

/// A client with a task group of its own.
struct Remote {
    env: Env,
    client: Arc<dyn Client>,
}

fn remote(served: &Served) -> Remote {
    let env = Env::system();
    let client = RemoteClient::builder(served.kubeconfig()).env(env.clone()).build().unwrap();
    Remote { env, client: Arc::new(client) }
}

fn maps() -> Target {
    at("configmaps")
}

fn at(path: &str) -> Target {
    let mut parts = path.split('/').map(str::to_owned);
    Target {
        resource: GroupVersionResource::gvr("", "v1", &parts.next().unwrap()),
        namespace: Some("default".into()),
        name: parts.next(),
        subresource: parts.next(),
    }
}

fn map(name: &str, value: &str) -> Payload {
    Payload::Tree(json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"of": "test"}}, "data": {"key": value}}))
}

fn key(object: &Object) -> Value {
    object.tree()["data"]["key"].clone()
}

impl Remote {
    async fn create(&self, target: Target, payload: Payload) -> Result<Option<Object>, Error> {
        self.client.create(target, payload, WriteOptions::default()).await
    }

    async fn watch(&self, from: Revision) -> windlass::client::WatchStream {
        let options = watch_options(|options| {
            options.resource_version = Some(from);
            options.labels = "of=test".parse().unwrap();
        });
        self.client.watch(maps(), options).await.unwrap()
    }

    /// Ends the client; returns when no task of it is left, without having told any to stop.
    async fn end(self) {
        drop(self.client);
        self.env.tasks.idle().await;
    }
}

#[tokio::test]
async fn every_verb_and_every_refusal_as_in_process() {
    let served = serve(server().await).await;
    let remote = remote(&served);
    assert_eq!(remote.client.identity().user, "kubernetes-admin");
    let made = remote.create(maps(), map("a", "1")).await.unwrap().unwrap();
    assert_eq!((made.key().to_string().as_str(), made.resource().kind.as_ref()), ("default/a", "ConfigMap"));
    assert!(made.revision() > Revision::NONE && !made.uid().is_empty());
    let again = remote.create(maps(), map("a", "1")).await.unwrap_err();
    assert!(matches!(again, Error::AlreadyExists(_)));
    assert_eq!(said(&again), (409, "AlreadyExists", "configmaps \"a\" already exists"));
    let bad = remote.create(maps(), map("A!", "1")).await.unwrap_err();
    assert!(matches!(bad, Error::Invalid(_)), "{bad}");

    assert_eq!(remote.client.get(maps().name("a")).await.unwrap(), made);
    let none = remote.client.get(maps().name("b")).await.unwrap_err();
    assert!(matches!(none, Error::NotFound(_)));
    assert_eq!(said(&none), (404, "NotFound", "configmaps \"b\" not found"));
    let unknown = at("widgets").name("x");
    assert!(matches!(remote.client.get(unknown).await, Err(Error::NotFound(_))));

    let mut tree = (*made.tree()).clone();
    tree["data"]["key"] = "2".into();
    let write = WriteOptions::default;
    let updated = remote.client.update(maps().name("a"), Payload::Tree(tree.clone()), write()).await.unwrap();
    assert!(updated.revision() > made.revision());
    // The same again is from a revision that is no longer the object's.
    let stale = remote.client.update(maps().name("a"), Payload::Tree(tree), write()).await.unwrap_err();
    assert!(matches!(stale, Error::Conflict(_)), "{stale}");
    let stale = remote.client.update(maps().name("a"), Payload::Object(made), write()).await.unwrap_err();
    assert!(matches!(stale, Error::Conflict(_)), "{stale}");

    for (kind, body, value) in [
        (PatchType::Merge, json!({"data": {"key": "3"}}), "3"),
        (PatchType::Json, json!([{"op": "replace", "path": "/data/key", "value": "4"}]), "4"),
        (PatchType::StrategicMerge, json!({"data": {"key": "5"}}), "5"),
    ] {
        let patch = Patch { kind, body: body.to_string().into(), force: false };
        let patched = remote.client.patch(maps().name("a"), patch, write()).await.unwrap();
        assert_eq!(key(&patched), value);
    }
    let mut dry = write();
    dry.dry_run = true;
    remote.client.create(maps(), map("dry", "1"), dry).await.unwrap();
    for name in ["b", "c"] {
        remote.create(maps(), map(name, "1")).await.unwrap();
    }
    let list = async |options| remote.client.list(maps(), options).await;
    let names = |list: &windlass::client::ObjectList| -> Vec<String> {
        list.items.iter().map(|object| object.name().to_owned()).collect()
    };
    let of_test = || list_options(|options| options.labels = "of=test".parse().unwrap());
    let all = list(of_test()).await.unwrap();
    assert_eq!(names(&all), ["a", "b", "c"]);
    assert!(all.revision >= updated.revision());
    let mut first = of_test();
    first.limit = Some(2);
    let part = list(first).await.unwrap();
    assert_eq!((names(&part).len(), part.remaining.unwrap_or(1)), (2, 1));
    let mut rest = of_test();
    rest.continue_token = part.continue_token;
    assert_eq!(names(&list(rest).await.unwrap()), ["c"]);

    assert!(remote.client.delete(maps().name("b"), DeleteOptions::default()).await.unwrap().is_none());
    let wrong = delete_options(|options| options.preconditions.uid = Some("other".into()));
    let kept = remote.client.delete(maps().name("c"), wrong).await.unwrap_err();
    assert!(matches!(kept, Error::Conflict(_)), "{kept}");
    // Without a name this would be everybody's end.
    let lost = remote.client.delete(maps(), DeleteOptions::default()).await.unwrap_err();
    assert!(matches!(lost, Error::Transport { operation: "delete", .. }), "{lost}");
    let gone = remote.client.delete_collection(maps(), of_test(), DeleteOptions::default()).await.unwrap();
    assert_eq!(names(&gone), ["a", "c"]);
    assert!(list(of_test()).await.unwrap().items.is_empty());
    remote.end().await;
    served.shutdown().await;
}

#[tokio::test]
async fn raw_requests_and_subresources() {
    let served = serve(server().await).await;
    let remote = remote(&served);
    let raw = async |path: &str| {
        let request = http::Request::get(path).body(bytes::Bytes::new()).unwrap();
        let Response::Raw(response) = remote.client.call(Request::Raw(request)).await.unwrap() else {
            panic!()
        };
        let (parts, mut body) = response.into_parts();
        let mut text = Vec::new();
        while let Some(piece) = body.next().await {
            text.extend_from_slice(&piece.unwrap());
        }
        (parts.status.as_u16(), String::from_utf8(text).unwrap())
    };
    assert_eq!(raw("/healthz").await, (200, "ok".into()));
    // A raw answer is what it is, also when it is a refusal.
    let (code, text) = raw("/api/v1/namespaces/default/pods/none").await;
    assert_eq!(code, 404);
    assert!(text.contains("pods \\\"none\\\" not found"), "{text}");
    let deployments =
        Target { resource: GroupVersionResource::gvr("apps", "v1", "deployments"), ..at("deployments") };
    let tree = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    remote.create(deployments.clone(), Payload::Tree(tree)).await.unwrap();
    let scale = remote.client.get(deployments.name("web").subresource("scale")).await.unwrap();
    assert_eq!((scale.resource().kind.as_ref(), scale.resource().group.as_ref()), ("Scale", "autoscaling"));
    assert_eq!(scale.tree()["spec"]["replicas"], 2);
    remote.end().await;
    served.shutdown().await;
}

#[tokio::test]
async fn what_the_scheme_does_not_have_gets_a_row_from_the_answer() {
    let served = serve(server().await).await;
    let client = RemoteClient::builder(served.kubeconfig()).scheme(Scheme::empty()).build().unwrap();
    let made = client.create(maps(), map("a", "1"), WriteOptions::default()).await.unwrap().unwrap();
    let row = made.resource();
    assert_eq!((row.kind.as_ref(), row.plural.as_ref(), row.namespaced()), ("ConfigMap", "configmaps", true));
    let typed: Arc<ConfigMap> = made.view().unwrap();
    assert_eq!(typed.data.as_ref().unwrap()["key"], "1");
    let list = client.list(maps(), ListOptions::default()).await.unwrap();
    assert!(Arc::ptr_eq(&list.resource, row));
    served.shutdown().await;
}

#[tokio::test]
async fn a_watch_delivers_resumes_and_closes_its_connection_when_dropped() {
    let served = serve(server().await).await;
    let remote = remote(&served);
    let start = remote.client.list(maps(), ListOptions::default()).await.unwrap().revision;
    let mut events = remote.watch(start).await;
    remote.create(maps(), map("a", "1")).await.unwrap();
    let Some(Ok(WatchEvent::Added(a))) = events.next().await else { panic!() };
    assert_eq!((a.name(), key(&a)), ("a", "1".into()));
    let patch = Patch {
        kind: PatchType::Merge,
        body: json!({"data": {"key": "2"}}).to_string().into(),
        force: false,
    };
    remote.client.patch(maps().name("a"), patch, WriteOptions::default()).await.unwrap();
    let Some(Ok(WatchEvent::Modified(a2))) = events.next().await else { panic!() };
    assert_eq!(key(&a2), "2");
    assert!(a2.revision() > a.revision());
    drop(events);
    // While nobody watches.
    remote.client.delete(maps().name("a"), DeleteOptions::default()).await.unwrap();
    let mut events = remote.watch(a2.revision()).await;
    let Some(Ok(WatchEvent::Deleted(gone))) = events.next().await else { panic!() };
    assert!(gone.name() == "a" && gone.revision() > a2.revision());

    // A watch outlives its client, and ends with its stream: nothing tells these tasks to stop.
    let Remote { env, client } = remote;
    drop(client);
    let admin = served.server.client(windlass::client::Identity::admin());
    admin.create(maps(), map("b", "1"), WriteOptions::default()).await.unwrap();
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Added(b))) if b.name() == "b"));
    drop(events);
    env.tasks.idle().await;
    served.shutdown().await;
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark_and_a_listeners_end_ends_watches() {
    let served = serve(server().await).await;
    let remote = remote(&served);
    remote.create(maps(), map("a", "1")).await.unwrap();
    let options = watch_options(|options| {
        options.labels = "of=test".parse().unwrap();
        options.send_initial_events = Some(true);
        options.resource_version_match = Some(windlass::client::ResourceVersionMatch::NotOlderThan);
        options.bookmarks = true;
    });
    let mut events = remote.client.watch(maps(), options).await.unwrap();
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Added(a))) if a.name() == "a"));
    let end = events.next().await;
    assert!(matches!(end, Some(Ok(WatchEvent::Bookmark { initial_events_end: true, .. }))), "{end:?}");
    served.https.shutdown().await;
    assert!(events.next().await.is_none());
    let refused = remote.client.get(maps().name("a")).await.unwrap_err();
    assert!(matches!(refused, Error::Transport { operation: "get", .. }), "{refused}");
    assert!(refused.to_string().contains("connecting to 127.0.0.1:"), "{refused}");
    remote.end().await;
    served.server.shutdown().await;
}

#[tokio::test]
async fn a_revision_that_is_no_longer_kept_is_expired() {
    let store = Arc::new(MemoryStore::new());
    let api = ApiServer::builder().store(store.clone()).build().await.unwrap();
    let served = serve(api).await;
    let remote = remote(&served);
    let old = remote.create(maps(), map("a", "1")).await.unwrap().unwrap().revision();
    let new = remote.create(maps(), map("b", "1")).await.unwrap().unwrap().revision();
    windlass::store::ObjectStore::compact(&*store, new).await.unwrap();
    let options = watch_options(|options| options.resource_version = Some(old));
    let error = match remote.client.watch(maps(), options).await {
        Err(error) => error,
        Ok(mut events) => events.next().await.unwrap().unwrap_err(),
    };
    assert!(matches!(error, Error::Expired(_)), "{error}");
    assert_eq!(said(&error).0, 410);
    remote.end().await;
    served.shutdown().await;
}

#[tokio::test]
async fn an_informer_follows_over_https() {
    let served = serve(server().await).await;
    let remote = remote(&served);
    remote.create(maps(), map("a", "1")).await.unwrap();
    let env = remote.env.child();
    let informer = Informer::<ConfigMap>::builder(remote.client.clone()).namespace("default").start(&env);
    informer.synced().await;
    let b = remote.create(maps(), map("b", "1")).await.unwrap().unwrap();
    informer.reached(b.revision()).await;
    assert!(informer.get(b.key()).is_some());
    remote.client.delete(maps().name("a"), DeleteOptions::default()).await.unwrap();
    let c = remote.create(maps(), map("c", "1")).await.unwrap().unwrap();
    informer.reached(c.revision()).await;
    let names: Vec<String> = informer.keys().into_iter().map(|key| key.name).collect();
    assert!(names.ends_with(&["b".into(), "c".into()]) && !names.contains(&"a".into()), "{names:?}");
    env.tasks.shutdown().await;
    drop(informer);
    remote.end().await;
    served.shutdown().await;
}

#[tokio::test]
async fn the_scheduler_binds_a_pod_over_https() {
    let served = serve(server().await).await;
    let remote = remote(&served);
    let nodes = Api::<Node>::all(remote.client.clone());
    let node = json!({"metadata": {"name": "n1"},
        "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "10"}}});
    nodes.create(&serde_json::from_value(node).unwrap()).await.unwrap();
    let env = remote.env.child();
    let scheduler = Scheduler::builder().client(remote.client.clone()).env(env.clone()).start().await;
    let pods = Api::<Pod>::namespaced(remote.client.clone(), "default");
    let pod = json!({"metadata": {"name": "web"}, "spec": {
        "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}],
        "tolerations": [{"operator": "Exists"}]}});
    pods.create(&serde_json::from_value(pod).unwrap()).await.unwrap();
    let mut options = WatchOptions::default();
    options.fields = "spec.nodeName=n1".parse().unwrap();
    let mut bound = pods.watch(options).await.unwrap();
    bound.next().await.unwrap().unwrap();
    let pod = pods.get("web").await.unwrap();
    assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("n1"));
    drop((bound, nodes, pods));
    scheduler.shutdown().await;
    remote.env.tasks.cancel();
    remote.end().await;
    served.shutdown().await;
}

#[tokio::test]
async fn who_is_who_by_token_by_certificate_and_by_nothing() {
    let served = serve(server().await).await;
    let (url, authority) = (served.url(), served.certificates.authority());
    let at = || Kubeconfig::new(&url).authority(&authority);
    let list = async |kubeconfig: Kubeconfig| {
        let client = RemoteClient::builder(kubeconfig).agent("test/1").build().unwrap();
        assert_eq!(client.identity().agent, "test/1");
        let who = client.identity().user.clone();
        (who, client.list(maps(), ListOptions::default()).await.map(|_| ()))
    };
    assert!(matches!(list(at().token("me", TOKEN)).await, (who, Ok(())) if who == "me"));
    let (_, wrong) = list(at().token("me", "wrong")).await;
    assert_eq!(said(&wrong.unwrap_err()).0, 401);
    let pair = served.certificates.client("alice", None).unwrap();
    let (who, refused) = list(at().client_certificate("alice", &pair.certificate, &pair.key)).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)) && who == "alice");
    assert!(refused.to_string().contains(r#"User "alice" cannot list"#), "{refused}");
    let (who, refused) = list(at()).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))) && who == "system:anonymous");
    served.shutdown().await;
}

#[tokio::test]
async fn files_are_found_beside_their_kubeconfig() {
    let served = serve(server().await).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("ca.pem"), served.certificates.authority()).unwrap();
    std::fs::write(path("token"), TOKEN).unwrap();
    let mut kubeconfig = Kubeconfig::new(served.url());
    kubeconfig.clusters[0].cluster.certificate_authority = Some("ca.pem".into());
    kubeconfig.users[0].user.token_file = Some("token".into());
    std::fs::write(path("config"), kubeconfig.to_yaml().unwrap()).unwrap();
    let client = RemoteClient::file(path("config")).unwrap().build().unwrap();
    client.list(maps(), ListOptions::default()).await.unwrap();
    assert!(matches!(RemoteClient::file(path("none")), Err(RemoteError::File { .. })));
    std::fs::remove_file(path("ca.pem")).unwrap();
    let gone = RemoteClient::file(path("config")).unwrap().build();
    assert!(matches!(gone, Err(RemoteError::File { path, .. }) if path.ends_with("ca.pem")));
    served.shutdown().await;
}

#[tokio::test]
async fn servers_that_are_not_who_they_should_be_are_refused() {
    let served = serve(server().await).await;
    let other = Certificates::generate(&["localhost"], &served.server.env().clock).unwrap();
    let get = async |kubeconfig: Kubeconfig| {
        let client = RemoteClient::builder(kubeconfig.token("me", TOKEN)).build().unwrap();
        client.get(maps().name("a")).await.unwrap_err()
    };
    let at = || Kubeconfig::new(served.url()).authority(served.certificates.authority());
    let wrong = get(at().authority(other.authority())).await;
    assert!(matches!(wrong, Error::Transport { operation: "get", .. }), "{wrong}");
    assert!(wrong.to_string().contains("speaking TLS with"), "{wrong}");
    let named = |name: &str| {
        let mut kubeconfig = at();
        kubeconfig.clusters[0].cluster.tls_server_name = Some(name.into());
        kubeconfig
    };
    let wrong = get(named("elsewhere.example")).await;
    assert!(wrong.to_string().contains("speaking TLS with"), "{wrong}");
    assert!(matches!(get(named("localhost")).await, Error::NotFound(_)));
    let nobody = RemoteClient::builder(Kubeconfig::new(served.url())).build();
    assert!(matches!(nobody, Err(RemoteError::NoAuthority)));
    let plain = RemoteClient::builder(Kubeconfig::new("http://127.0.0.1:1")).build();
    assert!(matches!(plain, Err(RemoteError::Url { .. })));
    served.shutdown().await;
}

/// Passes connections on to a server, counts them, and can cut them off.
struct Relay {
    env: Env,
    url: String,
    passed: Arc<Mutex<Vec<Task<()>>>>,
}

impl Relay {
    async fn to(served: &Served) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (env, passed, server) = (Env::system(), Arc::new(Mutex::new(Vec::new())), served.https.address());
        let (tasks, all) = (env.tasks.clone(), passed.clone());
        env.tasks.spawn("relay", async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let passing = tasks.spawn("passing on", async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
                all.lock().unwrap().push(passing);
            }
        });
        Self { env, url, passed }
    }

    fn count(&self) -> usize {
        self.passed.lock().unwrap().len()
    }

    /// Cuts every connection off; returns when they are.
    async fn cut(&self) {
        let all = std::mem::take(&mut *self.passed.lock().unwrap());
        for task in all {
            task.abort();
            task.join().await;
        }
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_replaced_when_it_broke() {
    let served = serve(server().await).await;
    let relay = Relay::to(&served).await;
    let kubeconfig = served.certificates.admin_kubeconfig(&relay.url).unwrap();
    let client = RemoteClient::builder(kubeconfig).env(relay.env.child()).build().unwrap();
    client.create(maps(), map("a", "1"), WriteOptions::default()).await.unwrap();
    for _ in 0..3 {
        client.get(maps().name("a")).await.unwrap();
        // What is refused is an exchange like another.
        assert!(client.get(maps().name("b")).await.is_err());
    }
    assert_eq!(relay.count(), 1);
    let revision = client.list(maps(), ListOptions::default()).await.unwrap().revision;
    let options = watch_options(|options| options.resource_version = Some(revision));
    let mut events = client.watch(maps(), options).await.unwrap();
    client.get(maps().name("a")).await.unwrap();
    assert_eq!(relay.count(), 2, "a watch has a connection to itself");
    relay.cut().await;
    assert!(matches!(events.next().await, Some(Err(Error::Transport { operation: "watch", .. }))));
    assert!(events.next().await.is_none());
    client.get(maps().name("a")).await.unwrap();
    assert_eq!(relay.count(), 1);
    drop(client);
    relay.env.tasks.shutdown().await;
    served.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let env = Env::simulated(1);
    let authority = Certificates::generate(&["localhost"], &env.clock).unwrap().authority();
    let kubeconfig = Kubeconfig::new(format!("https://{}", listener.local_addr().unwrap()));
    let client = RemoteClient::builder(kubeconfig.authority(authority)).env(env.clone()).build().unwrap();
    let start = env.clock.instant();
    let late = client.get(maps().name("a")).await.unwrap_err();
    assert!(late.to_string().ends_with("deadline has elapsed"), "{late}");
    assert_eq!(env.clock.instant() - start, std::time::Duration::from_secs(10));
}

/// A node's agent that answers an upgrade and then says everything back.
struct Echo(Env);

#[async_trait]
impl NodeDialer for Echo {
    async fn dial(&self, _node: &str) -> io::Result<BoxIo> {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        self.0.tasks.spawn("echo", async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(far.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase().replace("\r\n", "\n");
            assert!(head.contains("sec-websocket-protocol: v5.channel.k8s.io\n"), "{head}");
            // How the key was taken is between the agent and the server, which does not ask.
            let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n";
            far.write_all(answer.as_bytes()).await.unwrap();
            let (mut reader, mut writer) = tokio::io::split(far);
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
        Ok(Box::new(near))
    }
}

#[tokio::test]
async fn a_connection_is_a_stream_in_both_directions() {
    let api = ApiServer::builder()
        .store(Arc::new(MemoryStore::new()))
        .node_dialer(Arc::new(Echo(Env::system())))
        .build()
        .await
        .unwrap();
    let served = serve(api).await;
    let remote = remote(&served);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}});
    remote.create(at("pods"), Payload::Tree(pod)).await.unwrap();
    let exec = |name: &str| Request::Connect {
        target: at("pods").name(name).subresource("exec"),
        query: "command=cat&stdin=true&stdout=true&container=c".into(),
        protocols: vec!["v5.channel.k8s.io".into()],
    };
    let missing = remote.client.call(exec("none")).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound(_)), "{missing}");
    let opened = remote.client.call(exec("web")).await.unwrap();
    let Response::Connection { protocol, mut io } = opened else { panic!("{opened:?}") };
    assert_eq!(protocol, "v5.channel.k8s.io");
    io.write_all(b"there and back").await.unwrap();
    io.flush().await.unwrap();
    let mut back = [0; 14];
    io.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"there and back");
    drop(io);
    remote.end().await;
    served.shutdown().await;
}
