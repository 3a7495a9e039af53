//! Probes and lifecycle hooks.

use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

/// The probes and hooks of a container.
pub(super) fn all(container: &At<'_>, grace: Option<i64>, errors: &mut Errors) {
    let lifecycle = container.get("lifecycle");
    for hook in ["postStart", "preStop"] {
        let hook = lifecycle.get(hook);
        if hook.is_set() {
            handler(&hook, grace, errors);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let at = container.get(name);
        if at.is_set() {
            probe(&at, grace, errors);
            let threshold = at.get("successThreshold");
            if name != "readinessProbe" && threshold.number() != Some(1) {
                errors.push(threshold.invalid("must be 1"));
            }
        }
    }
}

fn probe(probe: &At<'_>, grace: Option<i64>, errors: &mut Errors) {
    handler(probe, grace, errors);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        checks::non_negative(&probe.get(field), errors);
    }
    let own = probe.get("terminationGracePeriodSeconds");
    if own.number().is_some_and(|seconds| seconds <= 0) {
        errors.push(own.invalid("must be greater than 0"));
    }
}

/// What a probe or hook does: one thing.
fn handler(at: &At<'_>, grace: Option<i64>, errors: &mut Errors) {
    let mut found = false;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let action = at.get(kind);
        if !action.is_set() {
            continue;
        }
        if std::mem::replace(&mut found, true) {
            errors.push(action.forbidden("may not specify more than 1 handler type"));
            continue;
        }
        match kind {
            "exec" => {
                let command = action.get("command");
                if command.len() == 0 {
                    errors.push(command.required(""));
                }
            }
            "httpGet" => http_get(&action, errors),
            "sleep" => sleep(&action, grace, errors),
            _ => checks::port_number_or_name(&action.get("port"), errors),
        }
    }
    if !found {
        errors.push(at.required("must specify a handler type"));
    }
}

fn http_get(action: &At<'_>, errors: &mut Errors) {
    checks::present(&action.get("path"), errors);
    checks::port_number_or_name(&action.get("port"), errors);
    let scheme = action.get("scheme");
    if !matches!(scheme.text(), "HTTP" | "HTTPS") {
        errors.push(scheme.not_supported(&["HTTP", "HTTPS"]));
    }
    let headers = action.get("httpHeaders");
    for header in headers.items() {
        for sentence in names::http_header_name(header.get("name").text()) {
            let name = header.get("name").text();
            errors.push(crate::api::field::Error::invalid(&headers.path(), name, sentence));
        }
    }
}

fn sleep(action: &At<'_>, grace: Option<i64>, errors: &mut Errors) {
    let seconds = action.get("seconds").number().unwrap_or(0);
    if let Some(grace) = grace.filter(|grace| seconds < 0 || seconds > *grace) {
        errors.push(crate::api::field::Error::invalid(
            &action.path(),
            seconds,
            format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})"),
        ));
    }
}
