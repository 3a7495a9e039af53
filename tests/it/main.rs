//! The integration tests, one binary: a module a subject.
#![allow(missing_docs, reason = "tests are read as stories, not as API documentation")]

mod https;
mod kube_rs;
mod kubectl;
mod layers;
#[cfg(feature = "sim")]
mod node_api;
#[cfg(feature = "sim")]
mod node_kit;
#[cfg(feature = "sim")]
mod node_lifecycle;
#[cfg(all(feature = "process", target_os = "linux"))]
mod process_runtime;
#[cfg(all(feature = "process", feature = "server", target_os = "linux"))]
mod proxy;
mod reconcile_garbage;
mod reconcile_kit;
mod reconcile_nodes;
mod reconcile_workloads;
mod rest;
mod runtime;
mod server_authorize;
mod server_custom;
mod server_delete;
mod server_kit;
mod server_pods;
mod server_read;
mod server_service;
mod server_write;
#[cfg(feature = "sim")]
mod sim_runtime;
mod store;
mod support;
