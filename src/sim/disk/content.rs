//! The bytes of a file, sparse: what was never written reads as zero and takes no room.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The unit in which room is taken, in bytes.
pub(super) const BLOCK: u64 = 4096;

/// The bytes of a file. A clone shares its blocks until one of the two is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    length: u64,
    blocks: BTreeMap<u64, Arc<[u8; BLOCK as usize]>>,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Fills the buffer from `offset` on; answers whether the file reaches so far.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> bool {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.length) {
            return false;
        }
        buffer.fill(0);
        for (block, within, part) in parts(offset, buffer.len()) {
            if let Some(bytes) = self.blocks.get(&block) {
                let length = part.len();
                buffer[part].copy_from_slice(&bytes[within..within + length]);
            }
        }
        true
    }

    pub(super) fn write(&mut self, data: &[u8], offset: u64) {
        for (block, within, part) in parts(offset, data.len()) {
            let bytes =
                Arc::make_mut(self.blocks.entry(block).or_insert_with(|| Arc::new([0; BLOCK as usize])));
            bytes[within..within + part.len()].copy_from_slice(&data[part]);
        }
        self.length = self.length.max(offset + data.len() as u64);
    }

    /// Cuts, or lengthens with zeroes.
    pub(super) fn resize(&mut self, length: u64) {
        if length < self.length {
            self.blocks.split_off(&length.div_ceil(BLOCK));
            if let Some(last) = self.blocks.get_mut(&(length / BLOCK)) {
                Arc::make_mut(last)[(length % BLOCK) as usize..].fill(0);
            }
        }
        self.length = length;
    }

    pub(super) fn flip(&mut self, offset: u64, bit: u8) {
        let mut byte = [0];
        if self.read(&mut byte, offset) {
            self.write(&[byte[0] ^ (1 << bit)], offset);
        }
    }

    /// How many blocks are taken at or behind `offset`.
    pub(super) fn taken_from(&self, offset: u64) -> u64 {
        self.blocks.range(offset.div_ceil(BLOCK)..).count() as u64
    }

    /// Whether the block that holds `offset` is taken.
    pub(super) fn is_taken(&self, offset: u64) -> bool {
        self.blocks.contains_key(&(offset / BLOCK))
    }
}

/// Which block, from where within it, holds which part of so many bytes from `offset` on.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % BLOCK) as usize;
        let part = done..length.min(done + BLOCK as usize - within);
        done = part.end;
        (!part.is_empty()).then_some((at / BLOCK, within, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cross_blocks_and_what_is_cut_comes_back_as_zero() {
        let mut content = Content::default();
        content.write(&[7; 5000], 4000);
        assert_eq!((content.len(), content.taken_from(0)), (9000, 3));
        content.resize(4100);
        content.resize(9000);
        let mut read = [1; 300];
        assert!(content.read(&mut read, 3950));
        assert!(read[..50].iter().all(|byte| *byte == 0));
        assert!(read[50..150].iter().all(|byte| *byte == 7));
        assert!(read[150..].iter().all(|byte| *byte == 0));
        assert!(!content.read(&mut read, 8800));
        assert_eq!(content.taken_from(0), 2);
    }

    #[test]
    fn a_clone_keeps_what_it_had() {
        let mut content = Content::default();
        content.write(b"before", 0);
        let kept = content.clone();
        content.flip(0, 0);
        let (mut now, mut then) = ([0; 6], [0; 6]);
        assert!(content.read(&mut now, 0) && kept.read(&mut then, 0));
        assert_eq!((&now, &then), (b"cefore", b"before"));
    }
}
