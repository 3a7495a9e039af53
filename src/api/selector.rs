//! Label and field selectors.

use std::collections::BTreeMap;

/// A label selector: every requirement must hold. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    /// What must hold.
    pub requirements: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// What must hold of its value.
    pub operator: Operator,
}

/// What must hold of a label's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// It is one of these.
    In(Vec<String>),
    /// It is none of these, or the label is absent.
    NotIn(Vec<String>),
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// It is a number above this one.
    GreaterThan(i64),
    /// It is a number below this one.
    LessThan(i64),
}

/// A field selector: every term must hold. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSelector {
    /// What must hold.
    pub terms: Vec<FieldTerm>,
}

/// One term of a field selector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldTerm {
    /// The field.
    pub field: String,
    /// Its value, or what it must not be.
    pub value: String,
    /// Whether the field must have the value (`=`), or must not (`!=`).
    pub equal: bool,
}

impl LabelSelector {
    /// Whether these labels match.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            match &requirement.operator {
                Operator::In(values) => value.is_some_and(|value| values.contains(value)),
                Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
                Operator::GreaterThan(bound) => number(value).is_some_and(|number| number > *bound),
                Operator::LessThan(bound) => number(value).is_some_and(|number| number < *bound),
            }
        })
    }
}

fn number(value: Option<&String>) -> Option<i64> {
    value?.parse().ok()
}

impl FieldSelector {
    /// Whether an object matches; `None` when the object has no such field to select by.
    #[must_use]
    pub fn matches(&self, object: &super::Object) -> Option<bool> {
        let mut all = true;
        for term in &self.terms {
            all &= (object.field(&term.field)? == term.value) == term.equal;
        }
        Some(all)
    }
}
