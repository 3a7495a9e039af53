//! Claims of devices, their templates, and the classes that they are of.

use super::{fits, full_attribute_name, name_of, opaque, own_text, repeated, selectors, taint};
use crate::api::field::{Error, Path};
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::metadata;

const MAX_REQUESTS: usize = 32;
const MAX_CONSTRAINTS: usize = 32;
pub(super) const MAX_CONFIGS: usize = 32;
const MAX_ALTERNATIVES: usize = 8;

pub(super) fn class(class: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = class.get("spec");
    // A list that has not changed at all is what was stored.
    let stored = |field: &str| {
        old.is_some_and(|old| checks::same(spec.get(field).value(), &old.value()["spec"][field]))
    };
    selectors(&spec.get("selectors"), stored("selectors"), errors);
    let configs = spec.get("config");
    if fits(&configs, MAX_CONFIGS, errors) {
        configs.items().for_each(|config| opaque(&config, stored("config"), errors));
    }
    let resource = spec.get("extendedResourceName");
    if resource.is_set() && !is_extended_resource(resource.text()) {
        errors.push(resource.invalid("must be a valid extended resource name"));
    }
}

/// Source: `IsExtendedResourceName` of `k8s.io/kubernetes/pkg/apis/core/v1/helper` (1.36).
fn is_extended_resource(name: &str) -> bool {
    let native = name.split_once('/').is_none_or(|(domain, _)| domain.contains("kubernetes.io"));
    let quota = format!("requests.{name}");
    !native && !name.starts_with("requests.") && names::qualified_name(&quota).is_empty()
}

pub(super) fn template(template: &At<'_>, errors: &mut Errors) {
    let spec = template.get("spec");
    let own = spec.get("metadata");
    metadata::annotations(&own.get("annotations"), errors);
    checks::labels(&own.get("labels"), errors);
    for (field, _) in own.entries().filter(|(field, _)| !matches!(*field, "annotations" | "labels")) {
        // A creation time of nothing is what Go writes.
        if !checks::same(&own.value()[field], &serde_json::Value::Null) {
            errors.push(Error::forbidden(&own.path().child(field), "cannot be set"));
        }
    }
    claim(&spec.get("spec"), errors);
}

/// What is claimed: the `spec` of a claim.
pub(super) fn claim(spec: &At<'_>, errors: &mut Errors) {
    let devices = spec.get("devices");
    let (requests, constraints, configs) =
        (devices.get("requests"), devices.get("constraints"), devices.get("config"));
    let known = Requests::of(&devices);
    if fits(&requests, MAX_REQUESTS, errors) {
        requests.items().for_each(|request| self::request(&request, errors));
        repeated(&requests, name_of, errors);
    }
    if fits(&constraints, MAX_CONSTRAINTS, errors) {
        constraints.items().for_each(|constraint| self::constraint(&constraint, &known, errors));
    }
    if fits(&configs, MAX_CONFIGS, errors) {
        for config in configs.items() {
            known.references(&config.get("requests"), errors);
            opaque(&config, false, errors);
        }
    }
}

/// The names of a claim's requests, and of the alternatives that each has.
pub(super) struct Requests(Vec<(String, Vec<String>)>);

impl Requests {
    pub(super) fn of(devices: &At<'_>) -> Self {
        let requests = devices.get("requests");
        let names = requests.items().map(|request| {
            let alternatives = request.get("firstAvailable");
            (name_of(&request), alternatives.items().map(|alternative| name_of(&alternative)).collect())
        });
        Self(names.collect())
    }

    fn has(&self, name: &str) -> bool {
        let (request, alternative) = name.split_once('/').map_or((name, None), |(one, two)| (one, Some(two)));
        self.0.iter().any(|(known, alternatives)| {
            known == request && alternative.is_none_or(|name| alternatives.iter().any(|known| known == name))
        })
    }

    /// A list of names of requests, each once.
    pub(super) fn references(&self, list: &At<'_>, errors: &mut Errors) {
        if fits(list, MAX_REQUESTS, errors) {
            list.items().for_each(|name| self.reference(&name, errors));
            repeated(list, own_text, errors);
        }
    }

    /// The name of a request, or of an alternative of one.
    pub(super) fn reference(&self, at: &At<'_>, errors: &mut Errors) {
        const WHAT: &str = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
        let wrong = |shown: &str, why: String| Error::invalid(&at.path(), shown, why);
        let parts: Vec<_> = at.text().split('/').collect();
        if parts.len() <= 2 {
            for part in parts {
                errors.extend(names::dns1123_label(part).into_iter().map(|sentence| wrong(part, sentence)));
            }
            if self.has(at.text()) {
                return;
            }
        }
        errors.push(wrong(at.text(), WHAT.into()));
    }
}

fn request(request: &At<'_>, errors: &mut Errors) {
    checks::named(&request.get("name"), names::dns1123_label, errors);
    let (exactly, alternatives) = (request.get("exactly"), request.get("firstAvailable"));
    match (exactly.is_set(), alternatives.len() > 0) {
        (false, false) => {
            errors.push(request.required("exactly one of `exactly` or `firstAvailable` is required"));
        }
        (true, true) => errors.push(Error::invalid(
            &request.path(),
            serde_json::Value::Null,
            "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
        )),
        (true, false) => wanted(&exactly, errors),
        (false, true) => {
            if fits(&alternatives, MAX_ALTERNATIVES, errors) {
                for alternative in alternatives.items() {
                    checks::named(&alternative.get("name"), names::dns1123_label, errors);
                    wanted(&alternative, errors);
                }
                repeated(&alternatives, name_of, errors);
            }
        }
    }
}

/// Devices of a class, and how many.
fn wanted(request: &At<'_>, errors: &mut Errors) {
    checks::present_and_named(&request.get("deviceClassName"), names::dns1123_subdomain, errors);
    selectors(&request.get("selectors"), false, errors);
    let (mode, count) = (request.get("allocationMode"), request.get("count"));
    let number = count.number().unwrap_or(0);
    let wrong = |why: &str| Error::invalid(&count.path(), number, why);
    match mode.text() {
        "All" if number != 0 => {
            errors.push(wrong("must not be specified when allocationMode is 'All'"));
        }
        "All" => {}
        "ExactCount" if number <= 0 => errors.push(wrong("must be greater than zero")),
        "ExactCount" => {}
        _ => errors.push(mode.not_supported(&["All", "ExactCount"])),
    }
    request.get("tolerations").items().for_each(|toleration| taint::toleration(&toleration, errors));
}

fn constraint(constraint: &At<'_>, known: &Requests, errors: &mut Errors) {
    known.references(&constraint.get("requests"), errors);
    let (same, distinct) = (constraint.get("matchAttribute"), constraint.get("distinctAttribute"));
    if same.is_set() {
        full_attribute_name(&same, errors);
    } else if distinct.is_set() {
        full_attribute_name(&distinct, errors);
    } else {
        let path: Path = constraint.path();
        errors.push(Error::required(
            &path,
            "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set",
        ));
    }
}
