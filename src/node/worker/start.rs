//! Starting one container: image, environment, create, start, postStart.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Done;
use crate::client::Api;
use crate::node::context::Context;
use crate::node::environment::{Sources, expand, needs, resolve};
use crate::node::health::run_hook;
use crate::node::labels;
use crate::node::lifecycle::{Failure, pod_name, spec};
use crate::node::recorder::{Severity, reference};
use crate::runtime::{ContainerConfig, ContainerState, Error, Images, SandboxId};

/// How long after a failure that nothing here can mend it is tried again (kubelet's workers come
/// back after ten seconds).
const TRY_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// Everything that the start of one container needs.
pub(super) struct Start {
    pub(super) context: Arc<Context>,
    pub(super) pod: Arc<Pod>,
    pub(super) container: Container,
    pub(super) sandbox: SandboxId,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) attempt: u32,
    pub(super) abandon: CancellationToken,
    pub(super) report: mpsc::UnboundedSender<Done>,
}

impl Start {
    /// Starts it. `None` as an error: it was given up. What waits for others (pulls, the server,
    /// hooks) can be given up; what changes the machine is always brought to its end.
    pub(super) async fn run(self) -> Result<(), Option<Failure>> {
        let abandon = self.abandon.clone();
        let prepared = abandon.run_until_cancelled(async {
            self.pull().await?;
            self.config().await
        });
        let config = prepared.await.ok_or(None)??;
        if self.abandon.is_cancelled() {
            return Err(None);
        }
        let runtime = &self.context.runtime;
        let id = runtime
            .create_container(&self.sandbox, &config)
            .await
            .map_err(|error| self.not_created(&error))?;
        self.tell(Severity::Normal, "Created", "Container created");
        let started = runtime.start_container(&id).await;
        let mut status = runtime
            .container(&id)
            .await
            .map_err(|error| self.fail("RunContainerError", error.to_string(), SignedDuration::ZERO))?;
        if let Err(error) = started {
            self.tell(Severity::Warning, "Failed", format!("Error: {error}"));
            let now = self.context.env.clock.now();
            if !matches!(status.state, ContainerState::Exited { .. }) {
                // It has run as little as one that ended at once; containerd says so in these words.
                status.state = ContainerState::Exited {
                    started_at: now,
                    finished_at: now,
                    exit_code: 128,
                    signal: None,
                    reason: "StartError".into(),
                    message: error.to_string(),
                };
            }
            let _ = self.report.send(Done::Made(status));
            return Err(Some(self.fail("RunContainerError", error.to_string(), SignedDuration::ZERO)));
        }
        self.tell(Severity::Normal, "Started", "Container started");
        let _ = self.report.send(Done::Made(status));

        let Some(hook) =
            self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref())
        else {
            return Ok(());
        };
        let context = &self.context;
        let name = pod_name(&self.pod);
        let address = self.addresses.first().copied();
        let (network, clock) = (&*context.network, &context.env.clock);
        let run = run_hook(&**runtime, network, clock, &name, &self.container, &id, address, hook);
        // Given up: the container runs, and whoever gave up stops it.
        let Some(result) = abandon.run_until_cancelled(run).await else { return Err(None) };
        let Err(why) = result else { return Ok(()) };
        self.tell(Severity::Warning, "FailedPostStartHook", "PostStartHook failed");
        self.tell(Severity::Normal, "Killing", "FailedPostStartHook");
        let grace =
            spec(&self.pod).termination_grace_period_seconds.and_then(|grace| u64::try_from(grace).ok());
        let grace = std::time::Duration::from_secs(grace.unwrap_or(2).max(2));
        let stop = runtime.stop_container(&id, grace);
        // Given up: whoever gave up stops the container with the grace that is left.
        if let Some(Err(error)) = abandon.run_until_cancelled(stop).await {
            tracing::debug!(%error, "container not stopped after its hook failed");
        }
        Err(Some(self.fail("PostStartHookError", why, SignedDuration::ZERO)))
    }

    fn tell(&self, severity: Severity, reason: &str, message: impl Into<String>) {
        self.context.recorder.tell(
            reference(&self.pod, Some(&self.container.name)),
            severity,
            reason,
            message,
        );
    }

    fn image(&self) -> &str {
        self.container.image.as_deref().unwrap_or_default()
    }

    fn fail(&self, reason: &str, message: String, again: SignedDuration) -> Failure {
        let at = self.context.env.clock.now();
        let retry = at.checked_add(again).unwrap_or(at);
        Failure { reason: reason.to_owned(), subject: self.image().to_owned(), message, at, retry }
    }

    /// Fails, and tells so as kubelet does for everything before a container exists.
    fn refuse(&self, reason: &str, message: String) -> Failure {
        self.tell(Severity::Warning, "Failed", format!("Error: {message}"));
        self.fail(reason, message, TRY_AGAIN)
    }

    fn refuse_image(&self, reason: &str, message: String) -> Failure {
        self.tell(Severity::Warning, "Failed", format!("Error: {reason}"));
        self.fail(reason, message, TRY_AGAIN)
    }

    fn not_created(&self, error: &Error) -> Failure {
        match error {
            // A runtime without images of its own says only now what is wrong with one.
            Error::InvalidImageName { .. } => self.invalid_name(error),
            Error::ImageNotFound { .. } => self.not_pulled(error),
            _ => self.refuse("CreateContainerError", error.to_string()),
        }
    }

    fn invalid_name(&self, error: &Error) -> Failure {
        let message = format!("Failed to apply default image tag {:?}: {error}", self.image());
        self.tell(Severity::Warning, "InspectFailed", message.clone());
        self.refuse_image("InvalidImageName", message)
    }

    fn not_pulled(&self, error: &Error) -> Failure {
        self.tell(Severity::Warning, "Failed", format!("Failed to pull image {:?}: {error}", self.image()));
        self.refuse_image("ErrImagePull", error.to_string())
    }

    /// Gets the image, as the pull policy says.
    async fn pull(&self) -> Result<(), Failure> {
        let Some(images) = self.context.runtime.images() else { return Ok(()) };
        let image = self.image();
        let policy = self.container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
        if policy != "Always" {
            match images.image(image).await {
                Ok(Some(_)) => {
                    let text = format!(
                        "Container image {image:?} already present on machine and can be accessed by the pod"
                    );
                    self.tell(Severity::Normal, "Pulled", text);
                    return Ok(());
                }
                Ok(None) => {}
                Err(error @ Error::InvalidImageName { .. }) => return Err(self.invalid_name(&error)),
                Err(error) => {
                    let message = format!("Failed to inspect image {image:?}: {error}");
                    self.tell(Severity::Warning, "InspectFailed", message.clone());
                    return Err(self.refuse_image("ImageInspectError", message));
                }
            }
        }
        if policy == "Never" {
            let message = format!("Container image {image:?} is not present with pull policy of Never");
            self.tell(Severity::Warning, "ErrImageNeverPull", message.clone());
            return Err(self.refuse_image("ErrImageNeverPull", message));
        }
        self.fetch(images, image).await
    }

    async fn fetch(&self, images: &dyn Images, image: &str) -> Result<(), Failure> {
        let clock = &self.context.env.clock;
        self.tell(Severity::Normal, "Pulling", format!("Pulling image {image:?}"));
        let start = clock.instant();
        match images.pull(image).await {
            Ok(status) => {
                let took = clock.instant() - start;
                let took = format!("{}ms", took.as_millis());
                let size = status.size_bytes;
                let text = format!(
                    "Successfully pulled image {image:?} in {took} ({took} including waiting). Image size: {size} bytes."
                );
                self.tell(Severity::Normal, "Pulled", text);
                Ok(())
            }
            Err(error @ Error::InvalidImageName { .. }) => Err(self.invalid_name(&error)),
            Err(error) => Err(self.not_pulled(&error)),
        }
    }

    /// What the container is to be.
    async fn config(&self) -> Result<ContainerConfig, Failure> {
        let sources = self.sources().await?;
        let refuse = |message| self.refuse("CreateContainerConfigError", message);
        let env = resolve(&self.pod, &self.container, &sources).map_err(refuse)?;
        let lookup = |name: &str| env.get(name).cloned();
        let expanded = |texts: &Option<Vec<String>>| -> Vec<String> {
            texts.iter().flatten().map(|text| expand(text, lookup)).collect()
        };
        let container = &self.container;
        Ok(ContainerConfig {
            name: container.name.clone(),
            attempt: self.attempt,
            image: self.image().to_owned(),
            command: expanded(&container.command),
            args: expanded(&container.args),
            working_dir: container.working_dir.clone().unwrap_or_default(),
            stdin: container.stdin == Some(true),
            stdin_once: container.stdin_once == Some(true),
            tty: container.tty == Some(true),
            labels: labels::container(&self.pod, &container.name),
            annotations: labels::annotations(container, self.attempt),
            env: env.into_iter().collect(),
        })
    }

    async fn sources(&self) -> Result<Sources, Failure> {
        let context = &self.context;
        let needs = needs(&self.container);
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let refuse =
            |error: crate::client::Error| self.refuse("CreateContainerConfigError", error.to_string());
        let mut sources = Sources {
            config_maps: BTreeMap::new(),
            secrets: BTreeMap::new(),
            services: Vec::new(),
            addresses: self.addresses.clone(),
            host: context.machine.address,
            allocatable: context.allocatable.clone(),
        };
        let config_maps = Api::<ConfigMap>::namespaced(context.client.clone(), namespace);
        for name in needs.config_maps {
            if let Some(found) = config_maps.get_opt(&name).await.map_err(refuse)? {
                sources.config_maps.insert(name, found);
            }
        }
        let secrets = Api::<Secret>::namespaced(context.client.clone(), namespace);
        for name in needs.secrets {
            if let Some(found) = secrets.get_opt(&name).await.map_err(refuse)? {
                sources.secrets.insert(name, found);
            }
        }
        // Once is enough: services that came a moment ago may be missed, as with any kubelet.
        context.services.synced().await;
        sources.services = context.services.list_in(namespace);
        sources.services.extend(context.services.get(&crate::api::ObjectKey::new("default", "kubernetes")));
        Ok(sources)
    }
}
