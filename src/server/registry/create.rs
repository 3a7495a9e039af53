//! Create.

use serde_json::Value;

use super::update::{Change, Committed};
use super::{Call, decode};
use crate::api::{Object, Status, defaults, names, schema, status, warnings};
use crate::client::{Payload, WriteOptions};
use crate::server::allocate::{Avoid, Claims};
use crate::server::managed::Owners;
use crate::server::tree::{at, metadata_mut, text};
use crate::server::{admission, convert, strategy};

/// How often a name is made up before the caller hears of it.
///
/// Source: `maxNameGenerationCreateAttempts` of `k8s.io/apiserver/pkg/registry/generic` (1.36).
const NAME_ATTEMPTS: usize = 8;

/// Makes an object.
pub(super) async fn create(
    call: &mut Call<'_>,
    payload: Payload,
    options: &WriteOptions,
) -> Result<Object, Status> {
    let tree = decode(call, payload, options.field_validation)?;
    create_tree(call, tree, options).await
}

/// Makes an object of a tree that has been decoded.
pub(crate) async fn create_tree(
    call: &mut Call<'_>,
    mut tree: Value,
    options: &WriteOptions,
) -> Result<Object, Status> {
    check_namespace(call, &mut tree)?;
    if !matches!(text(&tree, &["metadata", "resourceVersion"]), "" | "0") {
        // Kubernetes has no reason for this one, and answers 500.
        return Err(status::failure(500, "", "resourceVersion should not be set on objects to be created"));
    }
    default(call, &mut tree)?;
    Owners::of(call, options).create(&mut tree);
    create_owned(call, tree, options).await
}

/// Makes an object of a tree that has its defaults and its owners.
pub(super) async fn create_owned(
    call: &mut Call<'_>,
    mut tree: Value,
    options: &WriteOptions,
) -> Result<Object, Status> {
    let _gate = call.server.may_create(&call.row, text(&tree, &["metadata", "name"])).await?;
    admission::create(call, &mut tree, options.dry_run).await?;
    // No step makes it another namespace's.
    check_namespace(call, &mut tree)?;
    fill_metadata(call, &mut tree);
    let base = text(&tree, &["metadata", "generateName"]).to_owned();
    let generated = text(&tree, &["metadata", "name"]).is_empty() && !base.is_empty();
    let mut name = String::new();
    for _ in 0..if generated { NAME_ATTEMPTS } else { 1 } {
        // What the kind fills in may hold the name.
        let mut own = if generated { tree.clone() } else { std::mem::take(&mut tree) };
        if generated {
            name = names::generated(&base, &call.server.name_suffix());
            metadata_mut(&mut own).insert("name".into(), name.as_str().into());
        }
        let context = strategy::Context::of(call);
        strategy::of(&call.row).create(&context, &mut own);
        let warnings = context.warnings();
        call.warn(warnings);
        match store(call, own, options).await? {
            Stored::Yes(object) => return Ok(object),
            Stored::Exists(_) if generated => {}
            Stored::Exists(current) => {
                let mut answer = status::already_exists(&call.row.group, &call.row.plural, current.name());
                if current.is_deleting() {
                    answer.message = format!("object is being deleted: {}", answer.message);
                }
                return Err(answer);
            }
        }
    }
    let mut answer = status::already_exists(&call.row.group, &call.row.plural, &name);
    answer.message.push_str(", the server was not able to generate a unique name for the object");
    Err(answer)
}

enum Stored {
    Yes(Object),
    /// An object of this name is there already.
    Exists(Object),
}

async fn store(call: &mut Call<'_>, tree: Value, options: &WriteOptions) -> Result<Stored, Status> {
    let (valid, tree) = call.object_held(tree)?;
    let mut findings = call.server.validation().judge_create(&valid);
    if let Some(path) = (strategy::of(&call.row).asks_namespace)(&tree, None) {
        findings.errors.splice(0..0, strategy::devices::ungranted(call, path).await);
    }
    call.accept(valid.name(), findings)?;
    call.warn(warnings::create(&call.row, &tree));
    admission::created(call, &valid, options.dry_run).await?;
    let valid = convert::as_stored(call.server, valid)?;
    let (mut avoid, ttl) = (Avoid::default(), call.server.ttl(&call.row));
    loop {
        let (object, claims) = Claims::of(call, None, valid.clone(), &avoid).await?;
        if options.dry_run {
            return Ok(call.find(object.key()).await?.map_or(Stored::Yes(object), Stored::Exists));
        }
        match call.server.commit(Change::Create(object.clone()), &claims, ttl).await? {
            Committed::At(revision) => {
                let object = object.at(revision);
                call.server.stored(None, Some(&object));
                return Ok(Stored::Yes(object));
            }
            Committed::Claimed(index) => claims.lost(call, object.name(), index, &mut avoid)?,
            Committed::Lost(Some(current)) => return Ok(Stored::Exists(current)),
            // It is there all the same.
            Committed::Unreadable => return Ok(Stored::Exists(object)),
            // What stands there is gone again: look again.
            Committed::Lost(None) => {}
        }
    }
}

/// What the schema and the kind fill in.
pub(crate) fn default(call: &Call<'_>, tree: &mut Value) -> Result<(), Status> {
    schema::apply_defaults(&call.row, tree);
    defaults::apply(&call.row, tree).map_err(|error| {
        status::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {error}",
            call.row.kind, call.row.version, call.row.kind
        ))
    })
}

/// The object's namespace must be the target's; where it says none, it becomes it.
pub(crate) fn check_namespace(call: &Call<'_>, tree: &mut Value) -> Result<(), Status> {
    let expected = call.namespace();
    let said = text(tree, &["metadata", "namespace"]);
    if said != expected && !said.is_empty() && !expected.is_empty() {
        return Err(status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let metadata = metadata_mut(tree);
    if expected.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".into(), expected.into());
    }
    Ok(())
}

/// What only the server may say of a new object.
fn fill_metadata(call: &Call<'_>, tree: &mut Value) {
    let tracked = strategy::of(&call.row).tracks_generation();
    let now = call.server.env().clock.now_seconds().to_string();
    let uid = call.server.new_uid();
    let metadata = metadata_mut(tree);
    for field in
        ["resourceVersion", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"]
    {
        metadata.remove(field);
    }
    metadata.insert("creationTimestamp".into(), now.into());
    metadata.insert("uid".into(), uid.into());
    if tracked {
        metadata.insert("generation".into(), 1.into());
    }
    if at(tree, &["metadata", "name"]).is_some_and(|name| name == "") {
        metadata_mut(tree).remove("name");
    }
}
