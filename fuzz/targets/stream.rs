//! What follows an upgrade, byte by byte or as masked frames of a WebSocket: SPDY and channels, to a node's agent
//! that runs a pod. Every connection ends when its caller has gone.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use libfuzzer_sys::{Corpus, fuzz_target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use windlass::client::Api;
use windlass::cluster::{Cluster, Simulated};
use windlass::env::Env;
use windlass::node::NodeAgent;

const WEBSOCKET: &str = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ";
const SPDY: &str = "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ";
const EXEC: &str = "/exec/default/a/main?command=cat&input=1&output=1&error=1";
const FORWARD: &str = "/portForward/default/a?ports=80";

/// How connections begin.
const BEGINNINGS: [(&str, &str, &str); 8] = [
    (EXEC, WEBSOCKET, "v5.channel.k8s.io"),
    (EXEC, WEBSOCKET, "v4.base64.channel.k8s.io"),
    (EXEC, WEBSOCKET, "v4.channel.k8s.io"),
    (FORWARD, WEBSOCKET, "v4.channel.k8s.io"),
    (FORWARD, WEBSOCKET, "SPDY/3.1+portforward.k8s.io"),
    (EXEC, SPDY, "v4.channel.k8s.io"),
    (EXEC, SPDY, "v3.channel.k8s.io"),
    (FORWARD, SPDY, "portforward.k8s.io"),
];

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: main, image: app}]}";

struct World {
    runtime: Runtime,
    agent: Arc<NodeAgent>,
    _cluster: Cluster,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

impl World {
    fn new() -> Self {
        let runtime =
            Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let (cluster, agent) = runtime.block_on(async {
            let machines = Simulated::default();
            let cluster = Cluster::builder().nodes(1).machines(machines).env(Env::simulated(1));
            let cluster = cluster.start().await.expect("a cluster");
            cluster.apply("pod", POD).await.expect("a pod");
            let pods = Api::<Pod>::namespaced(cluster.client(), "default");
            while !is_running(&pods.get("a").await.expect("the pod")) {
                cluster.env().clock.sleep(Duration::from_millis(100)).await;
            }
            let agent = cluster.node("node-1").expect("the node");
            (cluster, agent)
        });
        Self { runtime, agent, _cluster: cluster }
    }

    fn send(&self, beginning: usize, bytes: &[u8]) {
        let (path, upgrade, protocol) = BEGINNINGS[beginning];
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n{upgrade}{protocol}\r\n\r\n"
        );
        self.runtime.block_on(async {
            let (mut near, far) = tokio::io::duplex(1 << 20);
            let served = tokio::spawn(self.agent.serve_connection(Box::new(far)));
            near.write_all(head.as_bytes()).await.expect("it listens");
            let mut answer = [0; 12];
            near.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(&answer, b"HTTP/1.1 101", "{path} {protocol}");
            let (mut reader, mut writer) = tokio::io::split(near);
            let reading = tokio::spawn(async move {
                let (mut buffer, mut total) = (vec![0; 64 << 10], 0);
                while let Ok(length @ 1..) = reader.read(&mut buffer).await {
                    total += length;
                }
                total
            });
            // The agent may hang up at any time.
            let _ = writer.write_all(bytes).await;
            let _ = writer.shutdown().await;
            let total = tokio::time::timeout(Duration::from_secs(5 * 60 * 60), reading);
            let total = total.await.expect("it ends").expect("it is read");
            assert!(total < 64 << 20, "{total} bytes for {}", bytes.len());
            served.await.expect("it is served");
        });
    }
}

fn is_running(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}

/// Messages of a WebSocket, each masked: a byte of the input is its opcode, two its length.
fn framed(mut data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [opcode, high, low, rest @ ..] = data {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        out.push(0x80 | (opcode & 0x0f));
        match length {
            0..126 => out.push(0x80 | length as u8),
            _ => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        // A mask of zeros leaves the payload as it is.
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(payload);
        data = rest;
    }
    out
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let [first, rest @ ..] = data else { return Corpus::Reject };
    let beginning = usize::from(first & 7);
    let bytes = if first & 8 == 0 && beginning < 5 { framed(rest) } else { rest.to_vec() };
    WORLD.with_borrow(|world| world.send(beginning, &bytes));
    Corpus::Keep
});
