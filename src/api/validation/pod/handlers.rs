//! Probes and lifecycle hooks.

use super::container::Around;
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

/// Signals that may be sent to end a container on Linux, in the order in which Kubernetes lists them.
const LINUX_SIGNALS: [&str; 65] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMAX-1",
    "SIGRTMAX-10",
    "SIGRTMAX-11",
    "SIGRTMAX-12",
    "SIGRTMAX-13",
    "SIGRTMAX-14",
    "SIGRTMAX-2",
    "SIGRTMAX-3",
    "SIGRTMAX-4",
    "SIGRTMAX-5",
    "SIGRTMAX-6",
    "SIGRTMAX-7",
    "SIGRTMAX-8",
    "SIGRTMAX-9",
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];
const WINDOWS_SIGNALS: [&str; 2] = ["SIGKILL", "SIGTERM"];

/// The probes and hooks of a container.
pub(super) fn all(container: &At<'_>, around: &Around<'_>, errors: &mut Errors) {
    let lifecycle = container.get("lifecycle");
    for hook in ["postStart", "preStop"] {
        let hook = lifecycle.get(hook);
        if hook.is_set() {
            handler(&hook, &["exec", "httpGet", "tcpSocket", "sleep"], around.grace, errors);
        }
    }
    stop_signal(&lifecycle.get("stopSignal"), &around.spec.get("os"), errors);
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let at = container.get(name);
        if !at.is_set() {
            continue;
        }
        probe(&at, around.grace, errors);
        if name == "readinessProbe" {
            let own = at.get("terminationGracePeriodSeconds");
            if own.is_set() {
                errors.push(own.invalid("must not be set for readinessProbes"));
            }
        } else if at.number_of("successThreshold") != 1 {
            let threshold = at.number_of("successThreshold");
            errors.push(Error::invalid(&at.get("successThreshold").path(), threshold, "must be 1"));
        }
    }
}

fn stop_signal(signal: &At<'_>, os: &At<'_>, errors: &mut Errors) {
    if !signal.is_set() {
        return;
    }
    match os.text_of("name") {
        _ if !os.is_set() => {
            errors.push(signal.forbidden("may not be set for containers with empty `spec.os.name`"));
        }
        "windows" => checks::one_of_if_set(signal, &WINDOWS_SIGNALS, errors),
        "linux" => checks::one_of_if_set(signal, &LINUX_SIGNALS, errors),
        _ => {}
    }
}

fn probe(probe: &At<'_>, grace: Option<i64>, errors: &mut Errors) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], grace, errors);
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
fn handler(at: &At<'_>, kinds: &[&str], grace: Option<i64>, errors: &mut Errors) {
    let mut found = false;
    for kind in kinds {
        let action = at.get(kind);
        if !action.is_set() {
            continue;
        }
        if std::mem::replace(&mut found, true) {
            errors.push(action.forbidden("may not specify more than 1 handler type"));
            continue;
        }
        match *kind {
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
        let name = header.text_of("name");
        let wrong = names::http_header_name(name).into_iter();
        errors.extend(wrong.map(|sentence| Error::invalid(&headers.path(), name, sentence)));
    }
}

fn sleep(action: &At<'_>, grace: Option<i64>, errors: &mut Errors) {
    let seconds = action.number_of("seconds");
    if let Some(grace) = grace.filter(|grace| seconds < 0 || seconds > *grace) {
        errors.push(Error::invalid(
            &action.path(),
            seconds,
            format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})"),
        ));
    }
}
