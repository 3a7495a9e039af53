//! Connections through the server: proxies, upgrades, and what must not come of them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::Method;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use windlass::client::{Identity, NodeDialer};
use windlass::env::{BoxIo, Env};
use windlass::server::{ApiServer, RoleTable, Rule};
use windlass::store::MemoryStore;

use crate::server_kit::{Kit, kit_with, pod};
use crate::support::wire::Http1;
use crate::support::{Reply, TOKEN, get, send, serve, write};

/// What listens behind nodes, by hand: one answer for each connection, and a note of all that came.
#[derive(Clone)]
struct Backends {
    env: Env,
    answer: Arc<Mutex<String>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// One connection.
#[derive(Clone, Debug, Default)]
struct Seen {
    to: String,
    /// The request, head and body.
    request: String,
    /// What came behind it.
    more: Vec<u8>,
    ended: bool,
}

impl Backends {
    fn new(env: &Env) -> Self {
        Self { env: env.clone(), answer: Arc::default(), seen: Arc::default() }
    }

    fn answers(&self, head: &str, body: &str) {
        *self.answer.lock().unwrap() = format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n"));
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn serve(&self, to: String) -> BoxIo {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let own = self.clone();
        let index = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(Seen { to, ..Seen::default() });
            seen.len() - 1
        };
        self.env.tasks.spawn("backend", async move {
            own.connection(far, index).await;
            own.seen.lock().unwrap()[index].ended = true;
        });
        Box::new(near)
    }

    async fn connection(&self, mut io: DuplexStream, index: usize) {
        let note = |change: &dyn Fn(&mut Seen)| change(&mut self.seen.lock().unwrap()[index]);
        let Some(head) = head(&mut io).await else { return };
        let length = head.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        io.read_exact(&mut body).await.unwrap();
        let request = format!("{head}{}", String::from_utf8_lossy(&body));
        note(&|seen| seen.request = request.clone());
        let answer = self.answer.lock().unwrap().clone();
        io.write_all(answer.as_bytes()).await.unwrap();
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = io.read(&mut buffer).await {
            let came = buffer[..read].to_vec();
            note(&|seen| seen.more.extend_from_slice(&came));
            if answer.starts_with("HTTP/1.1 101") && io.write_all(&came).await.is_err() {
                return;
            }
        }
    }
}

/// Everything up to an empty line.
async fn head(io: &mut DuplexStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

#[async_trait]
impl NodeDialer for Backends {
    async fn dial(&self, node: &str) -> io::Result<BoxIo> {
        Ok(self.serve(format!("agent of {node}")))
    }

    async fn dial_address(&self, node: &str, address: SocketAddr) -> io::Result<BoxIo> {
        if address.port() == 9 {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(self.serve(format!("{address} from {node}")))
    }
}

/// A server, what is behind it, and a pod at 10.0.0.7.
async fn bench() -> (Kit, Backends) {
    let env = Env::simulated(7);
    let backends = Backends::new(&env);
    let dialer = Arc::new(backends.clone());
    let kit = kit_with(|builder| builder.env(env.clone()).node_dialer(dialer)).await;
    at_address(&kit, "web", "10.0.0.7").await;
    (kit, backends)
}

async fn at_address(kit: &Kit, name: &str, address: &str) {
    let mut made = pod(name);
    made["spec"]["nodeName"] = "n1".into();
    made["spec"]["containers"][0]["ports"] = json!([{"containerPort": 8080}]);
    made["metadata"]["labels"] = json!({"app": "web"});
    kit.create("default", "pods", made).await.unwrap();
    let status = json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}});
    kit.merge("default", &format!("pods/{name}/status"), status).await.unwrap();
}

const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test(start_paused = true)]
async fn a_request_goes_on_as_it_is_but_for_what_is_between_neighbours() {
    let (kit, backends) = bench().await;
    backends.answers(
        "HTTP/1.1 418 I'm a teapot\nContent-Length: 5\nConnection: x-own\nX-Own: 1\nX-Kept: 2\nAccess-Control-Allow-Origin: *",
        "short",
    );
    let headers = [
        ("authorization", "Bearer secret"),
        ("connection", "close, x-mine"),
        ("x-mine", "1"),
        ("content-type", "text/plain"),
        ("content-length", "4"),
        ("cookie", "a=b"),
    ];
    let uri = format!("{PODS}/web:81/proxy/a%20b/../c/?d=e%2Ff&g");
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let reply = send(&kit.server, Identity::admin(), method.clone(), &uri, &headers, "body").await;
        assert_eq!((reply.code.as_u16(), reply.text.as_str()), (418, "short"));
        assert_eq!(reply.headers["x-kept"], "2");
        for gone in ["x-own", "connection", "access-control-allow-origin"] {
            assert!(!reply.headers.contains_key(gone), "{gone}: {:?}", reply.headers);
        }
        let seen = backends.seen().pop().unwrap();
        assert_eq!(seen.to, "10.0.0.7:81 from n1");
        let request = seen.request.to_ascii_lowercase();
        assert!(
            request
                .starts_with(&format!("{} /c/?d=e%2ff&g http/1.1\r\n", method.as_str().to_ascii_lowercase()))
        );
        assert!(request.ends_with("\r\n\r\nbody"), "{request}");
        for kept in ["host: 10.0.0.7:81", "content-type: text/plain", "cookie: a=b", "x-forwarded-uri: "] {
            assert!(request.contains(kept), "{kept}: {request}");
        }
        for gone in ["secret", "x-mine", "close"] {
            assert!(!request.contains(gone), "{gone}: {request}");
        }
    }
}

#[tokio::test]
async fn a_backend_is_told_whom_the_server_heard() {
    let env = Env::system();
    let backends = Backends::new(&env);
    let dialer = Arc::new(backends.clone());
    let kit = kit_with(|builder| builder.env(env).node_dialer(dialer)).await;
    at_address(&kit, "web", "10.0.0.7").await;
    backends.answers("HTTP/1.1 200 OK\nContent-Length: 2", "ok");
    let path = format!("{PODS}/web:81/proxy/a");
    let forwarded = || {
        let request = backends.seen().pop().unwrap().request;
        let mut told: Vec<_> =
            request.lines().filter(|line| line.starts_with("x-forwarded-")).map(str::to_owned).collect();
        told.sort();
        told
    };
    let uri = format!("x-forwarded-uri: {path}");
    // In process there is nobody to name.
    let before = [("x-forwarded-for", "192.0.2.1")];
    assert_eq!(get(&kit.server, &path, &before).await.text, "ok");
    assert_eq!(forwarded(), ["x-forwarded-for: 192.0.2.1", &uri]);

    let served = serve(kit.server.clone()).await;
    let mut connection = Http1::open(&served).await;
    let mut ask = async |path: &str, upgrade: bool| {
        let mut request = http::Request::get(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("x-forwarded-for", "192.0.2.1")
            .header("x-forwarded-for", "192.0.2.2");
        if upgrade {
            request = request.header("connection", "upgrade").header("upgrade", "anything");
        }
        let answer = connection.begin(request.body(String::new()).unwrap()).await.unwrap();
        let code = answer.status().as_u16();
        answer.into_body().collect().await.unwrap();
        code
    };
    let chain = "x-forwarded-for: 192.0.2.1, 192.0.2.2, 127.0.0.1";
    assert_eq!((ask(&path, false).await, forwarded()), (200, vec![chain.to_owned(), uri.clone()]));
    // Where the request's line names them: scheme and host.
    assert_eq!(ask(&format!("https://example.com:1{path}"), false).await, 200);
    let origin = ["x-forwarded-host: example.com:1", "x-forwarded-proto: https"];
    assert_eq!(forwarded(), [chain, origin[0], origin[1], &uri]);
    // An upgrade is told of the peer alone.
    backends.answers("HTTP/1.1 400 Bad Request\nContent-Length: 0", "");
    assert_eq!((ask(&path, true).await, forwarded()), (400, vec![chain.to_owned()]));
    served.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_says_of_itself_leads_through_the_proxy() {
    let (kit, backends) = bench().await;
    let proxy = format!("{PODS}/web/proxy");
    // The first declared port is meant where none is said, and a page's links want a slash behind the root.
    let root = get(&kit.server, &format!("{proxy}?a=b"), &[]).await;
    assert_eq!(
        (root.code.as_u16(), root.headers["location"].to_str().unwrap()),
        (301, &*format!("{proxy}/?a=b"))
    );
    assert!(backends.seen().is_empty());
    // Redirects are the caller's to follow.
    for (location, expected) in [
        ("/login", format!("{proxy}/login")),
        ("http://10.0.0.7:8080/x?y", format!("{proxy}/x?y")),
        ("https://example.com/", "https://example.com/".into()),
        ("relative", "relative".into()),
    ] {
        backends.answers(&format!("HTTP/1.1 302 Found\nLocation: {location}\nContent-Length: 0"), "");
        let reply = get(&kit.server, &format!("{proxy}/"), &[]).await;
        assert_eq!((reply.code.as_u16(), reply.headers["location"].to_str().unwrap()), (302, &*expected));
    }
    let page = r#"<a href="/a">a</a><a href="b">b</a>"#;
    let head =
        format!("HTTP/1.1 200 OK\nContent-Type: text/html; charset=utf-8\nContent-Length: {}", page.len());
    backends.answers(&head, page);
    let reply = get(&kit.server, &format!("{proxy}/dir/"), &[]).await;
    assert_eq!(reply.text, format!(r#"<a href="{proxy}/a">a</a><a href="b">b</a>"#));
    backends.answers(&head.replace("text/html", "text/plain"), page);
    assert_eq!(get(&kit.server, &format!("{proxy}/dir/"), &[]).await.text, page);
}

fn refusal(reply: &Reply) -> (u16, String) {
    let (code, _, message) = reply.failure();
    (code, message)
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_reached_is_told_so() {
    let (kit, _) = bench().await;
    for (path, code, why) in [
        ("pods/web:9/proxy/", 503, "error trying to reach service: dial tcp 10.0.0.7:9: connection refused"),
        ("pods/none/proxy/", 404, "pods \"none\" not found"),
        ("pods/ftp:web:21/proxy/", 400, "invalid pod request \"ftp:web:21\""),
        ("services/none:80/proxy/", 404, "services \"none\" not found"),
    ] {
        let reply = get(&kit.server, &format!("/api/v1/namespaces/default/{path}"), &[]).await;
        assert_eq!(refusal(&reply), (code, why.into()), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_is_one_of_its_pods_and_nobody_else() {
    let (kit, backends) = bench().await;
    backends.answers("HTTP/1.1 200 OK\nContent-Length: 2", "ok");
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [
        {"name": "http", "port": 80, "targetPort": 8080}, {"name": "other", "port": 81}]}});
    kit.create("default", "services", service).await.unwrap();
    let ask = async |name: &str| {
        get(&kit.server, &format!("/api/v1/namespaces/default/services/{name}/proxy/"), &[]).await
    };
    let none = |name: &str| (503, format!("no endpoints available for service {name:?}"));
    let no_such = || (404, "endpoints \"web\" not found".to_owned());
    assert_eq!((refusal(&ask("web:http").await), refusal(&ask("web:80").await)), (no_such(), no_such()));
    assert_eq!(refusal(&ask("none").await), (404, "endpoints \"none\" not found".into()));
    let slice = |endpoints: Value| {
        json!({"metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints})
    };
    kit.create("default", "endpointslices", slice(json!([]))).await.unwrap();
    assert_eq!(refusal(&ask("web:http").await), none("web"));
    // Whoever may write slices does not send the server elsewhere.
    let endpoint = |pod: &str, namespace: &str, address: &str, ready: bool| {
        json!({"addresses": [address], "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "name": pod, "namespace": namespace}})
    };
    let foreign = [
        endpoint("web", "default", "10.0.0.99", true),
        endpoint("none", "default", "10.0.0.7", true),
        endpoint("web", "kube-system", "10.0.0.7", true),
        endpoint("web", "default", "10.0.0.7", false),
        json!({"addresses": ["10.0.0.7"], "conditions": {"ready": true}}),
    ];
    kit.merge("default", "endpointslices/web-1", json!({"endpoints": foreign})).await.unwrap();
    assert_eq!(refusal(&ask("web:80").await), none("web:80"));
    assert!(backends.seen().is_empty());
    let ready = json!({"endpoints": [endpoint("web", "default", "10.0.0.7", true)]});
    kit.merge("default", "endpointslices/web-1", ready).await.unwrap();
    for name in ["web:http", "web:80", "http:web:http"] {
        assert_eq!(ask(name).await.text, "ok", "{name}");
        assert_eq!(backends.seen().pop().unwrap().to, "10.0.0.7:8080 from n1");
    }
    assert_eq!(refusal(&ask("web:other").await), none("web:other"));
    assert_eq!(refusal(&ask("web:82").await), (503, "no service port 82 found for service \"web\"".into()));
}

#[tokio::test(start_paused = true)]
async fn the_endpoints_of_a_service_say_who_it_is_before_its_slices_do() {
    let (kit, backends) = bench().await;
    backends.answers("HTTP/1.1 200 OK\nContent-Length: 2", "ok");
    at_address(&kit, "other", "10.0.0.8").await;
    let service = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"name": "http", "port": 80}]}});
    kit.create("default", "services", service).await.unwrap();
    let slice = json!({"metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}], "endpoints": [
        {"addresses": ["10.0.0.8"], "targetRef": {"kind": "Pod", "name": "other", "namespace": "default"}}]});
    kit.create("default", "endpointslices", slice).await.unwrap();
    let ask = async |name: &str| {
        get(&kit.server, &format!("/api/v1/namespaces/default/services/{name}/proxy/"), &[]).await
    };
    let went = || backends.seen().pop().unwrap().to;
    assert_eq!((ask("web:80").await.text, went()), ("ok".into(), "10.0.0.8:8080 from n1".into()));

    kit.create("default", "endpoints", json!({"metadata": {"name": "web"}})).await.unwrap();
    let none = |name: &str| (503, format!("no endpoints available for service {name:?}"));
    assert_eq!(refusal(&ask("web:80").await), none("web"));
    let address = |ip: &str, pod: &str, namespace: &str| json!({"ip": ip, "targetRef": {"kind": "Pod", "name": pod, "namespace": namespace}});
    let subset = |field: &str, addresses: Value, port: u16| json!({(field): addresses, "ports": [{"name": "http", "port": port}]});
    let foreign = [
        subset("notReadyAddresses", json!([address("10.0.0.7", "web", "default")]), 8080),
        subset("addresses", json!([{"ip": "10.0.0.7"}]), 8081),
        subset("addresses", json!([address("10.0.0.7", "other", "default")]), 8082),
        subset("addresses", json!([address("10.0.0.7", "web", "kube-system")]), 8083),
        subset("addresses", json!([address("10.0.0.9", "none", "default")]), 8084),
    ];
    let before = backends.seen().len();
    kit.merge("default", "endpoints/web", json!({"subsets": foreign})).await.unwrap();
    assert_eq!(refusal(&ask("web:80").await), none("web:80"));
    assert_eq!(backends.seen().len(), before, "nobody was dialled");
    // One that is a pod's is found among them.
    let mut subsets = foreign.to_vec();
    subsets.push(subset("addresses", json!([address("10.0.0.7", "web", "default")]), 8085));
    kit.merge("default", "endpoints/web", json!({"subsets": subsets})).await.unwrap();
    for name in ["web:80", "web:http", "http:web:80"] {
        assert_eq!((ask(name).await.text, went()), ("ok".into(), "10.0.0.7:8085 from n1".into()), "{name}");
    }
    assert_eq!(refusal(&ask("web").await), none("web"));
    assert_eq!(refusal(&ask("web:81").await), (503, "no service port 81 found for service \"web\"".into()));
}

/// CVE-2020-8562: a proxy that is led to the server's own machine or its cloud's metadata.
#[tokio::test(start_paused = true)]
async fn cve_2020_8562_no_pod_leads_to_forbidden_addresses() {
    let (kit, backends) = bench().await;
    for (index, address) in
        ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1", "0.0.0.0"].iter().enumerate()
    {
        let name = format!("bad-{index}");
        let mut made = pod(&name);
        made["spec"]["nodeName"] = "n1".into();
        kit.create("default", "pods", made).await.unwrap();
        let status = json!({"status": {"podIPs": [{"ip": address}], "podIP": address}});
        // A status that names no valid address is refused already.
        if kit.merge("default", &format!("pods/{name}/status"), status).await.is_err() {
            continue;
        }
        let reply = get(&kit.server, &format!("{PODS}/{name}:80/proxy/"), &[]).await;
        assert_eq!(refusal(&reply), (400, "address not allowed".into()), "{address}");
    }
    assert!(backends.seen().is_empty(), "nobody was dialled");
}

/// CVE-2022-3294: a node whose address leads elsewhere than to a node.
#[tokio::test(start_paused = true)]
async fn cve_2022_3294_no_node_leads_to_forbidden_addresses() {
    let (kit, backends) = bench().await;
    backends.answers("HTTP/1.1 200 OK\nContent-Length: 2", "ok");
    kit.create("", "nodes", json!({"metadata": {"name": "n1"}})).await.unwrap();
    let ask = async |path: &str| get(&kit.server, &format!("/api/v1/nodes/{path}/proxy/metrics"), &[]).await;
    for address in ["127.0.0.1", "169.254.169.254", "::1"] {
        let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": address}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}});
        kit.merge("", "nodes/n1/status", status).await.unwrap();
        assert_eq!(refusal(&ask("n1:6443").await), (400, "address not allowed".into()), "{address}");
    }
    assert!(backends.seen().is_empty(), "nobody was dialled");
    // The agent is reached by its node's name, whatever its addresses are said to be.
    for path in ["n1", "n1:10250", "https:n1:10250"] {
        assert_eq!(ask(path).await.text, "ok", "{path}");
        assert_eq!(backends.seen().pop().unwrap().to, "agent of n1");
    }
    let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.1.1.1"}]}});
    kit.merge("", "nodes/n1/status", status).await.unwrap();
    assert_eq!(ask("n1:9100").await.text, "ok");
    assert_eq!(backends.seen().pop().unwrap().to, "10.1.1.1:9100 from n1");
}

/// A connection to the server as `identity`.
fn connect(kit: &Kit, identity: Identity) -> DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let service = TowerToHyperService::new(kit.server.service(identity));
    kit.server.env().tasks.spawn("connection", async move {
        let served = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(far), service)
            .with_upgrades();
        let _ = served.await;
    });
    near
}

fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: server\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"
    )
}

/// CVE-2018-1002105: an upgrade that the backend refuses leaves no way to the backend behind, on which the
/// caller's next requests would be the server's own.
#[tokio::test(start_paused = true)]
async fn cve_2018_1002105_a_refused_upgrade_leaves_no_way_to_the_backend() {
    for path in [
        format!("{PODS}/web/exec?command=ls&stdout=true"),
        format!("{PODS}/web/proxy/ws"),
        "/api/v1/nodes/n1/proxy/exec/default/web/main".into(),
    ] {
        for (status, body) in
            [("400 Bad Request", "no"), ("403 Forbidden", "no"), ("200 OK", "no"), ("302 Found", "")]
        {
            let (kit, backends) = bench().await;
            kit.create("", "nodes", json!({"metadata": {"name": "n1"}})).await.unwrap();
            backends.answers(&format!("HTTP/1.1 {status}\nContent-Length: {}", body.len()), body);
            let mut io = connect(&kit, Identity::admin());
            io.write_all(upgrade(&path).as_bytes()).await.unwrap();
            let refused = head(&mut io).await.unwrap();
            assert!(!refused.starts_with("HTTP/1.1 101"), "{path} {status}: {refused}");
            let length = refused.to_ascii_lowercase();
            let length: usize = length
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or_else(|| panic!("{refused}"));
            io.read_exact(&mut vec![0; length]).await.unwrap();
            // What follows on the same connection is asked of the server, in the caller's own name.
            let next = "GET /exec/default/web/main?command=id HTTP/1.1\r\nHost: server\r\n\r\n";
            let sent = io.write_all(next.as_bytes()).await;
            let answered = head(&mut io).await;
            if sent.is_ok()
                && let Some(answered) = answered
            {
                assert!(answered.starts_with("HTTP/1.1 404"), "{path} {status}: {answered}");
            }
            let seen = backends.seen();
            assert_eq!(seen.len(), 1, "{path} {status}");
            assert!(seen[0].more.is_empty(), "{path} {status}: {:?}", seen[0].more);
            drop(io);
            backends.env.clock.sleep(std::time::Duration::from_secs(10)).await;
            assert!(backends.seen()[0].ended, "{path} {status}: the backend's connection has ended");
        }
    }
}

const AGREES: &str = "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: websocket\n\
                      Sec-WebSocket-Protocol: v5.channel.k8s.io\nX-Own: kept";

#[tokio::test(start_paused = true)]
async fn an_upgrade_goes_through_and_ends_with_either_side() {
    let (kit, backends) = bench().await;
    backends.answers(AGREES, "");
    for path in [format!("{PODS}/web/exec?command=ls&stdout=true"), format!("{PODS}/web/proxy/ws?a=b")] {
        let mut io = connect(&kit, Identity::admin());
        io.write_all(upgrade(&path).as_bytes()).await.unwrap();
        let agreed = head(&mut io).await.unwrap().to_ascii_lowercase();
        assert!(agreed.starts_with("http/1.1 101"), "{agreed}");
        assert!(agreed.contains("upgrade: websocket") && agreed.contains("v5.channel.k8s.io"), "{agreed}");
        io.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        io.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"hello");
        drop(io);
        backends.env.clock.sleep(std::time::Duration::from_secs(10)).await;
        let seen = backends.seen().pop().unwrap();
        assert!(seen.ended && seen.more == b"hello", "{seen:?}");
    }
    let request = backends.seen().pop().unwrap().request.to_ascii_lowercase();
    assert!(request.starts_with("get /ws?a=b http/1.1\r\n") && request.contains("upgrade: websocket"));
}

#[tokio::test(start_paused = true)]
async fn no_task_outlives_its_streams() {
    let (kit, backends) = bench().await;
    backends.answers(AGREES, "");
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let pause = std::time::Duration::from_secs(20);
    backends.env.clock.sleep(pause).await;
    let before = alive();
    let mut streams = Vec::new();
    for number in 0..40 {
        let path = match number % 2 {
            0 => format!("{PODS}/web/exec?command=ls&stdout=true"),
            _ => format!("{PODS}/web/proxy/ws"),
        };
        let mut io = connect(&kit, Identity::admin());
        io.write_all(upgrade(&path).as_bytes()).await.unwrap();
        // Some are left before they are answered, some later, some in the middle of what they say.
        if number % 3 > 0 {
            head(&mut io).await.unwrap();
        }
        if number % 3 > 1 {
            // One that was refused meanwhile takes less of it.
            let _ = io.write_all(&[7; 100_000]).await;
        }
        streams.push(io);
    }
    assert!(alive() > before, "they are served by tasks");
    drop(streams);
    backends.env.clock.sleep(pause).await;
    assert_eq!(alive(), before);
}

#[tokio::test(start_paused = true)]
async fn whoever_streams_by_a_get_needs_leave_to_create_too() {
    let env = Env::simulated(7);
    let backends = Backends::new(&env);
    backends.answers(AGREES, "");
    let roles = RoleTable::default()
        .user("getter", [Rule::on(&["get"], "", &["pods/exec"])])
        .user("creator", [Rule::on(&["create"], "", &["pods/exec"])])
        .user("both", [Rule::on(&["get", "create"], "", &["pods/exec"])]);
    let dialer = Arc::new(backends.clone());
    let kit =
        kit_with(|builder| builder.env(env.clone()).node_dialer(dialer).authorizer(Arc::new(roles))).await;
    at_address(&kit, "web", "10.0.0.7").await;
    for (user, verb) in [("getter", Some("create")), ("creator", Some("get")), ("both", None)] {
        let mut io = connect(&kit, Identity::user(user));
        let path = format!("{PODS}/web/exec?command=ls&stdout=true");
        io.write_all(upgrade(&path).as_bytes()).await.unwrap();
        let answered = head(&mut io).await.unwrap();
        match verb {
            None => assert!(answered.starts_with("HTTP/1.1 101"), "{answered}"),
            Some(verb) => {
                assert!(answered.starts_with("HTTP/1.1 403"), "{user}: {answered}");
                let mut said = vec![0; 2000];
                let read = io.read(&mut said).await.unwrap();
                let said = String::from_utf8_lossy(&said[..read]).into_owned();
                assert!(said.contains(&format!("cannot {verb} resource")), "{user}: {said}");
            }
        }
    }
    assert_eq!(backends.seen().len(), 1);
}

#[tokio::test]
async fn a_server_without_a_way_to_its_nodes_says_so() {
    let server = ApiServer::builder().store(Arc::new(MemoryStore::new())).build().await.unwrap();
    let mut made = pod("web");
    made["spec"]["nodeName"] = "n1".into();
    write(&server, Method::POST, PODS, &made).await;
    let reply = get(&server, &format!("{PODS}/web/log"), &[]).await;
    let why = "Internal error occurred: error dialing backend: this server has no way to its nodes";
    assert_eq!(refusal(&reply), (500, why.into()));
}
