//! Requests that somebody signs a certificate.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{pem, signer_name, x509};
use crate::api::field::Error;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";
/// What a condition that is not final may be.
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
const DECIDED: [&str; 2] = ["Approved", "Denied"];
const FINAL: [&str; 3] = ["Approved", "Denied", "Failed"];

/// Which part of a request for a certificate a write is for: who may write one may not write the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api::validation) enum Part {
    /// The object itself.
    Main,
    /// The certificate, and whether signing failed.
    Status,
    /// Whether it is approved or denied.
    Approval,
}

/// What a request that is wrong already may keep.
#[derive(Default)]
struct Kept {
    both_decisions: bool,
    legacy_signer: bool,
    repeated_conditions: bool,
    nameless_conditions: bool,
    any_certificate: bool,
    repeated_usages: bool,
    unknown_usages: bool,
}

pub(super) fn create(request: &At<'_>, errors: &mut Errors) {
    object(request, &Kept::default(), errors);
}

pub(super) fn update(new: &At<'_>, old: &At<'_>, part: Part, errors: &mut Errors) {
    object(new, &Kept::by(new, old), errors);
    let (status, before) = (new.get("status"), old.get("status"));
    let list = status.get("conditions");
    let forbidden = |what: String| Error::forbidden(&list.path(), what);
    let counts = |kind: &str| (of_type(&status, kind).len(), of_type(&before, kind).len());
    for kind in FINAL {
        let (now, then) = counts(kind);
        if now < then {
            errors.push(forbidden(format!("updates may not remove a condition of type {kind:?}")));
        }
    }
    if part != Part::Approval {
        for kind in DECIDED {
            let (now, then) = (of_type(&status, kind), of_type(&before, kind));
            if now.len() > then.len() {
                errors.push(forbidden(format!("updates may not add a condition of type {kind:?}")));
            } else if now.len() == then.len() && now != then {
                errors.push(forbidden(format!("updates may not modify a condition of type {kind:?}")));
            }
        }
    }
    let (certificate, was) = (status.get("certificate"), before.get("certificate"));
    if certificate.text() != was.text() {
        if part != Part::Status {
            errors.push(certificate.forbidden("updates may not set certificate content"));
        } else if !was.text().is_empty() {
            errors.push(certificate.forbidden("updates may not modify existing certificate content"));
        }
    }
}

/// The conditions of a status that are of this type.
fn of_type<'a>(status: &At<'a>, kind: &str) -> Vec<&'a Value> {
    let list = status.value()["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    list.iter().filter(|condition| condition["type"] == kind).collect()
}

impl Kept {
    fn by(new: &At<'_>, old: &At<'_>) -> Self {
        let (spec, status) = (old.get("spec"), old.get("status"));
        let (usages, conditions) = (spec.get("usages"), status.get("conditions"));
        let repeats = |list: &At<'_>, key: fn(&Value) -> &str| {
            let mut seen = BTreeSet::new();
            !list.items().all(|item| seen.insert(key(item.value()).to_owned()))
        };
        let kind = |condition: &Value| condition["type"].as_str().unwrap_or_default().to_owned();
        let certificate = &old.value()["status"]["certificate"];
        Self {
            both_decisions: DECIDED.iter().all(|kind| !of_type(&status, kind).is_empty()),
            legacy_signer: spec.get("signerName").text() == LEGACY_SIGNER,
            repeated_conditions: repeats(&conditions, |item| item["type"].as_str().unwrap_or_default()),
            nameless_conditions: conditions.items().any(|item| kind(item.value()).is_empty()),
            any_certificate: new.value()["status"]["certificate"] == *certificate
                || wrong_certificate(certificate.as_str().unwrap_or_default()).is_some(),
            repeated_usages: repeats(&usages, |item| item.as_str().unwrap_or_default()),
            unknown_usages: usages.items().any(|usage| !USAGES.contains(&usage.text())),
        }
    }
}

fn object(request: &At<'_>, kept: &Kept, errors: &mut Errors) {
    let (spec, status) = (request.get("spec"), request.get("status"));
    let (body, usages, signer) = (spec.get("request"), spec.get("usages"), spec.get("signerName"));
    if let Some(wrong) = wrong_request(body.text()) {
        errors.push(Error::invalid(&body.path(), body.text(), wrong));
    }
    if usages.len() == 0 {
        errors.push(usages.required(""));
    }
    if !kept.unknown_usages {
        let unknown = usages.items().filter(|usage| !USAGES.contains(&usage.text()));
        errors.extend(unknown.map(|usage| usage.not_supported(&USAGES)));
    }
    let mut seen = BTreeSet::new();
    if !kept.repeated_usages {
        let repeated = usages.items().filter(|usage| !seen.insert(usage.text().to_owned()));
        errors.extend(repeated.map(|usage| usage.duplicate()));
    }
    if signer.text() == LEGACY_SIGNER && !kept.legacy_signer {
        errors.push(signer.invalid("the legacy signerName is not allowed via this API version"));
    } else {
        signer_name(&signer, errors);
    }
    let seconds = spec.get("expirationSeconds");
    if seconds.number().is_some_and(|seconds| seconds < 600) {
        errors.push(seconds.invalid("may not specify a duration less than 600 seconds (10 minutes)"));
    }
    conditions(&status.get("conditions"), kept, errors);
    let certificate = status.get("certificate");
    if let Some(wrong) = wrong_certificate(certificate.text()).filter(|_| !kept.any_certificate) {
        errors.push(Error::invalid(&certificate.path(), "<certificate data>", wrong));
    }
}

fn conditions(list: &At<'_>, kept: &Kept, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for condition in list.items() {
        let (kind, status) = (condition.get("type"), condition.get("status"));
        if !kept.nameless_conditions {
            checks::present(&kind, errors);
        }
        let allowed: &[&str] = if FINAL.contains(&kind.text()) { &["True"] } else { &STATUSES };
        checks::one_of(&status, allowed, errors);
        let other = match kind.text() {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !kept.both_decisions && seen.contains(other) {
            let wrong = "Approved and Denied conditions are mutually exclusive";
            errors.push(Error::invalid(&list.path(), kind.text(), wrong));
        }
        if !seen.insert(kind.text().to_owned()) && !kept.repeated_conditions {
            errors.push(kind.duplicate());
        }
    }
}

fn text_of(base64: &str) -> String {
    String::from_utf8_lossy(&STANDARD.decode(base64).unwrap_or_default()).into_owned()
}

/// What is wrong with a request, in PEM in base64.
fn wrong_request(base64: &str) -> Option<String> {
    let text = text_of(base64);
    match pem::blocks(&text).next() {
        Some(block) if block.label == "CERTIFICATE REQUEST" => x509::request(&block.bytes).err(),
        _ => Some("PEM block type must be CERTIFICATE REQUEST".into()),
    }
}

/// What is wrong with a chain of certificates, in PEM in base64; nothing with none at all.
fn wrong_certificate(base64: &str) -> Option<String> {
    if base64.is_empty() {
        return None;
    }
    let text = text_of(base64);
    let mut blocks = 0;
    for block in pem::blocks(&text) {
        blocks += 1;
        if block.label != "CERTIFICATE" {
            return Some(format!("only CERTIFICATE PEM blocks are allowed, found {:?}", block.label));
        }
        if block.has_headers {
            return Some("no PEM block headers are permitted".into());
        }
        if let Err(wrong) = x509::certificate(&block.bytes) {
            return Some(wrong);
        }
    }
    (blocks == 0).then(|| "must contain at least one CERTIFICATE PEM block".into())
}
