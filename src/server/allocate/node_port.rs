//! Node ports: drawn of a range, each held by a key of its own.

use std::collections::BTreeSet;

use super::full;
use crate::api::Status;
use crate::server::registry::{Call, Change, store_error};
use crate::store::{Compare, KeyRange, ListOptions, Op};

/// Beneath the key at which kube-apiserver keeps its bitmap of ports.
const PREFIX: &str = "/registry/ranges/servicenodeports/";

/// Draws without a look at what is taken, before the taken ones are counted.
const BLIND_DRAWS: usize = 4;

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

/// 30000 to 32767, as in Kubernetes.
impl Default for PortRange {
    fn default() -> Self {
        Self { first: 30_000, last: 32_767 }
    }
}

impl PortRange {
    /// The port, if it is one of this range; otherwise what is wrong with it.
    pub(super) fn check(self, port: i64) -> Result<u16, String> {
        u16::try_from(port).ok().filter(|port| (self.first..=self.last).contains(port)).ok_or_else(|| {
            format!(
                "provided port is not in the valid range. The range of valid ports is {}-{}",
                self.first, self.last
            )
        })
    }
}

/// A port that nobody is known to hold.
pub(super) async fn draw(
    call: &Call<'_>,
    range: PortRange,
    own: &BTreeSet<u16>,
    avoid: &BTreeSet<u16>,
) -> Result<u16, Status> {
    let stream = call.server.port_stream();
    let width = u64::from(range.last.saturating_sub(range.first)) + 1;
    let free = |port: &u16| !own.contains(port) && !avoid.contains(port);
    if avoid.len() < BLIND_DRAWS {
        for _ in 0..BLIND_DRAWS {
            let port = range.first + u16::try_from(stream.below(width)).unwrap_or(0);
            if free(&port) {
                return Ok(port);
            }
        }
    }
    let held = call.server.cached().store().list(KeyRange::prefix(PREFIX), ListOptions::default()).await;
    let taken: BTreeSet<u16> = held
        .map_err(|error| store_error(&error))?
        .items
        .iter()
        .filter_map(|held| std::str::from_utf8(&held.key[PREFIX.len()..]).ok()?.parse().ok())
        .collect();
    let left: Vec<u16> =
        (range.first..=range.last).filter(free).filter(|port| !taken.contains(port)).collect();
    let index = usize::try_from(stream.below(left.len() as u64)).unwrap_or(0);
    left.get(index).copied().ok_or_else(|| full("nodePort"))
}

/// Reserves a port, if nobody holds it.
pub(super) fn claim(port: u16) -> Change {
    let key = format!("{PREFIX}{port}");
    Change::Raw { compare: vec![Compare::missing(key.clone())], op: Op::put(key, "{}") }
}

/// Gives a port back.
pub(super) fn release(port: u16) -> Change {
    Change::Raw { compare: Vec::new(), op: Op::delete(KeyRange::single(format!("{PREFIX}{port}"))) }
}
