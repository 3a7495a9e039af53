//! The service proxy beside a server, over real sockets of a claimed loopback block.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use windlass::client::WatchEvent;
use windlass::env::Env;
use windlass::net::AttachRequest;
use windlass::net::loopback::Loopback;
use windlass::net::proxy::{ProxyOptions, ServiceProxy};

use crate::server_kit::{Kit, kit_with, watch_options};

struct Bench {
    kit: Kit,
    env: Env,
    network: Arc<Loopback>,
    proxy: ServiceProxy,
}

async fn bench() -> Bench {
    let (env, network) = (Env::system(), Loopback::claim().unwrap());
    let services = network.service_cidr();
    let kit =
        kit_with(|builder| builder.env(env.child()).service_cidr(services).allow_loopback_endpoints(true))
            .await;
    let proxy = ServiceProxy::start(kit.client.clone(), &env, ProxyOptions::default());
    proxy.synced().await;
    Bench { kit, env, network, proxy }
}

impl Bench {
    /// A pod that says its name to everybody who connects.
    async fn pod(&self, name: &'static str) -> SocketAddr {
        let mut request = AttachRequest::default();
        request.sandbox = name.to_owned();
        let address = self.network.node("one").attach(&request).await.unwrap()[0];
        let listener = TcpListener::bind((address, 8080)).await.unwrap();
        let address = listener.local_addr().unwrap();
        self.env.tasks.spawn("pod", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(name.as_bytes()).await;
            }
        });
        address
    }

    async fn service(&self, name: &str) -> SocketAddr {
        let service = json!({ "metadata": { "name": name }, "spec": { "ports": [{ "port": 8080 }] } });
        let made = self.kit.create("default", "services", service).await.unwrap();
        let address = made["spec"]["clusterIP"].as_str().unwrap();
        assert!(self.network.service_cidr().contains(address.parse().unwrap()));
        SocketAddr::new(address.parse().unwrap(), 8080)
    }
}

fn slice(pods: &[(SocketAddr, Value)]) -> Value {
    let endpoint = |(pod, conditions): &(SocketAddr, Value)| json!({ "addresses": [pod.ip()], "conditions": conditions });
    json!({
        "metadata": { "name": "web-1", "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4",
        "ports": [{ "port": 8080 }],
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

async fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_terminating_endpoint_leaves_rotation_and_a_deleted_service_its_address() {
    let bench = bench().await;
    let service = bench.service("web").await;
    let (a, b) = (bench.pod("a").await, bench.pod("b").await);
    let (ready, terminating) =
        (json!({ "ready": true }), json!({ "ready": false, "serving": true, "terminating": true }));
    let both = slice(&[(a, ready.clone()), (b, ready.clone())]);
    bench.kit.create("default", "endpointslices", both).await.unwrap();
    bench.proxy.answers(service).await;
    let mut answers = vec![ask(service).await, ask(service).await];
    answers.sort_unstable();
    assert_eq!(answers, ["a", "b"]);

    let change = json!({ "endpoints": slice(&[(a, terminating), (b, ready)])["endpoints"] });
    bench.kit.merge("default", "endpointslices/web-1", change).await.unwrap();
    bench.proxy.left_rotation(a.ip()).await;
    for _ in 0..4 {
        assert_eq!(ask(service).await, "b");
    }

    bench.kit.delete("default", "services/web").await.unwrap();
    bench.proxy.left_rotation(b.ip()).await;
    bench.proxy.shutdown().await;
    TcpListener::bind(service).await.expect("the proxy leaves no port behind");
    bench.env.tasks.shutdown().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_bound_is_an_event_of_its_service() {
    let bench = bench().await;
    // Far from where the server begins to give addresses away.
    let taken = bench.network.service_cidr().nth(1000).unwrap();
    let _blocker = TcpListener::bind((taken, 8080)).await.unwrap();
    let events = bench.kit.watch("default", "events", watch_options(|_| {})).await.unwrap();
    let service = json!({ "metadata": { "name": "web" },
        "spec": { "clusterIP": taken, "ports": [{ "name": "http", "port": 8080 }] } });
    let made = bench.kit.create("default", "services", service).await.unwrap();
    let mut events = std::pin::pin!(events);
    let event = loop {
        match futures_util::StreamExt::next(&mut events).await.unwrap().unwrap() {
            WatchEvent::Added(event) => break event.tree(),
            _ => continue,
        }
    };
    assert_eq!((&event["type"], &event["reason"]), (&json!("Warning"), &json!("FailedToBind")));
    assert_eq!(event["involvedObject"]["uid"], made["metadata"]["uid"]);
    let message = event["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("Cannot listen on {taken}:8080 of port \"http\": ")), "{message}");
    bench.env.tasks.shutdown().await;
}
