//! Kubernetes as a Rust library: composable orchestration primitives.
//!
//! Every piece speaks Kubernetes' own contract at its edges, so each can be exchanged for the
//! real one: the store for etcd, the API server for kube-apiserver, the scheduler, the
//! reconcilers and the node agent for theirs. The modules below stand in the order in which a
//! manifest travels through them, and each may import only what stands above it (`tests/` holds
//! the exact edges as data and checks them).
//!
//! | layer | module | what lives there |
//! |---|---|---|
//! | ground | [`mod@env`] | the only doors to time, chance and concurrency |
//! | vocabulary | [`api`] | objects, the scheme, schemas, patches, selectors, validation, manifests |
//! | state | [`store`] | ordered keys, revisions and watches on etcd's contract; the object cache above |
//! | access | [`client`] | one `call`, typed sugar, informers, the way to a node agent |
//! | control plane | `server` | the API server: in process, as REST, as a tower service |
//! | workers | [`reconcile`], [`sched`] | controllers; the scheduling framework |
//! | machine | [`runtime`], [`net`] | containers and sandboxes; addresses, services |
//! | node | [`node`] | bound pods become containers, containers become status |
//! | assembly | `cluster` | all of it in one process, or one role in each |
//! | proof | `sim` | virtual time, seeds, histories, invariants |
//!
//! ARCHITECTURE.md follows one manifest through these modules and lists what is deliberately
//! absent from each.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod env;

pub mod api;

pub mod store;

pub mod client;

#[cfg(feature = "server")]
pub mod server;

pub mod reconcile;
pub mod sched;

pub mod net;
pub mod runtime;

pub mod node;

#[cfg(feature = "server")]
pub mod cluster;

#[cfg(feature = "sim")]
pub mod sim;

pub use k8s_openapi;
pub use kube_core;
