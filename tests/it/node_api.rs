//! The kubelet's API of an agent, spoken as bytes: logs, exec, port-forward.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use windlass::node::NodeAgent;
use windlass::runtime::sim::{Answer, Delay, Life, Script, Served};

use crate::node_kit::{Machine, is, phase, state};

fn dial(machine: &Machine, agent: &NodeAgent) -> DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    machine.env.tasks.spawn("agent", agent.serve_connection(Box::new(far)));
    near
}

/// Status and body of a GET; the body of one that goes on is what came until it ended.
async fn get(machine: &Machine, agent: &NodeAgent, path: &str) -> (u16, String) {
    let mut io = dial(machine, agent);
    let request = format!("GET {path} HTTP/1.0\r\nHost: n1\r\n\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    io.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn socket(
    machine: &Machine,
    agent: &NodeAgent,
    path: &str,
    protocol: &str,
) -> Result<WebSocketStream<DuplexStream>, String> {
    let mut io = dial(machine, agent);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: n1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {protocol}\r\n\r\n"
    );
    io.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    if !head.starts_with("HTTP/1.1 101") {
        return Err(head);
    }
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    assert!(head.contains(protocol), "{head}");
    Ok(WebSocketStream::from_raw_socket(io, Role::Client, None).await)
}

/// Everything that comes on each channel until the socket ends, in peace: kubectl takes any other
/// end for a failure.
async fn drain(socket: &mut WebSocketStream<DuplexStream>) -> Vec<(u8, String)> {
    let (mut came, mut goodbye) = (Vec::new(), None);
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(bytes) if bytes.len() > 1 => {
                came.push((bytes[0], String::from_utf8_lossy(&bytes[1..]).into_owned()));
            }
            Message::Close(frame) => goodbye = frame.map(|frame| frame.code),
            _ => {}
        }
    }
    assert_eq!(goodbye, Some(CloseCode::Normal));
    came
}

async fn machine(script: Script) -> (Machine, NodeAgent) {
    let machine = Machine::new([("img", script)]).await;
    let agent = machine.agent().await;
    machine.run("web", json!({"containers": [{"name": "app", "image": "img"}]})).await;
    machine.until("web", "started", |pod| is(pod, "app", "ready") || state(pod, "app").1 > 0).await;
    (machine, agent)
}

#[tokio::test(start_paused = true)]
async fn logs_of_what_runs_and_of_what_ran_before() {
    let end = Life::Exits { after: Delay::NONE, code: 1 };
    let (machine, agent) = machine(Script::new().lives([end, Life::Forever]).says("one")).await;
    machine.until("web", "back", |pod| state(pod, "app") == ("ready".into(), 1)).await;
    let log =
        async |query: &str| get(&machine, &agent, &format!("/containerLogs/default/web/app{query}")).await;
    assert_eq!(log("").await, (200, "one\n".into()));
    assert_eq!(log("?previous=true").await, (200, "one\n".into()));
    assert_eq!(log("?limitBytes=2").await, (200, "on".into()));
    assert_eq!(log("?tailLines=0").await, (200, String::new()));
    let stamped = log("?timestamps=true").await.1;
    assert!(stamped.starts_with("2020-01-01T00:00:0") && stamped.ends_with("Z one\n"), "{stamped}");
    let missing = get(&machine, &agent, "/containerLogs/default/web/no").await;
    assert_eq!(missing, (404, "container \"no\" not found in pod \"web\"".into()));
    let missing = get(&machine, &agent, "/containerLogs/default/no/app").await;
    assert_eq!(missing, (404, "pod \"no\" does not exist".into()));
    assert_eq!(get(&machine, &agent, "/healthz").await, (200, "ok".into()));
    let pods: Value = serde_json::from_str(&get(&machine, &agent, "/pods").await.1).unwrap();
    assert_eq!(pods["items"][0]["metadata"]["name"], "web");
}

#[tokio::test(start_paused = true)]
async fn a_log_is_followed_until_its_container_ends() {
    let (machine, agent) = machine(Script::new().says("hello")).await;
    let follow = get(&machine, &agent, "/containerLogs/default/web/app?follow=true");
    let stop = async {
        machine.pass(60).await;
        machine.pods().delete("web", Default::default()).await.unwrap();
    };
    let ((code, text), ()) = tokio::join!(follow, stop);
    assert_eq!((code, text.as_str()), (200, "hello\n"));
    machine.gone("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_waiting_container_has_no_log() {
    let machine = Machine::new([]).await;
    let agent = machine.agent().await;
    machine.run("web", json!({"containers": [{"name": "app", "image": "none"}]})).await;
    machine
        .until("web", "held back", |pod| is(pod, "app", "ImagePullBackOff") && phase(pod) == "Pending")
        .await;
    let (code, text) = get(&machine, &agent, "/containerLogs/default/web/app").await;
    let why = "container \"app\" in pod \"web\" is waiting to start: trying and failing to pull image";
    assert_eq!((code, text.as_str()), (400, why));
}

#[tokio::test(start_paused = true)]
async fn commands_run_with_their_streams_and_say_how_they_ended() {
    let answer = |code, stdout: &'static str, stderr: &'static str| Answer {
        code,
        stdout: stdout.into(),
        stderr: stderr.into(),
        ..Answer::default()
    };
    let script = Script::new()
        .answers(["ls"], answer(0, "a b", ""))
        .answers(["fail"], answer(7, "", "no"))
        .answers(["cat"], Answer { echo: true, ..Answer::default() });
    let (machine, agent) = machine(script).await;
    for protocol in ["v4.channel.k8s.io", "v5.channel.k8s.io"] {
        let path = "/exec/default/web/app?command=ls&output=1&error=1";
        let mut ls = socket(&machine, &agent, path, protocol).await.unwrap();
        let came = drain(&mut ls).await;
        assert_eq!(came[0], (1, "a b".into()));
        let status: Value = serde_json::from_str(&came[1].1).unwrap();
        assert_eq!((came[1].0, &status["status"]), (3, &json!("Success")));
    }
    let path = "/exec/default/web/app?command=fail&output=1&error=1";
    let came = drain(&mut socket(&machine, &agent, path, "v5.channel.k8s.io").await.unwrap()).await;
    assert_eq!(came[0], (2, "no".into()));
    let status: Value = serde_json::from_str(&came[1].1).unwrap();
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"], json!([{"reason": "ExitCode", "message": "7"}]));

    let path = "/exec/default/web/app?command=cat&input=1&output=1";
    let mut cat = socket(&machine, &agent, path, "v5.channel.k8s.io").await.unwrap();
    cat.send(Message::binary(b"\0hi".to_vec())).await.unwrap();
    cat.send(Message::binary(vec![255, 0])).await.unwrap();
    let came = drain(&mut cat).await;
    assert_eq!(came[0], (1, "hi".into()));
    assert_eq!(came.last().unwrap().0, 3, "the end of its input ends it");

    let refused = socket(&machine, &agent, path, "v1.unknown").await.unwrap_err();
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    let refused = socket(&machine, &agent, "/exec/default/web/no?command=ls", "v5.channel.k8s.io").await;
    assert!(refused.unwrap_err().starts_with("HTTP/1.1 404"));
}

#[tokio::test(start_paused = true)]
async fn ports_are_forwarded_and_a_closed_one_says_why() {
    let served = Served { port: 80, open_after: Default::default(), ready_after: Default::default() };
    let (machine, agent) = machine(Script::new().serves(served)).await;
    let path = "/portForward/default/web?port=80&port=81";
    let mut ports = socket(&machine, &agent, path, "v4.channel.k8s.io").await.unwrap();
    let mut next = async || match ports.next().await.unwrap().unwrap() {
        Message::Binary(bytes) => (bytes[0], bytes[1..].to_vec()),
        other => panic!("{other:?}"),
    };
    for (channel, port) in [(0, 80), (1, 80), (2, 81), (3, 81)] {
        assert_eq!(next().await, (channel, vec![port, 0]));
    }
    let (channel, why) = next().await;
    assert_eq!(channel, 3);
    assert!(String::from_utf8(why).unwrap().starts_with("error forwarding port 81 to pod"));
    ports.send(Message::binary(b"\0GET / HTTP/1.0\r\n\r\n".to_vec())).await.unwrap();
    let came = ports.next().await.unwrap().unwrap().into_data();
    assert!(came.starts_with(b"\0HTTP/1.1 200"), "{came:?}");
}
