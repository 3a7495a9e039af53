//! Fields that a request cannot own: what its resource or subresource does not write.

use super::element::PathElement;
use super::set::{FieldSet, Node};

/// What of a comparison or a configuration counts.
///
/// Kubernetes calls these a strategy's reset fields: writes to a main resource do not touch `.status`,
/// and those to `/status` touch nothing else.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All but these paths and what is below them.
    Exclude(FieldSet),
    /// Only what lies on or below one of these.
    Include(Vec<Pattern>),
}

/// A path; none stands for any element.
pub type Pattern = Vec<Option<PathElement>>;

impl Filter {
    /// What of the set counts.
    #[must_use]
    pub fn apply(&self, fields: &FieldSet) -> FieldSet {
        self.keep(fields.clone())
    }

    /// The same of a set that nobody else wants.
    pub(super) fn keep(&self, mut fields: FieldSet) -> FieldSet {
        match self {
            Self::Exclude(excluded) => {
                fields.subtract_below(excluded);
                fields
            }
            Self::Include(patterns) => {
                let patterns: Vec<_> = patterns.iter().map(Vec::as_slice).collect();
                include(&fields, &patterns)
            }
        }
    }
}

fn include(fields: &FieldSet, patterns: &[&[Option<PathElement>]]) -> FieldSet {
    if patterns.iter().any(|pattern| pattern.is_empty()) {
        return fields.clone();
    }
    fields.map(|element, node| {
        let rest: Vec<_> = patterns
            .iter()
            .filter_map(|pattern| pattern.split_first())
            .filter(|(first, _)| first.as_ref().is_none_or(|first| first == element))
            .map(|(_, rest)| rest)
            .collect();
        if rest.is_empty() {
            return Node::default();
        }
        Node { member: node.member, children: include(&node.children, &rest) }
    })
}
