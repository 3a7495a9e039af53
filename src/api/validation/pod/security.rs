//! Who a pod's processes run as, and what they may do to the node.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Rules, windows};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::volume::paths;

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
/// Kernel parameters that an IPC namespace has for itself, beside those below `fs.mqueue`.
const IPC_SYSCTLS: [&str; 10] = [
    "kernel.sem",
    "kernel.shm",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "kernel.msg",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
];

/// The security context of a pod.
pub(super) fn of_pod(spec: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let context = spec.get("securityContext");
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        checks::id(&context.get(field), errors);
    }
    context.get("supplementalGroups").items().for_each(|group| checks::id(&group, errors));
    if spec.get("shareProcessNamespace").flag() && spec.get("hostPID").flag() {
        let shared = context.get("shareProcessNamespace");
        let wrong = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(Error::invalid(&shared.path(), true, wrong));
    }
    sysctls(&context.get("sysctls"), spec, rules, errors);
    checks::one_of_if_set(&context.get("fsGroupChangePolicy"), &["Always", "OnRootMismatch"], errors);
    seccomp(&context.get("seccompProfile"), errors);
    windows::options(&context.get("windowsOptions"), errors);
    app_armor(&context.get("appArmorProfile"), errors);
    checks::one_of_if_set(&context.get("supplementalGroupsPolicy"), &["Merge", "Strict"], errors);
    let labels: &[&str] =
        if rules.allows_mount_labels() { &["MountOption", "Recursive"] } else { &["Recursive"] };
    checks::one_of_if_set(&context.get("seLinuxChangePolicy"), labels, errors);
}

/// The security context of a container.
pub(super) fn of_container(context: &At<'_>, host_users: bool, errors: &mut Errors) {
    for field in ["runAsUser", "runAsGroup"] {
        checks::id(&context.get(field), errors);
    }
    let proc = context.get("procMount");
    checks::one_of_if_set(&proc, &["Default", "Unmasked"], errors);
    if host_users && proc.text() == "Unmasked" {
        errors.push(proc.invalid("`hostUsers` must be false to use `Unmasked`"));
    }
    seccomp(&context.get("seccompProfile"), errors);
    if context.value()["allowPrivilegeEscalation"] == false {
        if context.get("privileged").flag() {
            errors.push(
                context.invalid("cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
            );
        }
        let capabilities = context.get("capabilities");
        for _ in capabilities.get("add").items().filter(|capability| capability.text() == "CAP_SYS_ADMIN") {
            errors.push(context.invalid(
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            ));
        }
    }
    windows::options(&context.get("windowsOptions"), errors);
    app_armor(&context.get("appArmorProfile"), errors);
}

fn seccomp(profile: &At<'_>, errors: &mut Errors) {
    if !profile.is_set() {
        return;
    }
    let (kind, local) = (profile.get("type"), profile.get("localhostProfile"));
    if kind.text().is_empty() {
        errors.push(kind.required("type is required when seccompProfile is set"));
    } else {
        checks::one_of_if_set(&kind, &PROFILES, errors);
    }
    match (kind.text() == "Localhost", local.is_set()) {
        (true, false) => errors.push(local.required("must be set when seccomp type is Localhost")),
        (true, true) => paths::descending(&local, errors),
        (false, true) => {
            let shown = local.holding(profile.value());
            errors.push(shown.invalid("can only be set when seccomp type is Localhost"));
        }
        (false, false) => {}
    }
}

/// An AppArmor profile.
pub(super) fn app_armor(profile: &At<'_>, errors: &mut Errors) {
    const MISSING: &str = "must be set when AppArmor type is Localhost";
    if !profile.is_set() {
        return;
    }
    let (kind, local) = (profile.get("type"), profile.get("localhostProfile"));
    match kind.text() {
        "Localhost" => {
            if local.text().trim() != local.text() {
                errors.push(local.invalid("must not be padded with whitespace"));
            } else if local.text().is_empty() {
                errors.push(local.required(MISSING));
            }
            if local.text().len() > 4095 {
                errors.push(local.too_long(4095));
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if local.is_set() {
                errors.push(local.invalid("can only be set when AppArmor type is Localhost"));
            }
        }
        "" => errors.push(kind.required("type is required when appArmorProfile is set")),
        _ => errors.push(kind.not_supported(&PROFILES)),
    }
}

fn sysctls(list: &At<'_>, spec: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for parameter in list.items() {
        let name = parameter.get("name");
        if name.text().is_empty() {
            errors.push(name.required(""));
        } else {
            let wrong = names::sysctl(name.text());
            if wrong.is_empty() && seen.contains(name.text()) {
                errors.push(name.duplicate());
            }
            checks::sentences(&name, wrong, errors);
        }
        if let Some(wrong) = of_host(name.text(), spec.value())
            && !rules.allows_host_sysctls()
        {
            errors.push(Error::invalid(&name.path(), name.text(), wrong));
        }
        seen.insert(name.text().to_owned());
    }
}

/// Why a parameter would change the host's own namespace, if it would.
fn of_host(name: &str, spec: &Value) -> Option<&'static str> {
    // A name may be written with slashes between its parts; then dots stand inside them.
    let first = name.find(['.', '/']).map(|at| name.as_bytes()[at]);
    let dotted: String = if first == Some(b'/') {
        name.chars()
            .map(|letter| match letter {
                '/' => '.',
                '.' => '/',
                other => other,
            })
            .collect()
    } else {
        name.to_owned()
    };
    let ipc = IPC_SYSCTLS.contains(&&*dotted) || dotted.starts_with("fs.mqueue.");
    if spec["hostNetwork"] == true && dotted.starts_with("net.") {
        Some("may not be specified when 'hostNetwork' is true")
    } else if spec["hostIPC"] == true && ipc {
        Some("may not be specified when 'hostIPC' is true")
    } else {
        None
    }
}

/// Whether a spec sets parameters of the host's own namespaces.
pub(super) fn sets_host_sysctls(spec: &Value) -> bool {
    let list = spec["securityContext"]["sysctls"].as_array().into_iter().flatten();
    list.filter_map(|parameter| parameter["name"].as_str()).any(|name| of_host(name, spec).is_some())
}

/// A pod with users of its own shares no other namespace with the host.
pub(super) fn user_namespace(spec: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    const WHY: &str = "when `hostUsers` is false";
    if spec.value()["hostUsers"] != false {
        return;
    }
    for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        let tolerated = field == "hostNetwork" && rules.allows_host_network_for_own_users();
        if spec.get(field).flag() && !tolerated {
            errors.push(spec.get(shown).forbidden(WHY));
        }
    }
    if !rules.allows_devices_for_own_users() {
        super::each_container(spec, |container| {
            let devices = container.get("volumeDevices");
            if devices.len() > 0 {
                errors.push(devices.forbidden(WHY));
            }
        });
    }
}
