//! What a pod may ask for on the operating system that it names.

use crate::api::validation::at::At;
use crate::api::validation::checks::Errors;

pub(super) fn check(spec: &At<'_>, errors: &mut Errors) {
    let os = spec.get("os");
    if !os.is_set() {
        return;
    }
    let name = os.get("name");
    match name.text() {
        "" => errors.push(name.required("")),
        "linux" => linux(spec, errors),
        "windows" => windows(spec, errors),
        _ => errors.push(os.holding(name.value()).not_supported(&["linux", "windows"])),
    }
}

fn linux(spec: &At<'_>, errors: &mut Errors) {
    let mut none_of_windows = |holder: &At<'_>| {
        let context = holder.get("securityContext");
        let options = context.get("windowsOptions");
        if options.is_set() {
            errors.push(options.forbidden("windows options cannot be set for a linux pod"));
        }
    };
    none_of_windows(spec);
    super::each_container(spec, none_of_windows);
}

fn windows(spec: &At<'_>, errors: &mut Errors) {
    const WHY: &str = "cannot be set for a windows pod";
    let context = spec.get("securityContext");
    let mut forbid = |holder: &At<'_>, fields: &[&str]| {
        for field in fields {
            let at = holder.get(field);
            // Of flags and lists, it is what they hold that counts.
            let unset =
                matches!(*field, "hostPID" | "hostIPC") && !at.flag() || *field == "sysctls" && at.len() == 0;
            if at.is_set() && !unset {
                errors.push(at.forbidden(WHY));
            }
        }
    };
    forbid(&context, &["appArmorProfile", "seLinuxOptions"]);
    forbid(spec, &["hostUsers", "hostPID", "hostIPC"]);
    forbid(&context, &["seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls"]);
    forbid(spec, &["shareProcessNamespace"]);
    forbid(
        &context,
        &["runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy"],
    );
    super::each_container(spec, |container| {
        forbid(
            &container.get("securityContext"),
            &[
                "appArmorProfile",
                "seLinuxOptions",
                "seccompProfile",
                "capabilities",
                "readOnlyRootFilesystem",
                "privileged",
                "allowPrivilegeEscalation",
                "procMount",
                "runAsUser",
                "runAsGroup",
            ],
        );
    });
}
