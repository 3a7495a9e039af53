//! Which endpoint a connection goes to. Pure, but for the clock that is handed in.
//!
//! Round robin, so that few connections spread as evenly as many do; where it begins is random, so
//! that the proxies of many nodes do not all begin with the same endpoint.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;

use super::table::Rule;

/// More clients than these are not remembered without looking which can be forgotten.
const MANY_CLIENTS: usize = 10_000;

/// What a port remembers from one connection to the next.
#[derive(Debug, Default)]
pub(super) struct Balancer {
    turn: usize,
    /// By client: its endpoint, and when it last connected.
    clients: BTreeMap<IpAddr, (SocketAddr, Instant)>,
}

impl Balancer {
    /// Begins with this turn, whatever number it is.
    pub(super) fn starting_at(turn: u64) -> Self {
        Self { turn: usize::try_from(turn >> 33).unwrap_or(0), clients: BTreeMap::new() }
    }

    /// Every endpoint, in the order in which to try them.
    pub(super) fn order(&mut self, rule: &Rule, client: IpAddr, now: Instant) -> Vec<SocketAddr> {
        let mut order = rule.endpoints.clone();
        if order.is_empty() {
            return order;
        }
        if let Some(own) = self.own(rule, client, now) {
            // Without taking a turn: those are for clients that have no endpoint yet.
            let at = order.iter().position(|endpoint| *endpoint == own).unwrap_or(0);
            order.rotate_left(at);
            return order;
        }
        let count = order.len();
        order.rotate_left(self.turn % count);
        self.turn = self.turn.wrapping_add(1);
        order
    }

    /// A connection of a client was made.
    pub(super) fn connected(&mut self, rule: &Rule, client: IpAddr, endpoint: SocketAddr, now: Instant) {
        let Some(affinity) = rule.affinity else {
            self.clients.clear();
            return;
        };
        if self.clients.len() >= MANY_CLIENTS {
            self.clients.retain(|_, (_, last)| now.saturating_duration_since(*last) < affinity);
        }
        self.clients.insert(client, (endpoint, now));
    }

    /// The endpoint that a client stays with.
    fn own(&self, rule: &Rule, client: IpAddr, now: Instant) -> Option<SocketAddr> {
        let affinity = rule.affinity?;
        let (endpoint, last) = self.clients.get(&client)?;
        let holds = now.saturating_duration_since(*last) < affinity && rule.endpoints.contains(endpoint);
        holds.then_some(*endpoint)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn endpoint(last: u8) -> SocketAddr {
        (Ipv4Addr::new(10, 0, 0, last), 80).into()
    }

    fn rule(affinity: Option<Duration>, endpoints: &[u8]) -> Rule {
        let endpoints = endpoints.iter().copied().map(endpoint).collect();
        Rule { affinity, endpoints, ..Rule::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_even_and_the_others_follow_in_order() {
        let now = crate::env::Clock::simulated().instant();
        let mut balancer = Balancer::starting_at(u64::MAX);
        let rule = rule(None, &[1, 2, 3]);
        let mut counts = BTreeMap::<_, u32>::new();
        for _ in 0..300 {
            let order = balancer.order(&rule, CLIENT, now);
            assert_eq!(order.len(), 3);
            *counts.entry(order[0]).or_default() += 1;
            balancer.connected(&rule, CLIENT, order[0], now);
        }
        assert!(counts.values().all(|count| *count == 100), "{counts:?}");
        assert!(balancer.order(&Rule::default(), CLIENT, now).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_stays_until_its_time_is_up_or_its_endpoint_goes() {
        let clock = crate::env::Clock::simulated();
        let (hour, mut balancer) = (Duration::from_secs(3600), Balancer::default());
        let three = rule(Some(hour), &[1, 2, 3]);
        let first = balancer.order(&three, CLIENT, clock.instant())[0];
        balancer.connected(&three, CLIENT, first, clock.instant());
        for _ in 0..5 {
            assert_eq!(balancer.order(&three, CLIENT, clock.instant())[0], first);
        }
        let without: Vec<u8> = (1..=3).filter(|last| endpoint(*last) != first).collect();
        assert_ne!(balancer.order(&rule(Some(hour), &without), CLIENT, clock.instant())[0], first);
        clock.sleep(hour).await;
        let later: Vec<_> = (0..3).map(|_| balancer.order(&three, CLIENT, clock.instant())[0]).collect();
        assert!(later.iter().any(|endpoint| *endpoint != first), "{later:?}");
    }
}
