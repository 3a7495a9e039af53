//! The set of fields of a tree: what somebody who applies it owns.

use std::collections::BTreeMap;

use serde_json::Value;

use super::element::PathElement;
use super::invalid::{Invalid, Problem};
use super::item;
use super::schema::Schema;
use super::set::{FieldSet, Node};
use super::types::{Form, List, Map, Type};

impl Schema {
    /// The set of all fields and items of a tree.
    ///
    /// In it are scalars and whatever is merged as a whole, items of lists, entries of maps whose names
    /// the type does not know, and empty maps; structs are not, nor lists.
    ///
    /// # Errors
    ///
    /// When the tree does not fit the type.
    pub fn fields(&self, tree: &Value) -> Result<FieldSet, Invalid> {
        let mut problems = Vec::new();
        let fields = node(self.root(), tree, &mut problems).children;
        Invalid::check(problems).map(|()| fields)
    }
}

const WHOLE: Node = Node { member: true, children: FieldSet::EMPTY };

fn node(ty: Type<'_>, tree: &Value, problems: &mut Vec<Problem>) -> Node {
    match ty.form(Some(tree)) {
        Form::Nothing => {
            problems.push(Problem::new("schema error: invalid atom: inlined"));
            Node::default()
        }
        Form::Scalar(_) => WHOLE,
        Form::List(list) if list.is_atomic() => WHOLE,
        Form::Map(map) if map.atomic => WHOLE,
        Form::List(list) => Node { member: false, children: items(&list, item::items(Some(tree)), problems) },
        Form::Map(map) => Node { member: false, children: entries(map, tree, problems) },
    }
}

fn items(list: &List<'_>, items: &[Value], problems: &mut Vec<Problem>) -> FieldSet {
    let mut told_apart: BTreeMap<PathElement, Option<&Value>> = BTreeMap::new();
    // Items without an element are told by validation.
    for (element, item) in item::elements(list, items, &mut Vec::new()) {
        told_apart.entry(element).and_modify(|only| *only = None).or_insert(Some(item));
    }
    let mut out = FieldSet::new();
    for (element, only) in told_apart {
        // Items that cannot be told apart are owned together and as a whole.
        let below = only.map(|item| node(list.item, item, problems)).unwrap_or_default();
        out.set(element, Node { member: true, ..below });
    }
    out
}

fn entries(map: Map<'_>, tree: &Value, problems: &mut Vec<Problem>) -> FieldSet {
    let mut out = FieldSet::new();
    for (name, value) in tree.as_object().into_iter().flatten() {
        let mut below = node(map.child(name), value, problems);
        below.member |= match value {
            Value::Null => true,
            Value::Object(fields) if fields.is_empty() => true,
            _ => map.field(name).is_none(),
        };
        out.set(PathElement::field(name), below);
    }
    out
}
