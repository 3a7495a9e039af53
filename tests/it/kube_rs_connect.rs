//! kube-rs's streams against a cluster in this process: no socket, each connection a pipe.

use std::time::Duration;

use futures_util::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, AttachParams, LogParams};
use kube::runtime::wait::await_condition;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass::client::Identity;
use windlass::cluster::{Cluster, Simulated};
use windlass::env::Clock;
use windlass::runtime::LogStreamKind;
use windlass::runtime::sim::{Answer, Output, Script, Scripts, Served};

/// A cluster with a pod that answers, serves and prints, and the pods of kube-rs.
async fn bench() -> (Cluster, Api<Pod>) {
    let scripts = Scripts::new();
    let served = Served { port: 80, open_after: Duration::ZERO, ready_after: Duration::ZERO };
    let tick = Output {
        after: Duration::ZERO,
        every: Some(Duration::from_secs(1)),
        stream: LogStreamKind::Stdout,
        text: "tick\n".into(),
    };
    let script = Script::new()
        .answers(["cat"], Answer { echo: true, ..Answer::default() })
        .answers(["fail"], Answer { code: 7, stderr: "no".into(), ..Answer::default() })
        .prints(tick)
        .serves(served);
    scripts.script("web:1", script).unwrap();
    let machines = Simulated::new(scripts);
    let cluster = Cluster::builder().nodes(1).machines(machines).start().await.unwrap();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]}});
    cluster.apply("pod.json", &pod.to_string()).await.unwrap();
    let client = Client::new(cluster.server().service(Identity::admin()), "default");
    let pods: Api<Pod> = Api::default_namespaced(client);
    let running = kube::runtime::conditions::is_pod_running();
    await_condition(pods.clone(), "web", running).await.unwrap();
    (cluster, pods)
}

#[tokio::test]
async fn commands_run_and_say_how_they_ended() {
    let (cluster, pods) = bench().await;
    let params = AttachParams::default().stdin(true).stderr(false);
    let mut cat = pods.exec("web", ["cat"], &params).await.unwrap();
    let (mut stdin, mut stdout) = (cat.stdin().unwrap(), cat.stdout().unwrap());
    let much = "x".repeat(300_000);
    let say = async {
        stdin.write_all(much.as_bytes()).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let mut back = String::new();
    let (_, read) = tokio::join!(say, stdout.read_to_string(&mut back));
    read.unwrap();
    assert!(back == much, "{} bytes", back.len());
    let status = cat.take_status().unwrap().await.unwrap();
    assert_eq!(status.status.as_deref(), Some("Success"));

    let mut fail = pods.exec("web", ["fail"], &AttachParams::default()).await.unwrap();
    let mut stderr = String::new();
    fail.stderr().unwrap().read_to_string(&mut stderr).await.unwrap();
    assert_eq!(stderr, "no");
    let status = fail.take_status().unwrap().await.unwrap();
    assert_eq!(status.reason.as_deref(), Some("NonZeroExitCode"));
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_printed_is_followed_and_attached_to() {
    let (cluster, pods) = bench().await;
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream("web", &follow).await.unwrap().lines();
    for _ in 0..2 {
        assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("tick"));
    }
    drop(lines);
    let tail = LogParams { tail_lines: Some(1), ..LogParams::default() };
    assert_eq!(pods.logs("web", &tail).await.unwrap(), "tick\n");

    let mut attached = pods.attach("web", &AttachParams::default()).await.unwrap();
    let mut five = [0; 5];
    attached.stdout().unwrap().read_exact(&mut five).await.unwrap();
    assert_eq!(&five, b"tick\n");
    attached.abort();
    cluster.shutdown().await;
}

#[tokio::test]
async fn ports_are_forwarded() {
    let (cluster, pods) = bench().await;
    let mut forwarder = pods.portforward("web", &[80, 81]).await.unwrap();
    let mut stream = forwarder.take_stream(80).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut twelve = [0; 12];
    stream.read_exact(&mut twelve).await.unwrap();
    assert_eq!(&twelve, b"HTTP/1.1 200");
    let why = forwarder.take_error(81).unwrap().await.unwrap();
    assert!(why.starts_with("error forwarding port 81 to pod web, uid "), "{why}");
    drop(stream);
    let ended = Clock::system().timeout(Duration::from_secs(60), forwarder.join()).await;
    assert!(ended.is_ok(), "the forwarder ends with its streams");
    cluster.shutdown().await;
}
