//! Which addresses of a block are taken: plain arithmetic, without I/O.
//!
//! An address that has just been released is the last to be used again, because somebody may still
//! be on the way to whoever had it (a connection that is being opened, a DNS answer that is held).
//! So addresses that were never used come first, in ascending order, and then released ones in the
//! order of their release:
//!
//! ```text
//! 10.0.0.0/29:  allocate -> .1   allocate -> .2   release .1   allocate -> .3 … .6
//!               allocate -> .1   (now the only one left)       allocate -> Exhausted
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::api::cidr::Cidr;

/// The addresses of one block. The first, and in IPv4 the last, belong to the block itself (network
/// and broadcast) and are never given away, unless it has no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Snapshot", from = "Snapshot")]
pub struct Ipam {
    range: Cidr,
    taken: BTreeSet<u128>,
    /// No index from here on was ever allocated; some may have been reserved.
    fresh: u128,
    /// Released ones, by the order of their release…
    released: BTreeMap<u64, u128>,
    /// …and back.
    order: BTreeMap<u128, u64>,
    releases: u64,
}

/// Why an address cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IpamError {
    /// Every address is taken.
    #[error("no address left in {0}")]
    Exhausted(Cidr),
    /// This one is taken.
    #[error("address {0} is already taken")]
    Taken(IpAddr),
    /// This one cannot be given away: it is not in the block, or belongs to the block itself.
    #[error("address {address} cannot be taken from {range}")]
    OutOfRange {
        /// The address.
        address: IpAddr,
        /// The block.
        range: Cidr,
    },
}

/// What an [`Ipam`] knows, for keeping it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The block.
    pub range: Cidr,
    /// The addresses that are taken, ascending.
    pub taken: Vec<IpAddr>,
    /// The addresses that were taken once, the first to be used again first.
    pub released: Vec<IpAddr>,
}

impl Ipam {
    /// A block with nothing taken.
    #[must_use]
    pub fn new(range: Cidr) -> Self {
        let mut ipam = Self {
            range,
            taken: BTreeSet::new(),
            fresh: 0,
            released: BTreeMap::new(),
            order: BTreeMap::new(),
            releases: 0,
        };
        ipam.fresh = ipam.first();
        ipam
    }

    /// The block.
    #[must_use]
    pub fn range(&self) -> Cidr {
        self.range
    }

    /// How many addresses can still be had.
    #[must_use]
    pub fn free(&self) -> u128 {
        self.last() - self.first() + 1 - self.taken.len() as u128
    }

    /// The addresses that are taken, ascending.
    pub fn taken(&self) -> impl Iterator<Item = IpAddr> {
        self.taken.iter().filter_map(|index| self.range.nth(*index))
    }

    /// Whether an address is taken.
    #[must_use]
    pub fn is_taken(&self, address: IpAddr) -> bool {
        self.range.index(address).is_some_and(|index| self.taken.contains(&index))
    }

    /// Takes an address.
    ///
    /// # Errors
    ///
    /// [`IpamError::Exhausted`].
    pub fn allocate(&mut self) -> Result<IpAddr, IpamError> {
        let exhausted = IpamError::Exhausted(self.range);
        while self.fresh <= self.last() {
            let index = self.fresh;
            self.fresh += 1;
            if !self.taken.contains(&index) && !self.order.contains_key(&index) {
                self.taken.insert(index);
                return self.range.nth(index).ok_or(exhausted);
            }
        }
        let (_, index) = self.released.pop_first().ok_or(exhausted)?;
        self.order.remove(&index);
        self.taken.insert(index);
        self.range.nth(index).ok_or(exhausted)
    }

    /// Takes this address.
    ///
    /// # Errors
    ///
    /// [`IpamError::Taken`] and [`IpamError::OutOfRange`].
    pub fn reserve(&mut self, address: IpAddr) -> Result<(), IpamError> {
        let out_of_range = IpamError::OutOfRange { address, range: self.range };
        let index = self.range.index(address).ok_or(out_of_range)?;
        if !(self.first()..=self.last()).contains(&index) {
            return Err(out_of_range);
        }
        if !self.taken.insert(index) {
            return Err(IpamError::Taken(address));
        }
        if let Some(order) = self.order.remove(&index) {
            self.released.remove(&order);
        }
        Ok(())
    }

    /// Gives an address back; `false` where it was not taken.
    pub fn release(&mut self, address: IpAddr) -> bool {
        let Some(index) = self.range.index(address) else { return false };
        if !self.taken.remove(&index) {
            return false;
        }
        self.released.insert(self.releases, index);
        self.order.insert(index, self.releases);
        self.releases += 1;
        true
    }

    /// What is known, for [`restore`](Self::restore).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let released = self.released.values().filter_map(|index| self.range.nth(*index)).collect();
        Snapshot { range: self.range, taken: self.taken().collect(), released }
    }

    /// As it was when the snapshot was made. Addresses of a snapshot that are not in its block are
    /// left out.
    #[must_use]
    pub fn restore(snapshot: Snapshot) -> Self {
        let Snapshot { range, taken, released } = snapshot;
        let mut ipam = Self::new(range);
        for address in released {
            if ipam.reserve(address).is_ok() {
                ipam.release(address);
            }
        }
        for address in taken {
            let _ = ipam.reserve(address);
        }
        ipam
    }

    /// The first index that can be given away.
    fn first(&self) -> u128 {
        u128::from(self.range.size() > 2)
    }

    /// The last one.
    fn last(&self) -> u128 {
        let last = self.range.index(self.range.last()).unwrap_or(0);
        if self.range.is_ipv4() && self.range.size() > 2 { last - 1 } else { last }
    }
}

impl From<Ipam> for Snapshot {
    fn from(ipam: Ipam) -> Self {
        ipam.snapshot()
    }
}

impl From<Snapshot> for Ipam {
    fn from(snapshot: Snapshot) -> Self {
        Self::restore(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(text: &str) -> Ipam {
        Ipam::new(text.parse().unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_worked_example() {
        let mut ipam = block("10.0.0.0/29");
        assert_eq!(ipam.allocate(), Ok(ip("10.0.0.1")));
        assert_eq!(ipam.allocate(), Ok(ip("10.0.0.2")));
        assert!(ipam.release(ip("10.0.0.1")));
        for last in 3..=6 {
            assert_eq!(ipam.allocate(), Ok(ip(&format!("10.0.0.{last}"))));
        }
        assert_eq!(ipam.allocate(), Ok(ip("10.0.0.1")));
        assert_eq!(ipam.allocate(), Err(IpamError::Exhausted(ipam.range())));
    }

    #[test]
    fn what_a_block_can_give() {
        for (range, free, first) in [
            ("10.0.0.0/24", 254, "10.0.0.1"),
            ("10.0.0.0/30", 2, "10.0.0.1"),
            ("10.0.0.0/31", 2, "10.0.0.0"),
            ("10.0.0.7/32", 1, "10.0.0.7"),
            ("fd00::/126", 3, "fd00::1"),
        ] {
            let mut ipam = block(range);
            assert_eq!(ipam.free(), free, "{range}");
            assert_eq!(ipam.allocate(), Ok(ip(first)));
        }
        assert!(block("::/0").allocate().is_ok());
    }

    #[test]
    fn reservations() {
        let mut ipam = block("10.0.0.0/29");
        assert_eq!(ipam.reserve(ip("10.0.0.1")), Ok(()));
        assert_eq!(ipam.reserve(ip("10.0.0.1")), Err(IpamError::Taken(ip("10.0.0.1"))));
        for outside in ["10.0.0.0", "10.0.0.7", "10.0.0.8", "fd00::1"] {
            assert!(matches!(ipam.reserve(ip(outside)), Err(IpamError::OutOfRange { .. })), "{outside}");
        }
        assert_eq!(ipam.allocate(), Ok(ip("10.0.0.2")));
        assert!(!ipam.release(ip("10.0.0.3")) && !ipam.release(ip("10.0.0.7")));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Allocate,
        Reserve(u8),
        Release(u8),
        Restore,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Allocate),
            2 => any::<u8>().prop_map(Step::Reserve),
            3 => any::<u8>().prop_map(Step::Release),
            1 => Just(Step::Restore),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// Against a model: an address is given to one at a time, exhaustion is told when and only
        /// when all are taken, and of the free ones the one that was released last comes last.
        #[test]
        fn one_owner_each_and_the_latest_release_is_last(steps in steps()) {
            let mut ipam = block("10.0.0.0/28");
            let address = |number: u8| ip(&format!("10.0.0.{}", number % 16));
            let mut taken = BTreeSet::new();
            let mut latest: Option<IpAddr> = None;
            for step in steps {
                match step {
                    Step::Allocate => match ipam.allocate() {
                        Ok(given) => {
                            prop_assert!(taken.insert(given), "{given} was taken");
                            prop_assert!(latest != Some(given) || taken.len() == 14, "{given} came too early");
                        }
                        Err(error) => {
                            prop_assert_eq!(error, IpamError::Exhausted(ipam.range()));
                            prop_assert_eq!(taken.len(), 14);
                        }
                    },
                    Step::Reserve(number) => match ipam.reserve(address(number)) {
                        Ok(()) => prop_assert!(taken.insert(address(number))),
                        Err(IpamError::Taken(given)) => prop_assert!(taken.contains(&given)),
                        Err(_) => prop_assert!([0, 15].contains(&(number % 16))),
                    },
                    Step::Release(number) => {
                        let given = address(number);
                        prop_assert_eq!(ipam.release(given), taken.remove(&given));
                        if !ipam.is_taken(given) && ipam.snapshot().released.last() == Some(&given) {
                            latest = Some(given);
                        }
                    }
                    Step::Restore => {
                        let kept = serde_json::to_string(&ipam).unwrap();
                        let restored: Ipam = serde_json::from_str(&kept).unwrap();
                        prop_assert_eq!(restored.snapshot(), ipam.snapshot());
                        ipam = restored;
                    }
                }
                if latest.is_some_and(|latest| taken.contains(&latest)) {
                    latest = None;
                }
                prop_assert_eq!(ipam.taken().collect::<BTreeSet<_>>(), taken.clone());
                prop_assert_eq!(ipam.free(), 14 - taken.len() as u128);
            }
        }
    }
}
