//! Delete: at once, after a grace period, or when the last finalizer is gone.
//!
//! Deciding is pure: [`decide`] takes the object, the options and the time, and says whether the
//! object goes, waits or is waiting already. The rules are those of `BeforeDelete` and
//! `updateForGracefulDeletionAndFinalizers` of `k8s.io/apiserver/pkg/registry` (1.36), with one
//! difference: what goes at once goes in one revision and is not marked first.

use jiff::{SignedDuration, Timestamp};
use kube_core::response::StatusDetails;
use serde_json::Value;

use super::update::{Next, modify, precondition_failed};
use super::{Call, corrupt};
use crate::api::{Object, Status, status, warnings};
use crate::client::{DeleteOptions, Preconditions, PropagationPolicy, Response};
use crate::server::tree::{at, finalizers, metadata_mut, set_finalizers, text};
use crate::server::{Answer, strategy};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What a deletion came to.
pub(crate) struct Deleted {
    /// The object's last state, or the one in which it waits.
    pub(crate) object: Object,
    /// Whether it is gone.
    pub(crate) gone: bool,
}

/// Deletes an object, and answers as the kind does.
pub(super) async fn delete(call: &mut Call<'_>, options: &DeleteOptions) -> Result<Answer, Status> {
    if options.ignore_store_read_error_with_cluster_breaking_potential {
        return corrupt::delete(call, options).await;
    }
    if options.propagation.is_none() {
        call.warn(warnings::delete(&call.row));
    }
    let Deleted { object, gone } = delete_admitted(call, options).await?;
    if !gone || strategy::of(&call.row).answers_deleted {
        return Ok(Response::Object(object).into());
    }
    let mut answer = Status::success();
    answer.details = Some(StatusDetails {
        name: object.name().into(),
        group: call.row.group.to_string(),
        kind: call.row.plural.to_string(),
        uid: object.uid().into(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    });
    Ok(Response::Status(Box::new(answer)).into())
}

/// Deletes an object that somebody asks to delete: admission has a say.
pub(super) async fn delete_admitted(call: &mut Call<'_>, options: &DeleteOptions) -> Result<Deleted, Status> {
    remove(call, options, |next| Next::Delete(Box::new(next))).await
}

/// Deletes an object on the server's own account, as behind an eviction that was admitted.
pub(crate) async fn delete_object(call: &mut Call<'_>, options: &DeleteOptions) -> Result<Deleted, Status> {
    remove(call, options, |next| next).await
}

async fn remove(
    call: &mut Call<'_>,
    options: &DeleteOptions,
    decided: fn(Next) -> Next,
) -> Result<Deleted, Status> {
    let (mut gone, mut again) = (false, false);
    let object = modify(call, options.dry_run, |call, current| {
        check_preconditions(call, current, &options.preconditions, std::mem::replace(&mut again, true))?;
        let rules = strategy::of(&call.row);
        let old = current.tree();
        let now = call.server.env().clock.now_seconds();
        let verdict = match rules.delete {
            Some(own) => own(&old, now),
            None => {
                let grace = (rules.grace)(&old, options.grace_period_seconds);
                decide(&old, grace, options, rules.orphans, now)
            }
        };
        gone = matches!(verdict, Verdict::Gone);
        Ok(decided(match verdict {
            Verdict::Gone => Next::Remove(Box::new(current.clone())),
            Verdict::Waits => Next::Keep,
            Verdict::Marked(tree) => Next::Mark(Box::new(call.object(tree)?)),
        }))
    })
    .await?;
    Ok(Deleted { object, gone })
}

/// What becomes of an object that is to be deleted.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It goes.
    Gone,
    /// It becomes this, and waits.
    Marked(Value),
    /// It waits already, and nothing about it changes.
    Waits,
}

/// Decides. `grace` is how long this object is given, for kinds that know grace; `orphans` whether its
/// dependents stay where nothing else is said.
fn decide(
    old: &Value,
    grace: Option<i64>,
    options: &DeleteOptions,
    orphans: bool,
    now: Timestamp,
) -> Verdict {
    let deleting = at(old, &["metadata", "deletionTimestamp"]).is_some();
    let given = at(old, &["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(0);
    let mut new = old.clone();
    let mut graceful = false;
    match grace {
        None => {}
        // Already deleting, with time left: it can only be shortened.
        Some(_) if deleting && given > 0 => {
            match options.grace_period_seconds.map(|asked| if asked < 0 { 1 } else { asked }) {
                Some(asked) if asked < given => {
                    let marked: Option<Timestamp> =
                        text(old, &["metadata", "deletionTimestamp"]).parse().ok();
                    let end = marked.unwrap_or(now) - SignedDuration::from_secs(given - asked);
                    mark(&mut new, end, asked);
                    graceful = true;
                }
                _ => return Verdict::Waits,
            }
        }
        Some(_) if deleting => {}
        Some(grace) => {
            mark(&mut new, now + SignedDuration::from_secs(grace), grace);
            next_generation(&mut new);
            graceful = true;
        }
    }
    let wanted = garbage_finalizers(&finalizers(old), options.propagation, orphans);
    set_finalizers(&mut new, wanted.clone());
    let left = at(&new, &["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(0);
    if wanted.is_empty() && (!graceful || left == 0) {
        return Verdict::Gone;
    }
    if !graceful {
        if !deleting {
            next_generation(&mut new);
            mark(&mut new, now, 0);
        }
        metadata_mut(&mut new).insert("deletionGracePeriodSeconds".into(), 0.into());
    }
    if new == *old { Verdict::Waits } else { Verdict::Marked(new) }
}

fn mark(tree: &mut Value, end: Timestamp, grace: i64) {
    let metadata = metadata_mut(tree);
    metadata.insert("deletionTimestamp".into(), end.to_string().into());
    metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
}

fn next_generation(tree: &mut Value) {
    let generation = at(tree, &["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0);
    if generation > 0 {
        metadata_mut(tree).insert("generation".into(), (generation + 1).into());
    }
}

/// The finalizers, with those of the garbage collector as the policy wants them.
fn garbage_finalizers(own: &[&str], policy: Option<PropagationPolicy>, orphans: bool) -> Vec<String> {
    let (orphan, foreground) = match policy {
        Some(PropagationPolicy::Orphan) => (true, false),
        Some(PropagationPolicy::Foreground) => (false, true),
        Some(PropagationPolicy::Background) => (false, false),
        None => {
            let foreground = own.contains(&FOREGROUND);
            (own.contains(&ORPHAN) || (orphans && !foreground), foreground)
        }
    };
    let mut wanted: Vec<String> =
        own.iter().filter(|name| **name != ORPHAN && **name != FOREGROUND).map(ToString::to_string).collect();
    wanted.extend(orphan.then(|| ORPHAN.to_owned()));
    wanted.extend(foreground.then(|| FOREGROUND.to_owned()));
    wanted
}

/// What the caller insists on. Where another write was faster, Kubernetes finds out in its storage, and
/// words it otherwise.
pub(crate) fn check_preconditions(
    call: &Call<'_>,
    current: &Object,
    wanted: &Preconditions,
    again: bool,
) -> Result<(), Status> {
    let differs = |what: &str, asked: &str, found: &str, happened: &str| {
        if again {
            return Err(precondition_failed(call, what, asked, found));
        }
        let why = format!(
            "the {what} in the precondition ({asked}) does not match the {what} in record ({found}). \
             The object might have been {happened}"
        );
        Err(status::conflict(&call.row.group, &call.row.kind, current.name(), &why))
    };
    if let Some(uid) = wanted.uid.as_deref().filter(|uid| *uid != current.uid()) {
        return differs("UID", uid, current.uid(), "deleted and then recreated");
    }
    if let Some(revision) = wanted.resource_version.filter(|revision| *revision != current.revision()) {
        return differs(
            "ResourceVersion",
            &revision.to_string(),
            &current.revision().to_string(),
            "modified",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2020-01-01T00:00:00Z".parse().unwrap()
    }

    fn options(grace: Option<i64>, propagation: Option<PropagationPolicy>) -> DeleteOptions {
        DeleteOptions { grace_period_seconds: grace, propagation, ..DeleteOptions::default() }
    }

    #[test]
    fn what_knows_no_grace_and_has_no_finalizer_goes() {
        let old = json!({"metadata": {"name": "a"}});
        assert_eq!(decide(&old, None, &options(Some(30), None), false, now()), Verdict::Gone);
        assert_eq!(
            decide(&old, None, &options(None, Some(PropagationPolicy::Background)), false, now()),
            Verdict::Gone
        );
    }

    #[test]
    fn a_finalizer_holds_it() {
        let old = json!({"metadata": {"name": "a", "finalizers": ["x"], "generation": 2}});
        let Verdict::Marked(new) = decide(&old, None, &options(None, None), false, now()) else {
            panic!("it waits")
        };
        assert_eq!(
            new["metadata"],
            json!({"name": "a", "finalizers": ["x"], "generation": 3,
                "deletionTimestamp": "2020-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0})
        );
        assert_eq!(decide(&new, None, &options(None, None), false, now()), Verdict::Waits);
    }

    #[test]
    fn a_policy_is_a_finalizer() {
        let old = json!({"metadata": {"name": "a"}});
        for (policy, name) in
            [(PropagationPolicy::Orphan, ORPHAN), (PropagationPolicy::Foreground, FOREGROUND)]
        {
            let Verdict::Marked(new) = decide(&old, None, &options(None, Some(policy)), false, now()) else {
                panic!("it waits")
            };
            assert_eq!(new["metadata"]["finalizers"], json!([name]));
        }
    }

    #[test]
    fn some_kinds_leave_their_dependents_where_nothing_is_said() {
        let finalizers = |finalizers: Value, policy: Option<PropagationPolicy>| {
            let old = json!({"metadata": {"name": "a", "finalizers": finalizers}});
            match decide(&old, None, &options(None, policy), true, now()) {
                Verdict::Marked(new) => new["metadata"]["finalizers"].clone(),
                _ => Value::Null,
            }
        };
        assert_eq!(finalizers(json!([]), None), json!([ORPHAN]));
        assert_eq!(finalizers(json!([FOREGROUND]), None), json!([FOREGROUND]));
        assert_eq!(finalizers(json!([]), Some(PropagationPolicy::Background)), Value::Null);
    }

    #[test]
    fn grace_is_given_once_and_can_only_be_shortened() {
        let old = json!({"metadata": {"name": "a", "generation": 1}});
        let Verdict::Marked(new) = decide(&old, Some(30), &options(None, None), false, now()) else {
            panic!("it waits")
        };
        assert_eq!(new["metadata"]["deletionTimestamp"], "2020-01-01T00:00:30Z");
        assert_eq!(decide(&new, Some(60), &options(Some(60), None), false, now()), Verdict::Waits);
        assert_eq!(decide(&new, Some(30), &options(None, None), false, now()), Verdict::Waits);
        let Verdict::Marked(sooner) = decide(&new, Some(5), &options(Some(5), None), false, now()) else {
            panic!("it waits less")
        };
        assert_eq!(sooner["metadata"]["deletionTimestamp"], "2020-01-01T00:00:05Z");
        assert_eq!(sooner["metadata"]["generation"], 2);
        assert_eq!(decide(&new, Some(0), &options(Some(0), None), false, now()), Verdict::Gone);
    }
}
