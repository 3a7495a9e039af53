//! The integration tests, one binary: a module a subject.
#![allow(missing_docs, reason = "tests are read as stories, not as API documentation")]

// Without these there would be little to test, and it would look like success.
#[cfg(not(feature = "portable"))]
compile_error!("the tests need every part that needs only Rust: cargo test --features portable");

mod apply_kit;
mod bad_input;
mod client_conformance;
mod clients;
mod cluster;
mod determinism;
mod helm;
mod hooks;
mod https;
mod https_attacks;
mod https_shutdown;
mod in_process;
mod kube_apiserver_store;
mod kube_rs;
mod kube_rs_connect;
mod kube_rs_workflows;
mod kubectl;
mod kubectl_apply;
mod kubectl_cluster;
mod kubectl_connect;
mod kubectl_crd;
mod layers;
mod node_api;
mod node_kit;
mod node_lifecycle;
mod process_runtime;
mod proxy;
mod racing_store;
mod reconcile_garbage;
mod reconcile_kit;
mod reconcile_nodes;
mod reconcile_workloads;
mod remote;
mod rest;
mod rest_hostile;
mod rest_limits;
mod rest_metrics;
mod rest_negotiation;
mod rest_options;
mod rest_protobuf;
mod rest_sweep;
mod rest_watch_socket;
mod runtime;
mod sched;
mod server_admission;
mod server_apply;
mod server_apply_properties;
mod server_apply_scale;
mod server_apply_status;
mod server_authentication;
mod server_authorize;
mod server_broken;
mod server_compaction;
mod server_connect;
mod server_crd;
mod server_crd_https;
mod server_crd_versions;
mod server_custom;
mod server_delete;
mod server_get;
mod server_kinds;
mod server_kinds_cluster;
mod server_kit;
mod server_leases;
mod server_list;
mod server_list_tokens;
mod server_managed_fields;
mod server_pod_parts;
mod server_pods;
mod server_races;
mod server_read;
mod server_selectors;
mod server_service;
mod server_unchanged;
mod server_watch;
mod server_write;
mod sim_runtime;
mod store;
mod store_crash;
mod store_differential;
#[cfg(feature = "etcd")]
mod store_etcd;
#[cfg(feature = "etcd")]
mod store_etcd_cluster;
#[cfg(feature = "etcd-server")]
mod store_etcdctl;
#[cfg(feature = "etcd-server")]
mod store_facade;
#[cfg(feature = "etcd-server")]
mod store_facade_kit;
#[cfg(feature = "etcd-server")]
mod store_facade_watch;
mod store_history;
mod support;
