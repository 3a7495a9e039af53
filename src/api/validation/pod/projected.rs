//! Several sources in one directory.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Rules;
use super::volumes::{downward_file, key_to_path};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::metadata;
use crate::api::validation::volume::paths;

const DAY: i64 = 24 * 60 * 60;
const KEY_TYPES: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];

/// The paths that sources have taken. Each is taken once.
struct Taken<'a, 'b> {
    volume: &'b At<'a>,
    paths: BTreeSet<String>,
}

impl Taken<'_, '_> {
    /// Takes a path for what is shown as `shown`. Errors stand at the volume.
    fn take(&mut self, path: &str, shown: &str, errors: &mut Errors) {
        if !self.paths.insert(path.to_owned()) {
            errors.push(Error::invalid(&self.volume.path(), shown, "conflicting duplicate paths"));
        }
    }
}

pub(super) fn sources(volume: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    let mut taken = Taken { volume, paths: BTreeSet::new() };
    for source in volume.get("sources").items() {
        for kind in ["secret", "configMap"] {
            let files = source.get(kind);
            let name = files.get("name");
            if files.is_set() {
                checks::present(&name, errors);
            }
            for item in files.get("items").items() {
                key_to_path(&item, errors);
                let path = item.text_of("path");
                if !path.is_empty() {
                    taken.take(path, name.text(), errors);
                }
            }
        }
        let downward = source.get("downwardAPI");
        for item in downward.get("items").items() {
            // Kubernetes leaves the item out of these paths.
            downward_file(&downward.holding(item.value()), errors);
            let path = item.text_of("path");
            if !path.is_empty() {
                taken.take(path, path, errors);
            }
        }
        token(&source.get("serviceAccountToken"), volume, rules, errors);
        trust_bundle(&source.get("clusterTrustBundle"), &mut taken, errors);
        pod_certificate(&source.get("podCertificate"), &mut taken, errors);
        let kinds = [
            "secret",
            "configMap",
            "downwardAPI",
            "serviceAccountToken",
            "clusterTrustBundle",
            "podCertificate",
        ];
        if kinds.iter().filter(|kind| source.has(kind)).count() > 1 {
            errors.push(source.forbidden("may not specify more than 1 volume type per source"));
        }
    }
}

fn token(token: &At<'_>, volume: &At<'_>, rules: &Rules<'_>, errors: &mut Errors) {
    if !token.is_set() {
        return;
    }
    let lifetime = token.get("expirationSeconds");
    let seconds = lifetime.number().unwrap_or(0);
    if seconds < 10 * 60 {
        errors.push(lifetime.invalid("may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        errors.push(lifetime.invalid("may not specify a duration larger than 2^32 seconds"));
    }
    // Kubernetes names the path as if it were the volume's.
    let (place, path) = (volume.get("path"), token.get("path"));
    let at = place.holding(path.value());
    if checks::present(&at, errors) && !rules.allows_any_token_path() {
        paths::relative(&at, errors);
    }
}

fn trust_bundle(bundle: &At<'_>, taken: &mut Taken<'_, '_>, errors: &mut Errors) {
    if !bundle.is_set() {
        return;
    }
    let (name, signer, selector) =
        (bundle.get("name"), bundle.get("signerName"), bundle.get("labelSelector"));
    match (name.is_set(), signer.is_set()) {
        (true, true) => errors.push(bundle.invalid("only one of name and signerName may be used")),
        (true, false) => {
            if name.text().is_empty() {
                errors.push(name.required("must be a valid object name"));
            }
            let wrong = trust_bundle_name(name.text()).into_iter();
            errors
                .extend(wrong.map(|why| name.invalid(format!("not a valid clustertrustbundlename: {why}"))));
            if selector.is_set() {
                errors.push(selector.invalid("labelSelector must be unset if name is specified"));
            }
        }
        (false, true) => {
            if signer.text().is_empty() {
                errors.push(signer.required("must be a valid signer name"));
            }
            signer_name(&signer, errors);
            checks::label_selector(&selector, errors);
        }
        (false, false) => errors.push(bundle.required("either name or signerName must be specified")),
    }
    let path = bundle.get("path");
    checks::present(&path, errors);
    paths::relative(&path, errors);
    taken.take(path.text(), path.text(), errors);
}

/// The name of a bundle: after its signer's, where it has one.
fn trust_bundle_name(name: &str) -> Vec<String> {
    match name.rsplit_once(':') {
        Some((_, own)) => names::dns1123_subdomain(own),
        None => names::dns1123_subdomain(name),
    }
}

fn pod_certificate(certificate: &At<'_>, taken: &mut Taken<'_, '_>, errors: &mut Errors) {
    if !certificate.is_set() {
        return;
    }
    let signer = certificate.get("signerName");
    signer_name(&signer, errors);
    let annotations = certificate.get("userAnnotations");
    for (key, _) in annotations.entries() {
        domain_prefixed_key(&annotations, &key.to_lowercase(), errors);
    }
    metadata::annotations_size(&annotations, errors);
    let key_type = certificate.get("keyType");
    if !KEY_TYPES.contains(&key_type.text()) {
        errors.push(Error::not_supported(&key_type.path(), key_type.text(), &KEY_TYPES));
    }
    let lifetime = certificate.get("maxExpirationSeconds");
    if let Some(seconds) = lifetime.number() {
        if seconds < 3600 {
            errors.push(lifetime.invalid("if provided, maxExpirationSeconds must be >= 3600"));
        }
        let host = signer.text().split('/').next().unwrap_or_default();
        let ours = host == "kubernetes.io" || host.ends_with(".kubernetes.io");
        let max = if ours { DAY } else { 91 * DAY };
        if seconds > max {
            errors.push(lifetime.invalid(format!("if provided, maxExpirationSeconds must be <= {max}")));
        }
    }
    let mut any = false;
    for field in ["credentialBundlePath", "keyPath", "certificateChainPath"] {
        let path = certificate.get(field);
        if !path.text().is_empty() {
            any = true;
            paths::relative(&path, errors);
            taken.take(path.text(), path.text(), errors);
        }
    }
    if !any {
        errors.push(
            certificate
                .required("specify at least one of credentialBundlePath, keyPath, and certificateChainPath"),
        );
    }
}

/// A key with a domain before it.
fn domain_prefixed_key(at: &At<'_>, key: &str, errors: &mut Errors) {
    let wrong = |why: String| Error::invalid(&at.path(), key, why);
    let sentences = names::qualified_name(key);
    if sentences.is_empty() && !key.contains('/') {
        errors.push(wrong("must be a domain-prefixed key (such as \"acme.io/foo\")".to_owned()));
    }
    errors.extend(sentences.into_iter().map(wrong));
}

/// The name of a signer: a domain and a path, such as `example.com/signer-name`.
///
/// Source: `ValidateSignerName` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).
fn signer_name(at: &At<'_>, errors: &mut Errors) {
    const MAX: usize = 253 + 1 + 253 + 63 + 1;
    if !checks::present(at, errors) {
        return;
    }
    let parts: Vec<_> = at.text().split('/').collect();
    let [domain, path] = parts[..] else {
        errors.push(
            at.invalid("must be a fully qualified domain and path of the form 'example.com/signer-name'"),
        );
        return;
    };
    if domain.len() > 253 {
        errors.push(at.too_long(253));
    }
    labels(at, domain, names::dns1123_label, errors);
    if !domain.contains('.') {
        let wrong = "should be a domain with at least two segments separated by dots";
        errors.push(Error::invalid(&at.path(), Value::from(domain), wrong));
    }
    labels(at, path, names::dns1123_subdomain, errors);
    if at.text().len() > MAX {
        errors.push(at.too_long(MAX));
    }
}

/// The first of a part's labels that is wrong, and why.
fn labels(at: &At<'_>, part: &str, check: names::Check, errors: &mut Errors) {
    let mut bad = part.split('.').map(|label| (label, check(label))).filter(|(_, wrong)| !wrong.is_empty());
    if let Some((label, wrong)) = bad.next() {
        let shown = |why| format!("validating label {label:?}: {why}");
        errors.extend(wrong.into_iter().map(|why| Error::invalid(&at.path(), part, shown(why))));
    }
}
