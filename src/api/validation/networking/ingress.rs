//! Ingresses and their classes.

use crate::api::field::Error;
use crate::api::ip;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const MAX_CONTROLLER: usize = 250;
const NO_IP: &str = "must be a DNS name, not an IP address";

/// What an ingress that is wrong already may keep.
#[derive(Clone, Copy, Default)]
struct Kept {
    secret_names: bool,
    wildcard_rules: bool,
}

pub(super) fn object(ingress: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let kept = old.map(Kept::by).unwrap_or_default();
    let spec = ingress.get("spec");
    let (rules, default, class) =
        (spec.get("rules"), spec.get("defaultBackend"), spec.get("ingressClassName"));
    if rules.len() == 0 && !default.is_set() {
        let wrong = "either `defaultBackend` or `rules` must be specified";
        errors.push(Error::invalid(&spec.path(), rules.value().clone(), wrong));
    }
    if default.is_set() {
        backend(&default, errors);
    }
    rules.items().for_each(|rule| self::rule(&rule, kept, errors));
    spec.get("tls").items().for_each(|tls| self::tls(&tls, kept, errors));
    if class.is_set() {
        checks::named(&class, names::dns1123_subdomain, errors);
    }
    let annotation = ingress.value()["metadata"]["annotations"].get(CLASS_ANNOTATION);
    if let (None, Some(said)) = (old, annotation.and_then(|said| said.as_str()))
        && class.is_set()
        && class.text() != said
    {
        let path = crate::api::field::Path::new("annotations").child(CLASS_ANNOTATION);
        errors.push(Error::invalid(&path, said, "must match `ingressClassName` when both are specified"));
    }
}

impl Kept {
    fn by(old: &At<'_>) -> Self {
        let spec = old.get("spec");
        let secret = |tls: At<'_>| !secret_name(tls.get("secretName").text()).is_empty();
        let wildcard = |rule: At<'_>| {
            let mut wrong = Vec::new();
            http(&rule, &mut wrong);
            rule.get("host").text().contains('*') && !wrong.is_empty()
        };
        Self {
            secret_names: spec.get("tls").items().any(secret),
            wildcard_rules: spec.get("rules").items().any(wildcard),
        }
    }
}

fn secret_name(name: &str) -> Vec<String> {
    if name.is_empty() { Vec::new() } else { names::dns1123_subdomain(name) }
}

fn rule(rule: &At<'_>, kept: Kept, errors: &mut Errors) {
    let host = rule.get("host");
    let wildcard = host.text().contains('*');
    if !host.text().is_empty() {
        if ip::lenient(host.text()).is_some() {
            errors.push(host.invalid(NO_IP));
        }
        host_name(&host, errors);
    }
    if !wildcard || !kept.wildcard_rules {
        http(rule, errors);
    }
}

fn host_name(host: &At<'_>, errors: &mut Errors) {
    let rule = if host.text().contains('*') { names::wildcard_subdomain } else { names::dns1123_subdomain };
    checks::named(host, rule, errors);
}

fn http(rule: &At<'_>, errors: &mut Errors) {
    let http = rule.get("http");
    if !http.is_set() {
        return;
    }
    let paths = http.get("paths");
    if paths.len() == 0 {
        errors.push(paths.required(""));
    }
    paths.items().for_each(|path| self::path(&path, errors));
}

fn path(entry: &At<'_>, errors: &mut Errors) {
    let (kind, path, target) = (entry.get("pathType"), entry.get("path"), entry.get("backend"));
    let text = path.text();
    match kind.text() {
        _ if !kind.is_set() => return errors.push(kind.required("pathType must be specified")),
        "Exact" | "Prefix" => {
            if !text.starts_with('/') {
                errors.push(path.invalid("must be an absolute path"));
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if text.contains(part) {
                    errors.push(path.invalid(format!("must not contain '{part}'")));
                }
            }
            for end in ["/..", "/."] {
                if text.ends_with(end) {
                    errors.push(path.invalid(format!("cannot end with '{end}'")));
                }
            }
        }
        "ImplementationSpecific" => {
            if !text.is_empty() && !text.starts_with('/') {
                errors.push(path.invalid("must be an absolute path"));
            }
        }
        _ => errors.push(kind.not_supported(&["Exact", "ImplementationSpecific", "Prefix"])),
    }
    backend(&target, errors);
}

/// Where requests go. A service may be named as any DNS label, as services may since 1.36.
fn backend(backend: &At<'_>, errors: &mut Errors) {
    let (resource, service) = (backend.get("resource"), backend.get("service"));
    let here = |wrong: &str| Error::invalid(&backend.path(), "", wrong);
    match (resource.is_set(), service.is_set()) {
        (true, true) => errors.push(here("cannot set both resource and service backends")),
        (true, false) => reference(&resource, errors),
        (false, true) => {
            checks::present_and_named(&service.get("name"), names::dns1123_label, errors);
            let port = service.get("port");
            let (name, number) = (port.get("name"), port.get("number"));
            match (!name.text().is_empty(), number.number().unwrap_or(0) != 0) {
                (true, true) => errors.push(here("cannot set both port name & port number")),
                (true, false) => checks::named(&name, names::port_name, errors),
                (false, true) => checks::port_number(&number, errors),
                (false, false) => errors.push(backend.required("port name or number is required")),
            }
        }
        (false, false) => errors.push(here("resource or service backend is required")),
    }
}

/// An object of this namespace, or a class's parameters.
fn reference(reference: &At<'_>, errors: &mut Errors) {
    let group = reference.get("apiGroup");
    if group.is_set() {
        checks::named(&group, names::dns1123_subdomain, errors);
    }
    for field in ["kind", "name"] {
        checks::present_and_named(&reference.get(field), names::path_segment, errors);
    }
}

fn tls(tls: &At<'_>, kept: Kept, errors: &mut Errors) {
    tls.get("hosts").items().for_each(|host| host_name(&host, errors));
    let secret = tls.get("secretName");
    if !kept.secret_names {
        checks::sentences(&secret, secret_name(secret.text()), errors);
    }
}

/// What the load balancer of an ingress says. Addresses that were there before are not judged again.
pub(super) fn status(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let listed = |object: &At<'_>| {
        let value = &object.value()["status"]["loadBalancer"]["ingress"];
        let points = value.as_array().map_or(&[][..], Vec::as_slice);
        points.iter().filter_map(|point| point["ip"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let known = listed(old);
    let status = new.get("status");
    let balancer = status.get("loadBalancer");
    for point in balancer.get("ingress").items() {
        let (ip, host) = (point.get("ip"), point.get("hostname"));
        if !ip.text().is_empty() && !known.iter().any(|known| known == ip.text()) {
            checks::sentences(&ip, ip::address_problems(ip.text()), errors);
        }
        if !host.text().is_empty() {
            checks::named(&host, names::dns1123_subdomain, errors);
            if ip::lenient(host.text()).is_some() {
                errors.push(host.invalid(NO_IP));
            }
        }
    }
}

pub(super) fn class(class: &At<'_>, errors: &mut Errors) {
    let spec = class.get("spec");
    let (controller, parameters) = (spec.get("controller"), spec.get("parameters"));
    if controller.text().len() > MAX_CONTROLLER {
        errors.push(Error::too_long(&controller.path(), MAX_CONTROLLER));
    }
    checks::domain_prefixed_path(&controller, errors);
    if !parameters.is_set() {
        return;
    }
    reference(&parameters, errors);
    let (scope, namespace) = (parameters.get("scope"), parameters.get("namespace"));
    match scope.text() {
        _ if !scope.is_set() => errors.push(scope.required("")),
        "Namespace" if !namespace.is_set() => {
            errors.push(namespace.required("`parameters.scope` is set to 'Namespace'"));
        }
        "Namespace" => checks::named(&namespace, names::dns1123_label, errors),
        "Cluster" if namespace.is_set() => {
            errors.push(namespace.forbidden("`parameters.scope` is set to 'Cluster'"));
        }
        "Cluster" => {}
        _ => errors.push(scope.not_supported(&["Cluster", "Namespace"])),
    }
}

pub(super) fn class_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    checks::immutable(&spec.get("controller"), &before.get("controller"), errors);
}
