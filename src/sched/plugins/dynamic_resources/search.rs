//! Which devices claims get on a node: the first combination that meets them all.
//!
//! Claim by claim, request by request, device by device, the first one that is free and fits is taken; where the rest
//! cannot be met then, it is put back, and the next one is tried. Devices for the same request are tried in one order
//! only, as another would be no other combination.
//!
//! ```text
//! request r (1 device)   request s (2 devices)
//!   a                      b c    one of them lacks what a constraint says: back
//!   a                      b d    found: r = a, s = b, d
//! ```
//!
//! A search ends when it has looked at so many devices as fit into the time that a node may take: counted and not
//! measured, so that the same nodes and claims always come to the same end.
//!
//! Source: `allocateOne` and `allocateDevice` of `allocator_incubating.go` in
//! `k8s.io/dynamic-resource-allocation/structured/internal/incubating` (1.36). When a device is put back, or not taken
//! after all, all that it used of counters is given back; kube-scheduler forgets some of that until it turns to the
//! next node. And counters are a pool's, where kube-scheduler takes pools of different drivers for one if they have the
//! same name.

use std::collections::BTreeMap;

use k8s_openapi::api::resource::v1::Device;

use super::capacity::{Amounts, is_left, taken};
use super::claims::shown;
use super::constraint::is_kept_off;
use super::devices::{CounterName, Devices, counters};
use super::pool::{State, devices};
use super::request::{Alternative, Claim};
use crate::api::quantity::Quantity;
use crate::env::HashMap;

/// The most devices that a claim gets.
pub(super) const MOST_DEVICES: usize = 32;

/// A device, by its place in a node's pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Location {
    pub(super) pool: usize,
    pub(super) slice: usize,
    pub(super) device: usize,
}

/// A device that a claim gets.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) request: usize,
    pub(super) alternative: usize,
    pub(super) at: Location,
    /// What it gets of it, where it shares it.
    pub(super) amounts: Option<Amounts>,
    /// Whether its counters were counted.
    counted: bool,
}

/// Why there is no saying.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Something is wrong with the claims, or the devices.
    Broken(String),
    /// It takes too long.
    Late,
}

/// Where the search is: at a device of a request of a claim.
#[derive(Clone, Copy, Default)]
struct Step {
    claim: usize,
    request: usize,
    /// The alternative that is being met.
    alternative: Option<usize>,
    /// How many devices it has got.
    done: usize,
}

/// What came of a step and all that follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Met,
    Unmet,
    /// The claim would have too many devices, whichever they are.
    TooMany,
}

/// The search on one node.
pub(super) struct Search<'s, 'a> {
    pub(super) devices: &'s mut Devices<'a>,
    pub(super) claims: Vec<Claim<'a>>,
    /// By claim.
    pub(super) given: Vec<Vec<Given>>,
    /// Devices that are given whole, with the claims that get them.
    whole: HashMap<Location, Vec<usize>>,
    /// Devices that are shared, with what each who shares gets.
    shared: HashMap<Location, Vec<Amounts>>,
    /// By pool: what is used of its counters.
    used: HashMap<usize, BTreeMap<CounterName<'a>, Quantity>>,
    /// How many devices may still be looked at.
    looks: Option<u64>,
}

impl<'s, 'a> Search<'s, 'a> {
    pub(super) fn new(devices: &'s mut Devices<'a>, claims: Vec<Claim<'a>>, looks: Option<u64>) -> Self {
        let given = claims.iter().map(|_| Vec::new()).collect();
        let (whole, shared, used) = (HashMap::default(), HashMap::default(), HashMap::default());
        Self { devices, claims, given, whole, shared, used, looks }
    }

    /// Gives every claim its devices. Returns whether that is possible.
    pub(super) fn run(&mut self) -> Result<bool, Stop> {
        Ok(self.step(Step::default(), Location::default())? == Outcome::Met)
    }

    fn look(&mut self) -> Result<(), Stop> {
        match &mut self.looks {
            Some(0) => Err(Stop::Late),
            Some(looks) => {
                *looks -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn asked(&self, at: Step) -> Alternative<'a> {
        self.claims[at.claim].requests[at.request].alternatives[at.alternative.unwrap_or(0)].clone()
    }

    /// Gives everything from here on. Devices before `from` are left out.
    fn step(&mut self, at: Step, from: Location) -> Result<Outcome, Stop> {
        self.look()?;
        let Some(claim) = self.claims.get(at.claim) else { return Ok(Outcome::Met) };
        let Some(request) = claim.requests.get(at.request) else {
            let next = Step { claim: at.claim + 1, ..Step::default() };
            // Too many for the next claim may be fewer with another alternative in this one.
            let outcome = self.step(next, Location::default())?;
            return Ok(if outcome == Outcome::TooMany { Outcome::Unmet } else { outcome });
        };
        if at.alternative.is_none() {
            return match request.is_list {
                true => self.alternatives(at, request.alternatives.len()),
                false => self.step(Step { alternative: Some(0), ..at }, from),
            };
        }
        let asked = self.asked(at);
        if asked.all.as_ref().is_some_and(|all| all.is_empty()) {
            return Ok(Outcome::Unmet);
        }
        if at.done >= asked.count {
            let next = Step { request: at.request + 1, alternative: None, done: 0, ..at };
            return self.step(next, Location::default());
        }
        let after = self.given[at.claim].len().saturating_add(asked.count) - at.done;
        if after > MOST_DEVICES {
            return Ok(Outcome::TooMany);
        }
        match &asked.all {
            Some(all) => self.next_of_all(at, &asked, all[at.done]),
            None => self.first_that_fits(at, &asked, from),
        }
    }

    /// Meets one of several alternatives, the first that can be met.
    fn alternatives(&mut self, at: Step, alternatives: usize) -> Result<Outcome, Stop> {
        let mut outcome = Outcome::TooMany;
        for alternative in 0..alternatives {
            match self.step(Step { alternative: Some(alternative), ..at }, Location::default())? {
                Outcome::Met => {
                    self.claims[at.claim].requests[at.request].chosen = alternative;
                    return Ok(Outcome::Met);
                }
                Outcome::Unmet => outcome = Outcome::Unmet,
                Outcome::TooMany => {}
            }
        }
        Ok(outcome)
    }

    /// All devices are asked for: this one is next, and no other will do.
    fn next_of_all(&mut self, at: Step, asked: &Alternative<'a>, next: Location) -> Result<Outcome, Stop> {
        if !self.take(at, asked, next, true)? {
            return Ok(Outcome::Unmet);
        }
        let outcome = self.step(Step { done: at.done + 1, ..at }, Location::default());
        if outcome != Ok(Outcome::Met) {
            self.put_back(at, asked);
        }
        outcome
    }

    fn first_that_fits(
        &mut self,
        at: Step,
        asked: &Alternative<'a>,
        from: Location,
    ) -> Result<Outcome, Stop> {
        for pool in from.pool..self.devices.pools.len() {
            if self.devices.pools[pool].state != State::Usable {
                continue;
            }
            let slices = self.devices.pools[pool].slices.len();
            let first = if pool == from.pool { from.slice } else { 0 };
            for slice in first..slices {
                let of = devices(self.devices.pools[pool].slices[slice]).len();
                let first = if (pool, slice) == (from.pool, from.slice) { from.device } else { 0 };
                for device in first..of {
                    let location = Location { pool, slice, device };
                    self.look()?;
                    if !self.fits(at, asked, location)? || !self.take(at, asked, location, false)? {
                        continue;
                    }
                    let next = Location { device: device + 1, ..location };
                    let outcome = self.step(Step { done: at.done + 1, ..at }, next);
                    if outcome == Ok(Outcome::Met) {
                        return outcome;
                    }
                    self.put_back(at, asked);
                    if outcome != Ok(Outcome::Unmet) {
                        return outcome;
                    }
                }
            }
        }
        Ok(Outcome::Unmet)
    }

    /// Whether a device is free, and is what is asked for.
    fn fits(&self, at: Step, asked: &Alternative<'a>, location: Location) -> Result<bool, Stop> {
        let claim = self.claims[at.claim].claim;
        let selected = |error| Stop::Broken(error);
        Ok(self.is_free(at, asked, location)
            && self.devices.is_selected(claim, asked, location).map_err(selected)?)
    }

    fn is_free(&self, at: Step, asked: &Alternative<'a>, location: Location) -> bool {
        let getting = self.whole.get(&location).map_or(&[][..], Vec::as_slice);
        if asked.admin {
            return !getting.contains(&at.claim);
        }
        getting.is_empty() && !self.devices.usage(location).is_some_and(|usage| usage.whole)
    }

    /// Takes a device, if it is free, enough is left of it, no taint keeps the request off and no constraint speaks
    /// against it. Where it `must` be this one, a constraint that does is an error.
    fn take(
        &mut self,
        at: Step,
        asked: &Alternative<'a>,
        location: Location,
        must: bool,
    ) -> Result<bool, Stop> {
        let device = self.devices.get(location);
        let is_shared = device.allow_multiple_allocations == Some(true);
        if !self.is_free(at, asked, location) || is_kept_off(device, asked.tolerations) {
            return Ok(false);
        }
        // Who shares a device that is in use uses none of its counters anew.
        let counts = device.consumes_counters.as_ref().is_some_and(|list| !list.is_empty())
            && !(is_shared && self.is_shared_already(location));
        if counts && !self.has_counters(location.pool, device) {
            return Ok(false);
        }
        if !self.add_to_constraints(at, asked, location) {
            if !must {
                return Ok(false);
            }
            let pool = &self.devices.pools[location.pool];
            return Err(Stop::Broken(format!(
                "claim {}, request {}: cannot add device {}/{}/{} because a claim constraint would not be satisfied",
                shown(self.claims[at.claim].claim),
                asked.name,
                pool.driver,
                pool.name,
                device.name
            )));
        }
        let amounts =
            taken(device, asked.capacity).filter(|amounts| self.has_capacity(location, device, amounts));
        let Some(amounts) = amounts else {
            self.remove_from_constraints(at, asked);
            return Ok(false);
        };
        if counts {
            let used = self.used.entry(location.pool).or_default();
            for (counter, amount) in counters(device) {
                let sum = used.entry(counter).or_default();
                *sum = sum.plus(amount);
            }
        }
        let amounts = is_shared.then_some(amounts);
        match &amounts {
            Some(amounts) => self.shared.entry(location).or_default().push(amounts.clone()),
            None => self.whole.entry(location).or_default().push(at.claim),
        }
        self.given[at.claim].push(Given {
            request: at.request,
            alternative: at.alternative.unwrap_or(0),
            at: location,
            amounts,
            counted: counts,
        });
        Ok(true)
    }

    /// Puts the device back that the claim took last.
    fn put_back(&mut self, at: Step, asked: &Alternative<'a>) {
        let Some(given) = self.given[at.claim].pop() else { return };
        self.remove_from_constraints(at, asked);
        if given.amounts.is_some() {
            self.shared.entry(given.at).or_default().pop();
        } else {
            self.whole.entry(given.at).or_default().pop();
        }
        if given.counted {
            let used = self.used.entry(given.at.pool).or_default();
            for (counter, amount) in counters(self.devices.get(given.at)) {
                let sum = used.entry(counter).or_default();
                *sum = sum.minus(amount);
            }
        }
    }

    fn is_shared_already(&self, location: Location) -> bool {
        let before = self.devices.usage(location).is_some_and(|usage| usage.shared.is_some());
        before || self.shared.get(&location).is_some_and(|sharers| !sharers.is_empty())
    }

    fn has_capacity(&self, location: Location, device: &Device, amounts: &Amounts) -> bool {
        let before = self.devices.usage(location).and_then(|usage| usage.shared.as_ref());
        let now = self.shared.get(&location).into_iter().flatten().map(Some);
        let others: Vec<_> = [before].into_iter().chain(now).collect();
        is_left(device, amounts, &others)
    }

    /// Whether the counters of a pool suffice for a device more.
    fn has_counters(&mut self, pool: usize, device: &'a Device) -> bool {
        let mut used = self.used.get(&pool).cloned().unwrap_or_default();
        for (counter, amount) in counters(device) {
            let sum = used.entry(counter).or_default();
            *sum = sum.plus(amount);
        }
        let used = |counter| used.get(counter).copied().unwrap_or_default();
        self.devices.counters_left(pool).iter().all(|(counter, left)| used(counter) <= *left)
    }

    fn add_to_constraints(&mut self, at: Step, asked: &Alternative<'a>, location: Location) -> bool {
        let (driver, device) = (self.devices.pools[location.pool].driver, self.devices.get(location));
        let claim = &mut self.claims[at.claim];
        let request = &claim.requests[at.request];
        let (name, alternative) = (request.name, request.is_list.then_some(asked.name));
        for number in 0..claim.constraints.len() {
            if !claim.constraints[number].add(name, alternative, driver, device) {
                for constraint in &mut claim.constraints[..number] {
                    constraint.remove(name, alternative);
                }
                return false;
            }
        }
        true
    }

    fn remove_from_constraints(&mut self, at: Step, asked: &Alternative<'a>) {
        let claim = &mut self.claims[at.claim];
        let request = &claim.requests[at.request];
        let (name, alternative) = (request.name, request.is_list.then_some(asked.name));
        for constraint in &mut claim.constraints {
            constraint.remove(name, alternative);
        }
    }
}
