//! A set of fields: what a manager owns of an object, as a tree of path elements.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::element::{Path, PathElement, path_text};

/// A set of paths.
///
/// A path can be in it without those above or below: to own `.spec.replicas` is not to own `.spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// No node is empty.
    nodes: BTreeMap<PathElement, Node>,
}

/// What the set holds at and below an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// Whether the element itself is in the set.
    pub(super) member: bool,
    /// What is in it below.
    pub(super) children: FieldSet,
}

impl Node {
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self { member: self.member || other.member, children: self.children.joined(other.children) }
    }
}

impl FieldSet {
    pub(super) const EMPTY: Self = Self { nodes: BTreeMap::new() };

    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of this one path.
    pub(super) fn of(path: &[PathElement]) -> Self {
        let mut out = Self::new();
        out.insert(path);
        out
    }

    /// Puts a path into the set, and none of those above it. The empty path is never in a set.
    pub fn insert(&mut self, path: &[PathElement]) {
        let Some((last, above)) = path.split_last() else { return };
        let mut set = self;
        for element in above {
            set = &mut set.nodes.entry(element.clone()).or_default().children;
        }
        set.nodes.entry(last.clone()).or_default().member = true;
    }

    /// Whether this very path is in the set.
    #[must_use]
    pub fn contains(&self, path: &[PathElement]) -> bool {
        let Some((last, above)) = path.split_last() else { return false };
        let mut set = self;
        for element in above {
            match set.nodes.get(element) {
                Some(node) => set = &node.children,
                None => return false,
            }
        }
        set.nodes.get(last).is_some_and(|node| node.member)
    }

    /// Whether the set has no path.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many paths the set has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.values().map(|node| usize::from(node.member) + node.children.len()).sum()
    }

    /// The paths in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.clone().joined(other.clone())
    }

    /// The paths in either set, of which nobody keeps the other copy.
    pub(super) fn joined(mut self, other: Self) -> Self {
        if self.nodes.is_empty() {
            return other;
        }
        for (element, theirs) in other.nodes {
            match self.nodes.entry(element) {
                Entry::Vacant(slot) => {
                    slot.insert(theirs);
                }
                Entry::Occupied(mut slot) => {
                    let mine = std::mem::take(slot.get_mut());
                    slot.insert(mine.union(theirs));
                }
            }
        }
        self
    }

    /// The paths in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.map(|element, node| match other.nodes.get(element) {
            None => Node::default(),
            Some(theirs) => Node {
                member: node.member && theirs.member,
                children: node.children.intersection(&theirs.children),
            },
        })
    }

    /// The paths of this set that are not in the other, path by path: what is below a path of the other
    /// stays.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.subtract(other);
        out
    }

    /// Takes away the paths of the other, as [`difference`](Self::difference) does.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.change(other, &mut |node, theirs| {
            node.member &= !theirs.member;
            node.children.subtract(&theirs.children);
        });
    }

    /// The paths of this set that are neither in the other nor below a path of it.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.subtract_below(other);
        out
    }

    /// Takes away the paths of the other and what is below them.
    pub(super) fn subtract_below(&mut self, other: &Self) {
        self.change(other, &mut |node, theirs| {
            if theirs.member {
                *node = Node::default();
            } else {
                node.children.subtract_below(&theirs.children);
            }
        });
    }

    /// Changes what both sets have at the same elements.
    fn change(&mut self, other: &Self, change: &mut dyn FnMut(&mut Node, &Node)) {
        for (element, theirs) in &other.nodes {
            if let Some(node) = self.nodes.get_mut(element) {
                change(node, theirs);
                if node.is_empty() {
                    self.nodes.remove(element);
                }
            }
        }
    }

    /// The paths below which the set has none.
    #[must_use]
    pub fn leaves(&self) -> Self {
        self.map(|_, node| Node {
            member: node.member && node.children.is_empty(),
            children: node.children.leaves(),
        })
    }

    /// Whether this element alone is in the set.
    pub(super) fn has(&self, element: &PathElement) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    /// What the set has below an element, without that element.
    #[must_use]
    pub fn below(&self, element: &PathElement) -> Option<&Self> {
        self.nodes.get(element).map(|node| &node.children).filter(|children| !children.is_empty())
    }

    /// All paths: those of one level first, in order, then those below each.
    #[must_use]
    pub fn paths(&self) -> Vec<Path> {
        let mut out = Vec::new();
        self.collect(&mut Vec::new(), &mut out);
        out
    }

    fn collect(&self, prefix: &mut Path, out: &mut Vec<Path>) {
        for (element, _) in self.nodes.iter().filter(|(_, node)| node.member) {
            out.push(prefix.iter().chain([element]).cloned().collect());
        }
        for (element, node) in &self.nodes {
            prefix.push(element.clone());
            node.children.collect(prefix, out);
            prefix.pop();
        }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (&PathElement, &Node)> {
        self.nodes.iter()
    }

    /// Puts a node where none is yet; an empty one is none.
    pub(super) fn set(&mut self, element: PathElement, node: Node) {
        if !node.is_empty() {
            self.nodes.insert(element, node);
        }
    }

    /// Changes every node; those that are empty then are none.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(&PathElement, &mut Node)) {
        self.nodes.retain(|element, node| {
            change(element, node);
            !node.is_empty()
        });
    }

    /// The set with other nodes in the place of its own.
    pub(super) fn map(&self, mut change: impl FnMut(&PathElement, &Node) -> Node) -> Self {
        let mut out = Self::new();
        for (element, node) in &self.nodes {
            out.set(element.clone(), change(element, node));
        }
        out
    }
}

impl<P: AsRef<[PathElement]>> FromIterator<P> for FieldSet {
    fn from_iter<I: IntoIterator<Item = P>>(paths: I) -> Self {
        let mut out = Self::new();
        paths.into_iter().for_each(|path| out.insert(path.as_ref()));
        out
    }
}

impl fmt::Display for FieldSet {
    /// A path a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.paths().iter().map(|path| path_text(path)).collect();
        f.write_str(&paths.join("\n"))
    }
}
