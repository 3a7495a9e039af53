//! The defaults of a schema: whether they are values of it.
//!
//! Source: `schema/defaulting/{validation,prune}.go` of `k8s.io/apiextensions-apiserver/pkg/apiserver`
//! (1.36).

use serde_json::{Value, json};

use super::schema::{Additional, Schema};
use crate::api::field::{Error, Path};

/// What is wrong with the defaults of a whole object's schema. Those with undeclared fields are wrong where
/// `pruned`.
#[must_use]
pub fn check_defaults(path: &Path, schema: &Schema, pruned: bool) -> Vec<Error> {
    let root = schema.as_root();
    let mut check = Check { pruned, root: &root, way: Vec::new(), errors: Vec::new() };
    check.walk(path, &root, false);
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
}

impl<'a> Check<'a> {
    fn walk(&mut self, path: &Path, schema: &'a Schema, in_head: bool) {
        let mut in_head = in_head;
        let outer = (self.root, std::mem::take(&mut self.way));
        if schema.embedded {
            (self.root, in_head) = (schema, false);
        } else {
            self.way.clone_from(&outer.1);
        }
        if let Some(default) = &schema.default {
            let path = path.child("default");
            if in_head {
                self.in_head(&path, schema, default)
            } else {
                self.elsewhere(&path, schema, default)
            }
        }
        if let Some(items) = &schema.items {
            self.way.push(Step::Item);
            self.walk(&path.child("items"), items, in_head);
            self.way.pop();
        }
        for (name, property) in &schema.properties {
            let head = schema.embedded && matches!(name.as_str(), "metadata" | "apiVersion" | "kind");
            self.way.push(Step::Field(name.clone()));
            self.walk(&path.child("properties").key(name), property, in_head || head);
            self.way.pop();
        }
        (self.root, self.way) = outer;
    }

    fn elsewhere(&mut self, path: &Path, schema: &Schema, default: &Value) {
        if self.pruned {
            let mut pruned = default.clone();
            schema.prune(&mut pruned, schema.embedded);
            if pruned != *default {
                self.errors.push(Error::invalid(path, default.clone(), "must not have unknown fields"));
            }
        }
        let mut value = default.clone();
        if let Err(why) = schema.coerce(&mut value, false) {
            self.errors.push(Error::invalid(path, default.clone(), why));
            return;
        }
        let mut wrong = schema.validate_embedded(path, &value);
        if wrong.is_empty() {
            wrong = schema.validate(path, default);
        }
        self.errors.extend(wrong);
    }

    /// Inside metadata, where the default is judged as a part of the whole object.
    fn in_head(&mut self, path: &Path, schema: &Schema, default: &Value) {
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
                self.errors.push(Error::invalid(path, default.clone(), why));
            }
            None => self.errors.extend(schema.validate(path, default)),
        }
    }
}
