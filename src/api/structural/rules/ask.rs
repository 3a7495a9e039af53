//! Asking the rules of an object: a walk beside its schema, on one budget.
//!
//! A rule that speaks of old values is asked where there is one, or where it says that it need not be. What
//! a rule objects to that has not changed is a warning, unless the rule is about the change.
//!
//! Source: `Validator.validate` of `k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel` (1.36).

use serde_json::Value;

use super::Judged;
use super::compile::{Compiled, Node};
use crate::api::cel::{self, Activation, Budget, Fault, Program};
use crate::api::field::{Error, Path};
use crate::api::structural::correlate::{Correlated, OldItems};
use crate::api::structural::schema::{Additional, Rule, Schema, Type};
use crate::api::structural::trail::Trail;

/// The rules of one object while they are asked.
pub(in crate::api::structural) struct Asking {
    judged: Judged,
    budget: Budget,
    /// Nothing more is asked: the budget is spent, or a call cost too much.
    over: bool,
}

/// What a value is beside the one that it replaces.
#[derive(Clone, Copy, Default)]
struct Ratchet<'r, 'v> {
    current: Option<&'r Correlated<'v>>,
    nearest: Option<&'r Correlated<'v>>,
}

impl Ratchet<'_, '_> {
    /// Whether nothing here has changed; of what is not found again, whether what it is in has not.
    fn is_unchanged(self) -> bool {
        self.current.or(self.nearest).is_some_and(Correlated::is_unchanged)
    }
}

impl Asking {
    pub(in crate::api::structural) fn new() -> Self {
        Self { judged: Judged::default(), budget: Budget::new(cel::RUNTIME_BUDGET), over: false }
    }

    pub(super) fn ask(mut self, node: &Node, schema: &Schema, tree: &Value, old: Option<&Value>) -> Judged {
        let root = Path::root();
        let correlated = old.map(|old| Correlated::new(tree, old, schema));
        let ratchet = Ratchet { current: correlated.as_ref(), nearest: None };
        self.value(node, schema, &Trail::root(&root), tree, old, ratchet);
        self.judged
    }

    /// What the rules of a schema say of its default: as a value that has not changed, and as one that is
    /// new.
    pub(in crate::api::structural) fn ask_default(
        &mut self,
        schema: &Schema,
        open_api: &Value,
        is_object: bool,
        path: &Path,
        default: &Value,
    ) -> Vec<Error> {
        let Some(node) = Node::of(schema, open_api, is_object) else { return Vec::new() };
        let trail = Trail::root(path);
        for old in [Some(default), None] {
            self.value(&node, schema, &trail, default, old, Ratchet::default());
            if !self.judged.errors.is_empty() {
                break;
            }
        }
        std::mem::take(&mut self.judged.errors)
    }

    fn value(
        &mut self,
        node: &Node,
        schema: &Schema,
        trail: &Trail<'_>,
        value: &Value,
        old: Option<&Value>,
        ratchet: Ratchet<'_, '_>,
    ) {
        let old = old.filter(|old| !old.is_null());
        if value.is_null() || self.over {
            return;
        }
        self.rules(node, schema, trail, value, old, ratchet);
        match value {
            Value::Array(items) => {
                let (Some(inner), Some(item)) = (&node.items, &schema.items) else { return };
                let old_items = OldItems::of(schema, old.unwrap_or(&Value::Null));
                for (index, value) in items.iter().enumerate() {
                    let own = ratchet.current.and_then(|current| current.index(index));
                    let below = below(ratchet, own.as_ref());
                    self.value(inner, item, &trail.index(index), value, old_items.get(value), below);
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    let (inner, field, trail) = match (node.properties.get(key), &node.additional) {
                        (Some(inner), _) => (inner, schema.properties.get(key), trail.field(key)),
                        (None, Some(inner)) => {
                            let Some(Additional::Schema(values)) = &schema.additional else { continue };
                            (&**inner, Some(&**values), trail.key(key))
                        }
                        (None, None) => continue,
                    };
                    let Some(field) = field else { continue };
                    let before = old.and_then(|old| old.get(key));
                    // The kind and version of the whole object may change with the request.
                    let is_head = ratchet.current.is_some() && ratchet.nearest.is_none();
                    if is_head && matches!(key.as_str(), "apiVersion" | "kind") {
                        self.value(inner, field, &trail, value, before, Ratchet::default());
                        continue;
                    }
                    let own = ratchet.current.and_then(|current| current.key(key));
                    self.value(inner, field, &trail, value, before, below(ratchet, own.as_ref()));
                }
            }
            _ => {}
        }
    }

    fn rules(
        &mut self,
        node: &Node,
        schema: &Schema,
        trail: &Trail<'_>,
        value: &Value,
        old: Option<&Value>,
        ratchet: Ratchet<'_, '_>,
    ) {
        let ty = schema.ty.map_or("", Type::name);
        for compiled in &node.rules {
            let fail = |why: String| Error::invalid(&trail.path(), ty, why);
            if self.budget.is_spent() {
                return self.end(fail(out_of_budget()));
            }
            let rule = &compiled.rule;
            let program = match &compiled.program {
                Ok(program) => program,
                Err(why) => {
                    self.judged.errors.push(fail(format!("rule compile error: {why}")));
                    continue;
                }
            };
            let optional = rule.optional_old_self.unwrap_or(false);
            if compiled.uses_old && old.is_none() && !optional {
                continue;
            }
            let mut activation = Activation::new();
            activation.data("self", value, &node.schema);
            if node.uses_old && optional {
                activation.optional_data("oldSelf", old, &node.schema);
            } else if let Some(old) = old.filter(|_| node.uses_old) {
                activation.data("oldSelf", old, &node.schema);
            }
            let words = words(rule);
            match program.evaluate_bool(&activation, &mut self.budget) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(Fault::OutOfBudget) => return self.end(fail(out_of_budget())),
                Err(Fault::CallLimit) => {
                    return self.end(fail(format!(
                        "'operation cancelled: actual cost limit exceeded': no further validation rules will \
                         be run due to call cost exceeds limit for rule: {words}"
                    )));
                }
                Err(Fault::Error(why)) if why.starts_with("no such overload") => {
                    self.judged.errors.push(fail(format!(
                        "'{why}': call arguments did not match a supported operator, function or macro \
                         signature for rule: {words}"
                    )));
                    continue;
                }
                Err(Fault::Error(why)) => {
                    self.judged.errors.push(fail(format!("{why} evaluating rule: {words}")));
                    continue;
                }
            }
            self.objection(compiled, node, ty, trail, value, old, ratchet);
            if self.over {
                return;
            }
        }
    }

    /// A rule does not hold.
    #[allow(clippy::too_many_arguments, reason = "all of it is what the sentence is made of")]
    fn objection(
        &mut self,
        compiled: &Compiled,
        node: &Node,
        ty: &str,
        trail: &Trail<'_>,
        value: &Value,
        old: Option<&Value>,
        ratchet: Ratchet<'_, '_>,
    ) {
        let path = match compiled.field.as_str() {
            "" => trail.path(),
            field => trail.path().child(field),
        };
        let forgiven = !compiled.uses_old && ratchet.is_unchanged();
        let mut said = None;
        if let Some(message) = &compiled.message {
            let mut activation = Activation::new();
            activation.data("self", value, &node.schema);
            if let Some(old) = old.filter(|_| node.uses_old) {
                activation.data("oldSelf", old, &node.schema);
            }
            match self.message(message, &compiled.rule, &activation) {
                Ok(text) => said = text,
                Err(why) => {
                    self.tell(Error::invalid(&path, ty, why), forgiven);
                    self.over = true;
                    return;
                }
            }
        }
        let detail = said.unwrap_or_else(|| match compiled.rule.message.as_str() {
            "" => format!("failed rule: {}", words(&compiled.rule)),
            message => message.trim().to_owned(),
        });
        let is_whole = matches!(ty, "object" | "array");
        let shown = |error: Error| if is_whole { error.without_value() } else { error };
        let error = match compiled.rule.reason.as_str() {
            "FieldValueForbidden" => Error::forbidden(&path, detail),
            "FieldValueRequired" => Error::required(&path, detail),
            "FieldValueDuplicate" => shown(Error::duplicate(&path, value.clone())),
            _ => shown(Error::invalid(&path, value.clone(), detail)),
        };
        self.tell(error, forgiven);
    }

    /// What a message expression says; none where it says nothing that can be shown.
    fn message(
        &mut self,
        program: &Program,
        rule: &Rule,
        activation: &Activation<'_>,
    ) -> Result<Option<String>, String> {
        match program.evaluate_string(activation, &mut self.budget) {
            Ok(text) => {
                let text = text.trim();
                let fits = !text.is_empty() && text.len() <= cel::MAX_MESSAGE_BYTES && !text.contains('\n');
                Ok(fits.then(|| text.to_owned()))
            }
            Err(Fault::OutOfBudget) => Err("messageExpression evaluation failed due to running out of cost \
                                            budget, no further validation rules will be run"
                .to_owned()),
            Err(Fault::CallLimit) => Err(format!(
                "no further validation rules will be run due to call cost exceeds limit for \
                 messageExpression: {:?}",
                rule.message_expression
            )),
            Err(Fault::Error(_)) => Ok(None),
        }
    }

    fn tell(&mut self, error: Error, forgiven: bool) {
        if forgiven {
            self.judged.warnings.push(error.to_string());
        } else {
            self.judged.errors.push(error);
        }
    }

    fn end(&mut self, error: Error) {
        self.judged.errors.push(error);
        self.over = true;
    }
}

/// What a part is beside the one that it replaces.
fn below<'r, 'v>(above: Ratchet<'r, 'v>, own: Option<&'r Correlated<'v>>) -> Ratchet<'r, 'v> {
    match above.current {
        None => above,
        Some(_) => Ratchet { current: own, nearest: above.current },
    }
}

fn out_of_budget() -> String {
    "validation failed due to running out of cost budget, no further validation rules will be run".to_owned()
}

/// How a rule is named in what is said of it.
fn words(rule: &Rule) -> &str {
    if rule.message.is_empty() { rule.rule.trim() } else { rule.message.trim() }
}
