//! The proxy over real sockets of the loopback network.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::env::Env;
use crate::net::proxy::rotation::Rotation;

/// A proxy whose rules are given by hand, and endpoints for it.
struct Bench {
    env: Env,
    ports: Arc<Ports>,
    failures: mpsc::UnboundedReceiver<BindFailure>,
}

fn bench() -> Bench {
    let env = Env::system();
    let (sender, failures) = mpsc::unbounded_channel();
    let rotation = Arc::new(Rotation::default());
    let shared = Shared { env: env.clone(), rotation, connect_timeout: Duration::from_secs(5) };
    let ports = Ports::new(shared, env.random.stream("proxy"), sender);
    Bench { env, ports, failures }
}

fn web() -> ObjectKey {
    ObjectKey::new("default", "web")
}

/// An address that nobody has.
async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

impl Bench {
    /// An endpoint that reads until the client has spoken, then says its name and what it heard.
    async fn endpoint(&self, name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, tasks) = (listener.local_addr().unwrap(), self.env.tasks.clone());
        self.env.tasks.spawn("endpoint", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tasks.spawn("endpoint connection", async move {
                    let mut heard = String::new();
                    let _ = stream.read_to_string(&mut heard).await;
                    let _ = stream.write_all(format!("{name} {heard}").as_bytes()).await;
                });
            }
        });
        address
    }

    /// One service on one address, with these endpoints.
    fn serve(&self, address: SocketAddr, endpoints: &[SocketAddr]) {
        let rule = Rule { endpoints: endpoints.to_vec(), ..Rule::default() };
        self.ports.apply(&web(), BTreeMap::from([(address, rule)]));
    }
}

/// What is answered to a client that says something and is done speaking.
async fn ask(address: SocketAddr, text: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn connections_are_spread_evenly_and_half_closed_ones_are_answered() {
    let bench = bench();
    let service = free_address().await;
    let endpoints = [bench.endpoint("a").await, bench.endpoint("b").await, bench.endpoint("c").await];
    bench.serve(service, &endpoints);
    let mut counts = BTreeMap::<_, u32>::new();
    for _ in 0..30 {
        *counts.entry(ask(service, "hello").await.unwrap()).or_default() += 1;
    }
    let expected = ["a hello", "b hello", "c hello"].map(|answer| (answer.to_owned(), 10));
    assert_eq!(counts, BTreeMap::from(expected));
}

#[tokio::test]
async fn a_dead_endpoint_costs_nobody_a_request() {
    let bench = bench();
    let (service, dead) = (free_address().await, free_address().await);
    bench.serve(service, &[dead, bench.endpoint("a").await]);
    for _ in 0..10 {
        assert_eq!(ask(service, "").await.unwrap(), "a ");
    }
}

#[tokio::test]
async fn without_endpoints_a_connection_is_reset() {
    let bench = bench();
    let service = free_address().await;
    bench.serve(service, &[]);
    let error = ask(service, "hello").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let endpoint = bench.endpoint("a").await;
    bench.serve(service, &[endpoint]);
    assert_eq!(ask(service, "hello").await.unwrap(), "a hello", "the listener is the same");
}

#[tokio::test]
async fn an_endpoint_that_leaves_keeps_its_connections_and_gets_no_new_ones() {
    let bench = bench();
    let service = free_address().await;
    let (a, b) = (bench.endpoint("a").await, bench.endpoint("b").await);
    bench.serve(service, &[a]);
    let mut established = TcpStream::connect(service).await.unwrap();
    established.write_all(b"from ").await.unwrap();
    // Nothing tells that a connection has reached its endpoint; that the proxy is through does.
    assert_eq!(ask(service, "x").await.unwrap(), "a x");
    bench.serve(service, &[b]);
    bench.ports.shared.rotation.left(a.ip(), || false).await;
    for _ in 0..5 {
        assert_eq!(ask(service, "x").await.unwrap(), "b x");
    }
    established.write_all(b"before").await.unwrap();
    established.shutdown().await.unwrap();
    let mut answer = String::new();
    established.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "a from before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_endpoints_come_and_go() {
    let bench = bench();
    let service = free_address().await;
    let endpoints = [bench.endpoint("a").await, bench.endpoint("b").await, bench.endpoint("c").await];
    bench.serve(service, &endpoints);
    let client = bench.env.tasks.spawn("client", async move {
        for _ in 0..200 {
            ask(service, "hello").await.expect("no request fails");
        }
    });
    let mut turns = 0;
    while !client.is_finished() {
        bench.serve(service, &endpoints[turns % 3..=turns % 3]);
        turns += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.join().await, Some(()));
    assert!(turns > 1);
}

#[tokio::test]
async fn an_address_that_cannot_be_bound_is_told_keeps_no_other_and_is_tried_again() {
    let mut bench = bench();
    let blocker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (taken, free) = (blocker.local_addr().unwrap(), free_address().await);
    let endpoint = bench.endpoint("a").await;
    let rule = Rule { port: "http".into(), endpoints: vec![endpoint], ..Rule::default() };
    bench.ports.apply(&web(), BTreeMap::from([(taken, rule.clone()), (free, rule)]));
    assert_eq!(ask(free, "x").await.unwrap(), "a x");
    let failure = bench.failures.recv().await.unwrap();
    assert_eq!((failure.address, failure.port.as_str(), failure.service), (taken, "http", web()));
    assert_eq!(failure.error.kind(), io::ErrorKind::AddrInUse);
    drop(blocker);
    let bound = || bench.ports.list().iter().all(|(_, bound, _)| *bound);
    bench.ports.shared.rotation.until(bound).await;
    assert_eq!(ask(taken, "x").await.unwrap(), "a x");
}

#[tokio::test]
async fn a_service_that_goes_frees_its_address_and_another_may_have_it_before() {
    let bench = bench();
    let service = free_address().await;
    let rules = |endpoint| BTreeMap::from([(service, Rule { endpoints: vec![endpoint], ..Rule::default() })]);
    let (a, b) = (bench.endpoint("a").await, bench.endpoint("b").await);
    bench.ports.apply(&web(), rules(a));
    // The address goes to another service before the first is seen to be gone.
    let other = ObjectKey::new("default", "other");
    bench.ports.apply(&other, rules(b));
    bench.ports.apply(&web(), BTreeMap::new());
    assert_eq!(ask(service, "x").await.unwrap(), "b x");
    bench.ports.apply(&other, BTreeMap::new());
    assert!(bench.ports.list().is_empty());
    bench.env.tasks.shutdown().await;
    TcpListener::bind(service).await.expect("no port is left behind");
}
