//! Claims of devices. When a taint was added is the server's to say.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/resource/v1/defaults.go` (1.36).

use super::{Fields, blank, child, each, text};

/// A ResourceClaim.
pub fn resource_claim(object: &mut Fields) {
    child(object, "spec", claim);
}

/// A ResourceClaimTemplate.
pub fn resource_claim_template(object: &mut Fields) {
    child(object, "spec", |spec| child(spec, "spec", claim));
}

fn claim(spec: &mut Fields) {
    child(spec, "devices", |devices| {
        each(devices, "requests", |request| {
            child(request, "exactly", count);
            each(request, "firstAvailable", count);
        });
    });
}

/// One device, where nothing else is said.
fn count(request: &mut Fields) {
    blank(request, "allocationMode", "ExactCount");
    if text(request, "allocationMode") == "ExactCount" {
        blank(request, "count", 1);
    }
}
