//! Counts of pods by topology domain, kept up as nodes change.
//!
//! A domain is the set of nodes with the same value of a label. A slot counts something over the domains of one
//! label; a node has a part in each slot, or is not counted there. When a node changes, its old part is taken off
//! and its new one is added, so that nothing is ever counted anew.

use super::NodeIndex;
use super::wishes::Labels;
use crate::env::HashMap;

/// The domain of a node that has none.
const NONE: u32 = u32::MAX;
/// The part of a node that is not counted.
const UNCOUNTED: i64 = i64::MIN;

/// Counts by domain.
#[derive(Debug, Default)]
pub(super) struct Tally {
    keys: Vec<Key>,
    slots: Vec<Slot>,
    /// By node and key.
    domains: Vec<u32>,
    /// By node and slot.
    parts: Vec<i64>,
}

#[derive(Debug)]
struct Key {
    label: String,
    /// Whether a node without the label counts as one whose label is empty.
    empty: bool,
    values: HashMap<Box<str>, u32>,
    /// By domain: how many nodes it has.
    nodes: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    key: usize,
    sums: Vec<Sum>,
    /// How many domains have counted nodes.
    domains: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    nodes: u32,
    total: i64,
}

impl Tally {
    /// The number of a label, given now if it has none.
    pub(super) fn key(&mut self, label: &str, empty: bool) -> usize {
        let known = self.keys.iter().position(|key| key.label == label && key.empty == empty);
        known.unwrap_or_else(|| {
            let label = label.to_owned();
            self.keys.push(Key { label, empty, values: HashMap::default(), nodes: Vec::new() });
            self.keys.len() - 1
        })
    }

    /// A slot more. All keys and slots are made before the first node is followed.
    pub(super) fn slot(&mut self, key: usize) -> usize {
        self.slots.push(Slot { key, sums: Vec::new(), domains: 0 });
        self.slots.len() - 1
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Notes what a node is now: its labels, or that it is gone, and its part in each slot, if it has one there.
    /// Returns whether a domain has come to have one node, or no longer has: what is [read](Self::read) of its nodes
    /// is another then.
    pub(super) fn follow(&mut self, node: NodeIndex, labels: Option<&Labels>, parts: &[Option<i64>]) -> bool {
        let (keys, slots) = (self.keys.len(), self.slots.len());
        let number = node.number();
        if self.domains.len() <= number * keys || self.parts.len() <= number * slots {
            self.domains.resize((number + 1).max(64) * keys, NONE);
            self.parts.resize((number + 1).max(64) * slots, UNCOUNTED);
        }
        for (number, slot) in self.slots.iter_mut().enumerate() {
            let part = &mut self.parts[node.number() * slots + number];
            let old = std::mem::replace(part, UNCOUNTED);
            if old != UNCOUNTED {
                let sum = &mut slot.sums[self.domains[node.number() * keys + slot.key] as usize];
                sum.total -= old;
                sum.nodes -= 1;
                slot.domains -= usize::from(sum.nodes == 0);
            }
        }
        let mut others = false;
        for (number, key) in self.keys.iter_mut().enumerate() {
            let value = labels.and_then(|labels| match labels.get(&key.label) {
                None if key.empty => Some(""),
                value => value.map(String::as_str),
            });
            let new = value.map_or(NONE, |value| key.domain(value));
            let old = std::mem::replace(&mut self.domains[node.number() * keys + number], new);
            if old != new {
                if old != NONE {
                    key.nodes[old as usize] -= 1;
                    others |= key.nodes[old as usize] == 1;
                }
                if new != NONE {
                    key.nodes[new as usize] += 1;
                    others |= key.nodes[new as usize] == 2;
                }
            }
        }
        for (number, slot) in self.slots.iter_mut().enumerate() {
            let domain = self.domains[node.number() * keys + slot.key];
            let (Some(new), true) = (parts[number], domain != NONE) else { continue };
            self.parts[node.number() * slots + number] = new;
            if slot.sums.len() <= domain as usize {
                slot.sums.resize(domain as usize + 1, Sum::default());
            }
            let sum = &mut slot.sums[domain as usize];
            sum.total += new;
            sum.nodes += 1;
            slot.domains += usize::from(sum.nodes == 1);
        }
        others
    }

    /// The domain of a node by a slot's label.
    pub(super) fn domain(&self, slot: usize, node: NodeIndex) -> Option<u32> {
        let domain = *self.domains.get(node.number() * self.keys.len() + self.slots[slot].key)?;
        (domain != NONE).then_some(domain)
    }

    /// Whether a node is alone in its domain.
    pub(super) fn is_alone(&self, slot: usize, node: NodeIndex) -> bool {
        let nodes = &self.keys[self.slots[slot].key].nodes;
        self.domain(slot, node).is_some_and(|domain| nodes[domain as usize] == 1)
    }

    /// A node's own part; 0 where it is not counted.
    pub(super) fn part(&self, slot: usize, node: NodeIndex) -> i64 {
        let part = self.parts.get(node.number() * self.slots.len() + slot).copied().unwrap_or(UNCOUNTED);
        if part == UNCOUNTED { 0 } else { part }
    }

    /// The count of a domain; nothing where none of its nodes is counted.
    pub(super) fn sum(&self, slot: usize, domain: u32) -> Option<i64> {
        self.slots[slot].sums.get(domain as usize).filter(|sum| sum.nodes > 0).map(|sum| sum.total)
    }

    /// The count of a node's domain; 0 where it has none.
    pub(super) fn around(&self, slot: usize, node: NodeIndex) -> i64 {
        self.domain(slot, node).and_then(|domain| self.sum(slot, domain)).unwrap_or(0)
    }

    /// How many domains are counted, and the least count among them.
    pub(super) fn least(&self, slot: usize) -> (usize, i64) {
        let slot = &self.slots[slot];
        let counted = slot.sums.iter().filter(|sum| sum.nodes > 0);
        (slot.domains, counted.map(|sum| sum.total).min().unwrap_or(0))
    }

    /// Whether every count is nothing.
    pub(super) fn is_zero(&self, slot: usize) -> bool {
        self.slots[slot].sums.iter().all(|sum| sum.total == 0)
    }

    /// Writes what tells a node's domains from others': the domain, or, where the node is alone in it, its counts.
    pub(super) fn read(&self, node: NodeIndex, place: &mut Vec<i64>) {
        let keys = self.keys.len();
        for (number, key) in self.keys.iter().enumerate() {
            let domain = self.domains.get(node.number() * keys + number).copied().unwrap_or(NONE);
            if domain == NONE {
                place.push(-1);
            } else if key.nodes[domain as usize] == 1 {
                place.push(-2);
                let slots = self.slots.iter().enumerate().filter(|(_, slot)| slot.key == number);
                for (number, _) in slots {
                    // One that is not counted is not one of which nothing is counted.
                    let sum = self.sum(number, domain);
                    place.extend([i64::from(sum.is_some()), sum.unwrap_or(0)]);
                }
            } else {
                place.push(domain.into());
            }
        }
    }
}

impl Key {
    fn domain(&mut self, value: &str) -> u32 {
        if let Some(domain) = self.values.get(value) {
            return *domain;
        }
        let domain = self.nodes.len() as u32;
        self.values.insert(value.into(), domain);
        self.nodes.push(0);
        domain
    }
}
