//! What must hold between the devices of a claim, and what keeps requests off a device.
//!
//! Source: `constraint.go` and `allocator_incubating.go` of
//! `k8s.io/dynamic-resource-allocation/structured/internal/incubating`, and `ToleratesTaint` of
//! `k8s.io/dynamic-resource-allocation/resourceclaim` (1.36).

use k8s_openapi::api::resource::v1::{
    Device, DeviceAttribute, DeviceConstraint, DeviceTaint, DeviceToleration,
};

/// A constraint, and the devices it has been told of.
#[derive(Debug)]
pub(super) struct Constraint<'a> {
    /// The requests, or alternatives, that it is about; all, where there are none.
    requests: &'a [String],
    rule: Rule<'a>,
    /// The attributes of the devices that it is about, in the order in which they were added, each with the request.
    told: Vec<(&'a str, &'a DeviceAttribute)>,
}

#[derive(Clone, Copy, Debug)]
enum Rule<'a> {
    /// All have the attribute with the same value.
    Match(&'a str),
    /// All have it with different values.
    Distinct(&'a str),
}

impl<'a> Constraint<'a> {
    /// Reads a constraint; nothing where it says nothing that is known.
    pub(super) fn read(constraint: &'a DeviceConstraint) -> Option<Self> {
        let rule = match (&constraint.match_attribute, &constraint.distinct_attribute) {
            (Some(attribute), _) => Rule::Match(attribute),
            (None, Some(attribute)) => Rule::Distinct(attribute),
            (None, None) => return None,
        };
        let requests = constraint.requests.as_deref().unwrap_or_default();
        Some(Self { requests, rule, told: Vec::new() })
    }

    fn concerns(&self, request: &str, alternative: Option<&str>) -> bool {
        let is_either = |own: &String| {
            own == request || alternative.is_some_and(|name| own.split_once('/') == Some((request, name)))
        };
        self.requests.is_empty() || self.requests.iter().any(is_either)
    }

    /// Adds a device, unless the constraint would not hold any more.
    pub(super) fn add(
        &mut self,
        request: &'a str,
        alternative: Option<&str>,
        driver: &str,
        device: &'a Device,
    ) -> bool {
        if !self.concerns(request, alternative) {
            return true;
        }
        let (Rule::Match(name) | Rule::Distinct(name)) = self.rule;
        let Some(attribute) = attribute(device, driver, name) else { return false };
        let holds = match (self.rule, self.told.first()) {
            (_, None) => true,
            (Rule::Match(_), Some((_, first))) => are_equal(attribute, first),
            (Rule::Distinct(_), Some(_)) => is_known(attribute) && !self.is_taken(attribute),
        };
        if holds {
            self.told.push((request, attribute));
        }
        holds
    }

    /// Whether a device has this value already. Of a request for several devices only the last one's counts: so it is
    /// in kube-scheduler, which keeps one value a request.
    fn is_taken(&self, attribute: &DeviceAttribute) -> bool {
        self.told.iter().enumerate().any(|(at, (request, other))| {
            let is_last = !self.told[at + 1..].iter().any(|(later, _)| later == request);
            is_last && are_equal(attribute, other)
        })
    }

    /// Takes the device away that was added last.
    pub(super) fn remove(&mut self, request: &str, alternative: Option<&str>) {
        if self.concerns(request, alternative) {
            self.told.pop();
        }
    }
}

/// An attribute by its full name, of which the device's own driver may leave out the domain.
fn attribute<'a>(device: &'a Device, driver: &str, name: &str) -> Option<&'a DeviceAttribute> {
    let attributes = device.attributes.as_ref()?;
    let short = || name.split_once('/').filter(|(domain, _)| *domain == driver).map(|(_, id)| id);
    attributes.get(name).or_else(|| attributes.get(short()?))
}

fn is_known(attribute: &DeviceAttribute) -> bool {
    attribute.string.is_some()
        || attribute.int.is_some()
        || attribute.bool.is_some()
        || attribute.version.is_some()
}

/// Whether two attributes are of the same kind and have the same value.
fn are_equal(one: &DeviceAttribute, other: &DeviceAttribute) -> bool {
    if one.string.is_some() {
        one.string == other.string
    } else if one.int.is_some() {
        one.int == other.int
    } else if one.bool.is_some() {
        one.bool == other.bool
    } else {
        one.version.is_some() && one.version == other.version
    }
}

/// Whether a taint of a device keeps off who tolerates no more than this. Effects that are not known do nothing.
pub(super) fn is_kept_off(device: &Device, tolerations: &[DeviceToleration]) -> bool {
    let harms = |taint: &&DeviceTaint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    let mut taints = device.taints.iter().flatten().filter(harms);
    taints.any(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

fn tolerates(toleration: &DeviceToleration, taint: &DeviceTaint) -> bool {
    let fits = |own: &Option<String>, other: &str| match own.as_deref() {
        None | Some("") => true,
        Some(own) => own == other,
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    fits(&toleration.effect, &taint.effect)
        && fits(&toleration.key, &taint.key)
        && match toleration.operator.as_deref() {
            None | Some("" | "Equal") => text(&toleration.value) == text(&taint.value),
            Some(operator) => operator == "Exists",
        }
}
