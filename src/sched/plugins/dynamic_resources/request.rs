//! What a claim asks for, read once a node.
//!
//! Source: `validateDeviceRequest` of `allocator_incubating.go` in
//! `k8s.io/dynamic-resource-allocation/structured/internal/incubating` (1.36).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::resource::v1::{
    CapacityRequirements, DeviceClass, DeviceRequest, DeviceSelector, DeviceToleration, ResourceClaim,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use super::claims::shown;
use super::constraint::Constraint;
use super::devices::Devices;
use super::search::{Location, MOST_DEVICES};
use crate::sched::Catalog;

/// A claim that is to be given devices.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) claim: &'a ResourceClaim,
    pub(super) requests: Vec<Request<'a>>,
    pub(super) constraints: Vec<Constraint<'a>>,
}

/// What is asked for: one of these, and the first rather than the second.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) name: &'a str,
    /// Whether these are alternatives, or the request itself.
    pub(super) is_list: bool,
    pub(super) alternatives: Vec<Alternative<'a>>,
    /// The alternative that was chosen.
    pub(super) chosen: usize,
}

/// So many devices that are alike.
#[derive(Clone, Debug)]
pub(super) struct Alternative<'a> {
    /// Its own name: the request's, where it is the request itself.
    pub(super) name: &'a str,
    pub(super) class: &'a DeviceClass,
    pub(super) selectors: &'a [DeviceSelector],
    pub(super) tolerations: &'a [DeviceToleration],
    pub(super) capacity: Option<&'a BTreeMap<String, Text>>,
    /// Whether it is an administrator's, who looks at devices that others have.
    pub(super) admin: bool,
    pub(super) count: usize,
    /// These, where all devices are asked for.
    pub(super) all: Option<Arc<[Location]>>,
}

/// What a request and an alternative say alike.
struct Asked<'a> {
    name: &'a str,
    class: &'a str,
    mode: Option<&'a str>,
    count: Option<i64>,
    selectors: Option<&'a [DeviceSelector]>,
    tolerations: Option<&'a [DeviceToleration]>,
    capacity: Option<&'a CapacityRequirements>,
    admin: Option<bool>,
}

impl<'a> Claim<'a> {
    /// Reads a claim. The devices that requests for all of them get are found among `devices`.
    pub(super) fn read(
        claim: &'a ResourceClaim,
        catalog: &'a Catalog,
        devices: &Devices<'a>,
    ) -> Result<Self, String> {
        let spec = claim.spec.devices.as_ref();
        let mut requests = Vec::new();
        for request in spec.iter().flat_map(|spec| spec.requests.iter().flatten()) {
            requests.push(Request::read(claim, request, catalog, devices)?);
        }
        let least = |request: &Request<'_>| {
            let counts = request.alternatives.iter().map(|alternative| alternative.count);
            counts.min().unwrap_or(0)
        };
        let least = requests.iter().map(least).fold(0, usize::saturating_add);
        let name = shown(claim);
        if least > MOST_DEVICES {
            return Err(format!(
                "claim {name}: number of requested devices {least} exceeds the claim limit of {MOST_DEVICES}"
            ));
        }
        let mut constraints = Vec::new();
        let all = spec.and_then(|spec| spec.constraints.as_deref()).unwrap_or_default();
        for (number, constraint) in all.iter().enumerate() {
            let read = Constraint::read(constraint).ok_or_else(|| {
                format!("claim {name}, constraint #{number}: empty constraint (unsupported constraint type?)")
            })?;
            constraints.push(read);
        }
        Ok(Self { claim, requests, constraints })
    }
}

impl<'a> Request<'a> {
    fn read(
        claim: &'a ResourceClaim,
        request: &'a DeviceRequest,
        catalog: &'a Catalog,
        devices: &Devices<'a>,
    ) -> Result<Self, String> {
        let list = request.first_available.as_deref().unwrap_or_default();
        let mut asked = Vec::new();
        for one in list {
            asked.push(Asked {
                name: &one.name,
                class: &one.device_class_name,
                mode: one.allocation_mode.as_deref(),
                count: one.count,
                selectors: one.selectors.as_deref(),
                tolerations: one.tolerations.as_deref(),
                capacity: one.capacity.as_ref(),
                admin: None,
            });
        }
        if let Some(one) = request.exactly.as_ref().filter(|_| list.is_empty()) {
            asked.push(Asked {
                name: &request.name,
                class: &one.device_class_name,
                mode: one.allocation_mode.as_deref(),
                count: one.count,
                selectors: one.selectors.as_deref(),
                tolerations: one.tolerations.as_deref(),
                capacity: one.capacity.as_ref(),
                admin: one.admin_access,
            });
        }
        let read = |asked: Asked<'a>| {
            let at = format!("claim {}, request {}", shown(claim), asked.name);
            asked.read(&at, claim, catalog, devices)
        };
        let alternatives = asked.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { name: &request.name, is_list: !list.is_empty(), alternatives, chosen: 0 })
    }
}

impl<'a> Asked<'a> {
    fn read(
        self,
        at: &str,
        claim: &'a ResourceClaim,
        catalog: &'a Catalog,
        devices: &Devices<'a>,
    ) -> Result<Alternative<'a>, String> {
        let selectors = self.selectors.unwrap_or_default();
        if let Some(number) = selectors.iter().position(|selector| selector.cel.is_none()) {
            return Err(format!(
                "{at}, selector #{number}: CEL expression empty (unsupported selector type?)"
            ));
        }
        if self.class.is_empty() {
            return Err(format!("{at}: missing device class name (unsupported request type?)"));
        }
        let class = catalog.get::<DeviceClass>("", self.class).ok_or_else(|| {
            let name = self.class;
            format!(
                "{at}: could not retrieve device class {name}: deviceclass.resource.k8s.io {name:?} not found"
            )
        })?;
        let mut alternative = Alternative {
            name: self.name,
            class,
            selectors,
            tolerations: self.tolerations.unwrap_or_default(),
            capacity: self.capacity.and_then(|capacity| capacity.requests.as_ref()),
            admin: self.admin == Some(true),
            count: 0,
            all: None,
        };
        match self.mode {
            None | Some("ExactCount") => {
                alternative.count = usize::try_from(self.count.unwrap_or(1)).unwrap_or(usize::MAX);
            }
            Some("All") => {
                let all = devices.find_all(claim, &alternative)?;
                alternative.count = all.len();
                alternative.all = Some(all.into());
            }
            Some(mode) => return Err(format!("{at}: unsupported count mode {mode}")),
        }
        Ok(alternative)
    }
}
