//! Which resources Kubernetes 1.36 still serves and advises against.
//!
//! Source: `APILifecycleDeprecated`, `APILifecycleRemoved` and `APILifecycleReplacement` of the types of
//! `k8s.io/api` (1.36).

use crate::api::Deprecation;

/// Group, version and kind; the minor release since which it is deprecated; the one without it, where that is
/// known; what to use in its place.
type Line = (&'static str, &'static str, &'static str, u8, Option<u8>, &'static str);

#[rustfmt::skip]
const LINES: &[Line] = &[
    ("", "v1", "ComponentStatus", 19, None, ""),
    ("", "v1", "Endpoints", 33, None, "discovery.k8s.io/v1 EndpointSlice"),
    ("admissionregistration.k8s.io", "v1alpha1", "MutatingAdmissionPolicy", 35, Some(38), ""),
    ("admissionregistration.k8s.io", "v1alpha1", "MutatingAdmissionPolicyBinding", 35, Some(38), ""),
    ("certificates.k8s.io", "v1alpha1", "ClusterTrustBundle", 34, Some(37), ""),
    ("coordination.k8s.io", "v1alpha2", "LeaseCandidate", 35, Some(38), ""),
    ("coordination.k8s.io", "v1beta1", "LeaseCandidate", 36, Some(39), ""),
    ("networking.k8s.io", "v1beta1", "IPAddress", 34, Some(37), ""),
    ("networking.k8s.io", "v1beta1", "ServiceCIDR", 34, Some(37), ""),
    ("resource.k8s.io", "v1alpha3", "DeviceTaintRule", 36, Some(39), ""),
    ("resource.k8s.io", "v1beta1", "DeviceClass", 35, Some(38), ""),
    ("resource.k8s.io", "v1beta1", "ResourceClaim", 35, Some(38), ""),
    ("resource.k8s.io", "v1beta1", "ResourceClaimTemplate", 35, Some(38), ""),
    ("resource.k8s.io", "v1beta1", "ResourceSlice", 35, Some(38), ""),
    ("resource.k8s.io", "v1beta2", "DeviceClass", 36, Some(39), ""),
    ("resource.k8s.io", "v1beta2", "ResourceClaim", 36, Some(39), ""),
    ("resource.k8s.io", "v1beta2", "ResourceClaimTemplate", 36, Some(39), ""),
    ("resource.k8s.io", "v1beta2", "ResourceSlice", 36, Some(39), ""),
    ("storage.k8s.io", "v1beta1", "VolumeAttributesClass", 34, Some(37), "storage.k8s.io/v1 VolumeAttributesClass"),
];

/// What those are told who still use a built-in resource.
pub(super) fn of(group: &str, version: &str, kind: &str) -> Option<Deprecation> {
    let (_, _, _, since, removed, instead) =
        LINES.iter().find(|line| (line.0, line.1, line.2) == (group, version, kind))?;
    let slash = if group.is_empty() { "" } else { "/" };
    let mut warning = format!("{group}{slash}{version} {kind} is deprecated in v1.{since}+");
    if let Some(removed) = removed {
        warning += &format!(", unavailable in v1.{removed}+");
    }
    if !instead.is_empty() {
        warning += &format!("; use {instead}");
    }
    let removed_release = removed.map(|minor| format!("1.{minor}")).unwrap_or_default();
    Some(Deprecation { warning: warning.into(), removed_release: removed_release.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{RuntimeConfig, Scheme};

    #[test]
    fn who_uses_what_is_deprecated_is_told_what_to_use_and_until_when() {
        let told = |group, version, kind| of(group, version, kind).map(|it| it.warning.into_owned());
        for (group, version, kind, expected) in [
            ("", "v1", "Pod", None),
            ("", "v1", "ComponentStatus", Some("v1 ComponentStatus is deprecated in v1.19+")),
            (
                "",
                "v1",
                "Endpoints",
                Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
            ),
            ("networking.k8s.io", "v1", "IPAddress", None),
            (
                "networking.k8s.io",
                "v1beta1",
                "IPAddress",
                Some("networking.k8s.io/v1beta1 IPAddress is deprecated in v1.34+, unavailable in v1.37+"),
            ),
        ] {
            assert_eq!(told(group, version, kind).as_deref(), expected);
        }
    }

    #[test]
    fn every_line_is_of_a_resource_that_there_is() {
        let scheme = Scheme::builtin_with(&"api/all=true".parse::<RuntimeConfig>().expect("it is one"));
        let told: Vec<_> = scheme.iter().filter(|row| row.deprecation.is_some()).collect();
        assert_eq!(told.len(), LINES.len());
    }
}
