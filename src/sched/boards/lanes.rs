//! Nodes by group, with the best of each group at hand.
//!
//! A group's nodes lie in blocks of 64 lanes, each block with its highest value and how many of its lanes have
//! it. To change a node touches its lane and its block; to find the best of a group looks at its blocks alone.
//! Which of several best nodes stands where follows from what was done before, and from nothing else.

use crate::sched::NodeIndex;

/// Lanes a block: as many as a word has bits.
const LANES: usize = 64;

/// The value of a lane without a node.
const EMPTY: i32 = i32::MIN;

/// The slot of a node that has none.
const NOWHERE: u32 = u32::MAX;

/// Which group of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupId(pub(super) u32);

/// Nodes by group.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Where a node stands: its block times 64, and its lane.
    slots: Vec<u32>,
    // By slot.
    values: Vec<i32>,
    nodes: Vec<NodeIndex>,
    blocks: Vec<Block>,
    groups: Vec<Group>,
    /// Blocks that no group has any more.
    spare: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    best: i32,
    /// How many lanes have the best value.
    count: u32,
    /// A bit a lane that has a node.
    used: u64,
    group: u32,
    /// Whether it is among its group's open ones.
    open: bool,
}

#[derive(Debug, Default)]
struct Group {
    blocks: Vec<u32>,
    /// Those that have lanes without nodes, and some that had; the last is filled first.
    open: Vec<u32>,
    nodes: u32,
}

impl Lanes {
    /// A group more, without nodes.
    pub(super) fn group(&mut self) -> GroupId {
        self.groups.push(Group::default());
        GroupId(self.groups.len() as u32 - 1)
    }

    /// The groups that have nodes.
    pub(super) fn groups(&self) -> impl Iterator<Item = GroupId> {
        let groups = self.groups.iter().enumerate().filter(|(_, group)| group.nodes > 0);
        groups.map(|(number, _)| GroupId(number as u32))
    }

    /// How many nodes a group has.
    pub(super) fn len(&self, group: GroupId) -> usize {
        self.groups[group.0 as usize].nodes as usize
    }

    /// Puts a node into a group, with a value; it leaves the group in which it was.
    pub(super) fn set(&mut self, node: NodeIndex, group: GroupId, value: i32) {
        debug_assert!(value != EMPTY, "the least value says that a lane is empty");
        if let Some(slot) = self.slot(node) {
            if self.blocks[slot / LANES].group == group.0 {
                self.change(slot, value);
                return;
            }
            self.take(slot);
        }
        let slot = self.vacant(group);
        let number = node.number();
        if self.slots.len() <= number {
            self.slots.resize(number + 1, NOWHERE);
        }
        self.slots[number] = slot as u32;
        self.nodes[slot] = node;
        self.blocks[slot / LANES].used |= 1 << (slot % LANES);
        self.groups[group.0 as usize].nodes += 1;
        self.change(slot, value);
    }

    /// Takes a node out.
    pub(super) fn clear(&mut self, node: NodeIndex) {
        if let Some(slot) = self.slot(node) {
            self.slots[node.number()] = NOWHERE;
            self.take(slot);
        }
    }

    /// Takes all nodes out, and all groups.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Some node of a group.
    pub(super) fn any(&self, group: GroupId) -> Option<NodeIndex> {
        self.members(group).next().map(|(node, _)| node)
    }

    /// The nodes of a group, with their values.
    pub(super) fn members(&self, group: GroupId) -> impl Iterator<Item = (NodeIndex, i32)> {
        self.groups[group.0 as usize].blocks.iter().flat_map(move |block| {
            let first = *block as usize * LANES;
            let lanes = self.values[first..first + LANES].iter().zip(&self.nodes[first..first + LANES]);
            lanes.filter(|(value, _)| **value != EMPTY).map(|(value, node)| (*node, *value))
        })
    }

    /// The highest value of a group, and how many of its nodes have it.
    pub(super) fn best(&self, group: GroupId) -> Option<(i32, u64)> {
        let mut best = (EMPTY, 0);
        for block in &self.groups[group.0 as usize].blocks {
            let block = &self.blocks[*block as usize];
            if block.best > best.0 {
                best = (block.best, u64::from(block.count));
            } else if block.best == best.0 {
                best.1 += u64::from(block.count);
            }
        }
        (best.0 != EMPTY).then_some(best)
    }

    /// Of a group's nodes with its highest value, which is `best`, the one behind `skip` others.
    pub(super) fn nth(&self, group: GroupId, best: i32, mut skip: u64) -> Option<NodeIndex> {
        for number in &self.groups[group.0 as usize].blocks {
            let block = &self.blocks[*number as usize];
            if block.best != best {
                continue;
            }
            if skip >= u64::from(block.count) {
                skip -= u64::from(block.count);
                continue;
            }
            let first = *number as usize * LANES;
            let lanes = self.values[first..first + LANES].iter().zip(&self.nodes[first..first + LANES]);
            return lanes.filter(|(value, _)| **value == best).nth(skip as usize).map(|(_, node)| *node);
        }
        None
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<u32>()
            + self.values.len() * (size_of::<i32>() + size_of::<NodeIndex>())
            + self.blocks.len() * size_of::<Block>()
            + self.groups.len() * size_of::<Group>()
    }

    fn slot(&self, node: NodeIndex) -> Option<usize> {
        self.slots.get(node.number()).filter(|slot| **slot != NOWHERE).map(|slot| *slot as usize)
    }

    /// Empties a slot; the node's own entry is the caller's.
    fn take(&mut self, slot: usize) {
        self.change(slot, EMPTY);
        let number = slot / LANES;
        let block = &mut self.blocks[number];
        block.used &= !(1 << (slot % LANES));
        let group = &mut self.groups[block.group as usize];
        group.nodes -= 1;
        if block.used == 0 {
            group.blocks.retain(|own| *own as usize != number);
            group.open.retain(|own| *own as usize != number);
            block.open = false;
            self.spare.push(number as u32);
        } else if !block.open {
            block.open = true;
            group.open.push(number as u32);
        }
    }

    /// A slot of a group without a node.
    fn vacant(&mut self, group: GroupId) -> usize {
        let own = &mut self.groups[group.0 as usize];
        let number = loop {
            let Some(number) = own.open.last().copied() else { break None };
            if self.blocks[number as usize].used != u64::MAX {
                break Some(number);
            }
            self.blocks[number as usize].open = false;
            own.open.pop();
        };
        let number = number.unwrap_or_else(|| {
            let number = self.spare.pop().unwrap_or_else(|| {
                self.values.resize(self.values.len() + LANES, EMPTY);
                self.nodes.resize(self.values.len(), NodeIndex::default());
                self.blocks.push(Block { best: EMPTY, count: 0, used: 0, group: 0, open: false });
                self.blocks.len() as u32 - 1
            });
            let block = &mut self.blocks[number as usize];
            (block.group, block.open) = (group.0, true);
            own.blocks.push(number);
            own.open.push(number);
            number
        });
        let lane = self.blocks[number as usize].used.trailing_ones();
        number as usize * LANES + lane as usize
    }

    fn change(&mut self, slot: usize, value: i32) {
        let old = std::mem::replace(&mut self.values[slot], value);
        let block = &mut self.blocks[slot / LANES];
        if old == value {
            return;
        }
        if value > block.best {
            (block.best, block.count) = (value, 1);
            return;
        }
        if value == block.best && value != EMPTY {
            block.count += 1;
        }
        if old == block.best {
            block.count -= 1;
            if block.count == 0 {
                let first = slot / LANES * LANES;
                let lanes = &self.values[first..first + LANES];
                block.best = lanes.iter().copied().max().unwrap_or(EMPTY);
                let alike = lanes.iter().filter(|lane| **lane == block.best).count();
                block.count = if block.best == EMPTY { 0 } else { alike as u32 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is put in, changed, moved and taken out: the best and their number are those of a plain map.
        #[test]
        fn the_best_are_those_of_a_plain_map(
            steps in prop::collection::vec((0u32..200, 0u32..3, prop::option::weighted(0.8, 0i32..5)), 1..600),
        ) {
            let mut lanes = Lanes::default();
            let groups: Vec<_> = (0..3).map(|_| lanes.group()).collect();
            let mut model: BTreeMap<u32, (u32, i32)> = BTreeMap::new();
            for (node, group, value) in steps {
                match value {
                    Some(value) => {
                        lanes.set(NodeIndex::of(node), groups[group as usize], value);
                        model.insert(node, (group, value));
                    }
                    None => {
                        lanes.clear(NodeIndex::of(node));
                        model.remove(&node);
                    }
                }
                for group in &groups {
                    let own = || model.iter().filter(|(_, (of, _))| *of == group.0);
                    let best = own().map(|(_, (_, value))| *value).max();
                    let alike: Vec<u32> =
                        own().filter(|(_, (_, value))| Some(*value) == best).map(|(node, _)| *node).collect();
                    prop_assert_eq!(lanes.best(*group), best.map(|best| (best, alike.len() as u64)));
                    prop_assert_eq!(lanes.len(*group), own().count());
                    let mut found: Vec<u32> = (0..alike.len() as u64)
                        .map(|skip| lanes.nth(*group, best.unwrap(), skip).unwrap().number() as u32)
                        .collect();
                    found.sort_unstable();
                    prop_assert_eq!(found, alike);
                    let mut members: Vec<_> =
                        lanes.members(*group).map(|(node, value)| (node.number() as u32, value)).collect();
                    members.sort_unstable();
                    prop_assert_eq!(members, own().map(|(node, (_, value))| (*node, *value)).collect::<Vec<_>>());
                }
            }
        }
    }
}
