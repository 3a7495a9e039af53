//! Requests of nodes' agents for certificates of pods.
//!
//! Whether who answers one may sign for its signer, and whether the certificate begins about now, is left
//! to who knows the caller and the time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{pem, signer_name, x509};
use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::{conditions, metadata};

const MAX_UID: usize = 128;
const MAX_KEY_BYTES: usize = 10 << 10;
const MAX_CHAIN_BYTES: usize = 100 << 10;
const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
const TERMINAL: [&str; 3] = ["Issued", "Denied", "Failed"];

pub(super) fn create(request: &At<'_>, errors: &mut Errors) {
    let spec = request.get("spec");
    let signer = spec.get("signerName");
    signer_name(&signer, errors);
    let annotations = spec.get("unverifiedUserAnnotations");
    metadata::annotations(&annotations, errors);
    for (key, _) in annotations.entries().filter(|(key, _)| !key.contains('/')) {
        let wrong = "must be a domain-prefixed key (such as \"acme.io/foo\")";
        errors.push(Error::invalid(&annotations.path(), key, wrong));
    }
    for (name, uid) in
        [("podName", "podUID"), ("serviceAccountName", "serviceAccountUID"), ("nodeName", "nodeUID")]
    {
        checks::named(&spec.get(name), names::dns1123_subdomain, errors);
        let uid = spec.get(uid);
        if uid.text().is_empty() {
            errors.push(Error::invalid(&uid.path(), "", "must not be empty"));
        }
        checks::short(&uid, MAX_UID, errors);
    }
    let longest = spec.get("maxExpirationSeconds");
    let Some(seconds) = longest.number() else {
        errors.push(longest.required("must be set"));
        return;
    };
    let domain = signer.text().split('/').next().unwrap_or_default();
    let ours = domain == "kubernetes.io" || domain.ends_with(".kubernetes.io");
    let max = if ours { DAY } else { 91 * DAY };
    if !(HOUR..=max).contains(&seconds) {
        errors.push(longest.invalid(format!("must be in the range [{HOUR}, {max}]")));
    }
    let (stub, key, proof) =
        (spec.get("stubPKCS10Request"), spec.get("pkixPublicKey"), spec.get("proofOfPossession"));
    match [&stub, &key, &proof].map(|at| !at.text().is_empty()) {
        [true, false, false] => self::stub(&stub, errors),
        [false, true, true] => self::key(&spec, &key, &proof, errors),
        _ => {
            errors.push(spec.unshown(
                "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set",
            ))
        }
    }
}

fn bytes(at: &At<'_>) -> Vec<u8> {
    STANDARD.decode(at.text()).unwrap_or_default()
}

fn stub(at: &At<'_>, errors: &mut Errors) {
    let der = bytes(at);
    let wrong = if der.len() > MAX_KEY_BYTES {
        Error::too_long(&at.path(), MAX_KEY_BYTES)
    } else {
        let Some(key) = x509::key_of_request(&der) else {
            return errors.push(at.unshown("must be a valid PKCS#10 CSR"));
        };
        match (key.refusal(), x509::request(&der)) {
            (Some((shown, why)), _) if shown.is_empty() => at.unshown(why),
            (Some((shown, why)), _) => Error::invalid(&at.path(), shown, why),
            (None, Err(_)) => at.unshown("invalid signature"),
            (None, Ok(())) => return,
        }
    };
    errors.push(wrong);
}

fn key(spec: &At<'_>, key: &At<'_>, proof: &At<'_>, errors: &mut Errors) {
    for at in [key, proof] {
        if bytes(at).len() > MAX_KEY_BYTES {
            return errors.push(Error::too_long(&at.path(), MAX_KEY_BYTES));
        }
    }
    let Some(public) = x509::public_key(&bytes(key)) else {
        return errors.push(key.invalid("must be a valid PKIX-serialized public key"));
    };
    match public.refusal() {
        Some((shown, why)) if shown.is_empty() => errors.push(key.invalid(why)),
        Some((shown, why)) => errors.push(Error::invalid(&key.path(), shown, why)),
        None => {
            let uid = spec.value()["podUID"].as_str().unwrap_or_default();
            if !x509::has_signed(&public, uid.as_bytes(), &bytes(proof)) {
                errors.push(proof.unshown("could not verify proof-of-possession signature"));
            }
        }
    }
}

pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    checks::immutable(&new.get("spec"), &old.get("spec"), errors);
}

/// An answer, which is given once: a certificate, a refusal or a failure.
pub(super) fn status(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (status, before) = (new.get("status"), old.get("status"));
    let list = status.get("conditions");
    let known = errors.len();
    conditions(&list, errors);
    if errors.len() > known {
        return;
    }
    let is = |at: &At<'_>, kind: &str| {
        let list = at.value()["conditions"].as_array().map_or(&[][..], Vec::as_slice);
        list.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    if TERMINAL.iter().any(|kind| is(&before, kind)) {
        if !checks::same(status.value(), before.value()) {
            errors.push(status.unshown("immutable after PodCertificateRequest is issued, denied, or failed"));
        }
    } else if is(&status, "Denied") || is(&status, "Failed") {
        if !checks::same(status.value(), &json!({"conditions": list.value()})) {
            errors.push(status.unshown(
                "non-condition status fields must be empty when denying or failing the PodCertificateRequest",
            ));
        }
    } else if is(&status, "Issued") {
        let spec = old.get("spec");
        errors.extend(issued(&spec, &status));
    } else if !checks::same(status.value(), before.value()) {
        errors
            .push(status.unshown(
                "status is immutable unless transitioning to \"Issued\", \"Denied\", or \"Failed\"",
            ));
    }
}

fn conditions(list: &At<'_>, errors: &mut Errors) {
    let mut found = 0;
    for condition in list.items() {
        let (kind, status) = (condition.get("type"), condition.get("status"));
        if !TERMINAL.contains(&kind.text()) {
            errors.push(kind.not_supported(&TERMINAL));
            continue;
        }
        found += 1;
        if found > 1 {
            errors.push(kind.invalid(
                "There may be at most one condition with type \"Issued\", \"Denied\", or \"Failed\"",
            ));
        }
        if status.text() != "True" {
            errors.push(status.not_supported(&["True"]));
        }
    }
    conditions::all(list, errors);
}

/// The first thing that is wrong with a certificate that was issued.
fn issued(spec: &At<'_>, status: &At<'_>) -> Option<Error> {
    let chain = status.get("certificateChain");
    if chain.text().len() > MAX_CHAIN_BYTES {
        return Some(Error::too_long(&chain.path(), MAX_CHAIN_BYTES));
    }
    let mut blocks = pem::blocks(chain.text());
    let Some(first) = blocks.next() else {
        return Some(chain.invalid("issued certificate chain must contain at least one certificate"));
    };
    if first.label != "CERTIFICATE" {
        return Some(
            chain.invalid("issued certificate chain must consist entirely of CERTIFICATE PEM blocks"),
        );
    }
    let Some((key, validity)) = x509::leaf(&first.bytes) else {
        return Some(chain.invalid("leaf certificate does not parse as valid X.509"));
    };
    let stub = spec.get("stubPKCS10Request");
    let wanted = if stub.text().is_empty() {
        x509::public_key(&bytes(&spec.get("pkixPublicKey")))
    } else {
        x509::key_of_request(&bytes(&stub))
    };
    if wanted != Some(key) {
        return Some(chain.invalid("leaf certificate was not issued to the requested public key"));
    }
    times(spec, status, &chain, &validity).or_else(|| {
        let wrong = |block: pem::Block| {
            if block.label != "CERTIFICATE" {
                return Some("issued certificate chain must consist entirely of CERTFICATE PEM blocks");
            }
            x509::certificate(&block.bytes)
                .err()
                .map(|_| "intermediate certificate does not parse as valid X.509")
        };
        blocks.find_map(wrong).map(|why| chain.invalid(why))
    })
}

/// The times that a status names must be those of the certificate.
fn times(spec: &At<'_>, status: &At<'_>, chain: &At<'_>, validity: &std::ops::Range<i64>) -> Option<Error> {
    let (from, until, refresh) =
        (status.get("notBefore"), status.get("notAfter"), status.get("beginRefreshAt"));
    const CONSISTENT: &str = "must be present and consistent with the issued certificate";
    for (at, why) in [
        (&from, CONSISTENT),
        (&until, CONSISTENT),
        (&refresh, "must be present and in the range [notbefore+10min, notafter-10min]"),
    ] {
        if !at.is_set() {
            return Some(at.required(why));
        }
    }
    let seconds = |at: &At<'_>| at.text().parse::<Timestamp>().map_or(0, Timestamp::as_second);
    if seconds(&from) != validity.start {
        return Some(from.invalid("must be set to the NotBefore time encoded in the leaf certificate"));
    }
    if seconds(&until) != validity.end {
        return Some(until.invalid("must be set to the NotAfter time encoded in the leaf certificate"));
    }
    let lifetime = validity.end - validity.start;
    let longest = spec.value()["maxExpirationSeconds"].as_i64().unwrap_or(0);
    let wrong = |why: String| Error::invalid(&chain.path(), Value::from(lifetime), why);
    if lifetime < HOUR {
        return Some(wrong("leaf certificate lifetime must be >= 1 hour".into()));
    }
    if lifetime > longest {
        return Some(wrong(format!(
            "leaf certificate lifetime must be <= spec.maxExpirationSeconds ({longest})"
        )));
    }
    let refreshes = seconds(&refresh);
    if refreshes < validity.start + 600 {
        return Some(refresh.invalid("must be at least 10 minutes after status.notBefore"));
    }
    if refreshes > validity.end - 600 {
        return Some(refresh.invalid("must be at least 10 minutes before status.notAfter"));
    }
    None
}
