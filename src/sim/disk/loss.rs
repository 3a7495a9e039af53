//! What a crash leaves of what was not synced.

use crate::env::Stream;

/// The unit that a disk writes as a whole, in bytes.
const SECTOR: u64 = 512;

/// What a crash leaves of what was not synced: of the writes to each file, and of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// One of the others by chance, though never [`Loss::Process`].
    Any,
    /// Everything is there: the disk was quick.
    Nothing,
    /// Nothing is there: the disk was slow.
    Everything,
    /// Each write and each name is there or not, by chance, and writes have been done in any order.
    Each,
    /// As [`Loss::Each`], and each sector (512 bytes) of a write is there or not.
    Sectors,
    /// As [`Loss::Each`], and a write may end or begin at any byte.
    Bytes,
    /// What was done first is there, up to some write, which is torn; what came later is not.
    Tail,
    /// Only the process died: the system still has everything and shows it to the next one, but has
    /// not made it durable. A crash after that may yet lose it.
    Process,
}

/// A change of a file that was not synced.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// These bytes were written from this offset on.
    Write(u64, Vec<u8>),
    /// The file is at least so long.
    Grow(u64),
    /// The file lost what it held from here on.
    Cut(u64),
}

impl Loss {
    /// Every kind that loses by chance or wholly, in a fixed order.
    pub const POWER: [Self; 6] =
        [Self::Nothing, Self::Everything, Self::Each, Self::Sectors, Self::Bytes, Self::Tail];

    /// Itself, or for [`Loss::Any`] one of the others.
    pub(super) fn decide(self, chance: &Stream) -> Self {
        match self {
            Self::Any => Self::POWER[chance.below(Self::POWER.len() as u64) as usize],
            decided => decided,
        }
    }

    /// What is left of a file's changes, in the order in which they come to be.
    pub(super) fn changes(self, changes: Vec<Change>, chance: &Stream) -> Vec<Change> {
        let mut left = match self {
            Self::Nothing | Self::Process | Self::Any => return changes,
            Self::Everything => return Vec::new(),
            Self::Tail => {
                let whole = chance.below(changes.len() as u64 + 1) as usize;
                let torn = changes.get(whole).cloned();
                let mut left = changes;
                left.truncate(whole);
                left.extend(torn.map(|change| change.torn(chance)).into_iter().flatten().take(1));
                return left;
            }
            Self::Each => changes.into_iter().filter(|_| coin(chance)).collect::<Vec<_>>(),
            Self::Sectors => changes.into_iter().flat_map(|change| change.sectors(chance)).collect(),
            Self::Bytes => changes.into_iter().flat_map(|change| change.torn(chance)).collect(),
        };
        for last in (1..left.len()).rev() {
            left.swap(last, chance.below(last as u64 + 1) as usize);
        }
        left
    }

    /// Which of so many changes of names are left.
    pub(super) fn names(self, count: usize, chance: &Stream) -> Vec<bool> {
        let first = chance.below(count as u64 + 1) as usize;
        let left = |index| match self {
            Self::Nothing | Self::Process | Self::Any => true,
            Self::Everything => false,
            Self::Tail => index < first,
            Self::Each | Self::Sectors | Self::Bytes => coin(chance),
        };
        (0..count).map(left).collect()
    }
}

impl Change {
    /// The sectors that are there.
    fn sectors(self, chance: &Stream) -> Vec<Self> {
        let Self::Write(offset, data) = self else {
            return Some(self).filter(|_| coin(chance)).into_iter().collect();
        };
        let mut left: Vec<Self> = Vec::new();
        let mut at = 0;
        while at < data.len() {
            let start = offset + at as u64;
            let end = data.len().min(at + (SECTOR - start % SECTOR) as usize);
            if coin(chance) {
                match left.last_mut() {
                    Some(Self::Write(from, bytes)) if *from + bytes.len() as u64 == start => {
                        bytes.extend_from_slice(&data[at..end]);
                    }
                    _ => left.push(Self::Write(start, data[at..end].to_vec())),
                }
            }
            at = end;
        }
        left
    }

    /// Its beginning, its end, all or nothing of it.
    fn torn(self, chance: &Stream) -> Vec<Self> {
        match self {
            Self::Write(offset, mut data) => {
                let cut = chance.below(data.len() as u64 + 1) as usize;
                if coin(chance) {
                    data.truncate(cut);
                    vec![Self::Write(offset, data)]
                } else {
                    let end = data.split_off(cut);
                    vec![Self::Write(offset + cut as u64, end)]
                }
            }
            other => Some(other).filter(|_| coin(chance)).into_iter().collect(),
        }
    }
}

/// One or the other, equally likely.
pub(super) fn coin(chance: &Stream) -> bool {
    chance.next_u64() & 1 == 1
}
