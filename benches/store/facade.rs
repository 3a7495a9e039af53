//! Stores over etcd's API, beside handlers that do nothing and a real etcd.
//!
//! What an empty handler reaches is what the transport allows on this machine; what one reaches that waits
//! for a sync is what it allows to whoever is durable (see [`nothing`]).
//!
//! What bounds the disk where it stays below three quarters of the empty handler: a profile (perf, both
//! cores, Linux 6.18, one disk of a virtual machine) of 1,000 puts in flight gives 22 % to the system's half
//! of the flusher, of which 16 are the copy into fresh pages of the page cache, and 11 % to idling until a
//! sync returns, which nobody can use since all 1,000 wait for it. Together that is a third of the time. Of
//! what remains, 44 of 67 are the same HTTP/2 stack's. A bare file that is synced for an empty handler
//! spends its third on the same: 16 % in its writer's system calls, 3 % idle, and the rest on requests that
//! are parked and woken instead of answered in passing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use windlass::env::Env;
use windlass::store::disk::{DiskOptions, DiskStore};
use windlass::store::etcd_server::{EtcdServer, EtcdServerOptions};
use windlass::store::{MemoryStore, ObjectStore};

use crate::load::Load;
use crate::message;
use crate::nothing;
use crate::peer::Etcd;
use crate::table::{Cell, median, remark, row, section};
use crate::watchers::Watchers;

const PUT: &str = "/etcdserverpb.KV/Put";
const RANGE: &str = "/etcdserverpb.KV/Range";
const RUNS: usize = 3;
const TIME: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 8;
/// Keys of the list that is read as a whole.
const LIST: u64 = 150_000;

/// Something that listens, on two threads of its own.
pub(crate) struct Served {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Served {
    pub(crate) fn new(address: SocketAddr, runtime: Runtime) -> Self {
        Self { address, _runtime: runtime }
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn serve(store: Arc<dyn ObjectStore>) -> Served {
    let runtime = runtime();
    let server = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        EtcdServer::start(&Env::system(), store, listener, EtcdServerOptions::default()).expect("a server")
    });
    Served::new(server.address(), runtime)
}

fn load(address: SocketAddr, path: &'static str, in_flight: usize) -> Load {
    Load { address, path, connections: CONNECTIONS.min(in_flight), in_flight, time: TIME, count: u64::MAX }
}

fn put_message(number: u64, to: &mut Vec<u8>) {
    message::put(message::key(number).as_bytes(), &[b'x'; 1024], to);
}

fn get_message(number: u64, to: &mut Vec<u8>) {
    message::get(message::key(number).as_bytes(), to);
}

fn rate(address: SocketAddr, path: &'static str, flight: usize, message: fn(u64, &mut Vec<u8>)) -> f64 {
    median(RUNS, || {
        let outcome = load(address, path, flight).run(message);
        assert_eq!(outcome.failed, 0, "requests fail");
        outcome.rate
    })
}

fn range_message(number: u64, to: &mut Vec<u8>) {
    let start = format!("/registry/pods/default/pod-{:06}", number * 500 % 99_500);
    message::range(start.as_bytes(), b"/registry/pods0", 500, to);
}

fn list_message(_: u64, to: &mut Vec<u8>) {
    message::range(b"/list/", b"/list0", 0, to);
}

fn times(ours: f64, empty: f64) -> Cell {
    Cell::Times(ours / empty)
}

/// Fills a server with what is read later.
fn fill(address: SocketAddr) {
    let all = |count: u64, put: fn(u64, &mut Vec<u8>)| {
        let load = load(address, PUT, 256);
        load.run_times(count, put);
    };
    all(100_000, put_message);
    all(LIST, |number, to| message::put(format!("/list/{number}").as_bytes(), &[b'x'; 1024], to));
}

pub(crate) fn print() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = DiskStore::open(folder.path(), DiskOptions::default().quota_bytes(None)).expect("a store");
    let (empty, synced) = (nothing::at_once(), nothing::synced());
    let (memory, disk, peer) = (serve(Arc::new(MemoryStore::new())), serve(Arc::new(open)), Etcd::start());
    let theirs = peer.as_ref().map(|peer| peer.address);
    [Some(memory.address), Some(disk.address), theirs].into_iter().flatten().for_each(fill);
    let columns =
        ["empty handler", "memory", "of empty", "empty, synced", "disk", "of empty", "of synced", "etcd"];
    section("over etcd's API, 1 KB, 100,000 keys", &columns);
    for flight in [1, 64, 1000] {
        let measure = |address| rate(address, PUT, flight, put_message);
        let (empty, memory) = (measure(empty.address), measure(memory.address));
        let (synced, disk) = (measure(synced.address), measure(disk.address));
        let cells = [
            Cell::Rate(empty),
            Cell::Rate(memory),
            times(memory, empty),
            Cell::Rate(synced),
            Cell::Rate(disk),
            times(disk, empty),
            times(disk, synced),
            theirs.map_or(Cell::None, |address| Cell::Rate(measure(address))),
        ];
        row(&format!("put 1 KB, {flight} in flight"), &cells);
    }
    type Message = fn(u64, &mut Vec<u8>);
    let reads: [(&str, usize, Message); 4] = [
        ("get, 64 in flight", 64, get_message),
        ("get, 1000 in flight", 1000, get_message),
        ("range of 500, 8 in flight", 8, range_message),
        ("list of 150,000, 1 in flight", 1, list_message),
    ];
    for (name, flight, message) in reads {
        let measure = |address| Cell::Rate(rate(address, RANGE, flight, message));
        let cells = [
            Cell::None,
            measure(memory.address),
            Cell::None,
            Cell::None,
            measure(disk.address),
            Cell::None,
            Cell::None,
            theirs.map_or(Cell::None, measure),
        ];
        row(name, &cells);
    }
    remark("etcd and the disk sync what they answer; the store in memory does not.");
    watchers(memory.address, disk.address, theirs);
}

fn watchers(memory: SocketAddr, disk: SocketAddr, etcd: Option<SocketAddr>) {
    let columns = ["events", "puts", "put p99", "event p99", "last event"];
    section("watchers over etcd's API, 1 KB", &columns);
    for (name, watchers) in [
        ("1,000 of one prefix", Watchers::Prefix(1000)),
        ("1,000 of one prefix, 800 puts/s offered", Watchers::Offered(1000, 800)),
        ("10,000 of one prefix", Watchers::Prefix(10_000)),
        ("100,000 of different keys", Watchers::Keys(100_000)),
    ] {
        for (who, address) in [("memory", Some(memory)), ("disk", Some(disk)), ("etcd", etcd)] {
            let Some(address) = address else { continue };
            // What an etcd cannot follow is not offered to it: it would take minutes to come to an end.
            if who == "etcd" && matches!(watchers, Watchers::Offered(..)) {
                continue;
            }
            let seen = watchers.run(address);
            let of_keys = matches!(watchers, Watchers::Keys(_));
            let took = |took| if of_keys { Cell::None } else { Cell::Took(took) };
            let cells = [
                Cell::Rate(seen.events),
                Cell::Rate(seen.puts),
                Cell::Took(seen.put_p99),
                took(seen.event_p99),
                took(seen.last),
            ];
            row(&format!("{name}: {who}"), &cells);
        }
    }
}
