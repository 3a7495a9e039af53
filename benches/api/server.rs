//! The server, in a process of its own: this program again, told so by its first word.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use windlass::client::{ClientExt, Identity, Patch, PatchType, Payload, Target, WriteOptions};
use windlass::env::Env;
use windlass::server::ApiServer;
use windlass::server::https::{Certificates, HttpsOptions, HttpsServer, Tokens};
use windlass::store::disk::{DiskOptions, DiskStore};
use windlass::store::{MemoryStore, ObjectStore};

use crate::objects;
use crate::statics;

/// What makes this program the server.
pub(crate) const WORD: &str = "serve";
/// The administrator's token.
pub(crate) const TOKEN: &str = "bench";

/// Serves until its parent closes its input: `serve STORE NODES PODS`, where the store is `memory` or a folder.
pub(crate) fn run(words: &[String]) {
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let store: Arc<dyn ObjectStore> = match words[0].as_str() {
            "memory" => Arc::new(MemoryStore::new()),
            folder => Arc::new(DiskStore::open(folder, DiskOptions::default()).expect("a store")),
        };
        let env = Env::system();
        let server = ApiServer::builder().store(store).env(env.clone()).build().await.expect("a server");
        let certificates =
            Certificates::generate(&["localhost", "127.0.0.1"], &env.clock).expect("certificates");
        let tls = certificates.server_config().expect("TLS");
        let options =
            HttpsOptions::new(tls.clone()).authenticator(Tokens::new().with(TOKEN, Identity::admin()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let https = HttpsServer::start(&server, listener, options).expect("a listener");
        let still = statics::serve(server.clone(), tls).await;
        fill(&server, number(1), number(2)).await;
        println!("{} {still}", https.address());
        std::io::stdout().flush().expect("a parent that reads");
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().lines().for_each(drop));
        ended.await.expect("an end");
    });
}

/// Makes nodes, and pods that run on them.
async fn fill(server: &ApiServer, nodes: usize, pods: usize) {
    let client = server.client(Identity::admin());
    let scheme = server.scheme();
    let row =
        |plural: &str| scheme.iter().find(|row| row.group.is_empty() && row.plural == plural).expect("a row");
    let (node_row, pod_row) = (Target::all(row("nodes")), Target::all(row("pods")).namespace("default"));
    let create = async |target: &Target, tree| {
        let made = client.create(target.clone(), Payload::Tree(tree), WriteOptions::default()).await;
        made.expect("an object");
    };
    for number in 0..nodes {
        create(&node_row, objects::node(number)).await;
    }
    for number in 0..pods {
        let pod = objects::pod(number, nodes.max(1));
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        create(&pod_row, pod).await;
        let body = objects::running(number).to_string().into();
        let patch = Patch { kind: PatchType::Merge, body, force: false };
        let status = pod_row.clone().name(name).subresource("status");
        client.patch(status, patch, WriteOptions::default()).await.expect("a status");
    }
}

/// A running server; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where the same bytes are served statically.
    pub(crate) still: SocketAddr,
    /// From its start to where it listens, with everything that it was to hold.
    pub(crate) took: Duration,
}

impl Server {
    pub(crate) fn start(store: &str, nodes: usize, pods: usize) -> Self {
        let start = Instant::now();
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args([WORD, store, &nodes.to_string(), &pods.to_string()])
            // What a large answer took goes back to the system at once, and not when something else happens.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let took = start.elapsed();
        let mut addresses = line.split_whitespace().map(|word| word.parse().expect("an address"));
        let (address, still) = (addresses.next().expect("an address"), addresses.next().expect("another"));
        Self { child, address, still, took }
    }

    /// What the process holds in memory, in bytes.
    pub(crate) fn resident(&self) -> f64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
    }

    /// How much of the processor it has taken.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
