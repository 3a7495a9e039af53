//! `/metrics`: under Kubernetes' names, of what was served.

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tower_service::Service;
use windlass::client::Identity;

use crate::support::{get, send, server, write};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The value of the one series of this name whose labels hold all of these.
fn value(page: &str, name: &str, labels: &[&str]) -> f64 {
    let mut found = page.lines().filter(|line| {
        let named = line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        named && labels.iter().all(|label| line.contains(label))
    });
    let line = found.next().unwrap_or_else(|| panic!("no {name} {labels:?} in {page}"));
    assert!(found.next().is_none(), "more than one {name} {labels:?}");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_was_served_is_counted() {
    let server = server().await;
    for name in ["a", "b"] {
        write(&server, Method::POST, MAPS, &json!({"metadata": {"name": name}})).await;
    }
    write(&server, Method::POST, &format!("{MAPS}?dryRun=All"), &json!({"metadata": {"name": "c"}})).await;
    assert_eq!(get(&server, &format!("{MAPS}/x"), &[]).await.code, 404);
    get(&server, MAPS, &[("user-agent", "kube-scheduler/v1.36.0")]).await;
    for number in 0..50 {
        get(&server, &format!("/api/v1/nopes-{number}"), &[]).await;
        get(&server, &format!("/nope/{number}"), &[]).await;
    }
    let watch =
        Request::get(format!("{MAPS}?watch=true&resourceVersion=0")).body(Full::<bytes::Bytes>::default());
    let mut watching = server.service(Identity::admin()).call(watch.unwrap()).await.unwrap().into_body();
    for _ in 0..2 {
        watching.frame().await.unwrap().unwrap();
    }

    let page = get(&server, "/metrics", &[]).await;
    assert_eq!(
        page.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    );
    let page = page.text;
    let total = |labels: &[&str]| value(&page, "apiserver_request_total", labels);
    let maps = r#"resource="configmaps""#;
    assert_eq!(
        total(&[maps, r#"verb="POST""#, r#"code="201""#, r#"dry_run="""#, r#"scope="resource""#]),
        2.0
    );
    assert_eq!(total(&[maps, r#"verb="POST""#, r#"code="201""#, r#"dry_run="All""#]), 1.0);
    assert_eq!(total(&[maps, r#"verb="GET""#, r#"code="404""#]), 1.0);
    assert_eq!(
        total(&[maps, r#"verb="LIST""#, r#"scope="namespace""#, r#"system_client="kube-scheduler""#]),
        1.0
    );
    let took = |suffix: &str| {
        let name = format!("apiserver_request_duration_seconds_{suffix}");
        let labels = [maps, r#"verb="POST""#, r#"dry_run="""#];
        let last = [labels.as_slice(), &[r#"le="+Inf""#]].concat();
        value(&page, &name, if suffix == "bucket" { last.as_slice() } else { labels.as_slice() })
    };
    assert_eq!((took("count"), took("bucket")), (2.0, 2.0));
    assert!(took("sum") > 0.0 && took("sum") < 60.0);
    assert!(value(&page, "apiserver_response_sizes_sum", &[maps, r#"verb="LIST""#]) > 100.0);
    assert_eq!(value(&page, "apiserver_longrunning_requests", &[maps, r#"verb="WATCH""#]), 1.0);
    assert_eq!(value(&page, "apiserver_watch_events_total", &[maps]), 2.0);
    assert_eq!(value(&page, "apiserver_storage_objects", &[maps]), 2.0);
    assert_eq!(value(&page, "apiserver_resource_objects", &[maps, r#"group="""#]), 2.0);
    assert!(value(&page, "apiserver_resource_size_estimate_bytes", &[maps]) > 100.0);
    assert!(value(&page, "apiserver_watch_cache_resource_version", &[maps]) > 2.0);
    assert_eq!(value(&page, "etcd_requests_total", &[maps, r#"operation="create""#]), 2.0);
    assert_eq!(value(&page, "etcd_request_duration_seconds_count", &[maps, r#"operation="create""#]), 2.0);
    assert!(value(&page, "apiserver_storage_size_bytes", &[r#"storage_cluster_id="etcd-0""#]) > 0.0);
    assert!(value(&page, "apiserver_current_inflight_requests", &[r#"request_kind="readOnly""#]) >= 1.0);
    if cfg!(target_os = "linux") {
        assert!(value(&page, "process_resident_memory_bytes", &[]) > 1e6);
        assert!(value(&page, "process_start_time_seconds", &[]) > 1.6e9);
    }
    // Paths make no series.
    assert!(!page.contains("nope"), "{page}");
    assert_eq!(total(&[r#"code="404""#, r#"resource="""#, r#"scope="cluster""#]), 50.0);

    drop(watching);
    let page = get(&server, "/metrics", &[("accept", "application/openmetrics-text; version=1.0.0")]).await;
    assert!(
        page.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
    assert!(page.text.ends_with("# EOF\n"));
    assert!(page.text.contains("# TYPE apiserver_request counter\napiserver_request_total{"));
    assert_eq!(value(&page.text, "apiserver_longrunning_requests", &[maps, r#"verb="WATCH""#]), 0.0);
    assert_eq!(
        value(&page.text, "apiserver_request_total", &[maps, r#"verb="WATCH""#, r#"code="200""#]),
        1.0
    );
}

#[tokio::test]
async fn metrics_are_not_everybodys() {
    let server = server().await;
    for who in [Identity::anonymous(), Identity::user("user-a")] {
        let reply = send(&server, who, Method::GET, "/metrics", &[], "").await;
        assert_eq!(reply.failure().0, 403);
    }
}

#[tokio::test]
async fn every_line_is_one_that_prometheus_reads() {
    let server = server().await;
    get(&server, MAPS, &[]).await;
    let page = get(&server, "/metrics", &[]).await.text;
    let mut family = String::new();
    for line in page.lines() {
        if let Some(told) = line.strip_prefix("# HELP ") {
            let name = told.split(' ').next().unwrap().to_owned();
            assert!(told.len() > name.len() + 1, "{line}");
            family = name;
        } else if let Some(told) = line.strip_prefix("# TYPE ") {
            assert!(told.starts_with(&format!("{family} ")), "{line}");
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let suffixes = ["", "_bucket", "_sum", "_count"];
            assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{line} in {family}");
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        }
    }
}
