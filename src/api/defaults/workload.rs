//! Kinds that make pods.

use serde_json::{Map, Value};

use super::{Fields, absent, blank, child, each, is_blank, made, pod_template, text};

fn template(spec: &mut Fields) {
    child(spec, "template", pod_template);
}

/// A Deployment.
pub fn deployment(object: &mut Fields) {
    child(object, "spec", |spec| {
        absent(spec, "replicas", 1);
        made(spec, "strategy", |strategy| {
            blank(strategy, "type", "RollingUpdate");
            if text(strategy, "type") == "RollingUpdate" {
                made(strategy, "rollingUpdate", |rolling| {
                    absent(rolling, "maxUnavailable", "25%");
                    absent(rolling, "maxSurge", "25%");
                });
            }
        });
        absent(spec, "revisionHistoryLimit", 10);
        absent(spec, "progressDeadlineSeconds", 600);
        template(spec);
    });
}

/// A ReplicaSet.
pub fn replica_set(object: &mut Fields) {
    child(object, "spec", |spec| {
        absent(spec, "replicas", 1);
        template(spec);
    });
}

/// A ReplicationController: selector and labels are its template's.
pub fn replication_controller(object: &mut Fields) {
    let labels = template_labels(object);
    if let Some(labels) = labels {
        child(object, "spec", |spec| blank(spec, "selector", labels.clone()));
        made(object, "metadata", |metadata| blank(metadata, "labels", labels));
    }
    replica_set(object);
}

fn template_labels(object: &Fields) -> Option<Map<String, Value>> {
    let template = object.get("spec")?.get("template")?;
    template.get("metadata")?.get("labels")?.as_object().filter(|labels| !labels.is_empty()).cloned()
}

/// A StatefulSet.
pub fn stateful_set(object: &mut Fields) {
    child(object, "spec", |spec| {
        blank(spec, "podManagementPolicy", "OrderedReady");
        made(spec, "updateStrategy", |strategy| {
            if is_blank(strategy.get("type")) {
                strategy.insert("type".into(), "RollingUpdate".into());
                absent(strategy, "rollingUpdate", Map::new());
            }
            if text(strategy, "type") == "RollingUpdate" {
                child(strategy, "rollingUpdate", |rolling| absent(rolling, "partition", 0));
            }
        });
        made(spec, "persistentVolumeClaimRetentionPolicy", |policy| {
            blank(policy, "whenDeleted", "Retain");
            blank(policy, "whenScaled", "Retain");
        });
        absent(spec, "replicas", 1);
        absent(spec, "revisionHistoryLimit", 10);
        each(spec, "volumeClaimTemplates", |claim| {
            super::persistent_volume_claim(claim);
            // They say what they are, as no other part of an object does.
            claim.insert("apiVersion".into(), "v1".into());
            claim.insert("kind".into(), "PersistentVolumeClaim".into());
        });
        template(spec);
    });
}

/// A DaemonSet.
pub fn daemon_set(object: &mut Fields) {
    child(object, "spec", |spec| {
        made(spec, "updateStrategy", |strategy| {
            blank(strategy, "type", "RollingUpdate");
            if text(strategy, "type") == "RollingUpdate" {
                made(strategy, "rollingUpdate", |rolling| {
                    absent(rolling, "maxUnavailable", 1);
                    absent(rolling, "maxSurge", 0);
                });
            }
        });
        absent(spec, "revisionHistoryLimit", 10);
        template(spec);
    });
}

/// A Job.
pub fn job(object: &mut Fields) {
    if let Some(labels) = template_labels(object) {
        made(object, "metadata", |metadata| blank(metadata, "labels", labels));
    }
    child(object, "spec", job_spec);
}

fn job_spec(spec: &mut Fields) {
    if is_null(spec, "completions") && is_null(spec, "parallelism") {
        spec.insert("completions".into(), 1.into());
    }
    absent(spec, "parallelism", 1);
    let limit = if is_null(spec, "backoffLimitPerIndex") { 6 } else { i32::MAX };
    absent(spec, "backoffLimit", limit);
    absent(spec, "completionMode", "NonIndexed");
    absent(spec, "suspend", false);
    let replacement = if is_null(spec, "podFailurePolicy") { "TerminatingOrFailed" } else { "Failed" };
    absent(spec, "podReplacementPolicy", replacement);
    absent(spec, "manualSelector", false);
    failure_policy(spec);
    template(spec);
}

fn failure_policy(spec: &mut Fields) {
    child(spec, "podFailurePolicy", |policy| {
        each(policy, "rules", |rule| {
            each(rule, "onPodConditions", |condition| blank(condition, "status", "True"));
        });
    });
}

fn is_null(fields: &Fields, name: &str) -> bool {
    fields.get(name).is_none_or(Value::is_null)
}

/// A CronJob.
pub fn cron_job(object: &mut Fields) {
    child(object, "spec", |spec| {
        blank(spec, "concurrencyPolicy", "Allow");
        absent(spec, "suspend", false);
        absent(spec, "successfulJobsHistoryLimit", 3);
        absent(spec, "failedJobsHistoryLimit", 1);
        // A template of jobs is no Job: only what its pods need is filled in.
        child(spec, "jobTemplate", |job| {
            child(job, "spec", |spec| {
                failure_policy(spec);
                template(spec);
            });
        });
    });
}
