//! How a pod resolves names, and the name that it has itself.

use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
/// How long the search paths may be together, with the spaces between them.
const MAX_SEARCH_LIST: usize = 2048;

pub(super) fn config(spec: &At<'_>, errors: &mut Errors) {
    let config = spec.get("dnsConfig");
    let servers = config.get("nameservers");
    if spec.text_of("dnsPolicy") == "None" {
        if !config.is_set() {
            errors.push(config.required("must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if servers.len() == 0 {
            errors
                .push(servers.required("must provide at least one DNS nameserver when `dnsPolicy` is None"));
            return;
        }
    }
    if servers.len() > MAX_SERVERS {
        errors.push(servers.invalid("must not have more than 3 nameservers"));
    }
    servers.items().for_each(|server| checks::legacy_ip(&server, &[], errors));
    searches(&config.get("searches"), errors);
    for option in config.get("options").items() {
        if option.text_of("name").is_empty() {
            errors.push(option.required("must not be empty"));
        }
    }
}

fn searches(searches: &At<'_>, errors: &mut Errors) {
    if searches.len() > MAX_SEARCHES {
        errors.push(searches.invalid("must not have more than 32 search paths"));
    }
    let length: usize = searches.items().map(|path| path.text().len() + 1).sum();
    if length.saturating_sub(1) > MAX_SEARCH_LIST {
        errors.push(
            searches.invalid("must not have more than 2048 characters (including spaces) in the search list"),
        );
    }
    for path in searches.items().filter(|path| path.text() != ".") {
        let plain = path.text().strip_suffix('.').unwrap_or(path.text());
        let wrong = names::dns1123_subdomain_with_underscore(plain).into_iter();
        errors.extend(wrong.map(|sentence| Error::invalid(&path.path(), plain, sentence)));
    }
}

pub(super) fn hostname_override(spec: &At<'_>, errors: &mut Errors) {
    let name = spec.get("hostnameOverride");
    if !name.is_set() {
        return;
    }
    if spec.get("setHostnameAsFQDN").flag() {
        errors.push(name.forbidden("may not be specified when setHostnameAsFQDN is true"));
    }
    if spec.get("hostNetwork").flag() {
        errors.push(name.forbidden("may not be specified when hostNetwork is true"));
    }
    if name.text().len() > 64 {
        errors.push(name.too_long(64));
    }
    checks::named(&name, names::dns1123_subdomain, errors);
}
