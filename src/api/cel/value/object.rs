//! Objects that an expression made.
//!
//! Source: `pkg/cel/mutation/jsonpatch.go` and `pkg/cel/mutation/dynamic` of `k8s.io/apiserver` (1.36).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::patch::{JSON_PATCH, TEXTS, VALUE};
use super::super::{Fault, types::Type};
use super::{Text, Value, show};

/// An object that an expression made, such as `Object{spec: Object.spec{replicas: 3}}`.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    name: Arc<str>,
    fields: Arc<BTreeMap<Arc<str>, Value<'a>>>,
}

impl<'a> Object<'a> {
    /// An object of a type, with fields. An operation of a JSON patch has no others than its own.
    pub(in super::super) fn of(name: Arc<str>, fields: BTreeMap<Arc<str>, Value<'a>>) -> Result<Self, Fault> {
        for (field, value) in fields.iter().filter(|_| &*name == JSON_PATCH) {
            match value {
                Value::String(_) if TEXTS.contains(&&**field) => {}
                _ if &**field == VALUE => {}
                other if TEXTS.contains(&&**field) => {
                    let kind = other.kind();
                    let kind = go_type(&kind);
                    return Err(Fault::error(format!(
                        "unexpected type {kind} for JSONPatchType '{field}' field"
                    )));
                }
                _ => return Err(Fault::error(format!("unexpected JSONPatchType field: {field}"))),
            }
        }
        Ok(Self { name, fields: Arc::new(fields) })
    }

    /// The name of its type.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fields that were given.
    #[must_use]
    pub fn fields(&self) -> &BTreeMap<Arc<str>, Value<'a>> {
        &self.fields
    }

    /// The value of a field; of one that was not given, nothing if that is `fine`, and else what Go has in its place.
    pub(in super::super) fn find(&self, key: &Value<'a>, fine: bool) -> Result<Option<Value<'a>>, Fault> {
        let Value::String(field) = key else {
            return Err(Fault::error(format!("unsupported indexer: {}", show(key))));
        };
        let found = self.fields.get(&**field).cloned();
        Ok(match found {
            None if fine => None,
            None if self.name() == JSON_PATCH && TEXTS.contains(&&**field) => {
                Some(Value::String(Text::Borrowed("")))
            }
            None if self.name() == JSON_PATCH => {
                return Err(Fault::error(format!("unsupported indexer: {}", &**field)));
            }
            None => Some(Value::Null),
            found => found,
        })
    }

    pub(super) fn is_zero(&self) -> bool {
        self.name() != JSON_PATCH && self.fields.is_empty()
    }
}

/// What Go calls the type of a value.
fn go_type(kind: &Type) -> &str {
    match kind {
        Type::Int => "int64",
        Type::Uint => "uint64",
        Type::Double => "float64",
        Type::Bool => "bool",
        Type::Bytes => "[]uint8",
        other => other.name(),
    }
}
