//! Ingresses, network policies, and the addresses of services.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/networking/validation` (1.36).

use super::at::At;
use super::checks::Errors;

mod ingress;
mod policy;
mod service_addresses;

pub(super) use service_addresses::ip_address_name;

pub(super) fn object(kind: &str, object: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    match kind {
        "Ingress" => ingress::object(object, old, errors),
        "IngressClass" => ingress::class(object, errors),
        "NetworkPolicy" => policy::object(object, old, errors),
        "IPAddress" => service_addresses::ip_address(object, errors),
        // An update has rules of its own, which ask more of what is added.
        "ServiceCIDR" if old.is_none() => service_addresses::service_cidr(object, errors),
        _ => {}
    }
}

pub(super) fn update(kind: &str, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    match kind {
        "IngressClass" => ingress::class_update(new, old, errors),
        "IPAddress" => service_addresses::ip_address_update(new, old, errors),
        "ServiceCIDR" => service_addresses::service_cidr_update(new, old, errors),
        _ => {}
    }
}

pub(super) fn status(kind: &str, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    if kind == "Ingress" {
        ingress::status(new, old, errors);
    }
}
