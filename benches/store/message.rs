//! The few messages of etcd's API that the load consists of, as bytes.

/// A key of 100,000, the same for the same number; numbers in a row are spread.
pub(crate) fn key(number: u64) -> String {
    format!("/registry/pods/default/pod-{:06}", number.wrapping_mul(7919) % 100_000)
}

fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn bytes(field: u8, value: &[u8], to: &mut Vec<u8>) {
    to.push(field << 3 | 2);
    varint(value.len() as u64, to);
    to.extend_from_slice(value);
}

/// `PutRequest`.
pub(crate) fn put(key: &[u8], value: &[u8], to: &mut Vec<u8>) {
    bytes(1, key, to);
    bytes(2, value, to);
}

/// `RangeRequest` of one key.
pub(crate) fn get(key: &[u8], to: &mut Vec<u8>) {
    bytes(1, key, to);
}

/// `RangeRequest` of a range with a limit.
pub(crate) fn range(start: &[u8], end: &[u8], limit: u64, to: &mut Vec<u8>) {
    bytes(1, start, to);
    bytes(2, end, to);
    to.push(3 << 3);
    varint(limit, to);
}

/// `WatchRequest` that creates a watch of a range, or of one key where it has no end.
pub(crate) fn watch(start: &[u8], end: &[u8], to: &mut Vec<u8>) {
    let mut create = Vec::new();
    bytes(1, start, &mut create);
    if !end.is_empty() {
        bytes(2, end, &mut create);
    }
    bytes(1, &create, to);
}

/// How many events a `WatchResponse` holds.
pub(crate) fn events(mut response: &[u8]) -> u64 {
    let mut count = 0;
    while !response.is_empty() {
        let tag = take_varint(&mut response);
        let size = match tag & 7 {
            0 => {
                take_varint(&mut response);
                0
            }
            2 => take_varint(&mut response) as usize,
            other => panic!("wire type {other}"),
        };
        response = &response[size..];
        count += u64::from(tag >> 3 == 11);
    }
    count
}

fn take_varint(from: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = from[0];
        *from = &from[1..];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
        shift += 7;
    }
}
