//! Short words for applying, and for who owns what.

use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use windlass::api::Status;
use windlass::client::{Error, Patch, PatchType, Request, Response, WriteOptions, wire};

use super::server_kit::*;

/// An apply to be.
pub(crate) struct Apply<'a> {
    kit: &'a Kit,
    namespace: &'a str,
    path: &'a str,
    force: bool,
    http: bool,
    options: WriteOptions,
}

impl Kit {
    /// `who` applies to `deployments/web`, or `deployments/web/status`.
    pub(crate) fn apply<'a>(&'a self, who: &str, namespace: &'a str, path: &'a str) -> Apply<'a> {
        let options = write_options(|options| options.field_manager = Some(who.to_owned()));
        Apply { kit: self, namespace, path, force: false, http: false, options }
    }

    /// A patch, an update or a create by `who`.
    pub(crate) async fn merge_as(
        &self,
        who: &str,
        namespace: &str,
        path: &str,
        patch: Value,
    ) -> Result<Value, Error> {
        self.patch(namespace, path, PatchType::Merge, patch, by(who)).await
    }

    /// Who owns what of an object: see [`owners_of`].
    pub(crate) async fn owners(&self, namespace: &str, path: &str) -> Vec<String> {
        owners_of(&self.get(namespace, path).await.unwrap())
    }
}

pub(crate) fn by(who: &str) -> WriteOptions {
    write_options(|options| options.field_manager = Some(who.to_owned()))
}

impl Apply<'_> {
    pub(crate) fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// As bytes through the server's HTTP, in process.
    pub(crate) fn over_http(mut self) -> Self {
        self.http = true;
        self
    }

    pub(crate) fn options(mut self, change: impl FnOnce(&mut WriteOptions)) -> Self {
        change(&mut self.options);
        self
    }

    pub(crate) async fn send(self, config: Value) -> Result<Value, Error> {
        self.text(config.to_string()).await
    }

    pub(crate) async fn text(self, config: String) -> Result<Value, Error> {
        let patch = Patch { kind: PatchType::Apply, body: config.into(), force: self.force };
        let target = self.kit.at(self.namespace, self.path);
        if self.http {
            let query = wire::encode_write(&self.options, self.force);
            let request = http::Request::patch(format!("{}?{query}", wire::target_path(&target)))
                .header("content-type", "application/apply-patch+yaml")
                .body(patch.body)
                .unwrap();
            let Response::Raw(answer) = self.kit.client.call(Request::Raw(request)).await? else {
                panic!("no answer of HTTP");
            };
            let (parts, body) = answer.into_parts();
            let chunks: Vec<bytes::Bytes> = body.try_collect().await.unwrap();
            let body = chunks.concat();
            return match parts.status.is_success() {
                true => Ok(serde_json::from_slice(&body).unwrap()),
                false => Err(serde_json::from_slice::<Status>(&body).unwrap().into()),
            };
        }
        let request = Request::Patch { target, patch, options: self.options };
        match self.kit.client.call(request).await? {
            Response::Object(object) => Ok(shown(&object)),
            other => panic!("no object: {other:?}"),
        }
    }
}

/// An entry a line: operation, manager, subresource and the fields, in the order in which they are written.
pub(crate) fn owners_of(tree: &Value) -> Vec<String> {
    let entries = tree["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let line = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let subresource = match text("subresource") {
            none if none.is_empty() => none,
            some => format!("/{some}"),
        };
        format!("{} {}{subresource} {}", text("operation"), text("manager"), entry["fieldsV1"])
    };
    entries.iter().map(line).collect()
}

/// The conflicts that a refused apply names: who, and which field.
pub(crate) fn conflicts(result: Result<Value, Error>) -> Vec<(String, String)> {
    let status = status_of(result);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"), "{}", status.message);
    let causes = status.details.expect("details").causes;
    let named = causes.into_iter().map(|cause| {
        assert_eq!(cause.reason, "FieldManagerConflict");
        (cause.message.trim_start_matches("conflict with ").to_owned(), cause.field)
    });
    named.collect()
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(who, field)| ((*who).to_owned(), (*field).to_owned())).collect()
}

/// A configuration of a config map.
pub(crate) fn data(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}
