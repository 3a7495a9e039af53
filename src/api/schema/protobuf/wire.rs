//! Protobuf's own bytes: tags, varints, lengths.

use super::{ProtobufError, Result};

/// A field's value as it stands on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Wire<'a> {
    /// The bytes of a field that is no number.
    pub(super) fn bytes(self, field: &'static str) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong(field)),
        }
    }

    /// That the field is of another type.
    pub(super) fn wrong(self, field: &'static str) -> ProtobufError {
        let wire = match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Bytes(_) => 2,
            Self::Fixed32 => 5,
        };
        ProtobufError::WrongWireType { wire, field }
    }
}

/// The next field: its number and value; none at the end.
pub(super) fn next<'a>(bytes: &mut &'a [u8]) -> Result<Option<(u32, Wire<'a>)>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let tag = read_varint(bytes)?;
    // As gogo's decoders do, which keep 32 bits of the number.
    let number = (tag >> 3) as i32;
    if number <= 0 {
        return Err(ProtobufError::IllegalTag { number, tag });
    }
    let wire = match tag & 7 {
        0 => Wire::Varint(read_varint(bytes)?),
        1 => {
            let (eight, rest) = bytes.split_first_chunk::<8>().ok_or(ProtobufError::Truncated)?;
            *bytes = rest;
            Wire::Fixed64(u64::from_le_bytes(*eight))
        }
        2 => {
            let length = i64::try_from(read_varint(bytes)?).map_err(|_| ProtobufError::NegativeLength)?;
            let length = usize::try_from(length).map_err(|_| ProtobufError::Truncated)?;
            let (inner, rest) = bytes.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
            *bytes = rest;
            Wire::Bytes(inner)
        }
        5 => {
            let (_, rest) = bytes.split_first_chunk::<4>().ok_or(ProtobufError::Truncated)?;
            *bytes = rest;
            Wire::Fixed32
        }
        // Groups (3 and 4) are read by gogo, to be skipped; nothing of Kubernetes has ever written one.
        wire => return Err(ProtobufError::IllegalWireType { wire: wire as u8 }),
    };
    Ok(Some((number.unsigned_abs(), wire)))
}

pub(super) fn read_varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(ProtobufError::Truncated)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ProtobufError::Overflow)
}

fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(in crate::api::schema) fn put_varint(out: &mut Vec<u8>, number: u32, value: u64) {
    write_varint(out, u64::from(number) << 3);
    write_varint(out, value);
}

pub(in crate::api::schema) fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    write_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(in crate::api::schema) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    write_varint(out, u64::from(number) << 3 | 2);
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A message within a message.
pub(super) fn nested(
    out: &mut Vec<u8>,
    number: u32,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    write_varint(out, u64::from(number) << 3 | 2);
    // Most are short: room for one byte of length, and what follows moves where it takes more.
    let at = out.len();
    out.push(0);
    fill(out)?;
    let length = out.len() - at - 1;
    if length < 0x80 {
        out[at] = length as u8;
    } else {
        let mut prefix = Vec::with_capacity(5);
        write_varint(&mut prefix, length as u64);
        out.splice(at..=at, prefix);
    }
    Ok(())
}
