//! Sets of taints, as small numbers: thousands of nodes share a few of them.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Taint;

use crate::env::HashMap;

/// The sets that nodes have. Number 0 is the empty one, whoever has it.
#[derive(Clone, Debug)]
pub(super) struct TaintSets {
    sets: Vec<Arc<[Taint]>>,
    /// By number: how many nodes have it; of number 0 nobody counts.
    nodes: Vec<u32>,
    /// By the set as text, which tells sets apart as they are.
    numbers: HashMap<String, u32>,
    /// The numbers that no node has.
    free: Vec<u32>,
}

impl Default for TaintSets {
    fn default() -> Self {
        Self { sets: vec![[].into()], nodes: vec![0], numbers: HashMap::default(), free: Vec::new() }
    }
}

impl TaintSets {
    pub(super) fn all(&self) -> &[Arc<[Taint]>] {
        &self.sets
    }

    /// Notes that a node that had the set `old` has these taints now; returns their number.
    pub(super) fn change(&mut self, old: u32, taints: &[Taint]) -> u32 {
        if *self.sets[old as usize] == *taints {
            return old;
        }
        let text = if taints.is_empty() { String::new() } else { format!("{taints:?}") };
        let new = match self.numbers.get(&text) {
            _ if taints.is_empty() => 0,
            Some(number) => *number,
            None => self.add(text, taints),
        };
        self.nodes[new as usize] += 1;
        if old != 0 {
            self.give_back(old);
        }
        new
    }

    fn add(&mut self, text: String, taints: &[Taint]) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.sets.push([].into());
            self.nodes.push(0);
            u32::try_from(self.sets.len() - 1).expect("no more sets of taints than nodes")
        });
        self.sets[number as usize] = taints.into();
        self.numbers.insert(text, number);
        number
    }

    fn give_back(&mut self, number: u32) {
        let nodes = &mut self.nodes[number as usize];
        *nodes -= 1;
        if *nodes == 0 {
            self.numbers.remove(&format!("{:?}", self.sets[number as usize]));
            self.sets[number as usize] = [].into();
            self.free.push(number);
        }
    }
}
