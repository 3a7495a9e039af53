//! Bits that flip while they are at rest.

use super::machine::Machine;

/// Which bytes at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rest {
    /// Covered by a sync that is superseded (see [`super::SimDisk::supersede`]).
    Superseded,
    /// Covered by a sync that is not superseded, or kept by chance in a crash since: the newest
    /// batch, for which nothing vouches that was written later.
    Newest,
    /// Within a file and never written: preallocated, or a hole.
    Free,
}

/// One bit of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// The file's name.
    pub file: String,
    /// Which byte.
    pub offset: u64,
    /// Which bit of it, 0 being the lowest.
    pub bit: u8,
}

impl Rest {
    /// Every class, in a fixed order.
    pub const ALL: [Self; 3] = [Self::Superseded, Self::Newest, Self::Free];
}

impl Machine {
    pub(super) fn flip(&mut self, rest: Rest) -> Option<Flip> {
        let mut ranges = Vec::new();
        for (name, inode) in &self.durable_names {
            let Some(inode) = self.inodes.get(inode) else { continue };
            let length = inode.durable.len();
            match rest {
                Rest::Free => {
                    ranges.extend(inode.coverage.gaps(length).into_iter().map(|gap| (name.clone(), gap)));
                }
                Rest::Superseded | Rest::Newest => {
                    let covered = inode.coverage.ranges().filter(|(range, sync)| {
                        (*sync > self.superseded) == (rest == Rest::Newest) && range.start < length
                    });
                    let covered = covered.map(|(range, _)| range.start..range.end.min(length));
                    ranges.extend(covered.map(|range| (name.clone(), range)));
                }
            }
        }
        let total = ranges.iter().map(|(_, range)| range.end - range.start).sum();
        let mut nth = Some(self.chance.below(total)).filter(|_| total > 0)?;
        for (file, range) in ranges {
            let length = range.end - range.start;
            if nth < length {
                let flip = Flip { file, offset: range.start + nth, bit: self.chance.below(8) as u8 };
                self.flip_at(&flip);
                return Some(flip);
            }
            nth -= length;
        }
        None
    }

    pub(super) fn flip_at(&mut self, flip: &Flip) {
        let inode = self.durable_names.get(&flip.file).and_then(|inode| self.inodes.get_mut(inode));
        if let Some(inode) = inode {
            inode.durable.flip(flip.offset, flip.bit);
            inode.cached.flip(flip.offset, flip.bit);
        }
    }
}
