//! The load: gRPC requests on the thinnest HTTP/2 client that there can be.
//!
//! A general gRPC client uses up the two cores that it shares with the server, and then measures itself.
//! This one keeps its request headers as bytes that it sends again and again, decodes no header that
//! it gets, and tells a success from a failure by shape alone: an answer that begins with data has
//! succeeded, one that consists of trailers has failed. One thread drives all connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// The window that a server grants at first, for a connection and for a stream.
const FIRST_WINDOW: i64 = 65_535;
/// The largest window that there can be: what this client grants for a connection.
const LARGEST_WINDOW: u32 = 0x7fff_ffff;
/// The largest frame that every server takes.
const FRAME: usize = 16_384;

/// A connection that speaks just enough HTTP/2.
pub(crate) struct Connection {
    socket: TcpStream,
    /// The request headers, encoded once.
    headers: Bytes,
    input: BytesMut,
    output: BytesMut,
    next_stream: u32,
    /// What may still be sent on the connection, and at first on a stream.
    window: i64,
    stream_window: i64,
    /// What may still be sent on the streams that are open.
    streams: BTreeMap<u32, i64>,
    /// What has been taken of the window granted for the connection.
    taken: u32,
    /// Data that waits for a window, oldest first: stream, bytes, whether the stream ends with it.
    waiting: Vec<(u32, Bytes, bool)>,
}

/// Something that happened on a stream.
pub(crate) enum Happened {
    /// Part of its answer.
    Data(u32, Bytes),
    /// Its end.
    End(u32),
}

impl Connection {
    /// Connects and sends what must come first.
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        let socket = TcpStream::connect(address).await.expect("a connection");
        socket.set_nodelay(true).expect("no delay");
        let mut output = BytesMut::from(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]);
        // No dynamic table for answers, windows as large as can be.
        let settings = [(1u16, 0u32), (4, LARGEST_WINDOW), (5, 16_384)];
        frame(&mut output, SETTINGS, 0, 0, 6 * settings.len());
        for (name, value) in settings {
            output.put_u16(name);
            output.put_u32(value);
        }
        frame(&mut output, WINDOW_UPDATE, 0, 0, 4);
        output.put_u32(LARGEST_WINDOW - FIRST_WINDOW as u32);
        Self {
            socket,
            headers: headers(path, &address.to_string()),
            input: BytesMut::with_capacity(1 << 18),
            output,
            next_stream: 1,
            window: FIRST_WINDOW,
            stream_window: FIRST_WINDOW,
            streams: BTreeMap::new(),
            taken: 0,
            waiting: Vec::new(),
        }
    }

    /// Begins a request with this message; answers its stream.
    pub(crate) fn request(&mut self, message: &[u8], ends: bool) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        frame(&mut self.output, HEADERS, END_HEADERS, stream, self.headers.len());
        self.output.extend_from_slice(&self.headers);
        self.streams.insert(stream, self.stream_window);
        self.message(stream, message, ends);
        stream
    }

    /// Sends another message on a stream that is open.
    pub(crate) fn send(&mut self, stream: u32, message: &[u8]) {
        self.message(stream, message, false);
    }

    fn message(&mut self, stream: u32, message: &[u8], ends: bool) {
        let mut body = BytesMut::with_capacity(5 + message.len());
        body.put_u8(0);
        body.put_u32(message.len() as u32);
        body.extend_from_slice(message);
        self.waiting.push((stream, body.freeze(), ends));
        self.push();
    }

    /// Sends of what waits whatever the windows let through.
    fn push(&mut self) {
        let mut kept = Vec::new();
        for (stream, mut data, ends) in std::mem::take(&mut self.waiting) {
            let Some(window) = self.streams.get_mut(&stream) else { continue };
            while !data.is_empty() && self.window > 0 && *window > 0 {
                let size = (data.len() as i64).min(self.window).min(*window).min(FRAME as i64);
                let part = data.split_to(size as usize);
                let flags = if ends && data.is_empty() { END_STREAM } else { 0 };
                frame(&mut self.output, DATA, flags, stream, part.len());
                self.output.extend_from_slice(&part);
                self.window -= size;
                *window -= size;
            }
            if !data.is_empty() {
                kept.push((stream, data, ends));
            }
        }
        self.waiting = kept;
    }

    /// Sends what is to be sent.
    pub(crate) async fn flush(&mut self) {
        if !self.output.is_empty() {
            self.socket.write_all(&self.output).await.expect("a connection that takes requests");
            self.output.clear();
        }
    }

    /// Waits for answers and tells what they are. Cancel safe.
    pub(crate) async fn receive(&mut self, mut tell: impl FnMut(Happened)) {
        let read = self.socket.read_buf(&mut self.input).await.expect("a connection that answers");
        assert!(read > 0, "the server closed the connection");
        while self.input.len() >= 9 {
            let length = u32::from_be_bytes([0, self.input[0], self.input[1], self.input[2]]) as usize;
            if self.input.len() < 9 + length {
                self.input.reserve(9 + length - self.input.len());
                break;
            }
            let (kind, flags) = (self.input[3], self.input[4]);
            let stream = u32::from_be_bytes([self.input[5], self.input[6], self.input[7], self.input[8]])
                & 0x7fff_ffff;
            self.input.advance(9);
            let mut payload = self.input.split_to(length).freeze();
            match kind {
                DATA => {
                    self.taken += length as u32;
                    if self.taken > LARGEST_WINDOW / 2 {
                        frame(&mut self.output, WINDOW_UPDATE, 0, 0, 4);
                        self.output.put_u32(std::mem::take(&mut self.taken));
                    }
                    tell(Happened::Data(stream, payload));
                }
                SETTINGS if flags & ACK == 0 => {
                    while payload.len() >= 6 {
                        let (name, value) = (payload.get_u16(), payload.get_u32());
                        if name == 4 {
                            let more = i64::from(value) - self.stream_window;
                            self.stream_window += more;
                            self.streams.values_mut().for_each(|window| *window += more);
                        }
                    }
                    frame(&mut self.output, SETTINGS, ACK, 0, 0);
                }
                PING if flags & ACK == 0 => {
                    frame(&mut self.output, PING, ACK, 0, payload.len());
                    self.output.extend_from_slice(&payload);
                }
                WINDOW_UPDATE => {
                    let more = i64::from(payload.get_u32() & 0x7fff_ffff);
                    if stream == 0 {
                        self.window += more;
                    } else if let Some(window) = self.streams.get_mut(&stream) {
                        *window += more;
                    }
                    self.push();
                }
                GO_AWAY => panic!("the server sent the client away: {payload:?}"),
                _ => {}
            }
            if kind == RESET || (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0) {
                self.streams.remove(&stream);
                tell(Happened::End(stream));
            }
        }
    }
}

fn frame(output: &mut BytesMut, kind: u8, flags: u8, stream: u32, length: usize) {
    output.put_uint(length as u64, 3);
    output.put_u8(kind);
    output.put_u8(flags);
    output.put_u32(stream);
}

/// Request headers of a gRPC call, in HPACK without tables or Huffman's code.
fn headers(path: &str, authority: &str) -> Bytes {
    // POST and http stand in the static table.
    let mut block = BytesMut::from(&[0x83, 0x86][..]);
    let fields = [
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ];
    for (name, value) in fields {
        block.put_u8(0);
        for text in [name, value] {
            assert!(text.len() < 127, "a length of one byte");
            block.put_u8(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block.freeze()
}

/// Requests of one kind, so many in flight, for a while.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    /// Counted after a fifth of it has passed.
    pub(crate) time: Duration,
    /// So many requests, if they are done before.
    pub(crate) count: u64,
}

/// How it went.
pub(crate) struct Outcome {
    /// Answers a second.
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Requests that failed.
    pub(crate) failed: u64,
}

impl Load {
    /// Sends so many requests, as fast as they are answered.
    pub(crate) fn run_times(
        mut self,
        count: u64,
        message: impl Fn(u64, &mut Vec<u8>) + Copy + Send + 'static,
    ) {
        self.count = count;
        self.time = Duration::from_secs(600);
        assert_eq!(self.run(message).failed, 0, "requests fail");
    }

    /// Sends what `message` writes for the number of a request, on a thread of its own.
    pub(crate) fn run(self, message: impl Fn(u64, &mut Vec<u8>) + Copy + Send + 'static) -> Outcome {
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let tasks = (0..self.connections).map(|number| self.connection(number as u64, message));
                futures_util::future::join_all(tasks).await
            })
        });
        let parts: Vec<Part> = thread.join().expect("a load that ends");
        let mut took: Vec<Duration> = parts.iter().flat_map(|part| part.took.iter().copied()).collect();
        took.sort_unstable();
        let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default();
        Outcome {
            rate: took.len() as f64 / (self.time.as_secs_f64() * 0.8),
            p50: at(0.50),
            p99: at(0.99),
            failed: parts.iter().map(|part| part.failed).sum(),
        }
    }

    async fn connection(self, number: u64, message: impl Fn(u64, &mut Vec<u8>)) -> Part {
        let share = self.in_flight.div_ceil(self.connections).max(1);
        let mut connection = Connection::open(self.address, self.path).await;
        let mut open: BTreeMap<u32, (Instant, bool)> = BTreeMap::new();
        let (mut next, mut body) = (number, Vec::new());
        let start = Instant::now();
        let (warm, end) = (start + self.time / 5, start + self.time);
        let mut part = Part { took: Vec::new(), failed: 0 };
        let mut happened = Vec::new();
        loop {
            let now = Instant::now();
            while now < end && next < self.count && open.len() < share {
                body.clear();
                message(next, &mut body);
                next += self.connections as u64;
                open.insert(connection.request(&body, true), (now, false));
            }
            if open.is_empty() {
                return part;
            }
            connection.flush().await;
            connection.receive(|what| happened.push(what)).await;
            let now = Instant::now();
            for what in happened.drain(..) {
                match what {
                    Happened::Data(stream, data) => {
                        if let Some((_, answered)) = open.get_mut(&stream) {
                            *answered |= !data.is_empty();
                        }
                    }
                    Happened::End(stream) => match open.remove(&stream) {
                        Some((begun, true)) if now > warm && now <= end => part.took.push(now - begun),
                        Some((_, true)) | None => {}
                        Some((_, false)) => part.failed += 1,
                    },
                }
            }
        }
    }
}

struct Part {
    took: Vec<Duration>,
    failed: u64,
}
