//! Sets of fields that were written when the type was another one.

use super::element::PathElement;
use super::schema::Schema;
use super::set::{FieldSet, Node};
use super::types::{Form, Type};

impl Schema {
    /// The set as it is owned under this type, if it was written when a list or map that is a whole now
    /// was merged by entry: who owned any of it owns it all.
    #[must_use]
    pub fn adapt(&self, fields: &FieldSet) -> FieldSet {
        let mut fields = fields.clone();
        self.adapt_to(&mut fields);
        fields
    }

    /// The same, in place.
    pub(super) fn adapt_to(&self, fields: &mut FieldSet) {
        let mut node = Node { member: false, children: std::mem::take(fields) };
        adapt(self.root(), &mut node);
        *fields = node.children;
    }

    /// The set with every named field above its paths: who owns `.spec.replicas` is taken to own `.spec`,
    /// but who owns a label does not own `.metadata.labels`' other entries.
    pub(super) fn with_named_fields(&self, fields: &FieldSet) -> FieldSet {
        with_named_fields(self.root(), fields)
    }
}

fn adapt(ty: Type<'_>, node: &mut Node) {
    let collapsed = Node { member: true, children: FieldSet::EMPTY };
    match ty.form(None) {
        Form::List(list) if list.is_atomic() => *node = collapsed,
        Form::List(list) => node.children.change_all(|_, below| adapt(list.item, below)),
        Form::Map(map) if map.is_deduced() => {}
        Form::Map(map) if map.atomic => {
            if !node.children.is_empty() {
                *node = collapsed;
            }
        }
        Form::Map(map) => node.children.change_all(|element, below| {
            if let PathElement::Field(name) = element {
                adapt(map.child(name), below);
            }
        }),
        Form::Scalar(_) | Form::Nothing => {}
    }
}

fn with_named_fields(ty: Type<'_>, fields: &FieldSet) -> FieldSet {
    let form = ty.form(None);
    let list = ty.form(Some(&serde_json::Value::Array(Vec::new())));
    fields.map(|element, node| {
        let (named, below) = match (element, &form, &list) {
            (PathElement::Field(name), Form::Map(map), _) => (map.field(name).is_some(), map.child(name)),
            (PathElement::Key(_), _, Form::List(list)) => (false, list.item),
            _ => (false, Type::Nothing),
        };
        Node {
            member: node.member || (named && !node.children.is_empty()),
            children: with_named_fields(below, &node.children),
        }
    })
}
