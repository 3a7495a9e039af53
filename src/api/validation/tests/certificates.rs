//! Requests for certificates, and bundles of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

const REQUEST: (&str, &str) = ("certificates.k8s.io/v1", "CertificateSigningRequest");

/// A request of `CN=user-a, O=group-a` for a key of P-256.
const REQUEST_PEM: &str = "\
-----BEGIN CERTIFICATE REQUEST-----\n\
MIHdMIGFAgEAMCMxDzANBgNVBAMMBnVzZXItYTEQMA4GA1UECgwHZ3JvdXAtYTBZ\n\
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABJ+RYnuNK3m8E667U3Cz86y2q1jz1Nj+\n\
OWUHKhTPqANTqMjYFykYIRB1uBhNbZdnFtUJ9K0hVk4C0QL1SoML4eOgADAKBggq\n\
hkjOPQQDAgNHADBEAiAXbzRIDrNhdWYv+TcioJ+Hmq3oNUxt+HwME047FmOXiAIg\n\
PdBGRE6pPi3E0oSVGR0lGZajIOVe3xCDfHvOHwwfcSI=\n\
-----END CERTIFICATE REQUEST-----\n";

/// A certificate of an authority.
const AUTHORITY_PEM: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBcDCCARegAwIBAgIUOHKcyD7PKsYy28TZe8k6gQxQc0AwCgYIKoZIzj0EAwIw\n\
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI2MTkzMjE3WhgPMjEyNjExMDIxOTMyMTda\n\
MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEn5Fie40r\n\
ebwTrrtTcLPzrLarWPPU2P45ZQcqFM+oA1OoyNgXKRghEHW4GE1tl2cW1Qn0rSFW\n\
TgLRAvVKgwvh46NTMFEwHQYDVR0OBBYEFCPGBWsCZ6NLEPMp1i5N7eV8YSIXMB8G\n\
A1UdIwQYMBaAFCPGBWsCZ6NLEPMp1i5N7eV8YSIXMA8GA1UdEwEB/wQFMAMBAf8w\n\
CgYIKoZIzj0EAwIDRwAwRAIgUKOcgKywf+befNaHlk/BFt4MIBr3xIA6iVUA4lsD\n\
ntkCIAVRHw7T+GTFnBiwi2y0QubTc+Ny5brgbADk1m0q1rOS\n\
-----END CERTIFICATE-----\n";

/// A certificate of nobody who may sign others.
const LEAF_PEM: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBcjCCARigAwIBAgIUPQFwERrDvSxGXfH7S05J55VPIv8wCgYIKoZIzj0EAwIw\n\
DzENMAsGA1UEAwwEbGVhZjAgFw0yNjExMjYxOTMyMTdaGA8yMTI2MTEwMjE5MzIx\n\
N1owDzENMAsGA1UEAwwEbGVhZjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJ+R\n\
YnuNK3m8E667U3Cz86y2q1jz1Nj+OWUHKhTPqANTqMjYFykYIRB1uBhNbZdnFtUJ\n\
9K0hVk4C0QL1SoML4eOjUDBOMB0GA1UdDgQWBBQjxgVrAmejSxDzKdYuTe3lfGEi\n\
FzAfBgNVHSMEGDAWgBQjxgVrAmejSxDzKdYuTe3lfGEiFzAMBgNVHRMBAf8EAjAA\n\
MAoGCCqGSM49BAMCA0gAMEUCIQCt/8jJAJIqIUWYitrd/1qC0CXoavBXNVc2epij\n\
2EKI2QIgHke94UKM2R0uQbR7IcVdipLJ1CXzJzcMs7XYRdq6KxI=\n\
-----END CERTIFICATE-----\n";

fn encoded(pem: &str) -> String {
    STANDARD.encode(pem)
}

fn request() -> Value {
    json!({"metadata": {"name": "r"}, "spec": {"request": encoded(REQUEST_PEM), "usages": ["client auth"],
        "signerName": "example.com/signer"}})
}

#[test]
fn requests() {
    let garbled = REQUEST_PEM.replacen("MIHdMIGF", "MIHdMIGE", 1);
    let forged = REQUEST_PEM.replacen("BgNVBAMMBnVzZXItYTEQ", "BgNVBAMMBnVzZXItYjEQ", 1);
    assert_ne!(forged, REQUEST_PEM);
    each_of(
        REQUEST,
        &request(),
        &[
            ("/spec/usages", json!([]), "spec.usages: Required value"),
            ("/spec/usages", json!(["any", "any"]), "spec.usages[1]: Duplicate value: \"any\""),
            ("/spec/signerName", json!(null), "spec.signerName: Required value"),
            (
                "/spec/signerName",
                json!("signer"),
                "spec.signerName: Invalid value: \"signer\": must be a fully qualified domain and path of the form \
                 'example.com/signer-name'",
            ),
            (
                "/spec/signerName",
                json!("kubernetes.io/legacy-unknown"),
                "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed \
                 via this API version",
            ),
            (
                "/spec/expirationSeconds",
                json!(599),
                "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 \
                 minutes)",
            ),
        ],
    );
    for (wrong, why) in [
        (AUTHORITY_PEM, "PEM block type must be CERTIFICATE REQUEST"),
        ("", "PEM block type must be CERTIFICATE REQUEST"),
        (&garbled, ""),
        (&forged, "signature"),
    ] {
        let errors = judged(REQUEST, with(request(), "/spec/request", encoded(wrong).into()));
        assert_eq!(errors.len(), 1, "{wrong}");
        assert!(
            errors[0].starts_with("spec.request: Invalid value") && errors[0].contains(why),
            "{errors:?}"
        );
    }
}

#[test]
fn decisions_stand() {
    let decided = |kind: &str| {
        let mut request = request();
        request["status"] = json!({"conditions": [{"type": kind, "status": "True"}]});
        request
    };
    let row = std::sync::Arc::new(row_of(REQUEST.0, REQUEST.1));
    let approval = |old: Value, new: Value| {
        let object = |tree: Value| {
            Object::from_tree(row.clone(), crate::api::Revision::NONE, ready(&row, tree)).unwrap()
        };
        said(Options::default().update_approval(&object(new), &object(old)))
    };
    assert_eq!(approval(request(), decided("Approved")), Vec::<String>::new());
    assert_eq!(
        approval(decided("Approved"), request()),
        ["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""]
    );
    assert_eq!(
        restated(REQUEST, request(), decided("Denied")),
        ["status.conditions: Forbidden: updates may not add a condition of type \"Denied\""]
    );
    let mut issued = decided("Approved");
    issued["status"]["certificate"] = encoded(LEAF_PEM).into();
    assert_eq!(
        approval(decided("Approved"), issued.clone()),
        ["status.certificate: Forbidden: updates may not set certificate content"]
    );
    assert_eq!(restated(REQUEST, decided("Approved"), issued.clone()), Vec::<String>::new());
    let other = with(issued.clone(), "/status/certificate", encoded(AUTHORITY_PEM).into());
    assert_eq!(
        restated(REQUEST, issued.clone(), other),
        ["status.certificate: Forbidden: updates may not modify existing certificate content"]
    );
    let garbage = with(issued, "/status/certificate", encoded("x").into());
    assert_eq!(
        restated(REQUEST, decided("Approved"), garbage),
        [
            "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM \
             block"
        ]
    );
    let both = json!([{"type": "Approved", "status": "True"}, {"type": "Denied", "status": "True"}]);
    assert_eq!(
        approval(request(), with(decided("Denied"), "/status/conditions", both)),
        [
            "status.conditions: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive"
        ]
    );
}

#[test]
fn bundles() {
    let kind = ("certificates.k8s.io/v1beta1", "ClusterTrustBundle");
    let bundle = json!({"metadata": {"name": "example.com:signer:one"},
        "spec": {"signerName": "example.com/signer", "trustBundle": AUTHORITY_PEM}});
    each_of(
        kind,
        &bundle,
        &[
            (
                "/metadata/name",
                json!("one"),
                "metadata.name: Invalid value: \"one\": ClusterTrustBundle for signerName example.com/signer must be \
                 named with prefix example.com:signer:",
            ),
            (
                "/spec/trustBundle",
                json!(""),
                "spec.trustBundle: Invalid value: \"<value omitted>\": at least one trust anchor must be provided",
            ),
            (
                "/spec/trustBundle",
                json!(LEAF_PEM),
                "spec.trustBundle: Invalid value: \"<value omitted>\": entry 0 does not have the CA bit set",
            ),
            (
                "/spec/trustBundle",
                json!(format!("{AUTHORITY_PEM}{AUTHORITY_PEM}")),
                "spec.trustBundle: Invalid value: \"<value omitted>\": duplicate trust anchor (indices [0 1])",
            ),
        ],
    );
}
