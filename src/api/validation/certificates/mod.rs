//! Requests for certificates, and bundles of those that are trusted.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/certificates/validation` (1.36).

use super::at::At;
use super::checks::Errors;
use crate::api::field::Error;
use crate::api::names;

mod pem;
mod pod_request;
mod request;
mod trust_bundle;
mod x509;

pub(super) use request::Part;

/// The PEM blocks of a base64 text: what each is called, and its bytes.
pub(crate) fn pem_blocks(data: &str) -> Vec<(String, Vec<u8>)> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap_or_default();
    pem::blocks(&String::from_utf8_lossy(&bytes)).map(|block| (block.label, block.bytes)).collect()
}

pub(super) fn object(kind: &str, object: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    match kind {
        "CertificateSigningRequest" if old.is_none() => request::create(object, errors),
        "ClusterTrustBundle" => trust_bundle::object(object, old, errors),
        "PodCertificateRequest" if old.is_none() => pod_request::create(object, errors),
        _ => {}
    }
}

pub(super) fn update(kind: &str, new: &At<'_>, old: &At<'_>, part: Part, errors: &mut Errors) {
    match (kind, part) {
        ("CertificateSigningRequest", part) => request::update(new, old, part, errors),
        ("ClusterTrustBundle", _) => trust_bundle::update(new, old, errors),
        ("PodCertificateRequest", Part::Status) => pod_request::status(new, old, errors),
        ("PodCertificateRequest", _) => pod_request::update(new, old, errors),
        _ => {}
    }
}

/// The name of a signer: a domain of two parts or more, a slash, and a path with dots.
///
/// Source: `ValidateSignerName` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).
pub(super) fn signer_name(at: &At<'_>, errors: &mut Errors) {
    const MAX_DOMAIN: usize = 253;
    // The path must have room for a label, a dot and a subdomain.
    const MAX: usize = MAX_DOMAIN + 1 + 253 + 63 + 1;
    let text = at.text();
    if text.is_empty() {
        errors.push(at.required(""));
        return;
    }
    let parts: Vec<_> = text.split('/').collect();
    let [domain, path] = parts[..] else {
        errors.push(
            at.invalid("must be a fully qualified domain and path of the form 'example.com/signer-name'"),
        );
        return;
    };
    if domain.len() > MAX_DOMAIN {
        errors.push(Error::too_long(&at.path(), MAX_DOMAIN));
    }
    let first_wrong = |part: &str, rule: names::Check| {
        let found = part.split('.').map(|label| (label, rule(label))).find(|(_, wrong)| !wrong.is_empty());
        let (label, wrong) = found.unwrap_or_default();
        let say = |sentence: &String| {
            Error::invalid(&at.path(), part, format!("validating label {label:?}: {sentence}"))
        };
        wrong.iter().map(say).collect::<Vec<_>>()
    };
    errors.extend(first_wrong(domain, names::dns1123_label));
    if !domain.contains('.') {
        let wrong = "should be a domain with at least two segments separated by dots";
        errors.push(Error::invalid(&at.path(), domain, wrong));
    }
    errors.extend(first_wrong(path, names::dns1123_subdomain));
    if text.len() > MAX {
        errors.push(Error::too_long(&at.path(), MAX));
    }
}
