//! What may change in a job: how many pods run at once, and while it is suspended, what they ask for and
//! where they may go.

use serde_json::Value;

use super::super::at::At;
use super::super::checks::{self, Errors};
use super::{holds, is_indexed};
use crate::api::field::{Error, Path};

pub(in crate::api::validation) fn update(job: &At<'_>, old_job: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (job.get("spec"), old_job.get("spec"));
    let completions = spec.get("completions");
    if !is_indexed(spec.value()) {
        checks::immutable(&completions, &before.get("completions"), errors);
    } else if completions.is_set()
        && completions.value() != &before.value()["completions"]
        && completions.value() != &spec.value()["parallelism"]
    {
        errors.push(completions.invalid("can only be modified in tandem with spec.parallelism"));
    }
    checks::immutable(&spec.get("selector"), &before.get("selector"), errors);
    template(&spec, old_job.value(), errors);
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    {
        checks::immutable(&spec.get(field), &before.get(field), errors);
    }
}

/// Whether a job is suspended and has no pods.
fn is_idle(job: &Value) -> bool {
    let status = &job["status"];
    job["spec"]["suspend"] == true
        && (status["startTime"].is_null() || holds(job, "Suspended"))
        && status["active"].as_i64().unwrap_or(0) == 0
}

fn template(spec: &At<'_>, old: &Value, errors: &mut Errors) {
    let template = spec.get("template");
    let mut before = old["spec"]["template"].clone();
    if is_idle(old) {
        carry_over(template.value(), &mut before);
        let now = template.get("spec");
        take_resources(now.value(), &mut before["spec"]);
        if !checks::same(now.value(), &before["spec"]) {
            let path = Path::new("spec").child("template.spec");
            errors.push(Error::invalid(&path, now.value().clone(), checks::IMMUTABLE));
        }
    } else if !checks::same(template.value(), &before) {
        errors.push(template.invalid(checks::IMMUTABLE));
    }
}

/// Takes over what says where pods may go, and what they are called.
fn carry_over(template: &Value, before: &mut Value) {
    let Value::Object(before) = before else { return };
    let mut take = |holder: &str, fields: &[&str]| {
        let own = before.entry(holder).or_insert_with(|| Value::Object(serde_json::Map::new()));
        let Value::Object(own) = own else { return };
        for field in fields {
            own.insert((*field).to_owned(), template[holder][*field].clone());
        }
    };
    take("metadata", &["labels", "annotations"]);
    take("spec", &["nodeSelector", "tolerations", "schedulingGates"]);
    if let Some(Value::Object(spec)) = before.get_mut("spec") {
        let affinity = spec.entry("affinity").or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Value::Object(affinity) = affinity {
            affinity.insert("nodeAffinity".to_owned(), template["spec"]["affinity"]["nodeAffinity"].clone());
        }
    }
}

/// Takes over what containers ask for, where they are the same ones.
fn take_resources(spec: &Value, before: &mut Value) {
    for list in ["containers", "initContainers"] {
        let (Some(now), Some(before)) =
            (spec[list].as_array(), before.get_mut(list).and_then(Value::as_array_mut))
        else {
            continue;
        };
        if now.len() != before.len() {
            continue;
        }
        for (now, before) in now.iter().zip(before).filter(|(now, before)| now["name"] == before["name"]) {
            if let Some(before) = before.as_object_mut() {
                before.insert("resources".to_owned(), now["resources"].clone());
            }
        }
    }
}
