//! A definition that goes takes its objects along.
//!
//! Source: `pkg/controller/finalizer` and `pkg/registry/customresourcedefinition` of
//! `k8s.io/apiextensions-apiserver` (1.36). There the objects are counted every few seconds, and given up on
//! after a minute; here their deletion is watched, for as long as it takes.

use std::sync::PoisonError;

use futures_util::StreamExt as _;
use serde_json::Value;

use super::names::{Condition, set};
use super::{RETRY, definitions_row, own_identity, rows};
use crate::api::{ObjectKey, Status};
use crate::client::{DeleteOptions, Target};
use crate::server::ApiServer;
use crate::server::registry::{Call, Next, delete_object, modify, store_error};
use crate::server::tree::{finalizers, set_finalizers};
use crate::store::cached::{ListQuery, ObjectEvent, WatchQuery};

/// What holds a definition until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
const TERMINATING: &str = "Terminating";

/// A definition that is to be deleted: it waits for its objects.
pub(crate) fn mark_terminating(tree: &mut Value, now: &str) {
    let mut held: Vec<String> = finalizers(tree).into_iter().map(str::to_owned).collect();
    if !held.iter().any(|own| own == CLEANUP) {
        held.push(CLEANUP.into());
    }
    set_finalizers(tree, held);
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    set(tree, Condition::new(TERMINATING, true, "InstanceDeletionPending", message), now);
}

impl ApiServer {
    /// Deletes the objects of a definition that is going, and lets it go when none is left.
    pub(super) fn clean_up(&self, name: &str) {
        {
            let mut served = self.0.served.write().unwrap_or_else(PoisonError::into_inner);
            let Some(known) = served.definitions.get_mut(name) else { return };
            if std::mem::replace(&mut known.cleaning, true) {
                return;
            }
        }
        let (server, name) = (self.downgrade(), name.to_owned());
        self.env().tasks.spawn("custom resource cleanup", async move {
            loop {
                let Some(server) = server.upgrade() else { return };
                let clock = server.env().clock.clone();
                match remove_all(&server, &name).await {
                    Ok(()) => {
                        let mut served = server.0.served.write().unwrap_or_else(PoisonError::into_inner);
                        if let Some(known) = served.definitions.get_mut(&name) {
                            known.cleaning = false;
                        }
                        return;
                    }
                    Err(status) => {
                        tracing::warn!(definition = name, error = status.message, "objects are left");
                        let why = format!("could not list instances: {}", status.message);
                        let failed = Condition::new(TERMINATING, true, "InstanceDeletionFailed", &why);
                        let _ = tell(&server, &name, failed, false).await;
                    }
                }
                drop(server);
                clock.sleep(RETRY).await;
            }
        });
    }
}

/// Deletes every object of a definition, waits until finalizers have let them go, and takes the
/// definition's own finalizer away.
async fn remove_all(server: &ApiServer, name: &str) -> Result<(), Status> {
    let Some(definitions) = definitions_row(server) else { return Ok(()) };
    let key = ObjectKey::new("", name);
    let found = server.cached().get(&definitions, &key).await.map_err(|error| store_error(&error))?;
    let Some(definition) = found.filter(|found| found.is_deleting()) else { return Ok(()) };
    let tree = definition.tree();
    if !finalizers(&tree).contains(&CLEANUP) {
        return Ok(());
    }
    let message = "CustomResource deletion is in progress";
    tell(server, name, Condition::new(TERMINATING, true, "InstanceDeletionInProgress", message), false)
        .await?;
    let done = if rows::is_established(&tree) {
        // Those that are being made are made by now, and no more will be.
        let gate = server.known(name, |known| known.gate.clone());
        let gate = gate.unwrap_or_default().write_owned().await;
        drop(gate);
        remove_objects(server, name).await?;
        Condition::new(TERMINATING, false, "InstanceDeletionCompleted", "removed all instances")
    } else {
        Condition::new(TERMINATING, false, "NeverEstablished", "resource was never established")
    };
    tell(server, name, done, true).await
}

async fn remove_objects(server: &ApiServer, name: &str) -> Result<(), Status> {
    let Some(row) = server.known(name, |known| known.stored.clone()).flatten() else {
        let why = server.known(name, |known| known.broken.clone()).flatten().unwrap_or_default();
        return Err(crate::api::status::internal(format!("the resource is not served: {why}")));
    };
    let identity = own_identity();
    let page =
        server.cached().list(&row, &ListQuery::default()).await.map_err(|error| store_error(&error))?;
    let mut left = page.items.len();
    let query = WatchQuery { from: Some(page.revision), ..WatchQuery::default() };
    let mut watch = server.cached().watch(&row, &query).await.map_err(|error| store_error(&error))?;
    for item in &page.items {
        let target = Target::all(&row).namespace(item.key().namespace.clone()).name(item.name());
        let mut call = Call::new(server, &identity, row.clone(), &target);
        match delete_object(&mut call, &DeleteOptions::default()).await {
            Ok(_) => {}
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    while left > 0 {
        match watch.next().await {
            Some(Ok(ObjectEvent::Deleted(_))) => left -= 1,
            Some(Ok(ObjectEvent::Added(_))) => left += 1,
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(store_error(&error)),
            None => return Err(crate::api::status::unavailable("the objects cannot be followed any more")),
        }
    }
    Ok(())
}

/// Says in a condition how far the removal is; in the end, the definition is let go.
async fn tell(server: &ApiServer, name: &str, condition: Condition<'_>, is_end: bool) -> Result<(), Status> {
    let Some(definitions) = definitions_row(server) else { return Ok(()) };
    let (identity, target) = (own_identity(), Target::all(&definitions).name(name));
    let mut call = Call::new(server, &identity, definitions.clone(), &target);
    let told = modify(&mut call, false, |call, current| {
        let mut tree = (*current.tree()).clone();
        set(&mut tree, condition, &server.env().clock.now_seconds().to_string());
        let mut last = false;
        if is_end {
            let kept: Vec<String> =
                finalizers(&tree).into_iter().filter(|own| *own != CLEANUP).map(str::to_owned).collect();
            last = kept.is_empty();
            set_finalizers(&mut tree, kept);
        }
        let object = Box::new(call.object(tree)?);
        Ok(if last { Next::Finish(object) } else { Next::Put(object) })
    });
    match told.await {
        Ok(_) => Ok(()),
        Err(status) if status.code == 404 => Ok(()),
        Err(status) => Err(status),
    }
}
