//! OpenAPI v3 of a group version, from the scheme's rows and the schema table.
//!
//! kubectl reads three things of it: the kind behind a path (`explain`), the fields and how lists
//! merge (`explain`, `apply`), and whether `PATCH` takes `dryRun` and `fieldValidation` (`--dry-run`,
//! `--validate`). Generators of clients read the rest.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::table;
use crate::api::{Resource, Scheme, Subresource};

mod components;
#[cfg(feature = "server")]
mod docs;
mod gnostic;
mod operations;
mod v2;

#[cfg(feature = "server")]
pub(crate) use docs::fields;
pub use gnostic::encode_openapi_v2;
pub use v2::openapi_v2;

use operations::Operation;

/// The OpenAPI v3 document of a group version; without paths where the scheme has no such rows.
///
/// With the feature `server`, types and fields carry Kubernetes' descriptions.
#[must_use]
pub fn openapi_v3(scheme: &Scheme, group: &str, version: &str) -> Value {
    let mut document =
        Document { group, version, paths: Map::new(), types: BTreeSet::new(), custom: Map::new() };
    for row in scheme.iter().filter(|row| row.group == group && row.version == version) {
        document.add(row);
    }
    document.finish()
}

struct Document<'a> {
    group: &'a str,
    version: &'a str,
    paths: Map<String, Value>,
    /// The types of the table that the paths name.
    types: BTreeSet<&'static str>,
    /// Schemas of types that the table does not know.
    custom: Map<String, Value>,
}

impl Document<'_> {
    fn root(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }

    fn add(&mut self, row: &Resource) {
        let scope = if row.namespaced() { "/namespaces/{namespace}" } else { "" };
        let collection = format!("{}{scope}/{}", self.root(), row.plural);
        let item = format!("{collection}/{{name}}");
        let (object, list) = self.types_of(row);
        let has = |verb: &str| row.verbs.iter().any(|known| known == verb);
        let operation = |action, body: Option<&str>, answer: &str| Operation {
            action,
            row,
            subresource: None,
            body: body.map(str::to_owned),
            answer: answer.to_owned(),
            all_namespaces: false,
        };
        if has("list") {
            self.operation(&collection, "get", &operation("list", None, &list));
            if row.namespaced() {
                let everywhere = format!("{}/{}", self.root(), row.plural);
                let listing = Operation { all_namespaces: true, ..operation("list", None, &list) };
                self.operation(&everywhere, "get", &listing);
            }
        }
        if has("create") {
            self.operation(&collection, "post", &operation("post", Some(&object), &object));
        }
        let status = self.builtin("io.k8s.apimachinery.pkg.apis.meta.v1.Status");
        let options = self.builtin("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
        if has("deletecollection") {
            self.operation(&collection, "delete", &operation("deletecollection", Some(&options), &status));
        }
        if has("get") {
            self.operation(&item, "get", &operation("get", None, &object));
        }
        if has("update") {
            self.operation(&item, "put", &operation("put", Some(&object), &object));
        }
        if has("patch") {
            let patch = self.builtin("io.k8s.apimachinery.pkg.apis.meta.v1.Patch");
            self.operation(&item, "patch", &operation("patch", Some(&patch), &object));
        }
        if has("delete") {
            self.operation(&item, "delete", &operation("delete", Some(&options), &status));
        }
        for subresource in &row.subresources {
            self.add_subresource(row, subresource, &item, &object);
        }
    }

    fn add_subresource(&mut self, row: &Resource, subresource: &Subresource, item: &str, object: &str) {
        let path = format!("{item}/{}", subresource.name);
        let kind = &subresource.kind;
        let connects = kind.kind.ends_with("Options");
        let known = super::name_of(&kind.group, &kind.version, &kind.kind);
        let answer = known.map_or_else(|| object.to_owned(), |name| self.builtin(name));
        for verb in &subresource.verbs {
            let (method, action) = match verb.as_ref() {
                "get" => ("get", "get"),
                "create" => ("post", "post"),
                "update" => ("put", "put"),
                "patch" => ("patch", "patch"),
                "delete" => ("delete", "delete"),
                _ => continue,
            };
            let body = match method {
                "get" | "delete" => None,
                "patch" => Some(self.builtin("io.k8s.apimachinery.pkg.apis.meta.v1.Patch")),
                _ => Some(answer.clone()),
            };
            let operation = Operation {
                action: if connects { "connect" } else { action },
                row,
                subresource: Some(subresource),
                body: body.filter(|_| !connects),
                answer: if connects { String::new() } else { answer.clone() },
                all_namespaces: false,
            };
            self.operation(&path, method, &operation);
        }
    }

    fn operation(&mut self, path: &str, method: &str, operation: &Operation<'_>) {
        let entry = self.paths.entry(path).or_insert_with(|| operations::path_item(path));
        entry[method] = operation.document(method);
    }

    /// The names of the schemas of a row's objects and of their lists.
    fn types_of(&mut self, row: &Resource) -> (String, String) {
        if let Some(entry) = row.schema.as_deref().and_then(table::find) {
            let object = self.builtin(entry.name());
            let list = table::find(&format!("{}List", entry.name()));
            let list = list.map_or_else(|| object.clone(), |list| self.builtin(list.name()));
            return (object, list);
        }
        let package: Vec<&str> = row.group.rsplit('.').collect();
        let name = format!("{}.{}.{}", package.join("."), row.version, row.kind);
        for meta in ["ObjectMeta", "ListMeta"] {
            self.builtin(&format!("io.k8s.apimachinery.pkg.apis.meta.v1.{meta}"));
        }
        let list = format!("{}.{}.{}", package.join("."), row.version, row.list_kind());
        self.custom.insert(list.clone(), components::custom_list(row, &name));
        self.custom.insert(name.clone(), components::custom(row));
        (name, list)
    }

    /// Notes that a type of the table is named.
    fn builtin(&mut self, name: &str) -> String {
        if let Some(entry) = table::find(name) {
            self.types.insert(entry.name());
        }
        name.to_owned()
    }

    fn finish(self) -> Value {
        let mut schemas = components::of(self.types, self.group, self.version);
        #[cfg(feature = "server")]
        docs::describe(&mut schemas, self.group, self.version);
        #[cfg_attr(not(feature = "server"), allow(unused_mut, reason = "nothing is described"))]
        let mut custom = self.custom;
        #[cfg(feature = "server")]
        docs::describe_heads(&mut custom);
        schemas.extend(custom);
        json!({
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "unversioned"},
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "BearerToken": {"type": "apiKey", "name": "authorization", "in": "header",
                                    "description": "Bearer Token authentication"}
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
