//! The chain: steps in an order.

use std::fmt;
use std::sync::Arc;

use super::{
    AdmissionPlugin, AdmissionRequest, DefaultTolerationSeconds, NamespaceLifecycle, NodeRestriction,
    Priority, ServiceAccount,
};
use crate::api::Status;

/// The names of Kubernetes' own steps, in the order in which they run. A place is kept for each, whether
/// or not there is a step in it.
///
/// Source: `AllOrderedPlugins` of `k8s.io/kubernetes/pkg/kubeapiserver/options` (1.36).
pub const ORDER: [&str; 41] = [
    "AlwaysAdmit",
    "NamespaceAutoProvision",
    NamespaceLifecycle::NAME,
    "NamespaceExists",
    "LimitPodHardAntiAffinityTopology",
    "LimitRanger",
    ServiceAccount::NAME,
    NodeRestriction::NAME,
    super::TaintNodesByCondition::NAME,
    "AlwaysPullImages",
    "ImagePolicyWebhook",
    "PodSecurity",
    "PodNodeSelector",
    Priority::NAME,
    DefaultTolerationSeconds::NAME,
    "PodTolerationRestriction",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PodGroupProtection",
    "OwnerReferencesPermissionEnforcement",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "DenyServiceExternalIPs",
    "PodTopologyLabels",
    "PodGroupWorkloadExists",
    "NodeDeclaredFeatureValidator",
    "JobValidation",
    "PodResizeValidator",
    FIRST_OF_THE_LAST,
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
    "AlwaysDeny",
];

/// What has no place of its own comes before this one: policies, webhooks and quota see what all others
/// have made of an object.
const FIRST_OF_THE_LAST: &str = "MutatingAdmissionPolicy";

/// Steps of admission, in the order in which they run.
///
/// [`AdmissionChain::default`] holds those of [`ORDER`] that this server has: custom resources and
/// namespaces that are going, service accounts, what nodes may touch, priorities, tolerations.
#[derive(Clone)]
pub struct AdmissionChain {
    places: Vec<Place>,
}

#[derive(Clone)]
struct Place {
    name: String,
    plugin: Option<Arc<dyn AdmissionPlugin>>,
    /// Whether it came with the server: such steps leave objects as their kind has them.
    built_in: bool,
}

/// A step could not be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacingError {
    /// The chain has no place of this name.
    #[error("the admission chain has no place {0:?}")]
    Unknown(String),
    /// There is a step of this name already.
    #[error("the admission chain has a step {0:?} already")]
    Taken(String),
}

impl AdmissionChain {
    /// Kubernetes' order, with nothing in it: everything is admitted as it comes.
    #[must_use]
    pub fn empty() -> Self {
        let place = |name: &&str| Place { name: (*name).to_owned(), plugin: None, built_in: false };
        Self { places: ORDER.iter().map(place).collect() }
    }

    /// The names of the steps, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter(|place| place.plugin.is_some()).map(|place| place.name.as_str())
    }

    /// The same, and this step: in the place of its name, where Kubernetes' order has one, else behind all
    /// but policies, webhooks and quota. A step of the same name that is there already gives way.
    #[must_use]
    pub fn with(mut self, plugin: Arc<dyn AdmissionPlugin>) -> Self {
        let place = Place::of(plugin);
        match self.position(&place.name) {
            Some(position) => self.places[position] = place,
            None => {
                let last = self.position(FIRST_OF_THE_LAST).unwrap_or(self.places.len());
                self.places.insert(last, place);
            }
        }
        self
    }

    /// The same, and this step just before a place, be there a step in it or not.
    ///
    /// # Errors
    ///
    /// Where the chain has no such place, or a step of this name elsewhere.
    pub fn before(self, place: &str, plugin: Arc<dyn AdmissionPlugin>) -> Result<Self, PlacingError> {
        self.insert(place, 0, plugin)
    }

    /// The same, and this step just behind a place, be there a step in it or not.
    ///
    /// # Errors
    ///
    /// Where the chain has no such place, or a step of this name elsewhere.
    pub fn after(self, place: &str, plugin: Arc<dyn AdmissionPlugin>) -> Result<Self, PlacingError> {
        self.insert(place, 1, plugin)
    }

    /// The same, with this step in a place of another name.
    ///
    /// # Errors
    ///
    /// Where the chain has no such place, or a step of this name elsewhere.
    pub fn replace(self, place: &str, plugin: Arc<dyn AdmissionPlugin>) -> Result<Self, PlacingError> {
        self.without(place)?.insert(place, 1, plugin)
    }

    /// The same, without the step in a place, which stays.
    ///
    /// # Errors
    ///
    /// Where the chain has no such place.
    pub fn without(mut self, place: &str) -> Result<Self, PlacingError> {
        let position = self.position(place).ok_or_else(|| PlacingError::Unknown(place.to_owned()))?;
        self.places[position].plugin = None;
        Ok(self)
    }

    fn insert(
        mut self,
        place: &str,
        offset: usize,
        plugin: Arc<dyn AdmissionPlugin>,
    ) -> Result<Self, PlacingError> {
        let new = Place::of(plugin);
        if let Some(position) = self.position(&new.name) {
            if self.places[position].plugin.is_some() {
                return Err(PlacingError::Taken(new.name));
            }
            // Its own place moves, unless it is the one to count from.
            if new.name != place {
                self.places.remove(position);
            }
        }
        let position = self.position(place).ok_or_else(|| PlacingError::Unknown(place.to_owned()))?;
        if new.name == place {
            self.places[position] = new;
        } else {
            self.places.insert(position + offset, new);
        }
        Ok(self)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.places.iter().position(|place| place.name == name)
    }

    /// Lets all steps change the object. Answers whether it has to be brought into its kind's form again,
    /// since one that did not come with the server had its hands on it.
    ///
    /// Source: `reinvoker` of `k8s.io/apiserver/pkg/admission` (1.36).
    pub(super) async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<bool, Status> {
        let mut foreign = false;
        loop {
            for (plugin, built_in) in self.plugins() {
                if plugin.handles(request) {
                    request.notes().changed = false;
                    plugin.mutate(request).await?;
                    foreign |= !built_in && request.notes().changed;
                }
            }
            let asked = std::mem::take(&mut request.notes().reinvoke);
            if !asked || request.again {
                return Ok(foreign);
            }
            request.again = true;
        }
    }

    /// Lets all steps refuse.
    pub(super) async fn validate(&self, request: &AdmissionRequest<'_>) -> Result<(), Status> {
        for (plugin, _) in self.plugins() {
            if plugin.handles(request) {
                plugin.validate(request).await?;
            }
        }
        Ok(())
    }

    fn plugins(&self) -> impl Iterator<Item = (&Arc<dyn AdmissionPlugin>, bool)> {
        self.places.iter().filter_map(|place| Some((place.plugin.as_ref()?, place.built_in)))
    }
}

impl Place {
    fn of(plugin: Arc<dyn AdmissionPlugin>) -> Self {
        Self { name: plugin.name().to_owned(), plugin: Some(plugin), built_in: false }
    }
}

impl Default for AdmissionChain {
    fn default() -> Self {
        let steps: [Arc<dyn AdmissionPlugin>; 5] = [
            Arc::new(NamespaceLifecycle),
            Arc::new(ServiceAccount::default()),
            Arc::new(NodeRestriction),
            Arc::new(Priority),
            Arc::new(DefaultTolerationSeconds::default()),
        ];
        let mut chain = steps.into_iter().fold(Self::empty(), Self::with);
        for place in &mut chain.places {
            place.built_in = place.plugin.is_some();
        }
        chain
    }
}

impl fmt::Debug for AdmissionChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str);

    impl AdmissionPlugin for Named {
        fn name(&self) -> &str {
            self.0
        }
    }

    fn names(chain: &AdmissionChain) -> Vec<&str> {
        chain.names().collect()
    }

    fn step(name: &'static str) -> Arc<dyn AdmissionPlugin> {
        Arc::new(Named(name))
    }

    #[test]
    fn kubernetes_order_holds_whatever_comes_first() {
        let chain = AdmissionChain::default();
        let own = [
            "NamespaceLifecycle",
            "ServiceAccount",
            "NodeRestriction",
            "Priority",
            "DefaultTolerationSeconds",
        ];
        assert_eq!(names(&chain), own);
        let chain = chain.with(step("ResourceQuota")).with(step("LimitRanger")).with(step("Mine"));
        let found = names(&chain);
        let at = |name: &str| found.iter().position(|own| *own == name).unwrap();
        assert!(at("NamespaceLifecycle") < at("LimitRanger") && at("LimitRanger") < at("ServiceAccount"));
        assert!(at("DefaultTolerationSeconds") < at("Mine") && at("Mine") < at("ResourceQuota"));
    }

    #[test]
    fn steps_are_placed_by_name_also_where_nothing_stands() {
        let chain = AdmissionChain::empty().before("PodSecurity", step("a")).unwrap();
        let chain = chain.after("PodSecurity", step("b")).unwrap().before("a", step("c")).unwrap();
        assert_eq!(names(&chain), ["c", "a", "b"]);
        let chain = chain.replace("a", step("d")).unwrap();
        assert_eq!(names(&chain), ["c", "d", "b"]);
        let chain = chain.without("c").unwrap();
        assert_eq!(names(&chain), ["d", "b"]);
        let lost = chain.clone().before("nowhere", step("x")).unwrap_err();
        assert_eq!(lost, PlacingError::Unknown("nowhere".into()));
        assert_eq!(chain.after("b", step("d")).unwrap_err(), PlacingError::Taken("d".into()));
    }

    #[test]
    fn a_step_replaces_the_one_of_its_name() {
        let chain = AdmissionChain::default().with(step("Priority"));
        assert_eq!(names(&chain), names(&AdmissionChain::default()));
        let chain = AdmissionChain::default().replace("Priority", step("Priority")).unwrap();
        assert_eq!(names(&chain), names(&AdmissionChain::default()));
        let chain = AdmissionChain::default().without("ServiceAccount").unwrap();
        assert!(!names(&chain).contains(&"ServiceAccount"));
    }
}
