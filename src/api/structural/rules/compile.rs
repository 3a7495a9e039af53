//! The rules of a schema, compiled, in the shape of the schema.
//!
//! Source: `NewValidator` of `k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel` (1.36).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Judged;
use super::ask::Asking;
use crate::api::cel::{self, Declaration, Environment, Program};
use crate::api::structural::field_path::field_path;
use crate::api::structural::schema::{Additional, Rule, Schema};

/// The version of Kubernetes whose libraries rules may use.
pub(super) const MINOR: u32 = 36;

/// The rules of a schema.
#[derive(Debug)]
pub(in crate::api) struct Rules(Node);

/// The rules of a part of a schema, and of what is in it.
#[derive(Debug)]
pub(super) struct Node {
    /// What the language knows of the values here.
    pub(super) schema: Arc<cel::Schema>,
    pub(super) rules: Vec<Compiled>,
    pub(super) uses_old: bool,
    pub(super) items: Option<Box<Node>>,
    pub(super) properties: BTreeMap<String, Node>,
    pub(super) additional: Option<Box<Node>>,
}

/// A rule, compiled; or what keeps it from being so.
pub(super) struct Compiled {
    pub(super) rule: Rule,
    pub(super) program: Result<Program, String>,
    pub(super) message: Option<Program>,
    pub(super) uses_old: bool,
    /// The field that is wrong where the rule does not hold, below its own; empty where it is that one.
    pub(super) field: String,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Compiled").field(&self.rule.rule).finish()
    }
}

impl Rules {
    /// The rules of a whole object's schema, `open_api` as the definition has it; none where there are none.
    pub(in crate::api::structural) fn of(schema: &Schema, open_api: &Value) -> Option<Self> {
        Node::of(schema, open_api, true).map(Self)
    }

    /// What the rules say of an object, and of what it replaces.
    pub(in crate::api) fn judge(&self, schema: &Schema, tree: &Value, old: Option<&Value>) -> Judged {
        Asking::new().ask(&self.0, schema, tree, old)
    }
}

impl Node {
    /// The rules of a schema by itself; none where there are none.
    pub(super) fn of(schema: &Schema, open_api: &Value, is_object: bool) -> Option<Self> {
        if !schema.has_rules() {
            return None;
        }
        let known = cel::Schema::from_open_api(open_api);
        let declaration = Declaration::of(&known, is_object);
        node(schema, &known, declaration.as_ref(), is_object)
    }
}

/// The rules of a part; none where neither it nor what is in it has any.
fn node(
    schema: &Schema,
    known: &Arc<cel::Schema>,
    declaration: Option<&Declaration>,
    is_object: bool,
) -> Option<Node> {
    if !schema.has_rules() {
        return None;
    }
    let rules: Vec<_> = schema.rules.iter().map(|rule| compile(schema, rule, declaration)).collect();
    let element = declaration.and_then(Declaration::element);
    let items = match (&schema.items, &known.items) {
        (Some(items), Some(known)) => node(items, known, element, items.embedded),
        _ => None,
    };
    let additional = match (&schema.additional, &known.additional_properties) {
        (Some(Additional::Schema(values)), Some(known)) => node(values, known, element, values.embedded),
        _ => None,
    };
    let properties = schema.properties.iter().filter_map(|(name, property)| {
        let known = known.properties.get(name)?;
        let inside = declaration.and_then(|declaration| declaration.property(name)).cloned();
        // The language cannot name every field; the rules of those that it cannot are asked all the same.
        let inside = inside.or_else(|| Declaration::of(known, property.embedded));
        Some((name.clone(), node(property, known, inside.as_ref(), property.embedded)?))
    });
    Some(Node {
        uses_old: rules.iter().any(|rule| rule.uses_old),
        rules,
        items: items.map(Box::new),
        properties: properties.collect(),
        additional: additional.map(Box::new),
        schema: if is_object { known.with_type_and_object_meta() } else { known.clone() },
    })
}

fn compile(schema: &Schema, rule: &Rule, declaration: Option<&Declaration>) -> Compiled {
    let optional = rule.optional_old_self.unwrap_or(false);
    let environment = declaration.map(|declaration| Environment::for_rules(MINOR, declaration, optional));
    let program = match &environment {
        Some(environment) => environment.compile_rule(&rule.rule).map_err(|error| error.to_string()),
        None => Err("failed to convert to declType for CEL validation rules".to_owned()),
    };
    let message = environment.filter(|_| !rule.message_expression.trim().is_empty());
    let message = message.and_then(|environment| environment.compile_message(&rule.message_expression).ok());
    let field = (!rule.field_path.is_empty())
        .then(|| field_path(rule.field_path.trim(), schema, true).ok())
        .flatten()
        .map(|(path, _)| path.to_string());
    Compiled {
        uses_old: program.as_ref().is_ok_and(|program| program.references("oldSelf")),
        rule: rule.clone(),
        program,
        message,
        field: field.unwrap_or_default(),
    }
}
