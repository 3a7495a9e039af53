//! What a service reserves: cluster addresses and node ports.
//!
//! A reservation is a key of its own, written in the same commit as the service: so it is given
//! back by itself when the commit fails, goes with the service, and no two services ever share one.
//! An address is an `IPAddress` object, as in Kubernetes. Whatever nobody asked for by name is
//! drawn at random and drawn again when somebody else was faster.

mod adopt;
mod cluster_ip;
mod node_port;

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

pub use node_port::PortRange;

use super::registry::{Call, Change};
use super::strategy::service;
use super::tree::{at, map_mut, text, texts};
use crate::api::cidr::Cidr;
use crate::api::field::{self, Path};
use crate::api::{Object, Status, status};

/// The ranges that services are given of.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    pub(crate) addresses: Cidr,
    pub(crate) ports: PortRange,
}

/// What was drawn and found taken.
#[derive(Debug, Default)]
pub(crate) struct Avoid {
    addresses: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
}

/// The reservations that go with one write.
#[derive(Debug, Default)]
pub(crate) struct Claims(Vec<(Claim, Change)>);

#[derive(Clone, Debug)]
enum Claim {
    /// An address that was drawn, or asked for.
    Address { address: IpAddr, drawn: bool, all: Value },
    /// A node port that was drawn, or asked for by the port of this index.
    Port { port: u16, drawn: bool, path: Path },
    /// Something that is given back.
    Release,
}

impl Claims {
    /// What an object that is written has to reserve and to give back, and the object with what it
    /// was given.
    pub(crate) async fn of(
        call: &Call<'_>,
        old: Option<&Object>,
        object: Object,
        avoid: &Avoid,
    ) -> Result<(Object, Self), Status> {
        if !is_service(&object) {
            return Ok((object, Self::default()));
        }
        let mut claims = Self::default();
        let mut tree = (*object.tree()).clone();
        let before = old.map(Object::tree);
        claims.addresses(call, before.as_deref(), &mut tree, avoid).await?;
        claims.ports(call, before.as_deref(), &mut tree, avoid).await?;
        Ok((call.object(tree)?, claims))
    }

    /// What an object that goes gives back.
    pub(crate) async fn release(call: &Call<'_>, object: &Object) -> Result<Self, Status> {
        let mut claims = Self::default();
        if is_service(object) {
            let tree = object.tree();
            for address in addresses(&tree) {
                claims.release_address(call, address).await?;
            }
            for port in held_ports(&tree) {
                claims.0.push((Claim::Release, node_port::release(port)));
            }
        }
        Ok(claims)
    }

    /// The changes to commit with the object's.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change> {
        self.0.iter().map(|(_, change)| change.clone())
    }

    /// Somebody else holds what the change at `index` asks for: fails where it was asked for by
    /// name, else sees to it that something else is drawn.
    pub(crate) fn lost(
        &self,
        call: &Call<'_>,
        name: &str,
        index: usize,
        avoid: &mut Avoid,
    ) -> Result<(), Status> {
        match self.0.get(index).map(|(claim, _)| claim) {
            Some(Claim::Address { address, drawn: true, .. }) => {
                avoid.addresses.insert(*address);
            }
            Some(Claim::Port { port, drawn: true, .. }) => {
                avoid.ports.insert(*port);
            }
            Some(Claim::Address { address, all, .. }) => {
                let why = format!("failed to allocate IP {address}: provided IP is already allocated");
                let path = Path::new("spec").child("clusterIPs");
                return Err(call.invalid(name, &[field::Error::invalid(&path, all.clone(), why)]));
            }
            Some(Claim::Port { port, path, .. }) => {
                let why = "provided port is already allocated";
                return Err(call.invalid(name, &[field::Error::invalid(path, *port, why)]));
            }
            Some(Claim::Release) | None => {}
        }
        Ok(())
    }

    async fn addresses(
        &mut self,
        call: &Call<'_>,
        old: Option<&Value>,
        new: &mut Value,
        avoid: &Avoid,
    ) -> Result<(), Status> {
        let held = old.map(addresses).unwrap_or_default();
        let ranges = call.server.ranges();
        let external = text(new, &["spec", "type"]) == "ExternalName";
        if !external {
            let family = if ranges.addresses.is_ipv4() { "IPv4" } else { "IPv6" };
            let spec = map_mut(new, "spec");
            spec.entry("ipFamilyPolicy").or_insert("SingleStack".into());
            spec.entry("ipFamilies").or_insert_with(|| json!([family]));
        }
        if service::wants_addresses(new) && texts(new, &["spec", "clusterIPs"]).is_empty() {
            let address = cluster_ip::draw(call, &avoid.addresses).await?;
            let spec = map_mut(new, "spec");
            spec.insert("clusterIP".into(), address.to_string().into());
            spec.insert("clusterIPs".into(), json!([address.to_string()]));
            self.claim_address(call, new, address, true)?;
        } else {
            let all = at(new, &["spec", "clusterIPs"]).cloned().unwrap_or_default();
            for address in addresses(new).into_iter().filter(|address| !held.contains(address)) {
                if !ranges.addresses.contains(address) {
                    let why = format!(
                        "failed to allocate IP {address}: the provided IP ({address}) is not in the valid \
                         range. The range of valid IPs is {}",
                        ranges.addresses
                    );
                    let path = Path::new("spec").child("clusterIPs");
                    let name = text(new, &["metadata", "name"]);
                    return Err(call.invalid(name, &[field::Error::invalid(&path, all, why)]));
                }
                self.claim_address(call, new, address, false)?;
            }
        }
        let wanted = addresses(new);
        for address in held.into_iter().filter(|address| !wanted.contains(address)) {
            self.release_address(call, address).await?;
        }
        Ok(())
    }

    fn claim_address(
        &mut self,
        call: &Call<'_>,
        service: &Value,
        address: IpAddr,
        drawn: bool,
    ) -> Result<(), Status> {
        let all = at(service, &["spec", "clusterIPs"]).cloned().unwrap_or_default();
        let object = cluster_ip::object(call, service, address)?;
        self.0.push((Claim::Address { address, drawn, all }, Change::Create(object)));
        Ok(())
    }

    async fn release_address(&mut self, call: &Call<'_>, address: IpAddr) -> Result<(), Status> {
        if let Some(object) = cluster_ip::find(call, address).await? {
            let from = object.revision();
            self.0.push((Claim::Release, Change::Delete { object, from }));
        }
        Ok(())
    }

    async fn ports(
        &mut self,
        call: &Call<'_>,
        old: Option<&Value>,
        new: &mut Value,
        avoid: &Avoid,
    ) -> Result<(), Status> {
        let held = old.map(held_ports).unwrap_or_default();
        let range = call.server.ranges().ports;
        let name = text(new, &["metadata", "name"]).to_owned();
        let mut wanted = BTreeSet::new();
        // First all that is asked for by name, so that nothing of it is drawn for another port.
        let asked: Vec<(usize, i64)> = service::ports(new).map(service::node_port).enumerate().collect();
        for &(index, port) in asked.iter().filter(|(_, port)| *port != 0) {
            let path = Path::new("spec").child("ports").index(index).child("nodePort");
            let port = range
                .check(port)
                .map_err(|why| call.invalid(&name, &[field::Error::invalid(&path, port, why)]))?;
            if wanted.insert(port) && !held.contains(&port) {
                self.0.push((Claim::Port { port, drawn: false, path }, node_port::claim(port)));
            }
        }
        let health = at(new, &["spec", "healthCheckNodePort"]).and_then(Value::as_i64).unwrap_or(0);
        let health_path = Path::new("spec").child("healthCheckNodePort");
        if health != 0 {
            let port = range
                .check(health)
                .map_err(|why| call.invalid(&name, &[field::Error::invalid(&health_path, health, why)]))?;
            if wanted.insert(port) && !held.contains(&port) {
                self.0.push((
                    Claim::Port { port, drawn: false, path: health_path.clone() },
                    node_port::claim(port),
                ));
            }
        }
        if service::wants_node_ports(new) {
            for &(index, _) in asked.iter().filter(|(_, port)| *port == 0) {
                let port = node_port::draw(call, range, &wanted, &avoid.ports).await?;
                wanted.insert(port);
                let path = Path::new("spec").child("ports").index(index).child("nodePort");
                new["spec"]["ports"][index]["nodePort"] = port.into();
                self.0.push((Claim::Port { port, drawn: true, path }, node_port::claim(port)));
            }
        }
        if service::wants_health_port(new) && health == 0 {
            let port = node_port::draw(call, range, &wanted, &avoid.ports).await?;
            wanted.insert(port);
            map_mut(new, "spec").insert("healthCheckNodePort".into(), port.into());
            self.0.push((Claim::Port { port, drawn: true, path: health_path }, node_port::claim(port)));
        }
        for port in held.difference(&wanted) {
            self.0.push((Claim::Release, node_port::release(*port)));
        }
        Ok(())
    }
}

fn is_service(object: &Object) -> bool {
    object.resource().group.is_empty() && object.resource().kind == "Service"
}

/// The cluster addresses of a service; none for one without.
fn addresses(tree: &Value) -> Vec<IpAddr> {
    if text(tree, &["spec", "type"]) == "ExternalName" {
        return Vec::new();
    }
    texts(tree, &["spec", "clusterIPs"]).into_iter().filter_map(|text| text.parse().ok()).collect()
}

/// The node ports of a service, that for health checks included.
fn held_ports(tree: &Value) -> BTreeSet<u16> {
    let health = at(tree, &["spec", "healthCheckNodePort"]).and_then(Value::as_i64);
    service::ports(tree)
        .map(service::node_port)
        .chain(health)
        .filter_map(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
        .collect()
}

/// 500: there is nothing left to give.
fn full(what: &str) -> Status {
    status::internal(format!("failed to allocate a {what}: range is full"))
}
