//! Header blocks: names and values, compressed by one zlib stream a direction.

use bytes::{Buf, BufMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Error;
use super::dictionary::DICTIONARY;

/// What one block may unpack to.
pub(crate) const BLOCK: usize = 16 * 1024;

/// Unpacks the blocks of one direction, in their order. After an error no other block can be read.
pub(crate) struct Inflater {
    zlib: Decompress,
    unpacked: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self { zlib: Decompress::new(true), unpacked: vec![0; BLOCK] }
    }

    /// The headers of a block. A value of several parts becomes that many entries; what HTTP/2 calls
    /// pseudo-headers is left out, for a stream here is named by its own headers.
    ///
    /// # Errors
    ///
    /// When the block is no block, or unpacks to more than [`BLOCK`].
    pub(crate) fn read(&mut self, block: &[u8]) -> Result<HeaderMap, Error> {
        let length = self.inflate(block)?;
        parse(&self.unpacked[..length])
    }

    fn inflate(&mut self, block: &[u8]) -> Result<usize, Error> {
        let broken = Error::Protocol("headers that cannot be unpacked");
        let (start_in, start_out) = (self.zlib.total_in(), self.zlib.total_out());
        let offset = |total: u64, start: u64| usize::try_from(total - start).unwrap_or(usize::MAX);
        loop {
            let taken = offset(self.zlib.total_in(), start_in);
            let made = offset(self.zlib.total_out(), start_out);
            let (input, room) = (&block[taken..], &mut self.unpacked[made..]);
            if room.is_empty() {
                return Err(Error::Protocol("headers that are too long"));
            }
            match self.zlib.decompress(input, room, FlushDecompress::Sync) {
                Ok(Status::StreamEnd) => return Err(broken),
                Ok(_) => {
                    let now =
                        (offset(self.zlib.total_in(), start_in), offset(self.zlib.total_out(), start_out));
                    // With room left, all that came has been unpacked.
                    if now.0 == block.len() && now.1 < BLOCK {
                        return Ok(now.1);
                    }
                    if now == (taken, made) {
                        return Err(broken);
                    }
                }
                Err(error) if error.needs_dictionary().is_some() => {
                    self.zlib.set_dictionary(&DICTIONARY).map_err(|_| broken_dictionary())?;
                }
                Err(_) => return Err(broken),
            }
        }
    }
}

fn broken_dictionary() -> Error {
    Error::Protocol("headers that ask for another dictionary")
}

fn parse(mut block: &[u8]) -> Result<HeaderMap, Error> {
    let broken = || Error::Protocol("a header block that ends too early");
    let take = |block: &mut &[u8]| -> Result<bytes::Bytes, Error> {
        let length = block.try_get_u32().map_err(|_| broken())? as usize;
        if block.remaining() < length {
            return Err(broken());
        }
        Ok(block.copy_to_bytes(length))
    };
    let count = block.try_get_u32().map_err(|_| broken())?;
    let mut headers = HeaderMap::new();
    // Each takes eight bytes at least, so that their number is bounded by the block's length.
    for _ in 0..count {
        let (name, value) = (take(&mut block)?, take(&mut block)?);
        if name.first() == Some(&b':') {
            continue;
        }
        let name =
            HeaderName::from_bytes(&name).map_err(|_| Error::Protocol("a name of a header that is none"))?;
        for part in value.split(|byte| *byte == 0) {
            let part = HeaderValue::from_bytes(part)
                .map_err(|_| Error::Protocol("a value of a header that is none"))?;
            headers.try_append(name.clone(), part).map_err(|_| Error::Protocol("too many headers"))?;
        }
    }
    if block.has_remaining() {
        return Err(Error::Protocol("a header block that goes on behind its end"));
    }
    Ok(headers)
}

/// Packs the blocks of one direction, in their order.
pub(crate) struct Deflater(Compress);

impl Deflater {
    pub(crate) fn new() -> Self {
        let mut zlib = Compress::new(Compression::fast(), true);
        // It fails only once the stream has begun; and without it a block is longer, not wrong.
        let _ = zlib.set_dictionary(&DICTIONARY);
        Self(zlib)
    }

    /// The block of these headers.
    ///
    /// # Errors
    ///
    /// When the compressor does not work, which it always does.
    pub(crate) fn write(&mut self, headers: &HeaderMap) -> Result<Vec<u8>, Error> {
        let mut block = Vec::new();
        block.put_u32(u32::try_from(headers.keys_len()).unwrap_or(u32::MAX));
        let mut put = |bytes: &[u8]| {
            block.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            block.put_slice(bytes);
        };
        for name in headers.keys() {
            let parts: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            put(name.as_str().as_bytes());
            put(&parts.join(&0));
        }
        let mut packed = Vec::with_capacity(block.len() + 64);
        let start = self.0.total_in();
        loop {
            let taken = usize::try_from(self.0.total_in() - start).unwrap_or(usize::MAX);
            let status = self.0.compress_vec(&block[taken..], &mut packed, FlushCompress::Sync);
            if status.is_err() {
                return Err(Error::Protocol("headers that cannot be packed"));
            }
            // A flush is whole once it has left room.
            if packed.len() < packed.capacity() {
                return Ok(packed);
            }
            packed.reserve(block.len() + 64);
        }
    }
}
