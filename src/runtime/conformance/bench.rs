//! What cases have in common: a runtime, and the waiting for its containers.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};

use super::{Program, Subject};
use crate::env::Env;
use crate::runtime::{
    ContainerConfig, ContainerId, ContainerRuntime, ContainerState, ContainerStatus, EventStream, LogLine,
    LogOptions, NetworkOwner, SandboxConfig, SandboxId,
};

/// How long a case may take.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// Longer than any program takes to do what it is asked.
pub(super) const LONG: Duration = Duration::from_secs(30);
/// Shorter than any program that ignores its end would like.
pub(super) const SHORT: Duration = Duration::from_millis(100);

pub(super) struct Bench {
    pub(super) subject: Arc<dyn Subject>,
    pub(super) runtime: Arc<dyn ContainerRuntime>,
    pub(super) env: Env,
}

impl Bench {
    pub(super) fn new(subject: Arc<dyn Subject>) -> Self {
        Self { runtime: subject.runtime(), env: subject.env(), subject }
    }

    /// A config that is recognized again.
    pub(super) fn sandbox_config(name: &str) -> SandboxConfig {
        SandboxConfig {
            name: name.into(),
            namespace: "default".into(),
            uid: format!("uid-{name}"),
            hostname: name.into(),
            labels: [("app".to_owned(), name.to_owned())].into(),
            ..SandboxConfig::default()
        }
    }

    /// A sandbox that has been started.
    pub(super) async fn sandbox(&self, name: &str) -> SandboxId {
        let sandbox =
            self.runtime.create_sandbox(&Self::sandbox_config(name)).await.expect("a sandbox is made");
        let addresses: &[IpAddr] = match self.runtime.network_owner() {
            NetworkOwner::Provider => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
            NetworkOwner::Runtime => &[],
        };
        self.runtime.start_sandbox(&sandbox.id, addresses).await.expect("a sandbox is started");
        sandbox.id
    }

    /// A container's config, its image pulled.
    pub(super) async fn config(&self, program: Program) -> ContainerConfig {
        let mut config = self.subject.container(program);
        if let Some(images) = self.runtime.images() {
            images.pull(&config.image).await.expect("the image of a program can be pulled");
        }
        config.name = "main".into();
        config.labels.insert("made-by".into(), "conformance".into());
        config
    }

    pub(super) async fn create(&self, sandbox: &SandboxId, program: Program) -> ContainerId {
        let config = self.config(program).await;
        self.runtime.create_container(sandbox, &config).await.expect("a container is created")
    }

    /// A container that has been started, in a sandbox of its own.
    pub(super) async fn start(&self, program: Program) -> ContainerId {
        let sandbox = self.sandbox("pod").await;
        let id = self.create(&sandbox, program).await;
        self.runtime.start_container(&id).await.expect("a container is started");
        id
    }

    /// A container that is through with starting, as it says itself where that can be read.
    pub(super) async fn start_and_wait(&self, program: Program) -> ContainerId {
        let id = self.start(program).await;
        if let Some(logs) = self.runtime.logs() {
            let options = LogOptions { follow: true, ..LogOptions::default() };
            let mut lines = logs.logs(&id, options).await.expect("a log can be read");
            let line = lines.next().await.expect("it says something").expect("a log can be read");
            assert_eq!(line.line, "ready\n");
        }
        id
    }

    pub(super) async fn status(&self, id: &ContainerId) -> ContainerStatus {
        self.runtime.container(id).await.expect("a container is known until it is removed")
    }

    pub(super) fn events(&self) -> EventStream {
        match self.runtime.events() {
            Some(events) => events.subscribe(),
            None => futures_util::stream::pending().boxed(),
        }
    }

    /// Waits until a container has ended.
    pub(super) async fn ended(&self, id: &ContainerId) -> Ended {
        let mut events = self.events();
        loop {
            if let ContainerState::Exited { exit_code, signal, reason, started_at, finished_at, .. } =
                self.status(id).await.state
            {
                assert!(started_at <= finished_at);
                return Ended { exit_code, signal, reason };
            }
            // A runtime that tells of nothing has to be asked again.
            let again = if self.runtime.events().is_some() { LIMIT } else { SHORT };
            let _ = self.env.clock.timeout(again, events.next()).await;
        }
    }

    /// Everything that a container has printed so far.
    pub(super) async fn log(&self, id: &ContainerId, options: LogOptions) -> Vec<LogLine> {
        let logs = self.runtime.logs().expect("the case needs logs");
        logs.logs(id, options)
            .await
            .expect("a log can be read")
            .try_collect()
            .await
            .expect("a log can be read")
    }
}

/// How a container has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) exit_code: i32,
    pub(super) signal: Option<i32>,
    pub(super) reason: String,
}

impl Ended {
    pub(super) fn new(exit_code: i32, signal: Option<i32>, reason: &str) -> Self {
        Self { exit_code, signal, reason: reason.into() }
    }
}
