//! APIServices: which server serves a version of a group.
//!
//! Source: `k8s.io/kube-aggregator/pkg/apis/apiregistration/validation` (1.36).

use super::at::At;
use super::checks::{self, Errors};
use super::config;
use crate::api::field::Error;
use crate::api::names;

pub(super) fn object(object: &At<'_>, errors: &mut Errors) {
    let (metadata, spec) = (object.get("metadata"), object.get("spec"));
    let (group, version, service) = (spec.get("group"), spec.get("version"), spec.get("service"));
    let (name, wanted) = (metadata.get("name"), format!("{}.{}", version.text(), group.text()));
    if !name.text().is_empty() && names::path_segment(name.text()).is_empty() && name.text() != wanted {
        errors.push(name.invalid(format!("must be `spec.version+\".\"+spec.group`: {wanted:?}")));
    }
    if !group.text().is_empty() {
        checks::named(&group, names::dns1123_subdomain, errors);
    } else if version.text() != "v1" {
        errors.push(group.required("only v1 may have an empty group and it better be legacy kube"));
    }
    checks::named(&version, names::dns1035_label, errors);
    for (field, max) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1000)] {
        let at = spec.get(field);
        let number = at.number().unwrap_or(0);
        if !(1..=max).contains(&number) {
            errors.push(Error::invalid(&at.path(), number, format!("must be positive and less than {max}")));
        }
    }
    let (bundle, insecure) = (spec.get("caBundle"), spec.get("insecureSkipTLSVerify"));
    if !service.is_set() {
        if !bundle.text().is_empty() {
            let shown = format!("{} bytes", config::decoded_length(bundle.text()));
            errors.push(Error::invalid(&bundle.path(), shown, "local APIServices may not have a caBundle"));
        }
        if insecure.flag() {
            errors.push(insecure.invalid("local APIServices may not have insecureSkipTLSVerify"));
        }
        return;
    }
    checks::present(&service.get("namespace"), errors);
    checks::present(&service.get("name"), errors);
    let port = service.get("port");
    let problems = names::port_number(port.number().unwrap_or_default());
    if !problems.is_empty() {
        errors.push(port.invalid(format!("port is not valid: {}", problems.join(", "))));
    }
    if insecure.flag() && !bundle.text().is_empty() {
        errors.push(insecure.invalid("may not be true if caBundle is present"));
    }
}

pub(super) fn status(object: &At<'_>, errors: &mut Errors) {
    for condition in object.get("status").get("conditions").items() {
        let status = condition.get("status");
        if !matches!(status.text(), "True" | "False" | "Unknown") {
            errors.push(Error::not_supported(&status.path(), status.text(), &["True", "False", "Unknown"]));
        }
    }
}
