//! Frames: eight bytes that say what comes, and then that.

use bytes::{Buf, BufMut, Bytes};
use http::HeaderMap;

use super::headers::{Deflater, Inflater};
use super::{CONTROL, Error};

/// The bytes that every frame begins with.
pub(crate) const HEAD: usize = 8;

/// The statuses of a reset.
pub(crate) mod reset {
    /// The other side broke the protocol.
    pub(crate) const PROTOCOL_ERROR: u32 = 1;
    /// The stream was not looked at.
    pub(crate) const REFUSED_STREAM: u32 = 3;
    /// The stream is not wanted any more.
    pub(crate) const CANCEL: u32 = 5;
}

const VERSION: u16 = 3;
const FIN: u8 = 1;
/// The setting that says how much of a stream may be sent before a window is opened.
const INITIAL_WINDOW: u32 = 7;

/// What the first bytes of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// Data of a stream: so many bytes follow.
    Data { id: u32, fin: bool, length: usize },
    /// A control frame: so many bytes follow, never more than [`CONTROL`].
    Control { kind: u16, flags: u8, length: usize },
}

/// A frame. Data that is received is never whole in memory: see [`Head`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    Data {
        id: u32,
        fin: bool,
        bytes: Bytes,
    },
    SynStream {
        id: u32,
        fin: bool,
        headers: HeaderMap,
    },
    SynReply {
        id: u32,
        fin: bool,
        headers: HeaderMap,
    },
    Reset {
        id: u32,
        status: u32,
    },
    /// The settings; of them all only the initial window counts here.
    Settings {
        initial_window: Option<u32>,
    },
    Ping {
        id: u32,
    },
    GoAway {
        last: u32,
        status: u32,
    },
    Headers {
        id: u32,
        fin: bool,
        headers: HeaderMap,
    },
    WindowUpdate {
        id: u32,
        delta: u32,
    },
}

impl Head {
    pub(crate) fn parse(bytes: [u8; HEAD]) -> Result<Self, Error> {
        let mut bytes = &bytes[..];
        let (first, second) = (bytes.get_u32(), bytes.get_u32());
        let flags = u8::try_from(second >> 24).unwrap_or_default();
        let length = (second & 0x00ff_ffff) as usize;
        if first & 0x8000_0000 == 0 {
            return match first {
                0 => Err(Error::Protocol("data of no stream")),
                id => Ok(Self::Data { id, fin: flags & FIN != 0, length }),
            };
        }
        if first >> 16 & 0x7fff != u32::from(VERSION) {
            return Err(Error::Protocol("another version"));
        }
        if length > CONTROL {
            return Err(Error::Protocol("a control frame that is too long"));
        }
        let kind = u16::try_from(first & 0xffff).unwrap_or_default();
        Ok(Self::Control { kind, flags, length })
    }
}

impl Frame {
    /// The control frame of this payload; none where its kind is unknown, which is to be passed over.
    ///
    /// # Errors
    ///
    /// When it is malformed. Then no other frame can be read, since the headers of all are one stream.
    pub(crate) fn control(
        kind: u16,
        flags: u8,
        mut payload: &[u8],
        inflater: &mut Inflater,
    ) -> Result<Option<Self>, Error> {
        let short = |_| Error::Protocol("a control frame that ends too early");
        let fin = flags & FIN != 0;
        let id = |payload: &mut &[u8]| match payload.try_get_u32().map_err(short)? & 0x7fff_ffff {
            0 => Err(Error::Protocol("a control frame of no stream")),
            id => Ok(id),
        };
        let frame = match kind {
            1 => {
                let id = id(&mut payload)?;
                // The stream that it belongs to, its priority and a slot, none of which matter here.
                if payload.remaining() < 6 {
                    return Err(Error::Protocol("a control frame that ends too early"));
                }
                payload.advance(6);
                Self::SynStream { id, fin, headers: inflater.read(payload)? }
            }
            2 => Self::SynReply { id: id(&mut payload)?, fin, headers: inflater.read(payload)? },
            3 => Self::Reset { id: id(&mut payload)?, status: payload.try_get_u32().map_err(short)? },
            4 => {
                let count = payload.try_get_u32().map_err(short)?;
                let mut initial_window = None;
                for _ in 0..count {
                    let (id, value) =
                        (payload.try_get_u32().map_err(short)?, payload.try_get_u32().map_err(short)?);
                    if id & 0x00ff_ffff == INITIAL_WINDOW {
                        initial_window = Some(value);
                    }
                }
                Self::Settings { initial_window }
            }
            6 => Self::Ping { id: payload.try_get_u32().map_err(short)? },
            7 => Self::GoAway {
                last: payload.try_get_u32().map_err(short)? & 0x7fff_ffff,
                status: payload.try_get_u32().map_err(short)?,
            },
            8 => Self::Headers { id: id(&mut payload)?, fin, headers: inflater.read(payload)? },
            9 => Self::WindowUpdate {
                id: payload.try_get_u32().map_err(short)? & 0x7fff_ffff,
                delta: payload.try_get_u32().map_err(short)? & 0x7fff_ffff,
            },
            _ => return Ok(None),
        };
        Ok(Some(frame))
    }

    /// Writes the frame behind `out`.
    ///
    /// # Errors
    ///
    /// When its headers cannot be packed.
    pub(crate) fn encode(&self, deflater: &mut Deflater, out: &mut impl BufMut) -> Result<(), Error> {
        match self {
            Self::Data { id, fin, bytes } => {
                out.put_u32(*id);
                out.put_u32(length(*fin, bytes.len()));
                out.put_slice(bytes);
            }
            Self::SynStream { id, fin, headers } => {
                let block = deflater.write(headers)?;
                head(out, 1, *fin, 10 + block.len());
                out.put_u32(*id);
                out.put_slice(&[0; 6]);
                out.put_slice(&block);
            }
            Self::SynReply { id, fin, headers } | Self::Headers { id, fin, headers } => {
                let kind = if matches!(self, Self::SynReply { .. }) { 2 } else { 8 };
                let block = deflater.write(headers)?;
                head(out, kind, *fin, 4 + block.len());
                out.put_u32(*id);
                out.put_slice(&block);
            }
            Self::Reset { id, status } => words(out, 3, &[*id, *status]),
            Self::Settings { initial_window: None } => words(out, 4, &[0]),
            Self::Settings { initial_window: Some(window) } => words(out, 4, &[1, INITIAL_WINDOW, *window]),
            Self::Ping { id } => words(out, 6, &[*id]),
            Self::GoAway { last, status } => words(out, 7, &[*last, *status]),
            Self::WindowUpdate { id, delta } => words(out, 9, &[*id, *delta]),
        }
        Ok(())
    }
}

fn words(out: &mut impl BufMut, kind: u16, words: &[u32]) {
    head(out, kind, false, words.len() * 4);
    for word in words {
        out.put_u32(*word);
    }
}

fn head(out: &mut impl BufMut, kind: u16, fin: bool, payload: usize) {
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    out.put_u32(length(fin, payload));
}

fn length(fin: bool, length: usize) -> u32 {
    u32::from(fin) << 24 | u32::try_from(length).unwrap_or(u32::MAX) & 0x00ff_ffff
}
