//! Operations on paths: what may be sent, asked and answered.

use serde_json::{Value, json};

use crate::api::{Resource, Subresource};

/// One method on one path.
pub(super) struct Operation<'a> {
    pub(super) action: &'static str,
    pub(super) row: &'a Resource,
    pub(super) subresource: Option<&'a Subresource>,
    /// The name of the schema of what is sent.
    pub(super) body: Option<String>,
    /// The name of the schema of what is answered; empty where it is text or a stream.
    pub(super) answer: String,
    pub(super) all_namespaces: bool,
}

/// What all methods of a path share.
pub(super) fn path_item(path: &str) -> Value {
    let mut parameters = Vec::new();
    for name in ["name", "namespace"] {
        if path.contains(&format!("{{{name}}}")) {
            parameters.push(json!({"name": name, "in": "path", "required": true,
                                   "schema": {"type": "string", "uniqueItems": true}}));
        }
    }
    parameters.push(query("pretty", "string"));
    json!({"parameters": parameters})
}

fn query(name: &str, kind: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}

const READS: [&str; 4] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor"];
const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

impl Operation<'_> {
    pub(super) fn document(&self, method: &str) -> Value {
        let mut document = json!({
            "operationId": self.id(method),
            "tags": [format!("{}_{}", self.group_word(), self.row.version)],
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": self.kind(),
            "responses": self.responses(method),
        });
        let parameters = self.parameters();
        if !parameters.is_empty() {
            document["parameters"] = parameters.into();
        }
        if let Some(body) = &self.body {
            let media = match self.action {
                // Custom resources have no strategic merge.
                "patch" if self.row.schema.is_none() => &PATCHES[..3],
                "patch" => &PATCHES,
                _ => &["*/*"],
            };
            document["requestBody"] =
                json!({"content": content(media, body), "required": method != "delete"});
        }
        document
    }

    fn kind(&self) -> Value {
        match self.subresource {
            Some(Subresource { kind, .. }) => {
                json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
            }
            None => json!({"group": self.row.group, "version": self.row.version, "kind": self.row.kind}),
        }
    }

    fn parameters(&self) -> Vec<Value> {
        let parameters: &[(&str, &str)] = match self.action {
            "list" => &[
                ("allowWatchBookmarks", "boolean"),
                ("continue", "string"),
                ("fieldSelector", "string"),
                ("labelSelector", "string"),
                ("limit", "integer"),
                ("resourceVersion", "string"),
                ("resourceVersionMatch", "string"),
                ("sendInitialEvents", "boolean"),
                ("timeoutSeconds", "integer"),
                ("watch", "boolean"),
            ],
            "post" | "put" => {
                &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")]
            }
            "patch" => &[
                ("dryRun", "string"),
                ("fieldManager", "string"),
                ("fieldValidation", "string"),
                ("force", "boolean"),
            ],
            "delete" => &[
                ("dryRun", "string"),
                ("gracePeriodSeconds", "integer"),
                ("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
                ("orphanDependents", "boolean"),
                ("propagationPolicy", "string"),
            ],
            "deletecollection" => &[
                ("continue", "string"),
                ("dryRun", "string"),
                ("fieldSelector", "string"),
                ("gracePeriodSeconds", "integer"),
                ("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
                ("labelSelector", "string"),
                ("limit", "integer"),
                ("orphanDependents", "boolean"),
                ("propagationPolicy", "string"),
                ("resourceVersion", "string"),
                ("resourceVersionMatch", "string"),
            ],
            _ => &[],
        };
        parameters.iter().map(|(name, kind)| query(name, kind)).collect()
    }

    fn responses(&self, method: &str) -> Value {
        let answer = if self.answer.is_empty() {
            json!({"*/*": {"schema": {"type": "string"}}})
        } else {
            content(&READS, &self.answer)
        };
        let with = |words: &str| json!({"description": words, "content": answer});
        let mut responses = json!({"200": with("OK"), "401": {"description": "Unauthorized"}});
        match (self.action, method) {
            ("connect", _) => {}
            (_, "post") => {
                responses["201"] = with("Created");
                responses["202"] = with("Accepted");
            }
            (_, "put" | "patch") => responses["201"] = with("Created"),
            ("delete", _) => responses["202"] = with("Accepted"),
            _ => {}
        }
        responses
    }

    /// `apps`, or `core` for the group without a name.
    fn group_word(&self) -> &str {
        match self.row.group.split('.').next() {
            None | Some("") => "core",
            Some(word) => word,
        }
    }

    /// Such as `createAppsV1NamespacedDeployment`.
    fn id(&self, method: &str) -> String {
        let verb = match self.action {
            "post" => "create".to_owned(),
            "put" => "replace".to_owned(),
            "get" => "read".to_owned(),
            "connect" => format!("connect{}", capital(method)),
            "deletecollection" => "deleteCollection".to_owned(),
            action => action.to_owned(),
        };
        let (mut group, mut version) = (capital(self.group_word()), capital(&self.row.version));
        if self.action == "connect" {
            // As Kubernetes has it: connectCoreV1GetNamespacedPodExec.
            (group, version) = (format!("{group}{version}{}", capital(method)), String::new());
        }
        let verb = if self.action == "connect" { "connect".to_owned() } else { verb };
        let scope = if self.row.namespaced() && !self.all_namespaces { "Namespaced" } else { "" };
        let part = self.subresource.map(|sub| capital(&sub.name)).unwrap_or_default();
        let everywhere = if self.all_namespaces { "ForAllNamespaces" } else { "" };
        format!("{verb}{group}{version}{scope}{}{part}{everywhere}", self.row.kind)
    }
}

fn content(media: &[&str], schema: &str) -> Value {
    let reference = json!({"schema": {"$ref": format!("#/components/schemas/{schema}")}});
    media
        .iter()
        .map(|media| ((*media).to_owned(), reference.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
