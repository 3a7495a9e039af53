//! Update, and what every change of an object has in common.

use std::time::Duration;

use serde_json::Value;

use super::create::{check_namespace, create_tree, default};
use super::scale::{self, Paths};
use super::{Call, decode, store_error};
use crate::api::{Object, Revision, Status, field, status, warnings};
use crate::client::{Payload, Response, WriteOptions};
use crate::server::allocate::{Avoid, Claims};
use crate::server::authorize::refusal;
use crate::server::managed::{Owners, keep_times};
use crate::server::tree::{at, copy_field, finalizers, map_mut, metadata_mut, text};
use crate::server::{Answer, Attributes, Decision, admission, convert, strategy};
use crate::store::cached;

pub(crate) use crate::store::cached::Change;

/// Which part of an object a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All but the status.
    Main,
    /// The status.
    Status,
    /// The decision on a request for a certificate.
    Approval,
    /// `spec.finalizers` of a namespace.
    Finalize,
    /// `spec.ephemeralContainers` of a pod.
    EphemeralContainers,
    /// CPU and memory of a pod's containers.
    Resize,
}

/// What becomes of an object.
pub(crate) enum Next {
    /// It stays as it is.
    Keep,
    /// It becomes this.
    Put(Box<Object>),
    /// It becomes this, as far as admission, its kind and validation let it.
    Replace(Box<Replacement>),
    /// The deletion that was asked for, once admission has looked at it.
    Delete(Box<Next>),
    /// It becomes this, and waits until it may go; so it does not expire.
    Mark(Box<Object>),
    /// It goes, because that was asked for; this is its last state.
    Remove(Box<Object>),
    /// It goes, because a change has left it nothing to wait for; this is its last state.
    Finish(Box<Object>),
}

/// What somebody wants an object to be.
pub(crate) struct Replacement {
    tree: Value,
    scope: Scope,
    /// Where it was asked for by the object's Scale: where the replicas stand.
    scale: Option<Paths>,
}

/// How a commit of one object and its claims ended.
pub(crate) enum Committed {
    /// It happened, at this revision.
    At(Revision),
    /// It did not: the object is another by now, or not there.
    Lost(Option<Object>),
    /// It did not: what is there cannot be read.
    Unreadable,
    /// It did not: somebody else has the claim at this index.
    Claimed(usize),
}

/// Replaces an object, or makes it where its kind is made by an update.
pub(super) async fn update(
    call: &mut Call<'_>,
    payload: Payload,
    options: &WriteOptions,
    scope: Scope,
) -> Result<Answer, Status> {
    let mut tree = decode(call, payload, options.field_validation)?;
    check_name(call, &tree)?;
    check_namespace(call, &mut tree)?;
    let creates = scope == Scope::Main && strategy::of(&call.row).create_on_update;
    let owners = Owners::of(call, options);
    loop {
        if creates && call.current().await?.is_none() {
            match create_absent(call, tree.clone(), options).await {
                // It has come to be meanwhile: it is changed.
                Err(status) if status.reason == "AlreadyExists" => continue,
                answer => return answer,
            }
        }
        let change = |call: &mut Call<'_>, current: &Object| {
            check_uid(call, &tree, current.uid())?;
            let mut new = tree.clone();
            owned(call, &owners, &mut new, current, scope)?;
            replace(call, new, current, scope)
        };
        match modify(call, options.dry_run, change).await {
            // It has gone meanwhile: it is made.
            Err(status) if creates && status.code == 404 && call.current().await?.is_none() => {}
            object => return Ok(Response::Object(object?).into()),
        }
    }
}

/// Makes the object that an update did not find.
async fn create_absent(call: &mut Call<'_>, tree: Value, options: &WriteOptions) -> Result<Answer, Status> {
    check_uid(call, &tree, "")?;
    if !matches!(text(&tree, &["metadata", "resourceVersion"]), "" | "0") {
        return Err(call.conflict(status::OBJECT_MODIFIED));
    }
    check_create(call)?;
    let object = create_tree(call, tree, options).await?;
    Ok(Answer { created: true, ..Response::Object(object).into() })
}

/// Who changes an object that is not there must be allowed to make it.
pub(super) fn check_create(call: &Call<'_>) -> Result<(), Status> {
    let attributes = Attributes::on("create", call.target);
    match call.server.authorize(call.identity, &attributes) {
        Decision::Deny { reason } => Err(refusal(call.identity, &attributes, &reason)),
        Decision::Allow => Ok(()),
    }
}

/// Reads an object, decides what becomes of it and commits that, again and again until nobody
/// else was faster.
///
/// A decision that insists on a revision (by its `resourceVersion`) fails of itself once the object
/// is another; all others win in the end, since each loss is somebody else's progress.
pub(crate) async fn modify<F>(call: &mut Call<'_>, dry_run: bool, mut decide: F) -> Result<Object, Status>
where
    F: FnMut(&mut Call<'_>, &Object) -> Result<Next, Status>,
{
    let mut avoid = Avoid::default();
    loop {
        let Some(current) = call.current().await? else { return Err(call.not_found()) };
        // Whoever looks at it looks at one tree.
        let _held = current.tree();
        let next = match decide(call, &current)? {
            Next::Replace(wanted) => replaced(call, *wanted, &current, dry_run).await?,
            Next::Delete(next) => {
                admission::delete(call, &current, dry_run).await?;
                *next
            }
            next => next,
        };
        let (marks, finishes) = (matches!(next, Next::Mark(_)), matches!(next, Next::Finish(_)));
        let (object, claims, removed) = match next {
            Next::Keep if dry_run || !call.is_stale(&current).await? => return Ok(current),
            Next::Replace(_) | Next::Delete(_) => unreachable!("they have come to something else"),
            // What it is does not change, but how it is stored.
            Next::Keep => (current.clone(), Claims::default(), false),
            Next::Put(object) | Next::Mark(object) => {
                let (object, claims) = Claims::of(call, Some(&current), *object, &avoid).await?;
                (object, claims, false)
            }
            Next::Remove(object) | Next::Finish(object) => {
                (*object, Claims::release(call, &current).await?, true)
            }
        };
        if dry_run {
            return Ok(object.at(current.revision()));
        }
        let from = current.revision();
        let change = if removed {
            Change::Delete { object: current.clone(), from }
        } else {
            Change::Update { object: object.clone(), from }
        };
        let ttl = call.server.ttl(&call.row).filter(|_| !marks && !removed);
        match call.server.commit(change, &claims, ttl).await? {
            Committed::At(revision) => {
                let object = object.at(revision);
                call.server.stored(Some(&object), (!removed).then_some(&object));
                return Ok(object);
            }
            // Somebody else has finished it: that is what was wanted (`deleteWithoutFinalizers` of
            // Kubernetes' registry, 1.36).
            Committed::Lost(None) if finishes => return Ok(object.at(from)),
            Committed::Lost(_) | Committed::Unreadable => {}
            Committed::Claimed(index) => claims.lost(call, object.name(), index, &mut avoid)?,
        }
    }
}

/// Gives an object that is to be `new` its defaults and its owners.
pub(super) fn owned(
    call: &Call<'_>,
    owners: &Owners,
    new: &mut Value,
    current: &Object,
    scope: Scope,
) -> Result<(), Status> {
    if !matches!(scope, Scope::Status | Scope::Approval | Scope::Finalize) || call.row.custom.is_some() {
        default(call, new)?;
    }
    owners.update(&current.tree(), new);
    Ok(())
}

/// What becomes of an object that is to be `new`, which has its defaults and its owners.
pub(crate) fn replace(
    call: &mut Call<'_>,
    new: Value,
    current: &Object,
    scope: Scope,
) -> Result<Next, Status> {
    check_revision(call, &new, current)?;
    Ok(Next::Replace(Box::new(Replacement { tree: new, scope, scale: None })))
}

/// The same, where that was asked for by the object's Scale.
pub(super) fn replace_scaled(
    call: &mut Call<'_>,
    new: Value,
    current: &Object,
    paths: &Paths,
) -> Result<Next, Status> {
    match replace(call, new, current, Scope::Main)? {
        Next::Replace(wanted) => {
            Ok(Next::Replace(Box::new(Replacement { scale: Some(paths.clone()), ..*wanted })))
        }
        next => Ok(next),
    }
}

/// What becomes of an object that is to be replaced: admission and the kind have their say, and what comes
/// of it is validated.
async fn replaced(
    call: &mut Call<'_>,
    wanted: Replacement,
    current: &Object,
    dry_run: bool,
) -> Result<Next, Status> {
    let Replacement { tree: mut new, scope, scale } = wanted;
    let old = current.tree();
    match &scale {
        Some(paths) => scale::admit(call, paths, &mut new, current, dry_run).await?,
        None => admission::update(call, &mut new, current, dry_run).await?,
    }
    // No step makes it another object.
    check_name(call, &new)?;
    check_namespace(call, &mut new)?;
    keep_metadata(&mut new, &old);
    let rules = strategy::of(&call.row);
    let mut new = match scope {
        Scope::Main => {
            if rules.keeps_status(&call.row) {
                keep_status(&mut new, &old);
            }
            let context = strategy::Context::of(call);
            (rules.update)(&context, &mut new, &old);
            let warnings = context.warnings();
            call.warn(warnings);
            new
        }
        Scope::Status => status_only(call, rules, new, &old),
        Scope::Approval => status_only(call, &strategy::certificates::APPROVAL, new, &old),
        Scope::Finalize => {
            let mut kept = (*old).clone();
            copy_field(map_mut(&mut kept, "spec"), new["spec"].as_object(), "finalizers");
            copy_field(metadata_mut(&mut kept), new["metadata"].as_object(), "managedFields");
            kept
        }
        Scope::EphemeralContainers => strategy::pod::with_ephemeral_containers(&new, &old),
        Scope::Resize => strategy::pod::resized(new, &old),
    };
    let spec_may_change = !matches!(scope, Scope::Status | Scope::Approval | Scope::Finalize);
    if spec_may_change && rules.tracks_generation() && rules.is_new_generation(&call.row, &new, &old) {
        let next = current.generation() + 1;
        metadata_mut(&mut new).insert("generation".into(), next.into());
    }
    keep_times(&mut new, &old);
    let (next, new) = call.object_held(new)?;
    if next.body() == current.body() {
        if scale.is_none() {
            admission::updated(call, &next, current, dry_run).await?;
        }
        return Ok(if is_finished(&old, &old) { Next::Finish(Box::new(next)) } else { Next::Keep });
    }
    let kind = rules;
    let rules = call.server.validation();
    let mut findings = match scope {
        Scope::Main => rules.judge_update(&next, current),
        Scope::Status => rules.judge_update_status(&next, current),
        Scope::Finalize => rules.update_finalize_tree(&call.row, &new, &old).into(),
        Scope::EphemeralContainers => rules.update_ephemeral_containers_tree(&call.row, &new, &old).into(),
        Scope::Resize => rules.update_resize_tree(&call.row, &new, &old).into(),
        Scope::Approval => rules.update_approval(&next, current).into(),
    };
    if scope == Scope::Status
        && let Some(path) = (kind.asks_namespace)(&new, Some(&old))
    {
        findings.errors.splice(0..0, strategy::devices::ungranted(call, path).await);
    }
    if scope == Scope::Status && findings.errors.is_empty() {
        let refused = (kind.judge_status)(&strategy::Context::of(call), &new, &old);
        findings.errors.extend(refused);
    }
    call.accept(current.name(), findings)?;
    let next = convert::as_stored(call.server, next)?;
    let tree = next.tree();
    match scope {
        Scope::Main => call.warn(warnings::update(&call.row, &tree, &old)),
        Scope::Status => call.warn(warnings::update_status(&call.row, &tree)),
        Scope::Approval | Scope::Finalize | Scope::EphemeralContainers | Scope::Resize => {}
    }
    if scale.is_none() {
        admission::updated(call, &next, current, dry_run).await?;
    }
    Ok(if is_finished(&tree, &old) { Next::Finish(Box::new(next)) } else { Next::Put(Box::new(next)) })
}

/// Whether a deleting object has nothing left to wait for.
fn is_finished(new: &Value, old: &Value) -> bool {
    at(old, &["metadata", "deletionTimestamp"]).is_some()
        && at(old, &["metadata", "deletionGracePeriodSeconds"]).is_none_or(|grace| grace.as_i64() == Some(0))
        && finalizers(new).is_empty()
        && !(text(new, &["kind"]) == "Namespace"
            && text(new, &["apiVersion"]) == "v1"
            && at(new, &["spec", "finalizers"])
                .and_then(Value::as_array)
                .is_some_and(|list| !list.is_empty()))
}

fn check_revision(call: &Call<'_>, new: &Value, current: &Object) -> Result<(), Status> {
    match text(new, &["metadata", "resourceVersion"]) {
        "" | "0" if strategy::of(&call.row).unconditional_update => Ok(()),
        "" | "0" => {
            let path = field::Path::new("metadata").child("resourceVersion");
            let mut error = field::Error::invalid(&path, 0, "must be specified for an update");
            error.value = Value::String("0x0".into());
            Err(call.invalid(current.name(), &[error]))
        }
        said => match said.parse::<Revision>() {
            Ok(revision) if revision == current.revision() => Ok(()),
            Ok(_) => Err(call.conflict(status::OBJECT_MODIFIED)),
            Err(_) => {
                let path = field::Path::new("metadata").child("resourceVersion");
                Err(call.invalid(current.name(), &[field::Error::invalid(&path, said, "must be a number")]))
            }
        },
    }
}

/// A uid that is said is a precondition.
fn check_uid(call: &Call<'_>, new: &Value, found: &str) -> Result<(), Status> {
    let said = text(new, &["metadata", "uid"]);
    if said.is_empty() || said == found { Ok(()) } else { Err(precondition_failed(call, "UID", said, found)) }
}

/// 409: what a write insists on does not hold of what is stored.
///
/// Source: `Preconditions.Check` and `NewInvalidObjError` of `k8s.io/apiserver/pkg/storage` (1.36).
pub(crate) fn precondition_failed(call: &Call<'_>, what: &str, said: &str, found: &str) -> Status {
    let namespace = Some(call.namespace()).filter(|namespace| !namespace.is_empty());
    let key = call.row.storage_key(namespace, Some(call.name()));
    call.conflict(&format!(
        "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: {what} in precondition: {said}, {what} in object meta: {found}"
    ))
}

/// The object's name must be the target's.
pub(super) fn check_name(call: &Call<'_>, tree: &Value) -> Result<(), Status> {
    let (said, expected) = (text(tree, &["metadata", "name"]), call.name());
    if said == expected {
        return Ok(());
    }
    Err(status::bad_request(format!(
        "the name of the object ({said}) does not match the name on the URL ({expected})"
    )))
}

/// What an update cannot change, whoever sends it.
fn keep_metadata(new: &mut Value, old: &Value) {
    let metadata = metadata_mut(new);
    let kept = old["metadata"].as_object();
    for field in ["uid", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        copy_field(metadata, kept, field);
    }
    metadata.remove("selfLink");
}

fn keep_status(new: &mut Value, old: &Value) {
    if let Some(new) = new.as_object_mut() {
        copy_field(new, old.as_object(), "status");
    }
}

/// The old object with the new status, and with what else the kind lets a status update change.
fn status_only(call: &Call<'_>, rules: &strategy::Strategy, new: Value, old: &Value) -> Value {
    let mut kept = old.clone();
    if let Some(kept) = kept.as_object_mut() {
        copy_field(kept, new.as_object(), "status");
    }
    let fresh = new["metadata"].as_object();
    copy_field(metadata_mut(&mut kept), fresh, "managedFields");
    if rules.status_writes_metadata(&call.row) {
        for field in ["labels", "annotations", "finalizers"] {
            copy_field(metadata_mut(&mut kept), fresh, field);
        }
    }
    (rules.update_status)(&strategy::Context::of(call), &mut kept, old);
    kept
}

impl super::super::ApiServer {
    /// Commits a change and the claims that go with it, in one step. What is written goes by itself after
    /// `ttl`, where one is given.
    pub(crate) async fn commit(
        &self,
        change: Change,
        claims: &Claims,
        ttl: Option<Duration>,
    ) -> Result<Committed, Status> {
        let change = convert::change(self, change).await?;
        let changes = std::iter::once(change).chain(claims.changes()).collect();
        let outcome = match ttl {
            None => self.cached().commit(changes).await,
            Some(ttl) => self.cached().commit_expiring(changes, ttl).await,
        };
        match outcome.map_err(|error| store_error(&error))? {
            cached::Outcome::Committed(revision) => Ok(Committed::At(revision)),
            cached::Outcome::Conflict { index: 0, current } => Ok(Committed::Lost(current)),
            cached::Outcome::Unreadable { index: 0, .. } => Ok(Committed::Unreadable),
            cached::Outcome::Conflict { index, .. } | cached::Outcome::Unreadable { index, .. } => {
                Ok(Committed::Claimed(index - 1))
            }
        }
    }
}
