//! Peers that do with HTTP what they may, and more of it than anybody needs. HTTP/2 is spoken in frames here,
//! since no client would send these.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::wire::{Http1, dial};
use crate::support::{Served, TOKEN, serve, server};

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A get of /livez.
fn head() -> Vec<u8> {
    get(&[(":path", "/livez"), (":authority", "localhost")])
}

/// GET, https, and these, in HPACK without tables.
fn get(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x82, 0x87];
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn frame(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.put_uint(payload.len() as u64, 3);
    out.put_u8(kind);
    out.put_u8(flags);
    out.put_u32(stream);
    out.extend_from_slice(payload);
}

/// A connection with its preface sent.
struct Raw {
    stream: TlsStream<TcpStream>,
    input: BytesMut,
}

impl Raw {
    async fn open(served: &Served) -> Self {
        let mut stream = dial(served, None, true).await.unwrap();
        let mut out = BytesMut::from(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]);
        frame(&mut out, SETTINGS, 0, 0, &[]);
        stream.write_all(&out).await.unwrap();
        Self { stream, input: BytesMut::new() }
    }

    /// Sends, unless the server has gone.
    async fn send(&mut self, out: &[u8]) -> bool {
        self.stream.write_all(out).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// The next frame: kind, flags, stream, payload. None once the connection has ended.
    async fn next(&mut self) -> Option<(u8, u8, u32, BytesMut)> {
        loop {
            if self.input.len() >= 9 {
                let length = u32::from_be_bytes([0, self.input[0], self.input[1], self.input[2]]) as usize;
                if self.input.len() >= 9 + length {
                    let head = self.input.split_to(9);
                    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
                    return Some((head[3], head[4], stream, self.input.split_to(length)));
                }
            }
            if !matches!(self.stream.read_buf(&mut self.input).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// The error code of the farewell, if there is one before the end.
    async fn farewell(&mut self) -> Option<u32> {
        while let Some((kind, _, _, payload)) = self.next().await {
            if kind == GO_AWAY {
                return Some(u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]));
            }
        }
        None
    }
}

/// ENHANCE_YOUR_CALM.
const CALM: u32 = 11;

/// What is told to end within a while does so; and others are served meanwhile and after.
async fn stands(served: &Served) {
    let mut connection = Http1::open(served).await;
    let ask = Request::get("/livez").header("host", "localhost").body(String::new()).unwrap();
    let answer = served.server.env().clock.timeout(Duration::from_secs(60), connection.send(ask)).await;
    assert_eq!(answer.expect("an answer in time").body(), "ok");
}

/// CVE-2023-44487: streams that are opened and reset, faster than anybody can answer.
#[tokio::test]
async fn rapid_reset_ends_the_connection() {
    let served = serve(server().await).await;
    let mut raw = Raw::open(&served).await;
    let mut stream = 1;
    for _ in 0..100 {
        let mut out = BytesMut::new();
        for _ in 0..100 {
            frame(&mut out, HEADERS, END_HEADERS | END_STREAM, stream, &head());
            frame(&mut out, RESET, 0, stream, &8u32.to_be_bytes());
            stream += 2;
        }
        if !raw.send(&out).await {
            break;
        }
    }
    assert_eq!(raw.farewell().await, Some(CALM));
    stands(&served).await;
    served.shutdown().await;
}

/// CVE-2024-27316 and its kin: a head that never ends.
#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    let served = serve(server().await).await;
    let mut raw = Raw::open(&served).await;
    let mut first = BytesMut::new();
    frame(&mut first, HEADERS, END_STREAM, 1, &head());
    assert!(raw.send(&first).await);
    // A header that is new each time, so that none is cheaper than the other.
    let mut block = vec![0, 1, b'a', 0x7f];
    let length = 8_000;
    block.extend([(length - 127) as u8 & 0x7f | 0x80, ((length - 127) >> 7) as u8]);
    block.extend(vec![b'b'; length]);
    let mut sent = 0;
    for _ in 0..10_000 {
        let mut out = BytesMut::new();
        frame(&mut out, CONTINUATION, 0, 1, &block);
        sent += out.len();
        if !raw.send(&out).await {
            break;
        }
    }
    // Somebody who sends 80 MB of it is not listened to until the end.
    assert!(sent < 40_000_000, "{sent} bytes were taken");
    let farewell = raw.farewell().await;
    assert!(matches!(farewell, Some(CALM) | None), "{farewell:?}");
    stands(&served).await;
    served.shutdown().await;
}

#[tokio::test]
async fn more_streams_than_there_may_be_are_refused_one_by_one() {
    let served = serve(server().await).await;
    let mut raw = Raw::open(&served).await;
    let (mut streams, mut window) = (None, None);
    while streams.is_none() {
        let (kind, flags, _, payload) = raw.next().await.expect("settings");
        if kind == SETTINGS && flags & ACK == 0 {
            for setting in payload.chunks(6) {
                let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
                match setting[1] {
                    3 => streams = Some(value),
                    4 => window = Some(value),
                    _ => {}
                }
            }
        }
    }
    assert_eq!((streams, window), (Some(100), Some(256 * 1024)));
    // Watches stay open.
    let token = format!("Bearer {TOKEN}");
    let path = "/api/v1/namespaces?watch=true";
    let block = get(&[(":path", path), (":authority", "localhost"), ("authorization", &token)]);
    let mut out = BytesMut::new();
    for number in 0..101 {
        frame(&mut out, HEADERS, END_HEADERS | END_STREAM, 1 + 2 * number, &block);
    }
    assert!(raw.send(&out).await);
    let (mut refused, mut begun) = (None, 0);
    while refused.is_none() || begun < 100 {
        let (kind, flags, stream, payload) = raw.next().await.expect("an answer");
        assert_ne!(kind, GO_AWAY);
        begun += usize::from(kind == HEADERS && flags & END_STREAM == 0);
        if kind == RESET {
            refused = Some((stream, u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]])));
        }
    }
    assert_eq!(refused, Some((201, 7)), "REFUSED_STREAM, which may be tried again");
    stands(&served).await;
    served.shutdown().await;
}

#[tokio::test]
async fn pings_and_settings_without_end_are_answered_or_ended_and_harm_nobody() {
    let served = serve(server().await).await;
    for kind in [PING, SETTINGS] {
        let mut raw = Raw::open(&served).await;
        let payload: &[u8] = if kind == PING { &[0; 8] } else { &[] };
        let mut out = BytesMut::new();
        for _ in 0..1000 {
            frame(&mut out, kind, 0, 0, payload);
        }
        // Nobody reads the answers: what is kept of them must be bounded.
        for _ in 0..50 {
            let sending = served.server.env().clock.timeout(Duration::from_secs(2), raw.send(&out)).await;
            if sending != Ok(true) {
                break;
            }
        }
        stands(&served).await;
    }
    served.shutdown().await;
}

/// The bytes of an answer to what was sent over HTTP/1.1, until the server ends the connection.
async fn answer(served: &Served, pieces: &[&[u8]]) -> String {
    let mut stream = dial(served, None, false).await.unwrap();
    for piece in pieces {
        if stream.write_all(piece).await.is_err() {
            break;
        }
    }
    let _ = stream.flush().await;
    let mut read = Vec::new();
    let reading = stream.read_to_end(&mut read);
    let _ = served.server.env().clock.timeout(Duration::from_secs(60), reading).await.expect("an end");
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let served = serve(server().await).await;
    let large = |bytes: usize| {
        format!("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\na: {}\r\n\r\n", "b".repeat(bytes))
    };
    assert!(answer(&served, &[large(900_000).as_bytes()]).await.starts_with("HTTP/1.1 200 "));
    let refused = answer(&served, &[large(1 << 20).as_bytes()]).await;
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431 "), "{refused}");
    let many: String = (0..1100).map(|number| format!("a{number}: b\r\n")).collect();
    let many = format!("GET /livez HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    assert!(answer(&served, &[many.as_bytes()]).await.starts_with("HTTP/1.1 431 "));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000));
    assert!(answer(&served, &[long.as_bytes()]).await.starts_with("HTTP/1.1 414 "));
    for nonsense in ["GET\r\n\r\n", "GET / HTTP/9\r\n\r\n", "\x16\x03\x01\r\n\r\n"] {
        let said = answer(&served, &[nonsense.as_bytes()]).await;
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 400 ") || said.starts_with("HTTP/1.1 505 "),
            "{said}"
        );
    }
    stands(&served).await;
    served.shutdown().await;
}

/// Two lengths, or a length and chunks, would let two readers see two different requests.
#[tokio::test]
async fn a_request_has_one_length() {
    let served = serve(server().await).await;
    for head in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: -1\r\n",
        "content-length: 99999999999999999999999\r\n",
        "transfer-encoding: chunked, identity\r\n",
    ] {
        let request = format!("POST /livez HTTP/1.1\r\nhost: x\r\n{head}\r\nhello");
        let said = answer(&served, &[request.as_bytes()]).await;
        assert!(said.starts_with("HTTP/1.1 400 "), "{head}: {said}");
    }
    // Where there are chunks, a length is not believed, and the connection is not used again.
    let both = "POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET \
                /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let said = answer(&served, &[both.as_bytes()]).await;
    assert!(said.starts_with("HTTP/1.1 4"), "{said}");
    served.shutdown().await;
}

#[tokio::test]
async fn who_does_not_shake_hands_is_counted() {
    let served = serve(server().await).await;
    let mut plain = TcpStream::connect(served.https.address()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await;
    let page = crate::support::get(&served.server, "/metrics", &[]).await.text;
    assert!(page.contains("\napiserver_tls_handshake_errors_total 1\n"), "{page}");
    served.shutdown().await;
}
