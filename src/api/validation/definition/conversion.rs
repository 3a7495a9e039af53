//! How objects of one version become objects of another.
//!
//! Sources: `validateCustomResourceConversion`, and `pkg/util/webhook/validation.go` of `k8s.io/apiserver`
//! (1.36).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::leeway::Leeway;
use crate::api::field::{Error, Path};
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

/// The versions of ConversionReview that are spoken.
pub(super) const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

pub(super) fn conversion(spec: &At<'_>, leeway: &Leeway, errors: &mut Errors) {
    let conversion = spec.get("conversion");
    if !conversion.is_set() {
        return;
    }
    let strategy = conversion.get("strategy");
    checks::one_of(&strategy, &["None", "Webhook"], errors);
    // The older version, whose paths are told, has these one level up.
    let (webhook, path) = (conversion.get("webhook"), conversion.path());
    let (client, reviews) = (webhook.get("clientConfig"), webhook.get("conversionReviewVersions"));
    let (client_path, reviews_path) =
        (path.child("webhookClientConfig"), path.child("conversionReviewVersions"));
    if strategy.text() != "Webhook" {
        let why = "should not be set when strategy is not set to Webhook";
        if client.is_set() {
            errors.push(Error::forbidden(&client_path, why));
        }
        if reviews.len() > 0 {
            errors.push(Error::forbidden(&reviews_path, why));
        }
        return;
    }
    if spec.get("preserveUnknownFields").flag() {
        let why = "must be None if spec.preserveUnknownFields is true";
        errors.push(strategy.invalid(why));
    }
    if client.is_set() {
        client_config(client.value(), &client_path, leeway, errors);
    } else {
        errors.push(Error::required(&client_path, "required when strategy is set to Webhook"));
    }
    review_versions(&reviews, &reviews_path, leeway, errors);
}

fn client_config(client: &Value, path: &Path, leeway: &Leeway, errors: &mut Errors) {
    let set = |field: &str| client.get(field).filter(|value| !value.is_null());
    match (set("url"), set("service")) {
        (Some(url), None) => self::url(url.as_str().unwrap_or_default(), &path.child("url"), errors),
        (None, Some(service)) => self::service(service, &path.child("service"), errors),
        _ => errors.push(Error::required(path, "exactly one of url or service is required")),
    }
    let bundle = set("caBundle").and_then(Value::as_str).unwrap_or_default();
    if !bundle.is_empty() && !leeway.any_ca_bundle && !is_ca_bundle(bundle) {
        let why = "unable to load root certificates: unable to parse bytes as PEM block";
        errors.push(Error::invalid(&path.child("caBundle"), bundle, why));
    }
}

/// Whether a bundle, in base64, holds certificates in PEM.
pub(crate) fn is_ca_bundle(bundle: &str) -> bool {
    let Ok(text) = STANDARD.decode(bundle.trim()) else { return false };
    let text = String::from_utf8_lossy(&text);
    let mut rest = &*text;
    let mut found = 0;
    while let Some((_, after)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
        let Some((body, after)) = after.split_once("-----END CERTIFICATE-----") else { return false };
        let body: String = body.split_whitespace().collect();
        // A certificate is a DER sequence.
        if !STANDARD.decode(body).is_ok_and(|der| der.first() == Some(&0x30)) {
            return false;
        }
        (rest, found) = (after, found + 1);
    }
    found > 0
}

fn url(text: &str, path: &Path, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[/path]";
    let without_fragment = text.split('#').next().unwrap_or_default();
    let Ok(uri) = without_fragment.parse::<http::Uri>() else {
        errors.push(Error::required(path, format!("url must be a valid URL: parse {text:?}{FORM}")));
        return;
    };
    let scheme = uri.scheme_str().unwrap_or_default();
    if scheme != "https" {
        errors.push(Error::invalid(path, scheme, format!("'https' is the only allowed URL scheme{FORM}")));
    }
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if host.is_empty() || scheme.is_empty() {
        errors.push(Error::invalid(path, "", format!("host must be specified{FORM}")));
    }
    if let Some(user) = user {
        errors.push(Error::invalid(path, user, "user information is not permitted in the URL"));
    }
    if let Some((_, fragment)) = text.split_once('#').filter(|(_, fragment)| !fragment.is_empty()) {
        errors.push(Error::invalid(path, fragment, "fragments are not permitted in the URL"));
    }
    if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
        errors.push(Error::invalid(path, query, "query parameters are not permitted in the URL"));
    }
}

fn service(service: &Value, path: &Path, errors: &mut Errors) {
    let text = |field: &str| service.get(field).and_then(Value::as_str).unwrap_or_default();
    for field in ["name", "namespace"] {
        if text(field).is_empty() {
            errors.push(Error::required(&path.child(field), ""));
        }
    }
    let port = service.get("port").and_then(Value::as_i64).unwrap_or(443);
    let sentences = names::port_number(port);
    if !sentences.is_empty() {
        let why = format!("port is not valid: {}", sentences.join(", "));
        errors.push(Error::invalid(&path.child("port"), port, why));
    }
    let (url_path, path) = (text("path"), path.child("path"));
    if matches!(url_path, "" | "/") {
        return;
    }
    if url_path == "//" {
        errors.push(Error::invalid(&path, url_path, "segment[0] may not be empty"));
        return;
    }
    if !url_path.starts_with('/') {
        errors.push(Error::invalid(&path, url_path, "must start with a '/'"));
    }
    let mut letters = url_path.chars();
    letters.next();
    let rest = letters.as_str();
    for (index, step) in rest.strip_suffix('/').unwrap_or(rest).split('/').enumerate() {
        if step.is_empty() {
            errors.push(Error::invalid(&path, url_path, format!("segment[{index}] may not be empty")));
            continue;
        }
        for sentence in names::dns1123_subdomain(step) {
            errors.push(Error::invalid(&path, url_path, format!("segment[{index}]: {sentence}")));
        }
    }
}

fn review_versions(reviews: &At<'_>, path: &Path, leeway: &Leeway, errors: &mut Errors) {
    if reviews.len() == 0 {
        errors.push(Error::required(path, ""));
        return;
    }
    let mut seen = Vec::new();
    for (index, version) in reviews.items().enumerate() {
        let version = version.text();
        if seen.contains(&version) {
            errors.push(Error::invalid(&path.index(index), version, "duplicate version"));
            continue;
        }
        seen.push(version);
        for sentence in names::dns1035_label(version) {
            errors.push(Error::invalid(&path.index(index), version, sentence));
        }
    }
    if leeway.needs_known_review && !seen.iter().any(|version| REVIEWS.contains(version)) {
        let why = format!("must include at least one of {}", REVIEWS.join(", "));
        errors.push(Error::invalid(path, reviews.value().clone(), why));
    }
}
