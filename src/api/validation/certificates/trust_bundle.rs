//! Bundles of certificates that are trusted.

use std::collections::BTreeMap;

use super::{pem, signer_name, x509};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const MAX_BYTES: usize = 1 << 20;

/// A bundle. One that has not changed is not read again.
pub(super) fn object(bundle: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let (metadata, spec) = (bundle.get("metadata"), bundle.get("spec"));
    let (name, signer, trusted) = (metadata.get("name"), spec.get("signerName"), spec.get("trustBundle"));
    if !name.text().is_empty() {
        checks::sentences(&name, wrong_name(name.text(), signer.text()), errors);
    }
    if !signer.text().is_empty() {
        signer_name(&signer, errors);
    }
    if old.is_none_or(|old| old.value()["spec"]["trustBundle"] != *trusted.value()) {
        certificates(&trusted, errors);
    }
}

/// A bundle of a signer is named after the signer.
fn wrong_name(name: &str, signer: &str) -> Vec<String> {
    if signer.is_empty() {
        if name.contains(':') {
            return vec!["ClusterTrustBundle without signer name must not have \":\" in its name".into()];
        }
        return names::dns1123_subdomain(name);
    }
    let prefix = format!("{}:", signer.replace('/', ":"));
    match name.strip_prefix(&prefix) {
        Some(rest) => names::dns1123_subdomain(rest),
        None => {
            vec![format!("ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}")]
        }
    }
}

fn certificates(at: &At<'_>, errors: &mut Errors) {
    if at.text().len() > MAX_BYTES {
        errors.push(Error::too_long(&at.path(), MAX_BYTES));
        return;
    }
    let wrong = |why: String| Error::invalid(&at.path(), "<value omitted>", why);
    let mut anchors: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, block) in pem::blocks(at.text()).enumerate() {
        let why = match x509::certificate(&block.bytes) {
            _ if block.label != "CERTIFICATE" => format!("has bad block type: {}", block.label),
            _ if block.has_headers => "has PEM block headers".into(),
            Err(_) => "does not parse as X.509".into(),
            Ok(certificate) if !certificate.is_authority => "does not have the CA bit set".into(),
            Ok(_) => {
                anchors.entry(block.bytes).or_default().push(index);
                continue;
            }
        };
        found.push(wrong(format!("entry {index} {why}")));
    }
    if found.is_empty() {
        if anchors.is_empty() {
            found.push(wrong("at least one trust anchor must be provided".into()));
        }
        for indices in anchors.values().filter(|indices| indices.len() > 1) {
            let shown: Vec<_> = indices.iter().map(usize::to_string).collect();
            found.push(wrong(format!("duplicate trust anchor (indices [{}])", shown.join(" "))));
        }
    }
    errors.extend(found);
}

pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    checks::immutable(&spec.get("signerName"), &before.get("signerName"), errors);
}
