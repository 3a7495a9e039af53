//! Simulated machines: chance from the seed, crash loops, crashes of the machine, and the network.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass::env::Env;
use windlass::net::AttachRequest;
use windlass::net::sim::SimNetwork;
use windlass::runtime::sim::{Delay, Life, Pull, Script, Scripts, Served, SimRuntime};
use windlass::runtime::{
    ContainerConfig, ContainerId, ContainerRuntime, ContainerState, Error, SandboxConfig,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn create(runtime: &SimRuntime, attempt: u32, addresses: &[IpAddr]) -> ContainerId {
    runtime.images().unwrap().pull("web").await.unwrap();
    let sandbox = runtime.create_sandbox(&SandboxConfig::default()).await.unwrap();
    runtime.start_sandbox(&sandbox.id, addresses).await.unwrap();
    let config =
        ContainerConfig { name: "web".into(), image: "web".into(), attempt, ..ContainerConfig::default() };
    runtime.create_container(&sandbox.id, &config).await.unwrap()
}

async fn exit_code(runtime: &SimRuntime, id: &ContainerId) -> Option<i32> {
    match runtime.container(id).await.unwrap().state {
        ContainerState::Exited { exit_code, .. } => Some(exit_code),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_random_follows_from_seed_and_machine() {
    let history = async |seed, machine: &str| {
        let env = Env::simulated(seed);
        let script = Script::new()
            .start(Delay::Between(secs(1), secs(9)))
            .life(Life::Exits { after: Delay::Between(secs(10), secs(99)), code: 1 });
        let runtime = SimRuntime::new(machine, &env, Scripts::any(script));
        let mut lines = Vec::new();
        for _ in 0..5 {
            let id = create(&runtime, 0, &[]).await;
            runtime.start_container(&id).await.unwrap();
            env.clock.sleep(secs(100)).await;
            lines.push(format!("{:?}", runtime.container(&id).await.unwrap()));
        }
        lines
    };
    let first = history(1, "a").await;
    assert_eq!(first, history(1, "a").await);
    assert_ne!(first, history(2, "a").await);
    assert_ne!(first, history(1, "b").await);
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_that_heals() {
    let env = Env::simulated(1);
    let crash = Life::Exits { after: secs(3).into(), code: 2 };
    let runtime = SimRuntime::new("a", &env, Scripts::any(Script::new().lives([crash, Life::Forever])));
    let first = create(&runtime, 0, &[]).await;
    runtime.start_container(&first).await.unwrap();
    env.clock.sleep(secs(2)).await;
    assert_eq!(exit_code(&runtime, &first).await, None);
    env.clock.sleep(secs(2)).await;
    assert_eq!(exit_code(&runtime, &first).await, Some(2));
    let second = create(&runtime, 1, &[]).await;
    runtime.start_container(&second).await.unwrap();
    env.clock.sleep(secs(1000)).await;
    assert_eq!(exit_code(&runtime, &second).await, None);
}

#[tokio::test(start_paused = true)]
async fn pulls_take_their_time_and_may_fail() {
    let (env, scripts) = (Env::simulated(1), Scripts::new());
    scripts.script("slow", Script::new().pull(Pull::Takes(secs(30).into()))).unwrap();
    scripts
        .script("broken", Script::new().pull(Pull::Fails(secs(5).into(), "the registry is gone")))
        .unwrap();
    let runtime = SimRuntime::new("a", &env, scripts);
    let images = runtime.images().unwrap();
    let start = env.clock.instant();
    assert_eq!(images.image("slow").await.unwrap(), None);
    images.pull("slow").await.unwrap();
    assert_eq!(env.clock.instant() - start, secs(30));
    let error = images.pull("broken").await.unwrap_err();
    assert_eq!(error.to_string(), "pulling an image: the registry is gone");
    assert_eq!(env.clock.instant() - start, secs(35));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_crashes_loses_what_ran_and_keeps_its_records() {
    let env = Env::simulated(1);
    let runtime = SimRuntime::new("a", &env, Scripts::any(Script::new().start(secs(2))));
    let (running, starting) = (create(&runtime, 0, &[]).await, create(&runtime, 0, &[]).await);
    runtime.start_container(&running).await.unwrap();
    let (start, ()) = tokio::join!(runtime.start_container(&starting), async {
        env.clock.sleep(secs(1)).await;
        runtime.crash();
    });
    assert!(matches!(start, Err(Error::Failed { .. })), "{start:?}");
    assert!(matches!(runtime.containers().await, Err(Error::Failed { .. })));
    runtime.restart();
    assert_eq!(exit_code(&runtime, &running).await, Some(255));
    assert_eq!(runtime.container(&starting).await.unwrap().state, ContainerState::Created);
    let again = create(&runtime, 1, &[]).await;
    runtime.start_container(&again).await.unwrap();
    env.clock.sleep(secs(10)).await;
    assert_eq!(
        exit_code(&runtime, &again).await,
        None,
        "what was cut off does not come back to life or death"
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_over_the_simulated_network_sees_when_a_container_is_ready() {
    let env = Env::simulated(1);
    let served = Served { port: 80, open_after: secs(5), ready_after: secs(10) };
    let runtime = Arc::new(SimRuntime::new("a", &env, Scripts::any(Script::new().serves(served))));
    let network = SimNetwork::new("10.244.0.0/16".parse().unwrap(), "10.0.0.0/24".parse().unwrap());
    let machine = Arc::clone(&runtime);
    network.answer(move |address| machine.connect(address));
    let node = network.node("a").unwrap();
    let request = AttachRequest::default();
    let addresses = node.attach(&request).await.unwrap();
    let id = create(&runtime, 0, &addresses).await;
    let address = SocketAddr::new(addresses[0], 80);
    let probe = async || -> Option<String> {
        let mut stream = node.dial(address).await.ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        Some(String::from_utf8_lossy(&head).into_owned())
    };
    assert_eq!(probe().await, None);
    runtime.start_container(&id).await.unwrap();
    assert_eq!(probe().await, None);
    env.clock.sleep(secs(5)).await;
    assert_eq!(probe().await.as_deref(), Some("HTTP/1.1 503"));
    env.clock.sleep(secs(5)).await;
    assert_eq!(probe().await.as_deref(), Some("HTTP/1.1 200"));
    runtime.stop_container(&id, secs(30)).await.unwrap();
    assert_eq!(probe().await, None);
}
