//! The defaults of a schema: whether they are values of it.
//!
//! Source: `schema/defaulting/{validation,prune}.go` of `k8s.io/apiextensions-apiserver/pkg/apiserver`
//! (1.36).

use serde_json::{Value, json};

use super::rules::Asking;
use super::schema::{Additional, Schema};
use crate::api::field::{Error, Path};

/// What is wrong with the defaults of a whole object's schema, `open_api` as the definition has it. Those
/// with undeclared fields are wrong where `pruned`. Rules are asked of them, on one budget for all.
#[must_use]
pub fn check_defaults(path: &Path, schema: &Schema, open_api: &Value, pruned: bool) -> Vec<Error> {
    let root = schema.as_root();
    let asking = Asking::new();
    let mut check = Check { pruned, root: &root, way: Vec::new(), errors: Vec::new(), asking };
    check.walk(path, &root, open_api, false);
    check.errors
}

/// Removes from every default what the schema does not declare.
pub fn prune_defaults(schema: &mut Schema) {
    if let Some(mut default) = schema.default.take() {
        schema.prune(&mut default, false);
        // What does not fit goes, so this cannot fail.
        let _ = schema.coerce(&mut default, true);
        schema.default = Some(default);
    }
    schema.properties.values_mut().for_each(prune_defaults);
    schema.items.iter_mut().for_each(|items| prune_defaults(items));
    if let Some(Additional::Schema(schema)) = &mut schema.additional {
        prune_defaults(schema);
    }
}

#[derive(Clone)]
enum Step {
    Field(String),
    Item,
}

struct Check<'a> {
    pruned: bool,
    /// The whole object that we are in.
    root: &'a Schema,
    /// How we came here from there.
    way: Vec<Step>,
    errors: Vec<Error>,
    asking: Asking,
}

impl<'a> Check<'a> {
    fn walk(&mut self, path: &Path, schema: &'a Schema, open_api: &Value, in_head: bool) {
        let mut in_head = in_head;
        let outer = (self.root, std::mem::take(&mut self.way));
        if schema.embedded {
            (self.root, in_head) = (schema, false);
        } else {
            self.way.clone_from(&outer.1);
        }
        if let Some(default) = &schema.default {
            let path = path.child("default");
            let wrong = match in_head {
                true => self.in_head(&path, schema, default),
                false => self.elsewhere(&path, schema, default),
            };
            if wrong.is_empty() {
                let is_whole = schema.embedded;
                let said = self.asking.ask_default(schema, open_api, is_whole, &path, default);
                self.errors.extend(said);
            }
            self.errors.extend(wrong);
        }
        if let Some(items) = &schema.items {
            self.way.push(Step::Item);
            let own = open_api.get("items").unwrap_or(&Value::Null);
            self.walk(&path.child("items"), items, own, in_head);
            self.way.pop();
        }
        for (name, property) in &schema.properties {
            let head = schema.embedded && matches!(name.as_str(), "metadata" | "apiVersion" | "kind");
            self.way.push(Step::Field(name.clone()));
            let own = open_api.get("properties").and_then(|properties| properties.get(name));
            let own = own.unwrap_or(&Value::Null);
            self.walk(&path.child("properties").key(name), property, own, in_head || head);
            self.way.pop();
        }
        (self.root, self.way) = outer;
    }

    fn elsewhere(&self, path: &Path, schema: &Schema, default: &Value) -> Vec<Error> {
        let mut wrong = Vec::new();
        if self.pruned {
            let mut pruned = default.clone();
            schema.prune(&mut pruned, schema.embedded);
            if pruned != *default {
                wrong.push(Error::invalid(path, default.clone(), "must not have unknown fields"));
            }
        }
        let mut value = default.clone();
        if let Err(why) = schema.coerce(&mut value, false) {
            wrong.push(Error::invalid(path, default.clone(), why));
            return wrong;
        }
        let embedded = schema.validate_embedded(path, &value);
        let misfit = if embedded.is_empty() { schema.validate(path, default) } else { embedded };
        wrong.extend(misfit);
        wrong
    }

    /// Inside metadata, where the default is judged as a part of the whole object.
    fn in_head(&self, path: &Path, schema: &Schema, default: &Value) -> Vec<Error> {
        let mut object = self.way.iter().rev().fold(default.clone(), |value, step| match step {
            Step::Field(name) => json!({ name: value }),
            Step::Item => json!([value]),
        });
        if let Some(map) = object.as_object_mut() {
            map.entry("kind").or_insert_with(|| "Validation".into());
            map.entry("apiVersion").or_insert_with(|| "validation/v1".into());
        }
        let wrong = match self.root.coerce(&mut object, false) {
            Err(why) => Some(why),
            Ok(_) => {
                let errors = self.root.validate_embedded(&Path::root(), &object);
                let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
                match texts.as_slice() {
                    [] => None,
                    [one] => Some(one.clone()),
                    many => Some(format!("[{}]", many.join(", "))),
                }
            }
        };
        match wrong {
            Some(why) => {
                let why = format!("must result in valid metadata: {why}");
                vec![Error::invalid(path, default.clone(), why)]
            }
            None => schema.validate(path, default),
        }
    }
}
