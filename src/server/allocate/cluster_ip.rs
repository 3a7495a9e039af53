//! Cluster addresses: drawn of a range, held by an `IPAddress` object.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::full;
use crate::api::cidr::Cidr;
use crate::api::{Object, ObjectKey, Resource, Revision, Scope, Status, status};
use crate::server::managed::Owners;
use crate::server::registry::{Call, store_error};
use crate::server::tree::text;
use crate::store::cached::ListQuery;

/// Draws without a look at what is taken, before the taken ones are counted.
const BLIND_DRAWS: usize = 4;

/// An address that nobody is known to hold.
///
/// The lower part of the range is left to those who ask by name, until the upper part is full.
pub(super) async fn draw(call: &Call<'_>, avoid: &BTreeSet<IpAddr>) -> Result<IpAddr, Status> {
    let range = &call.server.ranges().addresses;
    let (first, reserved, end) = usable(range);
    let stream = call.server.address_stream();
    let nth = |index: u128| range.nth(index).filter(|address| !avoid.contains(address));
    if avoid.len() < BLIND_DRAWS && end > reserved {
        for _ in 0..BLIND_DRAWS {
            let width = u64::try_from(end - reserved).unwrap_or(u64::MAX);
            if let Some(address) = nth(reserved + u128::from(stream.below(width))) {
                return Ok(address);
            }
        }
    }
    let row = row(call);
    let page =
        call.server.cached().list(&row, &ListQuery::default()).await.map_err(|error| store_error(&error))?;
    let taken: BTreeSet<IpAddr> = page.items.iter().filter_map(|object| object.name().parse().ok()).collect();
    // A range that is nearly full is small, or somebody has made millions of services.
    let free = |from: u128, to: u128| {
        let all: Vec<IpAddr> =
            (from..to).filter_map(nth).filter(|address| !taken.contains(address)).take(65_536).collect();
        let index = stream.below(all.len() as u64);
        all.get(usize::try_from(index).unwrap_or(0)).copied()
    };
    free(reserved, end).or_else(|| free(first, reserved)).ok_or_else(|| full("serviceIP"))
}

/// The first usable address, the first that is drawn at will, and the end of the range, as offsets.
/// The network's own address and an IPv4 broadcast address are never used.
///
/// Source: `calculateRangeOffset` of `k8s.io/kubernetes/pkg/registry/core/service/ipallocator` (1.36).
fn usable(range: &Cidr) -> (u128, u128, u128) {
    let size = range.size();
    let end = if range.is_ipv4() && size > 2 { size - 1 } else { size };
    let first = u128::from(size > 1);
    let offset = (size / 16).clamp(16, 256);
    let reserved = if size <= 16 { first } else { (first + offset).min(end) };
    (first, reserved, end)
}

/// The object that holds an address for a service.
pub(super) fn object(call: &Call<'_>, service: &Value, address: IpAddr) -> Result<Object, Status> {
    let mut tree = json!({
        "metadata": {
            "name": address.to_string(),
            "uid": call.server.new_uid(),
            "creationTimestamp": call.server.env().clock.now_seconds().to_string(),
            "generation": 1,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": if address.is_ipv4() { "IPv4" } else { "IPv6" },
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {
            "parentRef": {
                "resource": "services",
                "namespace": text(service, &["metadata", "namespace"]),
                "name": text(service, &["metadata", "name"]),
            },
        },
    });
    let row = row(call);
    Owners::server(call.server, &row, "").create(&mut tree);
    Object::from_tree(row, Revision::NONE, tree).map_err(|error| status::internal(error.to_string()))
}

/// The object that holds an address.
pub(super) async fn find(call: &Call<'_>, address: IpAddr) -> Result<Option<Object>, Status> {
    let key = ObjectKey::new("", address.to_string());
    call.server.cached().get(&row(call), &key).await.map_err(|error| store_error(&error))
}

/// The row of addresses; a scheme without one keeps them all the same.
fn row(call: &Call<'_>) -> Arc<Resource> {
    let own = || Resource::new("networking.k8s.io", "v1", "IPAddress", "ipaddresses", Scope::Cluster);
    call.server.scheme().resource(&own().gvr()).cloned().unwrap_or_else(|| Arc::new(own()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_network_nor_broadcast_address_is_given() {
        let usable_of = |text: &str| usable(&text.parse().unwrap());
        assert_eq!(usable_of("10.96.0.0/12"), (1, 257, (1 << 20) - 1));
        assert_eq!(usable_of("10.0.0.0/24"), (1, 17, 255));
        assert_eq!(usable_of("10.0.0.0/28"), (1, 1, 15));
        assert_eq!(usable_of("10.0.0.0/30"), (1, 1, 3));
    }
}
