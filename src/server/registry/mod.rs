//! The verbs, for any row: what each does, step by step, until one commit to the store.

mod apply;
mod collection;
mod corrupt;
mod create;
mod decode;
mod delete;
mod patch;
mod read;
mod scale;
mod update;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Answer, ApiServer, Refusal, admission, convert, definitions, reviews, subresources};
use crate::api::{Object, ObjectKey, Resource, Revision, Status, field, names, status, validation};
use crate::client::{Identity, Patch, PatchType, Request, Response, Target, WriteOptions, wire};
use crate::store;

pub(crate) use create::{check_namespace, create_tree, default};
pub(crate) use decode::{decode, decode_as, unrecognized};
pub(crate) use delete::{Verdict, check_preconditions, delete_object};
pub(crate) use update::{Change, Committed, Next, Scope, modify, precondition_failed};

/// One request while it is served: who asks, for what, and what to tell them besides.
pub(crate) struct Call<'a> {
    pub(crate) server: &'a ApiServer,
    pub(crate) identity: &'a Identity,
    /// The row that was asked for.
    pub(crate) asked: Arc<Resource>,
    /// The row in whose version objects are stored; mostly the same.
    pub(crate) row: Arc<Resource>,
    pub(crate) target: &'a Target,
    pub(crate) warnings: Vec<String>,
    /// What admission has written down for the audit log.
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Serves an authorized request for a resource.
pub(super) async fn serve(
    server: &ApiServer,
    identity: &Identity,
    request: Request,
) -> Result<Answer, Refusal> {
    let (verb, target) = match &request {
        Request::Get { target, .. } => ("get", target.clone()),
        Request::List { target, .. } => ("list", target.clone()),
        Request::Watch { target, .. } => ("watch", target.clone()),
        Request::Create { target, .. } => ("create", target.clone()),
        Request::Update { target, .. } => ("update", target.clone()),
        Request::Patch { target, .. } => ("patch", target.clone()),
        Request::Delete { target, .. } => ("delete", target.clone()),
        Request::DeleteCollection { target, .. } => ("deletecollection", target.clone()),
        Request::Connect { .. } | Request::Raw(_) => return Err(status::no_such_resource().into()),
    };
    let scheme = server.scheme();
    let asked = scheme.resource(&target.resource).ok_or_else(|| server.unserved(&target.resource))?.clone();
    let row = convert::judged(&scheme, &asked);
    let mut call = Call { asked, ..Call::new(server, identity, row, &target) };
    call.told_of_deprecation();
    let served = carry_out(&mut call, verb, request).await;
    let Call { warnings, annotations, .. } = call;
    match served {
        Ok(Answer { response, created, .. }) => Ok(Answer { response, warnings, annotations, created }),
        Err(status) => Err(Refusal::after(warnings, status)),
    }
}

async fn carry_out(call: &mut Call<'_>, verb: &str, request: Request) -> Result<Answer, Status> {
    call.check_shape(verb)?;
    match &request {
        Request::Create { options, .. } => wire::check_write(options, "CreateOptions", None),
        Request::Update { options, .. } => wire::check_write(options, "UpdateOptions", None),
        Request::Patch { patch, options, .. } => wire::check_write(options, "PatchOptions", Some(patch)),
        _ => Ok(()),
    }
    .map_err(|status| *status)?;
    let writes = !matches!(verb, "get" | "list" | "watch") && definitions::is_definition(&call.row);
    let _alone = if writes { Some(call.server.alone_with_definitions().await) } else { None };
    let answer = dispatch(call, request).await?;
    let response = convert::response(&call.row, &call.asked, answer.response)?;
    Ok(Answer { response, ..answer })
}

async fn dispatch(call: &mut Call<'_>, request: Request) -> Result<Answer, Status> {
    if let Some(subresource) = call.target.subresource.clone() {
        return subresource_verb(call, &subresource, request).await;
    }
    // What is an act and no object is admitted by itself.
    let is_binding = call.row.group.is_empty() && call.row.kind == "Binding";
    let request = match reviews::is_review(&call.row) || is_binding {
        true => {
            let kind = call.row.gvk();
            admission::body(call, &kind, request).await?
        }
        false => request,
    };
    match request {
        Request::Get { options, .. } => read::get(call, &options).await.map(object),
        Request::List { options, .. } => read::list(call, &options).await,
        Request::Watch { options, .. } => watch::watch(call, options).await,
        Request::Create { object, options, .. } => {
            if let Some(review) = reviews::of(&call.row) {
                return review(call, object).map(created);
            }
            if reviews::is_token_review(&call.row) {
                return reviews::token(call, object).await.map(created);
            }
            if is_binding {
                return subresources::bind(call, object, &options).await;
            }
            create::create(call, object, &options).await.map(created)
        }
        Request::Update { object: payload, options, .. } => {
            update::update(call, payload, &options, Scope::Main).await
        }
        Request::Patch { patch, options, .. } => patch_verb(call, &patch, &options, Scope::Main).await,
        Request::Delete { options, .. } => delete::delete(call, &options).await,
        Request::DeleteCollection { list, options, .. } => {
            collection::delete_collection(call, &list, &options).await
        }
        Request::Connect { .. } | Request::Raw(_) => Err(status::no_such_resource()),
    }
}

async fn patch_verb(
    call: &mut Call<'_>,
    patch: &Patch,
    options: &WriteOptions,
    scope: Scope,
) -> Result<Answer, Status> {
    if patch.kind == PatchType::Apply {
        return apply::apply(call, patch, options, scope).await;
    }
    patch::patch(call, patch, options, scope).await.map(object)
}

/// What subresources do, by name: the only ones with rules of their own are those that answer with
/// another kind than the object's.
async fn subresource_verb(
    call: &mut Call<'_>,
    subresource: &str,
    request: Request,
) -> Result<Answer, Status> {
    let declared = call.row.subresource(subresource).ok_or_else(status::no_such_resource)?.clone();
    let own_kind = declared.kind == call.row.gvk();
    let request = if own_kind { request } else { admission::body(call, &declared.kind, request).await? };
    match (subresource, request) {
        ("scale", Request::Get { .. }) => scale::get(call).await,
        ("scale", Request::Update { object, options, .. }) => scale::update(call, object, &options).await,
        ("scale", Request::Patch { patch, options, .. }) => scale::patch(call, &patch, &options).await,
        ("binding", Request::Create { object, options, .. }) => {
            subresources::bind(call, object, &options).await
        }
        ("eviction", Request::Create { object, options, .. }) => {
            subresources::evict(call, object, &options).await
        }
        ("token", Request::Create { object, .. }) => subresources::token(call, object).await,
        ("finalize", Request::Update { object, options, .. }) if own_kind => {
            update::update(call, object, &options, Scope::Finalize).await
        }
        ("ephemeralcontainers" | "resize", Request::Update { object, options, .. }) if own_kind => {
            update::update(call, object, &options, changes(subresource)).await
        }
        ("ephemeralcontainers" | "resize", Request::Patch { patch, options, .. }) if own_kind => {
            patch_verb(call, &patch, &options, changes(subresource)).await
        }
        (_, Request::Get { options, .. }) if own_kind => read::get(call, &options).await.map(object),
        ("status", Request::Update { object, options, .. }) if own_kind => {
            update::update(call, object, &options, Scope::Status).await
        }
        ("status", Request::Patch { patch, options, .. }) if own_kind => {
            patch_verb(call, &patch, &options, Scope::Status).await
        }
        ("approval", Request::Update { object, options, .. }) if own_kind => {
            update::update(call, object, &options, Scope::Approval).await
        }
        ("approval", Request::Patch { patch, options, .. }) if own_kind => {
            patch_verb(call, &patch, &options, Scope::Approval).await
        }
        _ => Err(not_allowed()),
    }
}

/// What a subresource of a running pod changes.
fn changes(subresource: &str) -> Scope {
    if subresource == "resize" { Scope::Resize } else { Scope::EphemeralContainers }
}

fn object(object: Object) -> Answer {
    Response::Object(object).into()
}

fn created(object: Object) -> Answer {
    Answer { created: true, ..Response::Object(object).into() }
}

/// 405, as Kubernetes answers a method that a path does not have.
pub(crate) fn not_allowed() -> Status {
    status::failure(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )
}

impl<'a> Call<'a> {
    /// A request of `identity` for a target of this row.
    pub(crate) fn new(
        server: &'a ApiServer,
        identity: &'a Identity,
        row: Arc<Resource>,
        target: &'a Target,
    ) -> Self {
        let (warnings, annotations) = (Vec::new(), BTreeMap::new());
        Self { server, identity, asked: row.clone(), row, target, warnings, annotations }
    }

    /// Namespace and name, as far as the target has them.
    pub(crate) fn key(&self) -> ObjectKey {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        ObjectKey::new(text(&self.target.namespace), text(&self.target.name))
    }

    pub(crate) fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    /// Whether the target names as much as the verb needs, and no more than the row has.
    fn check_shape(&self, verb: &str) -> Result<(), Status> {
        let row = &self.row;
        let namespaced = !self.namespace().is_empty();
        if self.target.subresource.is_none() && !row.verbs.iter().any(|own| own == verb) {
            return Err(not_allowed());
        }
        if namespaced && !row.namespaced() {
            // Namespaces are reached below their own name, too: /api/v1/namespaces/x.
            return Err(status::no_such_resource());
        }
        let names_one = !matches!(verb, "list" | "watch" | "deletecollection")
            && (verb != "create" || self.target.subresource.is_some());
        if names_one {
            self.check_name()?;
        }
        if names_one {
            let problems = names::path_segment(self.name());
            if !problems.is_empty() {
                let (name, why) = (self.name(), problems.join(";"));
                return Err(status::bad_request(format!("Name parameter invalid: {name:?}: {why}")));
            }
        }
        let needs_namespace = row.namespaced() && !matches!(verb, "list" | "watch");
        if needs_namespace && !namespaced && !reviews::is_review(row) {
            return Err(if names_one {
                status::bad_request("Namespace parameter required.")
            } else {
                not_allowed()
            });
        }
        Ok(())
    }

    /// 400 where the name could be no part of a key.
    ///
    /// Source: `NamespaceKeyFunc` of `k8s.io/apiserver/pkg/registry/generic/registry` (1.36).
    fn check_name(&self) -> Result<(), Status> {
        let name = self.name();
        if name.is_empty() {
            return Err(status::bad_request("Name parameter required."));
        }
        let wrong = names::path_segment(name);
        if wrong.is_empty() {
            return Ok(());
        }
        Err(status::bad_request(format!("Name parameter invalid: {name:?}: {}", wrong.join(";"))))
    }

    /// Tells the caller something besides, once, however often a write is tried again.
    /// Says that what is asked for should not be used any more, where that is so.
    ///
    /// Source: `registerResourceHandlers` of `k8s.io/apiserver/pkg/endpoints/installer.go`, and `MonitorRequest`
    /// of `endpoints/metrics` (1.36).
    fn told_of_deprecation(&mut self) {
        let Some(deprecation) = &self.asked.deprecation else { return };
        self.warnings.push(deprecation.warning.to_string());
        self.annotations.insert("k8s.io/deprecated".into(), "true".into());
        if !deprecation.removed_release.is_empty() {
            let removed = deprecation.removed_release.to_string();
            self.annotations.insert("k8s.io/removed-release".into(), removed);
        }
    }

    pub(crate) fn warn(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    pub(crate) fn not_found(&self) -> Status {
        status::not_found(&self.row.group, &self.row.plural, self.name())
    }

    pub(crate) fn conflict(&self, why: &str) -> Status {
        status::conflict(&self.row.group, &self.row.plural, self.name(), why)
    }

    pub(crate) fn forbidden(&self, name: &str, why: &str) -> Status {
        status::forbidden(&self.row.group, &self.row.plural, name, why)
    }

    pub(crate) fn invalid(&self, name: &str, errors: &[field::Error]) -> Status {
        status::invalid(&self.row.group, &self.row.kind, name, errors)
    }

    /// The object that this tree is, not stored yet.
    pub(crate) fn object(&self, tree: Value) -> Result<Object, Status> {
        Object::from_tree(self.row.clone(), Revision::NONE, tree)
            .map_err(|error| status::bad_request(error.to_string()))
    }

    /// The same, with the tree, which nobody who looks at the object has to decode while it is held.
    pub(crate) fn object_held(&self, tree: Value) -> Result<(Object, Arc<Value>), Status> {
        Object::with_tree(self.row.clone(), Revision::NONE, tree)
            .map_err(|error| status::bad_request(error.to_string()))
    }

    /// The object as it is now.
    pub(crate) async fn current(&self) -> Result<Option<Object>, Status> {
        self.find(&self.key()).await
    }

    /// An object of the resource as it is now.
    async fn find(&self, key: &ObjectKey) -> Result<Option<Object>, Status> {
        let stored = self.server.stored_row(&self.row);
        match self.server.cached().get(&stored, key).await.map_err(|error| store_error(&error))? {
            Some(object) => convert::one_from_store(self.server, &self.row, object).await.map(Some),
            None => Ok(None),
        }
    }

    /// Whether it is stored otherwise than it would be stored now.
    async fn is_stale(&self, object: &Object) -> Result<bool, Status> {
        let stored = convert::to_store(self.server, object.clone()).await?;
        self.server.cached().is_stale(&stored).await.map_err(|error| store_error(&error))
    }

    /// Fails with what is wrong with an object, and notes what its writer should know besides.
    pub(crate) fn accept(&mut self, name: &str, findings: validation::Findings) -> Result<(), Status> {
        self.warn(findings.warnings);
        if findings.errors.is_empty() { Ok(()) } else { Err(self.invalid(name, &findings.errors)) }
    }
}

/// What a store's failure is to a caller.
pub(crate) fn store_error(error: &store::Error) -> Status {
    match error {
        store::Error::Compacted { .. } => {
            status::expired("The resourceVersion for the provided list is too old.")
        }
        store::Error::FutureRevision { newest } => too_large(Revision::NONE, *newest),
        store::Error::Unreadable { values, .. } => corrupt::get_error(values),
        store::Error::UnreadableDeleted { value } => corrupt::deleted_error(value),
        store::Error::NoSpace => status::failure(500, "InternalError", "the store has no space left"),
        store::Error::Unavailable { .. } => status::unavailable(error.to_string()),
        other => status::internal(other.to_string()),
    }
}

/// 504: the revision asked for has not happened.
pub(crate) fn too_large(asked: Revision, newest: Revision) -> Status {
    let mut answer = status::timeout(format!("Too large resource version: {asked}, current: {newest}"));
    answer.details = Some(kube_core::response::StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: vec![kube_core::response::StatusCause {
            reason: "ResourceVersionTooLarge".into(),
            message: "Too large resource version".into(),
            field: String::new(),
        }],
        retry_after_seconds: 1,
    });
    answer
}
