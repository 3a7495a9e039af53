//! Round trips, hostile input, and connections with a peer that is written by hand.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

use super::frame::{Frame, HEAD, Head, reset};
use super::headers::{BLOCK, Deflater, Inflater};
use super::{BUFFERED, CONTROL, Connection, Error, Gone, PIECE, STREAMS};
use crate::env::Env;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    map
}

/// The caller's side, frame by frame.
struct Peer {
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
    inflater: Inflater,
    deflater: Deflater,
}

impl Peer {
    fn connected(env: &Env) -> (Self, Connection) {
        let (near, far) = duplex(PIECE * 4);
        let (reader, writer) = split(far);
        let connection = Connection::start(reader, writer, &env.tasks, &env.clock);
        let (reader, writer) = split(near);
        (Self { reader, writer, inflater: Inflater::new(), deflater: Deflater::new() }, connection)
    }

    async fn send(&mut self, frame: Frame) {
        let mut out = BytesMut::new();
        frame.encode(&mut self.deflater, &mut out).unwrap();
        self.writer.write_all(&out).await.unwrap();
    }

    async fn open(&mut self, id: u32, pairs: &[(&str, &str)]) {
        self.send(Frame::SynStream { id, fin: false, headers: headers(pairs) }).await;
    }

    async fn data(&mut self, id: u32, text: &'static str, fin: bool) {
        self.send(Frame::Data { id, fin, bytes: Bytes::from_static(text.as_bytes()) }).await;
    }

    /// The next frame; none at the end.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; HEAD];
        self.reader.read_exact(&mut head).await.ok()?;
        Some(match Head::parse(head).unwrap() {
            Head::Data { id, fin, length } => {
                let mut bytes = BytesMut::zeroed(length);
                self.reader.read_exact(&mut bytes).await.unwrap();
                Frame::Data { id, fin, bytes: bytes.freeze() }
            }
            Head::Control { kind, flags, length } => {
                let mut payload = vec![0; length];
                self.reader.read_exact(&mut payload).await.unwrap();
                Frame::control(kind, flags, &payload, &mut self.inflater).unwrap().unwrap()
            }
        })
    }

    /// The next frame that is about a stream, rather than its window.
    async fn next_of_stream(&mut self) -> Option<Frame> {
        loop {
            match self.next().await {
                Some(Frame::WindowUpdate { .. }) => {}
                other => return other,
            }
        }
    }
}

fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let pair = ("[a-z][a-z0-9-]{0,20}", "[ -~]{0,60}");
    proptest::collection::vec(pair, 0..12).prop_map(|pairs| {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        map
    })
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let id = 1u32..0x7fff_ffff;
    let bytes = proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    prop_oneof![
        (id.clone(), any::<bool>(), bytes).prop_map(|(id, fin, bytes)| Frame::Data { id, fin, bytes }),
        (id.clone(), any::<bool>(), any_headers()).prop_map(|(id, fin, headers)| Frame::SynStream {
            id,
            fin,
            headers
        }),
        (id.clone(), any::<bool>(), any_headers()).prop_map(|(id, fin, headers)| Frame::SynReply {
            id,
            fin,
            headers
        }),
        (id.clone(), any::<bool>(), any_headers()).prop_map(|(id, fin, headers)| Frame::Headers {
            id,
            fin,
            headers
        }),
        (id.clone(), any::<u32>()).prop_map(|(id, status)| Frame::Reset { id, status }),
        any::<Option<u32>>().prop_map(|initial_window| Frame::Settings { initial_window }),
        any::<u32>().prop_map(|id| Frame::Ping { id }),
        (id.clone(), any::<u32>()).prop_map(|(last, status)| Frame::GoAway { last, status }),
        (id, 0u32..0x7fff_ffff).prop_map(|(id, delta)| Frame::WindowUpdate { id, delta }),
    ]
}

/// Reads frames until there are none, or something is wrong.
fn decode(mut bytes: &[u8], inflater: &mut Inflater) -> Result<Vec<Frame>, Error> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() {
        let (length, kind) = match Head::parse(*head)? {
            Head::Data { length, .. } => (length, None),
            Head::Control { kind, flags, length } => (length, Some((kind, flags))),
        };
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        bytes = rest;
        match (kind, Head::parse(*head)?) {
            (None, Head::Data { id, fin, .. }) => {
                frames.push(Frame::Data { id, fin, bytes: Bytes::copy_from_slice(payload) });
            }
            (Some((kind, flags)), _) => frames.extend(Frame::control(kind, flags, payload, inflater)?),
            _ => unreachable!("a head of no kind is data's"),
        }
    }
    Ok(frames)
}

proptest! {
    #[test]
    fn what_is_written_is_read(frames in proptest::collection::vec(any_frame(), 0..20)) {
        let (mut deflater, mut out) = (Deflater::new(), BytesMut::new());
        for frame in &frames {
            frame.encode(&mut deflater, &mut out).unwrap();
        }
        prop_assert_eq!(decode(&out, &mut Inflater::new()).unwrap(), frames);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes, &mut Inflater::new());
    }

    #[test]
    fn no_damage_makes_it_panic(
        frames in proptest::collection::vec(any_frame(), 1..8),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (mut deflater, mut out) = (Deflater::new(), BytesMut::new());
        for frame in &frames {
            frame.encode(&mut deflater, &mut out).unwrap();
        }
        for (place, byte) in flips {
            let place = place.index(out.len());
            out[place] = byte;
        }
        let _ = decode(&out, &mut Inflater::new());
    }
}

#[test]
fn a_block_of_zlibs_own_is_read() {
    // What `zlib.compressobj(zdict=...)` of another implementation makes of one header.
    let mut packed = flate2::Compress::new(flate2::Compression::best(), true);
    packed.set_dictionary(&super::dictionary::DICTIONARY).unwrap();
    let mut block = Vec::with_capacity(200);
    let plain = b"\0\0\0\x01\0\0\0\nstreamtype\0\0\0\x05error";
    packed.compress_vec(plain, &mut block, flate2::FlushCompress::Sync).unwrap();
    assert_eq!(&block[..6], b"\x78\xf9\xe3\xc6\xa7\xc2", "the dictionary's name");
    assert_eq!(Inflater::new().read(&block).unwrap(), headers(&[("streamtype", "error")]));
}

#[test]
fn a_value_of_many_parts_is_as_many_values_and_pseudo_headers_are_left_out() {
    let mut plain = BytesMut::new();
    for text in [":path", "/", "accept", "a\0b"] {
        plain.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
        plain.extend_from_slice(text.as_bytes());
    }
    let plain = [&2u32.to_be_bytes()[..], &plain].concat();
    let mut packed = flate2::Compress::new(flate2::Compression::fast(), true);
    let mut block = Vec::with_capacity(200);
    packed.compress_vec(&plain, &mut block, flate2::FlushCompress::Sync).unwrap();
    let read = Inflater::new().read(&block).unwrap();
    assert_eq!(read, headers(&[("accept", "a"), ("accept", "b")]));
}

#[test]
fn headers_that_unpack_to_too_much_are_refused() {
    let bomb = vec![0; BLOCK * 64];
    let mut packed = flate2::Compress::new(flate2::Compression::best(), true);
    let mut block = Vec::with_capacity(BLOCK * 4);
    packed.compress_vec(&bomb, &mut block, flate2::FlushCompress::Sync).unwrap();
    assert!(block.len() < CONTROL, "it is small: {}", block.len());
    let refused = Inflater::new().read(&block).unwrap_err();
    assert_eq!(refused.to_string(), "protocol error: headers that are too long");
}

#[test]
fn what_is_no_frame_of_this_protocol_is_refused() {
    for (bytes, why) in [
        ([0, 0, 0, 0, 0, 0, 0, 1], "protocol error: data of no stream"),
        ([0x80, 2, 0, 1, 0, 0, 0, 1], "protocol error: another version"),
        ([0x80, 3, 0, 1, 0, 0xff, 0, 0], "protocol error: a control frame that is too long"),
    ] {
        assert_eq!(Head::parse(bytes).unwrap_err().to_string(), why);
    }
    // A kind that is not known is passed over.
    assert_eq!(Frame::control(11, 0, b"abc", &mut Inflater::new()).unwrap(), None);
    let many = Frame::control(4, 0, &[0xff, 0xff, 0xff, 0xff], &mut Inflater::new()).unwrap_err();
    assert_eq!(many.to_string(), "protocol error: a control frame that ends too early");
}

#[tokio::test(start_paused = true)]
async fn a_stream_carries_both_directions_and_ends_in_each() {
    let env = Env::simulated(1);
    let (mut peer, mut connection) = Peer::connected(&env);
    peer.open(1, &[("streamType", "data")]).await;
    let mut stream = connection.accept().await.unwrap();
    assert_eq!((stream.id, stream.header("streamtype")), (1, "data"));
    stream.outgoing.reply().await.unwrap();
    stream.outgoing.write(Bytes::from_static(b"hello")).await.unwrap();
    peer.data(1, "hi", true).await;
    assert_eq!(stream.incoming.read().await.unwrap(), "hi");
    assert_eq!(stream.incoming.read().await, None);
    assert!(!stream.incoming.is_over(), "only the caller has finished");
    stream.outgoing.finish().await.unwrap();
    assert!(stream.incoming.is_over());
    assert_eq!(peer.next().await, Some(Frame::SynReply { id: 1, fin: false, headers: HeaderMap::new() }));
    for (text, fin) in [("hello", false), ("", true)] {
        assert_eq!(peer.next().await, Some(Frame::Data { id: 1, fin, bytes: text.into() }));
    }
    drop((stream, connection));
    assert_eq!(peer.next().await, Some(Frame::GoAway { last: 1, status: 0 }));
    assert_eq!(peer.next().await, None);
    drop(peer);
    env.tasks.idle().await;
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_and_the_peers_answers_are_not() {
    let env = Env::simulated(1);
    let (mut peer, _connection) = Peer::connected(&env);
    peer.send(Frame::Ping { id: 2 }).await;
    peer.send(Frame::Ping { id: 7 }).await;
    assert_eq!(peer.next().await, Some(Frame::Ping { id: 7 }));
}

#[tokio::test(start_paused = true)]
async fn numbers_go_up_and_are_odd() {
    let env = Env::simulated(1);
    let (mut peer, mut connection) = Peer::connected(&env);
    for (id, taken) in [(2, false), (3, true), (3, false), (1, false), (5, true)] {
        peer.open(id, &[]).await;
        if taken {
            let stream = connection.accept().await.unwrap();
            stream.outgoing.reply().await.unwrap();
            assert_eq!(
                peer.next().await.unwrap(),
                Frame::SynReply { id, fin: false, headers: HeaderMap::new() }
            );
        } else {
            assert_eq!(peer.next().await, Some(Frame::Reset { id, status: reset::PROTOCOL_ERROR }));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn more_streams_than_there_may_be_are_refused_and_those_that_end_make_room() {
    let env = Env::simulated(1);
    let (mut peer, mut connection) = Peer::connected(&env);
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        peer.open(u32::try_from(number).unwrap() * 2 + 1, &[]).await;
        streams.push(connection.accept().await.unwrap());
    }
    let next = u32::try_from(STREAMS).unwrap() * 2 + 1;
    peer.open(next, &[]).await;
    assert_eq!(peer.next().await, Some(Frame::Reset { id: next, status: reset::REFUSED_STREAM }));
    streams.pop();
    peer.open(next + 2, &[]).await;
    assert_eq!(connection.accept().await.unwrap().id, next + 2);
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_opened_and_reset_at_once_wait_until_they_are_taken() {
    let env = Env::simulated(1);
    let (mut peer, mut connection) = Peer::connected(&env);
    let flood = async {
        for number in 0..20_000u32 {
            peer.open(number * 2 + 1, &[]).await;
            peer.send(Frame::Reset { id: number * 2 + 1, status: reset::CANCEL }).await;
        }
    };
    // With nobody who takes streams, the flood stands still once the pipe is full.
    let flooded = env.clock.timeout(Duration::from_secs(60), flood).await;
    assert!(flooded.is_err(), "all of them were read");
    let mut taken = 0;
    while let Some(Some(stream)) = connection.accept().now_or_never() {
        drop(stream);
        taken += 1;
    }
    assert!(taken <= super::ACCEPTED + 1, "{taken}");
}

#[tokio::test(start_paused = true)]
async fn data_that_nobody_reads_waits_with_its_sender() {
    let env = Env::simulated(1);
    let (mut peer, mut connection) = Peer::connected(&env);
    peer.open(1, &[]).await;
    let mut stream = connection.accept().await.unwrap();
    let mut sent = 0;
    let flood = async {
        loop {
            let bytes = Bytes::from(vec![7; PIECE]);
            peer.send(Frame::Data { id: 1, fin: false, bytes }).await;
            sent += PIECE;
        }
    };
    let _: Result<(), _> = env.clock.timeout(Duration::from_secs(60), flood).await;
    assert!((BUFFERED..=BUFFERED + PIECE * 6).contains(&sent), "{sent}");
    // Whoever reads gets all of it.
    let mut read = 0;
    while read < BUFFERED {
        read += stream.incoming.read().await.unwrap().len();
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_longer_than_a_piece_comes_in_pieces() {
    let env = Env::simulated(1);
    let (mut peer, mut connection) = Peer::connected(&env);
    peer.open(1, &[]).await;
    let mut stream = connection.accept().await.unwrap();
    let length = PIECE * 2 + 5;
    let send = peer.send(Frame::Data { id: 1, fin: true, bytes: Bytes::from(vec![1; length]) });
    let read = async {
        let mut lengths = Vec::new();
        while let Some(piece) = stream.incoming.read().await {
            lengths.push(piece.len());
        }
        lengths
    };
    let ((), lengths) = tokio::join!(send, read);
    assert_eq!(lengths, [PIECE, PIECE, 5]);
}

#[tokio::test(start_paused = true)]
async fn windows_are_opened_as_data_is_read_and_kept_to_by_whoever_knows_them() {
    let env = Env::simulated(1);
    let (mut peer, mut connection) = Peer::connected(&env);
    peer.open(1, &[]).await;
    let mut stream = connection.accept().await.unwrap();
    for _ in 0..2 {
        peer.send(Frame::Data { id: 1, fin: false, bytes: Bytes::from(vec![1; PIECE]) }).await;
        stream.incoming.read().await.unwrap();
        for id in [0, 1] {
            let delta = u32::try_from(PIECE).unwrap();
            assert_eq!(peer.next().await, Some(Frame::WindowUpdate { id, delta }));
        }
    }
    // A peer with a window of ten gets ten.
    peer.send(Frame::Settings { initial_window: Some(10) }).await;
    peer.send(Frame::Ping { id: 1 }).await;
    assert_eq!(peer.next().await, Some(Frame::Ping { id: 1 }));
    let write = stream.outgoing.write(Bytes::from_static(b"0123456789abcdef"));
    let read = async {
        assert_eq!(peer.next().await, Some(Frame::Data { id: 1, fin: false, bytes: "0123456789".into() }));
        let more = env.clock.timeout(Duration::from_secs(60), peer.next()).await;
        assert!(more.is_err(), "it waits: {more:?}");
        peer.send(Frame::WindowUpdate { id: 1, delta: 4 }).await;
        assert_eq!(peer.next().await, Some(Frame::Data { id: 1, fin: false, bytes: "abcd".into() }));
        peer.send(Frame::Reset { id: 1, status: reset::CANCEL }).await;
    };
    let (written, ()) = tokio::join!(write, read);
    assert_eq!(written, Err(Gone), "a reset ends the wait");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_knows_no_windows_is_sent_whatever_there_is() {
    let env = Env::simulated(1);
    let (mut peer, mut connection) = Peer::connected(&env);
    peer.open(1, &[]).await;
    let stream = connection.accept().await.unwrap();
    let much = PIECE * 40;
    let write = async {
        stream.outgoing.write(Bytes::from(vec![1; much])).await.unwrap();
        stream.outgoing.finish().await.unwrap();
    };
    let read = async {
        let mut came = 0;
        while let Some(Frame::Data { bytes, fin: false, .. }) = peer.next_of_stream().await {
            came += bytes.len();
        }
        came
    };
    assert_eq!(tokio::join!(write, read).1, much);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_breaks_the_protocol_or_goes_ends_every_stream() {
    for goodbye in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x80\x03\0\x01\0\0\0\x04\0\0\0\x01", b"", b"\x80\x03"] {
        let env = Env::simulated(1);
        let (mut peer, mut connection) = Peer::connected(&env);
        peer.open(1, &[]).await;
        let mut stream = connection.accept().await.unwrap();
        peer.writer.write_all(goodbye).await.unwrap();
        peer.writer.shutdown().await.unwrap();
        assert_eq!(stream.incoming.read().await, None);
        connection.ended().await;
        assert!(connection.accept().await.is_none() && stream.incoming.is_over());
        assert_eq!(stream.outgoing.write(Bytes::from_static(b"x")).await, Err(Gone));
        env.tasks.idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_and_never_ends_is_left_once_nobody_wants_it() {
    let env = Env::simulated(1);
    let (mut peer, mut connection) = Peer::connected(&env);
    peer.open(1, &[]).await;
    let stream = connection.accept().await.unwrap();
    let write = stream.outgoing.write(Bytes::from(vec![1; BUFFERED * 2]));
    assert!(env.clock.timeout(Duration::from_secs(60), write).await.is_err(), "it waits for the peer");
    let before = env.clock.instant();
    drop((stream, connection));
    env.tasks.idle().await;
    assert!(env.clock.instant() - before <= Duration::from_secs(6));
    drop(peer);
}
