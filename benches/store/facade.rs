//! Stores over etcd's API, beside a handler that does nothing and a real etcd.
//!
//! The empty handler is a tonic server of the same HTTP/2 stack that reads a put and answers nothing: what
//! it reaches is what the transport allows on this machine.

use std::cell::{Cell as Shared, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use windlass::env::Env;
use windlass::store::etcd_server::proto::{PutRequest, PutResponse};
use windlass::store::etcd_server::{EtcdServer, EtcdServerOptions};
use windlass::store::{MemoryStore, ObjectStore};

use crate::load::{Connection, Happened, Load};
use crate::message;
use crate::peer::Etcd;
use crate::table::{Cell, median, remark, row, section};

const PUT: &str = "/etcdserverpb.KV/Put";
const RANGE: &str = "/etcdserverpb.KV/Range";
const WATCH: &str = "/etcdserverpb.Watch/Watch";
const RUNS: usize = 3;
const TIME: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 8;
const WATCHERS: usize = 1000;
/// Puts that the slowest watchers may be behind, in the closed loop.
const WINDOW: u64 = 64;

/// Something that listens, on two threads of its own.
struct Served {
    address: SocketAddr,
    _runtime: Runtime,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn serve(store: Arc<dyn ObjectStore>) -> Served {
    let runtime = runtime();
    let server = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        EtcdServer::start(&Env::system(), store, listener, EtcdServerOptions::default()).expect("a server")
    });
    Served { address: server.address(), _runtime: runtime }
}

/// Answers every put with an empty message.
#[derive(Clone, Copy)]
struct Nothing;

impl tower_service::Service<tonic::Request<PutRequest>> for Nothing {
    type Response = tonic::Response<PutResponse>;
    type Error = tonic::Status;
    type Future = std::future::Ready<Result<Self::Response, tonic::Status>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), tonic::Status>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: tonic::Request<PutRequest>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(PutResponse::default())))
    }
}

fn serve_nothing() -> Served {
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            let service = service_fn(async |request| {
                let codec = tonic_prost::ProstCodec::<PutResponse, PutRequest>::default();
                Ok::<_, Infallible>(tonic::server::Grpc::new(codec).unary(Nothing, request).await)
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(u32::MAX)
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Served { address, _runtime: runtime }
}

fn load(address: SocketAddr, path: &'static str, in_flight: usize) -> Load {
    Load { address, path, connections: CONNECTIONS.min(in_flight), in_flight, time: TIME }
}

fn put_message(number: u64, to: &mut Vec<u8>) {
    message::put(message::key(number).as_bytes(), &[b'x'; 1024], to);
}

fn get_message(number: u64, to: &mut Vec<u8>) {
    message::get(message::key(number).as_bytes(), to);
}

fn rate(address: SocketAddr, path: &'static str, flight: usize, message: fn(u64, &mut Vec<u8>)) -> Cell {
    Cell::Rate(median(RUNS, || {
        let outcome = load(address, path, flight).run(message);
        assert_eq!(outcome.failed, 0, "requests fail");
        outcome.rate
    }))
}

/// Events delivered a second to watchers of one prefix, where puts wait for the watchers.
fn fan_out(address: SocketAddr) -> Cell {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    Cell::Rate(runtime.block_on(async {
        let (delivered, news) = (Shared::new(0u64), Notify::new());
        let mut watch = Vec::new();
        message::watch(b"/watched/", b"/watched0", &mut watch);
        let ready = Shared::new(0);
        let watchers = futures_util::future::join_all((0..CONNECTIONS).map(|_| async {
            let mut connection = Connection::open(address, WATCH).await;
            let open: Vec<u32> =
                (0..WATCHERS / CONNECTIONS).map(|_| connection.request(&watch, false)).collect();
            let parts = RefCell::new(std::collections::BTreeMap::<u32, BytesMut>::new());
            open.iter().for_each(|stream| drop(parts.borrow_mut().insert(*stream, BytesMut::new())));
            loop {
                connection.flush().await;
                connection
                    .receive(|what| {
                        let Happened::Data(stream, data) = what else { panic!("a watch ended") };
                        let mut parts = parts.borrow_mut();
                        let held = parts.get_mut(&stream).expect("a watch that is open");
                        held.extend_from_slice(&data);
                        while let Some(prefix) = held.get(1..5) {
                            let length = u32::from_be_bytes(prefix.try_into().expect("four bytes")) as usize;
                            if held.len() < 5 + length {
                                break;
                            }
                            held.advance(5);
                            match message::events(&held.split_to(length)) {
                                0 => ready.set(ready.get() + 1),
                                count => delivered.set(delivered.get() + count),
                            }
                        }
                    })
                    .await;
                news.notify_one();
            }
        }));
        let puts = async {
            while ready.get() < WATCHERS {
                news.notified().await;
            }
            let mut connection = Connection::open(address, PUT).await;
            let (start, mut sent) = (Instant::now(), 0u64);
            while start.elapsed() < TIME {
                while delivered.get() + WINDOW * WATCHERS as u64 > sent * WATCHERS as u64 {
                    let mut body = Vec::new();
                    message::put(format!("/watched/{}", sent % 1000).as_bytes(), &[b'x'; 1024], &mut body);
                    connection.request(&body, true);
                    sent += 1;
                }
                connection.flush().await;
                let answered = std::pin::pin!(connection.receive(|_| {}));
                let told = std::pin::pin!(news.notified());
                futures_util::future::select(answered, told).await;
            }
            delivered.get() as f64 / start.elapsed().as_secs_f64()
        };
        let (watchers, puts) = (std::pin::pin!(watchers), std::pin::pin!(puts));
        match futures_util::future::select(puts, watchers).await {
            futures_util::future::Either::Left((rate, _)) => rate,
            futures_util::future::Either::Right(_) => panic!("the watches ended"),
        }
    }))
}

pub(crate) fn print() {
    section("over etcd's API, 1 KB, 100,000 keys", &["empty handler", "memory", "etcd"]);
    let (empty, memory, peer) = (serve_nothing(), serve(Arc::new(MemoryStore::new())), Etcd::start());
    let etcd =
        |measure: &dyn Fn(SocketAddr) -> Cell| peer.as_ref().map_or(Cell::None, |peer| measure(peer.address));
    // Every key is there before any is read.
    for address in [Some(memory.address), peer.as_ref().map(|peer| peer.address)].into_iter().flatten() {
        let fill = Load { time: Duration::from_secs(10), ..load(address, PUT, 64) };
        fill.run(put_message);
    }
    for flight in [1, 64, 1000] {
        let measure = |address| rate(address, PUT, flight, put_message);
        let cells = [measure(empty.address), measure(memory.address), etcd(&measure)];
        row(&format!("put 1 KB, {flight} in flight"), &cells);
    }
    for flight in [64, 1000] {
        let measure = |address| rate(address, RANGE, flight, get_message);
        row(&format!("get, {flight} in flight"), &[Cell::None, measure(memory.address), etcd(&measure)]);
    }
    row("1,000 watchers of one prefix, events", &[Cell::None, fan_out(memory.address), etcd(&fan_out)]);
    remark("etcd syncs its disk; the store in memory does not.");
}
