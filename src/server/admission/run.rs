//! Where the chain runs: what the verbs hand to it, and what becomes of its answer.

use std::mem;
use std::sync::{Mutex, OnceLock};

use serde_json::Value;

use super::connect as options;
use super::request::{Notes, Subject};
use super::{AdmissionRequest, Operation};
use crate::api::{GroupVersionKind, Object, Resource, Scope, Status, schema};
use crate::client::{FieldValidation, Identity, Payload, Request, Target};
use crate::server::ApiServer;
use crate::server::registry::{Call, decode_as, default};

/// Changes an object that is to be made.
pub(crate) async fn create(call: &mut Call<'_>, tree: &mut Value, dry_run: bool) -> Result<(), Status> {
    mutate(call, Operation::Create, tree, None, dry_run).await
}

/// Looks at an object as it would be made.
pub(crate) async fn created(call: &mut Call<'_>, object: &Object, dry_run: bool) -> Result<(), Status> {
    validate(call, Operation::Create, Subject::Closed(object.clone(), OnceLock::new()), None, dry_run).await
}

/// Changes what an object is to become.
pub(crate) async fn update(
    call: &mut Call<'_>,
    tree: &mut Value,
    old: &Object,
    dry_run: bool,
) -> Result<(), Status> {
    mutate(call, Operation::Update, tree, Some(old), dry_run).await
}

/// Looks at an object as it would become.
pub(crate) async fn updated(
    call: &mut Call<'_>,
    object: &Object,
    old: &Object,
    dry_run: bool,
) -> Result<(), Status> {
    let subject = Subject::Closed(object.clone(), OnceLock::new());
    validate(call, Operation::Update, subject, Some(old), dry_run).await
}

/// Changes, and then looks at, what stands for an object and is stored nowhere: its Scale.
pub(crate) async fn scale(
    call: &mut Call<'_>,
    tree: &mut Value,
    old: &Object,
    dry_run: bool,
) -> Result<(), Status> {
    mutate(call, Operation::Update, tree, Some(old), dry_run).await?;
    let subject = Subject::ClosedBody(tree.clone().into());
    validate(call, Operation::Update, subject, Some(old), dry_run).await
}

/// Looks at an object that is to be deleted.
pub(crate) async fn delete(call: &mut Call<'_>, old: &Object, dry_run: bool) -> Result<(), Status> {
    let admission = call.server.admission().clone();
    let mut request = request(call, Operation::Delete, Subject::Nothing, Some(old), dry_run);
    let admitted = match admission.mutate(&mut request).await {
        Ok(_) => admission.validate(&request).await,
        Err(status) => Err(status),
    };
    let notes = finished(request).1;
    note(call, notes);
    admitted
}

/// The body of a request that makes nothing by its own kind (a Binding, an Eviction, a review), changed and
/// looked at. Any other request is left as it is.
pub(crate) async fn body(
    call: &mut Call<'_>,
    kind: &GroupVersionKind,
    request: Request,
) -> Result<Request, Status> {
    let Request::Create { target, object, options } = request else { return Ok(request) };
    let row = body_row(kind);
    let mut tree = decode_as(call, &row, object, options.field_validation)?;
    mutate(call, Operation::Create, &mut tree, None, options.dry_run).await?;
    let subject = Subject::ClosedBody(tree.clone().into());
    validate(call, Operation::Create, subject, None, options.dry_run).await?;
    Ok(Request::Create { target, object: Payload::Tree(tree), options })
}

/// Looks at a stream that is to be opened, with its options; no step can change what it is opened with.
///
/// Source: `ConnectResource` of `k8s.io/apiserver/pkg/endpoints/handlers` (1.36).
pub(crate) async fn connect(
    server: &ApiServer,
    identity: &Identity,
    target: &Target,
    query: &str,
) -> Result<(), Status> {
    let Some(row) = server.scheme().resource(&target.resource).cloned() else { return Ok(()) };
    let Some((kind, tree)) = options::of(target, query) else { return Ok(()) };
    let mut call = Call::new(server, identity, row, target);
    let admission = server.admission().clone();
    let mut request = request(&call, Operation::Connect, Subject::Open(tree), None, false);
    request.kind = kind;
    admission.mutate(&mut request).await?;
    let (subject, notes) = finished(request);
    let Subject::Open(tree) = subject else { return Ok(()) };
    note(&mut call, notes);
    validate(&mut call, Operation::Connect, Subject::ClosedBody(tree.into()), None, false).await
}

async fn mutate(
    call: &mut Call<'_>,
    operation: Operation,
    tree: &mut Value,
    old: Option<&Object>,
    dry_run: bool,
) -> Result<(), Status> {
    let admission = call.server.admission().clone();
    let mut request = request(call, operation, Subject::Open(mem::take(tree)), old, dry_run);
    let admitted = admission.mutate(&mut request).await;
    let kind = request.kind.clone();
    let (subject, notes) = finished(request);
    if let Subject::Open(changed) = subject {
        *tree = changed;
    }
    note(call, notes);
    if admitted? {
        reform(call, &kind, tree)?;
    }
    Ok(())
}

async fn validate(
    call: &mut Call<'_>,
    operation: Operation,
    subject: Subject,
    old: Option<&Object>,
    dry_run: bool,
) -> Result<(), Status> {
    let admission = call.server.admission().clone();
    let request = request(call, operation, subject, old, dry_run);
    let admitted = admission.validate(&request).await;
    let notes = finished(request).1;
    note(call, notes);
    admitted
}

fn request<'a>(
    call: &'a Call<'_>,
    operation: Operation,
    subject: Subject,
    old: Option<&'a Object>,
    dry_run: bool,
) -> AdmissionRequest<'a> {
    let subresource = call.target.subresource.as_deref().unwrap_or_default();
    AdmissionRequest {
        server: call.server,
        identity: call.identity,
        operation,
        kind: call.row.subresource(subresource).map_or_else(|| call.row.gvk(), |own| own.kind.clone()),
        resource: &call.row,
        subresource,
        namespace: call.namespace(),
        name: call.name(),
        dry_run,
        subject,
        old,
        notes: Mutex::default(),
        again: false,
    }
}

fn finished(request: AdmissionRequest<'_>) -> (Subject, Notes) {
    (request.subject, request.notes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Takes down what steps have said; what is said again, for another try, is said once.
fn note(call: &mut Call<'_>, notes: Notes) {
    for warning in notes.warnings {
        if !call.warnings.contains(&warning) {
            call.warnings.push(warning);
        }
    }
    for (key, value) in notes.annotations {
        call.annotations.entry(key).or_insert(value);
    }
}

/// Brings a tree that somebody else's step has changed into the form of its kind.
fn reform(call: &mut Call<'_>, kind: &GroupVersionKind, tree: &mut Value) -> Result<(), Status> {
    let own = *kind == call.row.gvk();
    let row = if own { call.row.as_ref().clone() } else { body_row(kind) };
    let payload = Payload::Tree(mem::take(tree));
    *tree = decode_as(call, &row, payload, Some(FieldValidation::Ignore))?;
    if own { default(call, tree) } else { Ok(()) }
}

/// A row for a body that nobody stores.
fn body_row(kind: &GroupVersionKind) -> Resource {
    let plural = format!("{}s", kind.kind.to_lowercase());
    let (group, version) = (kind.group.clone(), kind.version.clone());
    let mut row = Resource::new(group, version, kind.kind.clone(), plural, Scope::Namespaced);
    row.schema = schema::name_of(&kind.group, &kind.version, &kind.kind).map(Into::into);
    row
}
