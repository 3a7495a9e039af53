//! Unmodified kubectl where its connections become streams: port-forward, exec, attach, debug, proxy. By
//! WebSocket, as it does by itself, and by SPDY, as it did before and does where it is told to.

use std::net::{IpAddr, SocketAddr};

use futures_util::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use windlass::client::{Api, Event, WatchOptions};
use windlass::env::Tasks;

use crate::kubectl_cluster::{Bench, SOON};
use crate::support::kubectl::text;

/// How kubectl is told to speak SPDY.
const SPDY: [(&str, &str); 2] =
    [("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false"), ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false")];

const SLEEPER: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: sleeper, labels: {app: sleeper}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: host
    command: [/bin/sleep, "3600"]
    resources: {requests: {cpu: 100m, memory: 16Mi}}
"#;

/// A pod that sleeps, at an address where the test itself can listen: pods of this runtime are processes
/// with addresses of this machine.
async fn sleeper(bench: &Bench) -> IpAddr {
    bench.feed(&["apply", "-f", "-"], SLEEPER).await;
    bench.run(&["wait", "pod/sleeper", "--for=condition=Ready", SOON]).await;
    let address = bench.run(&["get", "pod", "sleeper", "-o", "jsonpath={.status.podIP}"]).await;
    address.parse().unwrap()
}

/// Says back what it hears, until it hears nothing more.
async fn echo(address: IpAddr, tasks: &Tasks) -> u16 {
    let listener = TcpListener::bind(SocketAddr::new(address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let all = tasks.clone();
    tasks.spawn("echo", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            all.spawn("echo", async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            });
        }
    });
    port
}

/// Answers each request with its first line and the headers that a proxy adds.
async fn pages(address: IpAddr, tasks: &Tasks) -> u16 {
    let listener = TcpListener::bind(SocketAddr::new(address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let all = tasks.clone();
    tasks.spawn("pages", async move {
        while let Ok((stream, _)) = listener.accept().await {
            all.spawn("page", async move {
                let mut lines = BufReader::new(stream);
                let (mut head, mut line) = (String::new(), String::new());
                while lines.read_line(&mut line).await.unwrap_or(0) > 2 {
                    if head.is_empty() || line.to_ascii_lowercase().starts_with("x-forwarded-") {
                        head.push_str(&line);
                    }
                    line.clear();
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{head}",
                    head.len()
                );
                let _ = lines.get_mut().write_all(answer.as_bytes()).await;
            });
        }
    });
    port
}

fn spoken(bench: &Bench, spdy: bool, arguments: &[&str]) -> Command {
    let mut command = bench.command(arguments);
    if spdy {
        command.envs(SPDY);
    }
    command
}

/// kubectl that forwards these ports of the sleeper, and where it listens for each.
async fn forward(bench: &Bench, spdy: bool, ports: &[u16]) -> (Child, Vec<u16>) {
    let pairs: Vec<_> = ports.iter().map(|port| format!(":{port}")).collect();
    let arguments: Vec<_> = ["port-forward", "--address=127.0.0.1", "sleeper"]
        .into_iter()
        .chain(pairs.iter().map(String::as_str))
        .collect();
    let mut child = spoken(bench, spdy, &arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut local = Vec::new();
    while local.len() < ports.len() {
        let line = lines.next_line().await.unwrap().expect("kubectl forwards");
        let here = line.strip_prefix("Forwarding from 127.0.0.1:").expect(&line);
        local.push(here.split(' ').next().unwrap().parse().unwrap());
    }
    // Nobody reads on: what else it says fits into the pipe.
    child.stdout = Some(lines.into_inner().into_inner());
    (child, local)
}

async fn ask(port: u16, said: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut back = Vec::new();
    let send = async {
        writer.write_all(said).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let (_, read) = tokio::join!(send, reader.read_to_end(&mut back));
    read.unwrap();
    back
}

/// The answer to a request of HTTP/1.0, whose sender stays until it has it: kubectl takes one that has said all
/// for one that is gone.
async fn fetch(port: u16, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    back
}

/// Waits until a service has an endpoint that is ready.
async fn ready(bench: &Bench, service: &str) {
    let slices = Api::<EndpointSlice>::namespaced(bench.cluster.client(), "default");
    let mut events = slices.watch(WatchOptions::default()).await.unwrap();
    loop {
        let (Event::Added(slice) | Event::Modified(slice)) = events.next().await.unwrap().unwrap() else {
            continue;
        };
        let labels = slice.metadata.labels.clone().unwrap_or_default();
        let ready = slice
            .endpoints
            .iter()
            .flatten()
            .any(|one| one.conditions.as_ref().is_some_and(|conditions| conditions.ready == Some(true)));
        if ready && labels.get("kubernetes.io/service-name").is_some_and(|name| name == service) {
            return;
        }
    }
}

#[tokio::test]
async fn ports_are_forwarded_many_at_a_time() {
    let Some(bench) = Bench::of("kubectl_connect::ports_are_forwarded_many_at_a_time").await else { return };
    let address = sleeper(&bench).await;
    let tasks = Tasks::new();
    let (one, other) = (echo(address, &tasks).await, pages(address, &tasks).await);
    for spdy in [false, true] {
        let (mut kubectl, local) = forward(&bench, spdy, &[one, other]).await;
        let much: Vec<u8> = (0..1 << 20).map(|number: u32| (number % 251) as u8).collect();
        let many = (0..8).map(|number: u32| ask(local[0], &much[usize::try_from(number).unwrap()..]));
        for (number, back) in futures_util::future::join_all(many).await.into_iter().enumerate() {
            assert!(back == much[number..], "spdy {spdy}: {} bytes of {}", back.len(), much.len() - number);
        }
        let page = ask(local[1], b"GET /x HTTP/1.0\r\n\r\n").await;
        assert!(text(&page).ends_with("GET /x HTTP/1.0\r\n"), "spdy {spdy}: {}", text(&page));
        kubectl.kill().await.unwrap();
    }
    tasks.shutdown().await;
    bench.done().await;
}

#[tokio::test]
async fn a_port_where_nobody_listens_says_so() {
    let Some(bench) = Bench::of("kubectl_connect::a_port_where_nobody_listens_says_so").await else { return };
    let address = sleeper(&bench).await;
    let closed = {
        let listener = TcpListener::bind(SocketAddr::new(address, 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    for spdy in [false, true] {
        let (mut kubectl, local) = forward(&bench, spdy, &[closed]).await;
        let mut complaints = BufReader::new(kubectl.stderr.take().unwrap()).lines();
        assert_eq!(ask(local[0], b"hello").await, b"");
        let said = loop {
            let line = complaints.next_line().await.unwrap().expect("kubectl complains");
            if line.contains("error forwarding port") {
                break line;
            }
        };
        let why = format!("failed to connect to {address}:{closed}: Connection refused");
        assert!(said.contains(&why) && said.contains("to pod sleeper, uid "), "spdy {spdy}: {said}");
        kubectl.kill().await.unwrap();
    }
    bench.done().await;
}

#[tokio::test]
async fn commands_run_over_spdy_as_over_websockets() {
    let Some(bench) = Bench::of("kubectl_connect::commands_run_over_spdy_as_over_websockets").await else {
        return;
    };
    sleeper(&bench).await;
    let much = "x".repeat(1 << 20);
    for spdy in [false, true] {
        let run = async |arguments: &[&str], input: &str| {
            let mut child = spoken(&bench, spdy, arguments).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            let feed = async {
                let _ = stdin.write_all(input.as_bytes()).await;
                drop(stdin);
            };
            tokio::join!(feed, child.wait_with_output()).1.unwrap()
        };
        let counted = run(&["exec", "-i", "sleeper", "--", "/usr/bin/wc", "-c"], &much).await;
        assert_eq!(text(&counted.stdout).trim(), "1048576", "spdy {spdy}: {}", text(&counted.stderr));
        let script = "echo out; echo err >&2; exit 3";
        let ended = run(&["exec", "sleeper", "--", "/bin/sh", "-c", script], "").await;
        assert_eq!((ended.status.code(), text(&ended.stdout).as_str()), (Some(3), "out\n"), "spdy {spdy}");
        assert_eq!(text(&ended.stderr), "err\ncommand terminated with exit code 3\n", "spdy {spdy}");
        let said = run(&["exec", "sleeper", "--", "/usr/bin/head", "-c", "300000", "/dev/zero"], "").await;
        assert_eq!(said.stdout.len(), 300_000, "spdy {spdy}");
        let missing = run(&["exec", "sleeper", "--", "/no/such/program"], "").await;
        assert!(text(&missing.stderr).contains("/no/such/program"), "spdy {spdy}: {}", text(&missing.stderr));
    }
    bench.done().await;
}

#[tokio::test]
async fn containers_are_typed_into_and_debugged() {
    let Some(bench) = Bench::of("kubectl_connect::containers_are_typed_into_and_debugged").await else {
        return;
    };
    sleeper(&bench).await;
    for (name, spdy) in [("typed-a", false), ("typed-b", true)] {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "host", "command": ["/bin/cat"], "stdin": true, "stdinOnce": true}],
        }});
        bench.feed(&["apply", "-f", "-"], &pod.to_string()).await;
        bench.run(&["wait", &format!("pod/{name}"), "--for=condition=Ready", SOON]).await;
        let mut attach = spoken(&bench, spdy, &["attach", "-i", name]).spawn().unwrap();
        let mut stdin = attach.stdin.take().unwrap();
        let mut lines = BufReader::new(attach.stdout.take().unwrap()).lines();
        for line in ["one", "two"] {
            stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
            assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(line), "spdy {spdy}");
        }
        drop(stdin);
        // Its input ends with the first who typed, and so does what copies it.
        assert_eq!(lines.next_line().await.unwrap(), None);
        assert!(attach.wait().await.unwrap().success(), "spdy {spdy}");
        bench.run(&["wait", &format!("pod/{name}"), "--for=jsonpath={.status.phase}=Succeeded", SOON]).await;
        assert_eq!(bench.run(&["logs", name]).await, "one\ntwo\n");
    }

    let debug = ["debug", "sleeper", "--image=host", "--container=look", "--profile=general", "--"];
    bench.run(&[&debug[..], &["/bin/echo", "hello"]].concat()).await;
    let ended = "--for=jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}=0";
    bench.run(&["wait", "pod/sleeper", ended, SOON]).await;
    assert_eq!(bench.run(&["logs", "sleeper", "-c", "look"]).await, "hello\n");
    let pod = bench.json(&["get", "pod", "sleeper"]).await;
    assert_eq!(pod["spec"]["ephemeralContainers"][0]["name"], "look");
    assert_eq!(pod["status"]["phase"], "Running", "nobody waits for it");
    // It stays, and stays as it is.
    let remove = r#"[{"op":"remove","path":"/spec/ephemeralContainers"}]"#;
    let patch = ["patch", "pod", "sleeper", "--subresource=ephemeralcontainers", "--type=json", "-p", remove];
    let kept = bench.fail(&patch, "").await;
    assert!(kept.contains("existing ephemeral containers \"look\" may not be removed"), "{kept}");
    let typed = bench
        .feed(
            &[
                "debug",
                "-i",
                "sleeper",
                "--image=host",
                "-c",
                "typed",
                "--profile=general",
                "--",
                "/usr/bin/head",
                "-n1",
            ],
            "hi\n",
        )
        .await;
    assert!(typed.ends_with("hi\n"), "{typed}");
    bench.done().await;
}

#[tokio::test]
async fn a_pod_is_given_more_and_told_when_there_is_none() {
    let Some(bench) = Bench::of("kubectl_connect::a_pod_is_given_more_and_told_when_there_is_none").await
    else {
        return;
    };
    sleeper(&bench).await;
    let resize = async |cpu: &str| {
        let patch =
            json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]}});
        bench.run(&["patch", "pod", "sleeper", "--subresource=resize", "-p", &patch.to_string()]).await;
    };
    resize("200m").await;
    let given = "--for=jsonpath={.status.containerStatuses[0].allocatedResources.cpu}";
    bench.run(&["wait", "pod/sleeper", &format!("{given}=200m"), SOON]).await;
    resize("64").await;
    bench.run(&["wait", "pod/sleeper", "--for=condition=PodResizePending", SOON]).await;
    let pod = bench.json(&["get", "pod", "sleeper"]).await;
    let pending: Vec<&Value> = pod["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["type"] == "PodResizePending")
        .collect();
    assert_eq!(pending[0]["reason"], "Infeasible");
    assert_eq!(
        pending[0]["message"],
        "Node didn't have enough capacity: cpu, requested: 64000, capacity: 4000"
    );
    assert_eq!(
        pod["status"]["containerStatuses"][0]["allocatedResources"]["cpu"], "200m",
        "it has what it had"
    );
    resize("300m").await;
    bench.run(&["wait", "pod/sleeper", &format!("{given}=300m"), SOON]).await;
    let pod = bench.json(&["get", "pod", "sleeper"]).await;
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().all(|one| one["type"] != "PodResizePending"), "{pod}");
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);
    bench.done().await;
}

#[tokio::test]
async fn pods_services_and_nodes_are_reached_through_the_server() {
    let Some(bench) =
        Bench::of("kubectl_connect::pods_services_and_nodes_are_reached_through_the_server").await
    else {
        return;
    };
    let address = sleeper(&bench).await;
    let tasks = Tasks::new();
    let port = pages(address, &tasks).await;
    let pod = format!("/api/v1/namespaces/default/pods/sleeper:{port}/proxy");
    let page = bench.run(&["get", "--raw", &format!("{pod}/a%20b/?c=d")]).await;
    let mut told: Vec<_> = page.lines().collect();
    told.sort_unstable();
    let uri = format!("x-forwarded-uri: {pod}/a%20b/");
    assert_eq!(told, ["GET /a%20b/?c=d HTTP/1.1", "x-forwarded-for: 127.0.0.1", &uri]);

    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
        "selector": {"app": "sleeper"}, "ports": [{"name": "http", "port": 80, "targetPort": port}]}});
    bench.feed(&["apply", "-f", "-"], &service.to_string()).await;
    ready(&bench, "web").await;
    for name in ["web:http", "web:80", "http:web:80"] {
        let raw = format!("/api/v1/namespaces/default/services/{name}/proxy/x");
        let page = bench.run(&["get", "--raw", &raw]).await;
        assert!(page.starts_with("GET /x HTTP/1.1\r\n"), "{name}: {page}");
    }
    let missing =
        bench.fail(&["get", "--raw", "/api/v1/namespaces/default/services/web:81/proxy/"], "").await;
    assert!(missing.contains("no service port 81 found for service \"web\""), "{missing}");
    assert_eq!(bench.run(&["get", "--raw", "/api/v1/nodes/node-1/proxy/healthz"]).await, "ok");

    let mut proxy = bench.command(&["proxy", "--port=0"]).spawn().unwrap();
    let mut lines = BufReader::new(proxy.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let local: u16 = line.rsplit(':').next().unwrap().trim().parse().expect(&line);
    let request = format!("GET {pod}/through HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let page = text(&fetch(local, &request).await);
    assert!(page.contains("GET /through HTTP/1.1"), "{page}");
    proxy.kill().await.unwrap();
    tasks.shutdown().await;
    bench.done().await;
}
