//! Admission: what may not be, though the caller may, and what is filled in on the way.
//!
//! An ordered chain of [`AdmissionPlugin`]s looks at every write, and at every connection that is opened:
//! first all of them may change what came in, then, when the kind's own rules have had their say, all of
//! them may refuse what came of it. Where that happens is Kubernetes' own order:
//!
//! | request | changes | refusals |
//! |---|---|---|
//! | create | the object, decoded and defaulted, before it has a generated name or uid | the object as it would be stored, once a try for a generated name |
//! | update, patch, apply | the object as it is to be, before the kind's strategy; the old one beside it | as it would be stored; also where nothing changes |
//! | delete | nothing (the old object is there) | the same, just after, behind the preconditions |
//! | a subresource of a kind of its own | the body: a Binding, an Eviction, a Scale, a TokenRequest | the same |
//! | connect | the options, as `PodExecOptions` has them | the same, just after |
//!
//! All of it happens again with what is there when another write was faster. What the server writes on its
//! own account after a decision, such as the deletion behind an eviction, is not looked at again.
//!
//! A step of one's own is a few lines:
//!
//! ```
//! use std::sync::Arc;
//!
//! use windlass::api::Status;
//! use windlass::server::ApiServer;
//! use windlass::server::admission::{AdmissionChain, AdmissionPlugin, AdmissionRequest, Operation};
//!
//! /// Config maps say who made them.
//! struct MadeBy;
//!
//! #[async_trait::async_trait]
//! impl AdmissionPlugin for MadeBy {
//!     fn name(&self) -> &str {
//!         "MadeBy"
//!     }
//!
//!     fn handles(&self, request: &AdmissionRequest<'_>) -> bool {
//!         request.operation() == Operation::Create && request.concerns("", "configmaps", "")
//!     }
//!
//!     async fn mutate(&self, request: &mut AdmissionRequest<'_>) -> Result<(), Status> {
//!         let user = request.identity().user.clone();
//!         if let Some(object) = request.object_mut() {
//!             object["metadata"]["annotations"]["example.com/made-by"] = user.into();
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # fn builder() -> Result<(), Box<dyn std::error::Error>> {
//! let chain = AdmissionChain::default().before("ResourceQuota", Arc::new(MadeBy))?;
//! let builder = ApiServer::builder().admission(chain);
//! # Ok(())
//! # }
//! ```
//!
//! Sources: `endpoints/handlers` and `registry/rest` of `k8s.io/apiserver` for the places,
//! `pkg/kubeapiserver/options/plugins.go` for the order, `plugin/pkg/admission` for the steps (1.36).

mod chain;
mod connect;
mod default_toleration_seconds;
mod namespace_lifecycle;
mod node_restriction;
mod plugin;
mod pod_references;
mod priority;
mod request;
mod run;
mod service_account;
mod taint_nodes;

pub use chain::{AdmissionChain, ORDER, PlacingError};
pub use default_toleration_seconds::DefaultTolerationSeconds;
pub use namespace_lifecycle::NamespaceLifecycle;
pub use node_restriction::NodeRestriction;
pub use plugin::AdmissionPlugin;
pub(crate) use priority::DefaultClass;
pub use priority::Priority;
pub use request::{AdmissionRequest, Operation};
pub use service_account::ServiceAccount;
pub use taint_nodes::TaintNodesByCondition;

pub(crate) use run::{body, connect, create, created, delete, scale, update, updated};
