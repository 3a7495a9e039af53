//! URLs where the name of a host belongs.
//!
//! etcdctl 3.4, told `--endpoints=http://host:port`, asks members for their status, their hash and
//! their defragmentation with the whole URL as `:authority`. etcd does not look at it; hyper resets
//! the stream, as no authority has slashes. So [`Lenient`] makes `httpB--host:port` of it before hyper
//! reads it: as long, as long in Huffman's code too, and an authority. Nobody reads it afterwards.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What clients send before their first frame.
const PREFACE: usize = 24;
const FRAME_HEADER: usize = 9;
/// Frames and flags of RFC 9113.
const HEADERS: u8 = 1;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// The place of `:authority` in HPACK's static table.
const AUTHORITY: usize = 1;

/// A coded beginning of a URL, the bits of it that count, and what makes an authority's of it.
struct Scheme {
    code: [u8; 6],
    mask: [u8; 6],
    authority: [u8; 6],
}

/// `http://` and `https://` in HPACK's Huffman code, which Go's clients send.
const SCHEMES: [Scheme; 2] = [
    Scheme {
        code: [0x9d, 0x29, 0xae, 0xe3, 0x0c, 0x00],
        mask: [0xff, 0xff, 0xff, 0xff, 0xff, 0x80],
        authority: [0x9d, 0x29, 0xae, 0xea, 0xcb, 0x00],
    },
    Scheme {
        code: [0x9d, 0x29, 0xad, 0x17, 0x18, 0x60],
        mask: [0xff, 0xff, 0xff, 0xff, 0xff, 0xfc],
        authority: [0x9d, 0x29, 0xad, 0x17, 0x56, 0x58],
    },
];

/// A connection whose client may call its peer by URL.
pub(super) struct Lenient<C> {
    connection: C,
    frames: Frames,
}

impl<C> Lenient<C> {
    pub(super) fn new(connection: C) -> Self {
        Self { connection, frames: Frames::default() }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Lenient<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.connection).poll_read(context, buffer))?;
        self.frames.pass(&mut buffer.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Lenient<C> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

/// Where in a client's frames a connection is.
struct Frames {
    /// Bytes until the next frame.
    skip: usize,
    /// What is known of the next frame's header.
    header: [u8; FRAME_HEADER],
    known: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self { skip: PREFACE, header: [0; FRAME_HEADER], known: 0 }
    }
}

impl Frames {
    /// Corrects what was read. Headers that one read does not bring whole stay as they are.
    fn pass(&mut self, mut bytes: &mut [u8]) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &mut bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let more = (FRAME_HEADER - self.known).min(bytes.len());
            self.header[self.known..self.known + more].copy_from_slice(&bytes[..more]);
            self.known += more;
            bytes = &mut bytes[more..];
            if self.known < FRAME_HEADER || bytes.is_empty() {
                return;
            }
            self.known = 0;
            let [high, middle, low, kind, flags, ..] = self.header;
            self.skip = u32::from_be_bytes([0, high, middle, low]) as usize;
            if kind == HEADERS
                && let Some(payload) = bytes.get_mut(..self.skip)
                && let Some(begin) = authority(payload, flags)
            {
                correct(&mut payload[begin..]);
            }
        }
    }
}

/// Makes an authority of a URL in Huffman's code.
fn correct(value: &mut [u8]) {
    let Some(begin) = value.first_chunk_mut::<6>() else { return };
    let sent = *begin;
    for scheme in &SCHEMES {
        if (0..6).all(|at| sent[at] & scheme.mask[at] == scheme.code[at]) {
            *begin = std::array::from_fn(|at| sent[at] & !scheme.mask[at] | scheme.authority[at]);
            return;
        }
    }
}

/// Where in the payload of a HEADERS frame `:authority` stands, if it does so in Huffman's code.
fn authority(payload: &[u8], flags: u8) -> Option<usize> {
    let mut fields = Fields { payload, at: 0 };
    if flags & PADDED != 0 {
        let padding = usize::from(fields.byte()?);
        fields.payload = payload.get(..payload.len().checked_sub(padding)?)?;
    }
    if flags & PRIORITY != 0 {
        fields.at += 5;
    }
    loop {
        let first = *fields.payload.get(fields.at)?;
        let (prefix, literal) = match first {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let index = fields.integer(prefix)?;
        if !literal {
            continue;
        }
        if index == 0 {
            fields.string()?;
        }
        let (begin, huffman) = fields.string()?;
        if index == AUTHORITY {
            return huffman.then_some(begin);
        }
    }
}

/// A reader of HPACK, as far as it takes to step from field to field.
struct Fields<'a> {
    payload: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.payload.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// An integer that begins in the low bits of a byte.
    fn integer(&mut self, prefix: u32) -> Option<usize> {
        let most = (1_usize << prefix) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Some(value);
        }
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Steps over a string: where it begins, and whether it is in Huffman's code.
    fn string(&mut self) -> Option<(usize, bool)> {
        let huffman = self.payload.get(self.at)? & 0x80 != 0;
        let length = self.integer(7)?;
        let begin = self.at;
        self.at += length;
        (self.at <= self.payload.len()).then_some((begin, huffman))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's first bytes: the preface, settings, and a request whose fields are `fields`.
    fn request(flags: u8, fields: &[u8]) -> Vec<u8> {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        bytes.extend([0, 0, fields.len() as u8, HEADERS, flags, 0, 0, 0, 1]);
        bytes.extend(fields);
        bytes
    }

    /// `:method: POST`, `:scheme: http`, a `:path` of `/`, and then an authority.
    fn fields(authority: &[u8]) -> Vec<u8> {
        let mut fields = vec![0x83, 0x86, 0x44, 1, b'/', 0x41, 0x80 | authority.len() as u8];
        fields.extend(authority);
        fields
    }

    fn passed(bytes: &[u8], split: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let mut frames = Frames::default();
        let (first, second) = bytes.split_at_mut(split);
        frames.pass(first);
        frames.pass(second);
        bytes
    }

    /// `http://a`, `https://a` and `httpB--a`, `httpsB--a` in Huffman's code.
    const URLS: [(&[u8], &[u8]); 2] = [
        (&[0x9d, 0x29, 0xae, 0xe3, 0x0c, 0x0f], &[0x9d, 0x29, 0xae, 0xea, 0xcb, 0x0f]),
        (&[0x9d, 0x29, 0xad, 0x17, 0x18, 0x60, 0x7f], &[0x9d, 0x29, 0xad, 0x17, 0x56, 0x58, 0x7f]),
    ];

    #[test]
    fn a_url_becomes_an_authority_of_the_same_length() {
        for (url, authority) in URLS {
            let (sent, expected) = (request(4, &fields(url)), request(4, &fields(authority)));
            assert_eq!(passed(&sent, 0), expected);
            // However the frames before it are split.
            for split in 0..=PREFACE + 2 * FRAME_HEADER {
                assert_eq!(passed(&sent, split), expected, "split at {split}");
            }
            // Halves are left to hyper.
            assert_eq!(passed(&sent, sent.len() - 1), sent);
        }
    }

    #[test]
    fn padding_and_priority_are_stepped_over() {
        let (url, authority) = URLS[0];
        let around = |fields: Vec<u8>| [&[2, 0, 0, 0, 0, 16][..], &fields, &[0, 0]].concat();
        let flags = 4 | PADDED | PRIORITY;
        let sent = request(flags, &around(fields(url)));
        assert_eq!(passed(&sent, 0), request(flags, &around(fields(authority))));
    }

    #[test]
    fn nothing_else_is_touched() {
        let (url, _) = URLS[0];
        // A host that is called http, the same bytes as another field's value, and as data.
        let host = [0x9d, 0x29, 0xae, 0xe3, 0x2f, 0xff, 0xff];
        let mut other = fields(&host);
        other.extend([0x40, 0x81, 0x1f, 0x80 | url.len() as u8]);
        other.extend(url);
        let mut sent = request(4, &other);
        let data = fields(url);
        sent.extend([0, 0, data.len() as u8, 0, 0, 0, 0, 0, 1]);
        sent.extend(&data);
        assert_eq!(passed(&sent, 0), sent);
    }

    #[test]
    fn what_is_no_hpack_is_left() {
        for fields in [
            &[0x41][..],
            &[0x41, 0xff],
            &[0x41, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x41, 0x90, 0x9d],
            &[0x41, 0x82, 0x9d, 0x29],
            &[0x7f, 0xff],
            &[],
        ] {
            for flags in [4, 4 | PADDED, 4 | PRIORITY] {
                let sent = request(flags, fields);
                assert_eq!(passed(&sent, 0), sent);
            }
        }
    }
}
