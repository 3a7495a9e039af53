//! Many watchers over etcd's API: events that reach them, and what becomes of the puts meanwhile.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use futures_util::future::{Either, join_all, select};
use tokio::sync::Notify;

use crate::load::{Connection, Happened};
use crate::message;

const PUT: &str = "/etcdserverpb.KV/Put";
const WATCH: &str = "/etcdserverpb.Watch/Watch";
const CONNECTIONS: usize = 8;
const TIME: Duration = Duration::from_secs(5);
/// How long the last events of an open loop may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events that may be under way in a closed loop.
const WINDOW: u64 = 64_000;
/// Delays are counted in steps of this.
const STEP: Duration = Duration::from_micros(100);

/// Who watches what, and how fast somebody puts.
#[derive(Clone, Copy)]
pub(crate) enum Watchers {
    /// So many, each with a stream of its own, watch one prefix; puts wait for them.
    Prefix(usize),
    /// The same, and so many puts a second are offered, whether watchers follow or not.
    Offered(usize, u32),
    /// So many watch a key each, on one stream a connection; puts wait for them.
    Keys(usize),
}

/// What was seen of it.
pub(crate) struct Seen {
    /// Events a second.
    pub(crate) events: f64,
    /// Puts a second.
    pub(crate) puts: f64,
    /// From asking to the answer, of 99 in 100 puts.
    pub(crate) put_p99: Duration,
    /// From asking for a put to its event, of 99 in 100 events; not known of keys.
    pub(crate) event_p99: Duration,
    /// The same of the slowest event.
    pub(crate) last: Duration,
}

#[derive(Default)]
struct State {
    ready: usize,
    delivered: u64,
    sent_at: Vec<Instant>,
    delays: BTreeMap<u128, u64>,
}

impl Watchers {
    fn count(self) -> usize {
        match self {
            Self::Prefix(count) | Self::Offered(count, _) | Self::Keys(count) => count,
        }
    }

    /// How many events a put makes.
    fn events_a_put(self) -> u64 {
        match self {
            Self::Keys(_) => 1,
            _ => self.count() as u64,
        }
    }

    fn put(self, number: u64) -> Vec<u8> {
        let key = match self {
            Self::Keys(count) => key(number as usize % count),
            _ => format!("/watched/{}", number % 1000),
        };
        let mut body = Vec::new();
        message::put(key.as_bytes(), &[b'x'; 1024], &mut body);
        body
    }

    /// Measures on a server.
    pub(crate) fn run(self, address: SocketAddr) -> Seen {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (state, news) = (RefCell::new(State::default()), Notify::new());
            let watching = join_all((0..CONNECTIONS).map(|part| self.watch(address, part, &state, &news)));
            let putting = self.drive(address, &state, &news);
            match select(pin!(putting), pin!(watching)).await {
                Either::Left((seen, _)) => seen,
                Either::Right(_) => panic!("the watches ended"),
            }
        })
    }

    /// Follows one connection's share of the watches for ever.
    async fn watch(self, address: SocketAddr, part: usize, state: &RefCell<State>, news: &Notify) {
        let mut connection = Connection::open(address, WATCH).await;
        let share = self.count() / CONNECTIONS;
        // By stream: what has come of a message, and how many events have come.
        let mut streams: BTreeMap<u32, (BytesMut, usize)> = BTreeMap::new();
        let mut create = Vec::new();
        if let Self::Keys(_) = self {
            let mut stream = None;
            for number in part * share..(part + 1) * share {
                create.clear();
                message::watch(key(number).as_bytes(), &[], &mut create);
                match stream {
                    Some(stream) => connection.send(stream, &create),
                    None => stream = Some(connection.request(&create, false)),
                }
            }
            streams.extend(stream.map(|stream| (stream, Default::default())));
        } else {
            message::watch(b"/watched/", b"/watched0", &mut create);
            streams.extend((0..share).map(|_| (connection.request(&create, false), Default::default())));
        }
        loop {
            connection.flush().await;
            connection
                .receive(|what| {
                    let Happened::Data(stream, data) = what else { panic!("a watch ended") };
                    let (held, got) = streams.get_mut(&stream).expect("a stream that is open");
                    held.extend_from_slice(&data);
                    let mut state = state.borrow_mut();
                    while let Some(prefix) = held.get(1..5) {
                        let length = u32::from_be_bytes(prefix.try_into().expect("four bytes")) as usize;
                        if held.len() < 5 + length {
                            break;
                        }
                        held.advance(5);
                        let count = message::events(&held.split_to(length)) as usize;
                        if count == 0 {
                            state.ready += 1;
                            continue;
                        }
                        state.delivered += count as u64;
                        if !matches!(self, Self::Keys(_)) {
                            // Each watcher is told of all puts, in their order.
                            for number in *got..*got + count {
                                let delay = state.sent_at[number].elapsed().as_micros() / STEP.as_micros();
                                *state.delays.entry(delay).or_default() += 1;
                            }
                            *got += count;
                        }
                    }
                })
                .await;
            news.notify_one();
        }
    }

    /// Puts for a while.
    async fn drive(self, address: SocketAddr, state: &RefCell<State>, news: &Notify) -> Seen {
        while state.borrow().ready < self.count() / CONNECTIONS * CONNECTIONS {
            news.notified().await;
        }
        let each = self.events_a_put();
        let window = (WINDOW / each).clamp(1, 1000);
        let mut connection = Connection::open(address, PUT).await;
        let (start, mut sent) = (Instant::now(), 0u64);
        let mut open: BTreeMap<u32, Instant> = BTreeMap::new();
        let mut took = Vec::new();
        let mut over = None;
        loop {
            let delivered = state.borrow().delivered;
            if start.elapsed() >= TIME && over.is_none() {
                over = Some((delivered, sent, start.elapsed()));
            }
            let done = open.is_empty() && delivered == sent * each;
            match over {
                Some((_, _, elapsed)) if done || start.elapsed() > elapsed + PATIENCE => break,
                Some(_) => {}
                None => {
                    let may = match self {
                        Self::Offered(_, rate) => (start.elapsed().as_secs_f64() * f64::from(rate)) as u64,
                        _ => delivered / each + window,
                    };
                    while sent < may {
                        state.borrow_mut().sent_at.push(Instant::now());
                        open.insert(connection.request(&self.put(sent), true), Instant::now());
                        sent += 1;
                    }
                }
            }
            connection.flush().await;
            let answered = pin!(connection.receive(|what| {
                if let Happened::End(stream) = what {
                    took.extend(open.remove(&stream).map(|begun| begun.elapsed()));
                }
            }));
            let told = pin!(async {
                let tick = pin!(tokio::time::sleep(Duration::from_millis(1)));
                select(pin!(news.notified()), tick).await;
            });
            select(answered, told).await;
        }
        let state = state.borrow();
        assert_eq!(state.delivered, sent * each, "events are lost, or later than {PATIENCE:?}");
        let (delivered, sent, elapsed) = over.expect("an end");
        took.sort_unstable();
        let whole: u64 = state.delays.values().sum();
        let mut before = 0;
        let p99 = state.delays.iter().find(|(_, count)| {
            before += **count;
            before * 100 >= whole * 99
        });
        let steps = |delay: &u128| STEP * u32::try_from(*delay).expect("a delay of less than days");
        Seen {
            events: delivered as f64 / elapsed.as_secs_f64(),
            puts: sent as f64 / elapsed.as_secs_f64(),
            put_p99: took.get(took.len() * 99 / 100).copied().unwrap_or_default(),
            event_p99: p99.map_or(Duration::ZERO, |(delay, _)| steps(delay)),
            last: state.delays.last_key_value().map_or(Duration::ZERO, |(delay, _)| steps(delay)),
        }
    }
}

fn key(number: usize) -> String {
    format!("/single/{number}")
}
