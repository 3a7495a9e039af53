//! A whole cluster in one process: a manifest is applied, scaled, broken, healed, rolled over and
//! rolled back, and told as it happens.
//!
//! The pods are real processes (this program again, as the web server of `support/web.rs`), the
//! service is a real address that answers. Nothing is left when it ends.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use windlass::api::selector::LabelSelector;
use windlass::client::{Api, Client, Event, ListOptions, Typed, WatchOptions};
use windlass::cluster::{Cluster, Processes};
use windlass::env::{Clock, Env};
use windlass::k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use windlass::k8s_openapi::api::core::v1::{Pod, Service};
use windlass::store::HistoryFull;

use support::store::StoreArg;
use support::web;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// A whole cluster in one process, told as it happens.
#[derive(Parser)]
struct Args {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    nodes: u16,
    /// Where objects are kept: memory, or memory:SIZE with a budget for its history.
    #[arg(long, default_value = "memory")]
    store: StoreArg,
    /// The manifest to apply: a Deployment, its ConfigMap and its Service, all named `web`.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/manifests/web.yaml"))]
    manifest: PathBuf,
    #[command(subcommand)]
    program: Option<Program>,
}

/// What the pods of the manifest run.
#[derive(clap::Subcommand)]
enum Program {
    /// Be the web server that the pods run.
    #[command(hide = true)]
    Serve,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.program {
        Some(Program::Serve) => web::serve().await.map_err(Into::into),
        None => Box::pin(tell(args)).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn tell(args: Args) -> Result<()> {
    let env = Env::system();
    let tale = Tale { clock: env.clock.clone(), start: env.clock.instant() };
    let text = std::fs::read_to_string(&args.manifest)
        .map_err(|error| format!("{}: {error}", args.manifest.display()))?;
    let file = args.manifest.file_name().unwrap_or_default().to_string_lossy().into_owned();

    let cluster = Cluster::builder()
        .nodes(args.nodes.into())
        .machines(Processes::claim(web::images()?)?)
        .store(args.store.open(HistoryFull::Compact).await?)
        .env(env)
        .start()
        .await?;
    tale.tell(format!("a control plane and {} nodes are up", args.nodes));
    let outcome = Box::pin(life(&tale, &cluster, &file, &text)).await;
    cluster.shutdown().await;
    outcome?;

    let left = children();
    if !left.is_empty() {
        return Err(format!("processes are left: {left:?}").into());
    }
    tale.tell("the cluster is shut down, and no process is left");
    Ok(())
}

/// What happens to the manifest, from its application to its deletion.
async fn life(tale: &Tale, cluster: &Cluster, file: &str, text: &str) -> Result<()> {
    let client = cluster.client();
    let deployments = Api::<Deployment>::namespaced(client.clone(), "default");
    let pods = Api::<Pod>::namespaced(client.clone(), "default");

    let applied = cluster.apply(file, text).await?;
    let names: Vec<_> = applied.iter().map(|one| format!("{:?}", one.object())).collect();
    tale.tell(format!("applied {file}: {}", names.join(", ")));
    let wanted = deployments.get("web").await?.spec.and_then(|spec| spec.replicas).unwrap_or(1);

    rolled_out(tale, &deployments, "web", wanted).await?;
    for pod in web_pods(&pods).await? {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
        println!("             {} runs on {node} at {ip}", name_of(&pod));
    }
    tale.tell(format!("{wanted} pods are placed and ready"));

    let service = Api::<Service>::namespaced(client.clone(), "default").get("web").await?;
    let address = address_of(&service)?;
    let replies = visit_until_all(tale, address, wanted).await?;
    let spread: Vec<_> = replies.iter().map(|(pod, count)| format!("{pod} {count}")).collect();
    tale.tell(format!(
        "{} requests to http://{address} are spread: {}",
        replies.values().sum::<u32>(),
        spread.join(", ")
    ));

    deployments.merge_patch("web", &json!({"spec": {"replicas": 10}})).await?;
    rolled_out(tale, &deployments, "web", 10).await?;
    tale.tell("scaled to 10 replicas");

    let victim = visit(tale, address).await?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim.process), nix::sys::signal::Signal::SIGKILL)?;
    tale.tell(format!("killed process {} of pod {}, from outside", victim.process, victim.pod));
    until(tale, &pods, &victim.pod, "restarted and ready", |pod| restarts(pod) > 0 && is_ready(pod)).await?;
    rolled_out(tale, &deployments, "web", 10).await?;
    tale.tell(format!("pod {} is back with a new process", victim.pod));

    let crowd = Crowd::gather(tale, address, 4);
    let image =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": web::IMAGES[1]}]}}}});
    deployments.strategic_merge_patch("web", &image).await?;
    rolled_out(tale, &deployments, "web", 10).await?;
    let (served, failed) = crowd.disperse().await;
    tale.tell(format!(
        "rolled over to {} while {served} requests came: {} failed",
        web::IMAGES[1],
        failed.len()
    ));
    if let Some(first) = failed.first() {
        return Err(format!("{} of {served} requests failed, the first with: {first}", failed.len()).into());
    }
    expect_version(tale, address, "2").await?;

    roll_back(&client, &deployments).await?;
    rolled_out(tale, &deployments, "web", 10).await?;
    expect_version(tale, address, "1").await?;
    tale.tell(format!("rolled back to {}", web::IMAGES[0]));

    cluster.delete(file, text).await?;
    for pod in web_pods(&pods).await? {
        gone(tale, &pods, name_of(&pod)).await?;
    }
    if visit(tale, address).await.is_ok() {
        return Err(format!("http://{address} still answers").into());
    }
    tale.tell("deleted: no pod is left, and the service's address answers no more");
    Ok(())
}

/// The tale with its times.
#[derive(Clone)]
struct Tale {
    clock: Clock,
    start: tokio::time::Instant,
}

impl Tale {
    fn tell(&self, what: impl std::fmt::Display) {
        println!("[{:>8.3} s] {what}", (self.clock.instant() - self.start).as_secs_f64());
    }
}

/// Waits until an object is as it should be.
async fn until<K>(tale: &Tale, api: &Api<K>, name: &str, what: &str, holds: impl Fn(&K) -> bool) -> Result<()>
where
    K: Typed + windlass::kube_core::Resource<DynamicType = ()>,
{
    let watching = async {
        let mut events = api.watch(WatchOptions::default()).await?;
        while let Some(event) = events.next().await {
            if let Event::Added(object) | Event::Modified(object) = event?
                && object.meta().name.as_deref() == Some(name)
                && holds(&object)
            {
                return Ok(());
            }
        }
        Err(format!("the watch for {name} ended").into())
    };
    let limit = Duration::from_secs(30);
    tale.clock
        .timeout(limit, watching)
        .await
        .unwrap_or_else(|_| Err(format!("{name} is not {what} after 30 s").into()))
}

async fn rolled_out(tale: &Tale, api: &Api<Deployment>, name: &str, replicas: i32) -> Result<()> {
    until(tale, api, name, "rolled out", |deployment| {
        let Some(status) = &deployment.status else { return false };
        let counts = [status.replicas, status.updated_replicas, status.available_replicas];
        status.observed_generation == deployment.metadata.generation && counts == [Some(replicas); 3]
    })
    .await
}

async fn gone(tale: &Tale, api: &Api<Pod>, name: &str) -> Result<()> {
    let watching = async {
        let mut events = api.watch(WatchOptions::default()).await?;
        while api.get_opt(name).await?.is_some() {
            events.next().await.transpose()?;
        }
        Ok(())
    };
    let limit = Duration::from_secs(30);
    tale.clock.timeout(limit, watching).await.unwrap_or_else(|_| Err(format!("{name} is still there").into()))
}

/// As `kubectl rollout undo`: the template of the revision before this one is the template again.
async fn roll_back(client: &Arc<dyn Client>, deployments: &Api<Deployment>) -> Result<()> {
    let sets =
        Api::<ReplicaSet>::namespaced(client.clone(), "default").list(ListOptions::default()).await?.items;
    let revision = |set: &ReplicaSet| -> u64 {
        let annotations = set.metadata.annotations.as_ref();
        let found = annotations.and_then(|all| all.get("deployment.kubernetes.io/revision"));
        found.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let mut sets: Vec<_> = sets.into_iter().filter(|set| revision(set) > 0).collect();
    sets.sort_by_key(revision);
    let previous = sets.iter().rev().nth(1).ok_or("there is no revision to go back to")?;
    let mut template = serde_json::to_value(previous.spec.as_ref().and_then(|spec| spec.template.as_ref()))?;
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    deployments.merge_patch("web", &json!({"spec": {"template": template}})).await?;
    Ok(())
}

async fn web_pods(pods: &Api<Pod>) -> Result<Vec<Pod>> {
    let labels: LabelSelector = "app=web".parse()?;
    let mut options = ListOptions::default();
    options.labels = labels;
    Ok(pods.list(options).await?.items)
}

fn name_of(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|container| container.restart_count).sum()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn address_of(service: &Service) -> Result<SocketAddr> {
    let spec = service.spec.as_ref().ok_or("the service has no spec")?;
    let ip = spec.cluster_ip.as_deref().ok_or("the service has no address")?;
    let port = spec.ports.iter().flatten().next().ok_or("the service has no port")?.port;
    Ok(SocketAddr::new(ip.parse()?, u16::try_from(port)?))
}

/// What the web server says of itself.
struct Reply {
    pod: String,
    version: String,
    process: i32,
}

/// One request, on a connection of its own.
async fn visit(tale: &Tale, address: SocketAddr) -> Result<Reply> {
    let visiting = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = hyper::Request::get("/")
            .header("host", address.to_string())
            .header("connection", "close")
            .body(Empty::<Bytes>::new())?;
        let answering = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, Box<dyn Error + Send + Sync>>((status, String::from_utf8(body.to_vec())?))
        };
        let (answer, connection) = tokio::join!(answering, connection);
        connection?;
        let (status, body) = answer?;
        let words: Vec<_> = body.split_whitespace().collect();
        match words[..] {
            [pod, version, process, ..] if status.is_success() => {
                Ok(Reply { pod: pod.into(), version: version.into(), process: process.parse()? })
            }
            _ => Err(format!("{status}: {body:?}").into()),
        }
    };
    tale.clock
        .timeout(Duration::from_secs(5), visiting)
        .await
        .unwrap_or_else(|_| Err("no answer in 5 s".into()))
}

/// Visits until every replica has answered; each pod's share.
async fn visit_until_all(tale: &Tale, address: SocketAddr, replicas: i32) -> Result<BTreeMap<String, u32>> {
    let replicas = usize::try_from(replicas)?;
    let mut shares = BTreeMap::new();
    for round in 1.. {
        let reply = visit(tale, address).await?;
        *shares.entry(reply.pod).or_insert(0) += 1;
        if shares.len() == replicas && round >= 10 * replicas {
            break;
        }
        if round > 100 * replicas {
            return Err(format!(
                "after {round} requests only {} of {replicas} replicas answered",
                shares.len()
            )
            .into());
        }
    }
    Ok(shares)
}

async fn expect_version(tale: &Tale, address: SocketAddr, version: &str) -> Result<()> {
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        seen.insert(visit(tale, address).await?.version);
    }
    if seen.iter().eq([version]) {
        Ok(())
    } else {
        Err(format!("expected version {version}, saw {seen:?}").into())
    }
}

/// Visitors who come one request after the other until they are sent away.
struct Crowd {
    leave: Arc<AtomicBool>,
    visitors: Vec<windlass::env::Task<(u32, Vec<String>)>>,
}

impl Crowd {
    fn gather(tale: &Tale, address: SocketAddr, size: usize) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let tasks = windlass::env::Tasks::new();
        let visitors = (0..size).map(|_| {
            let (tale, leave) = (tale.clone(), leave.clone());
            tasks.spawn("visitor", async move {
                let (mut served, mut failed) = (0, Vec::new());
                while !leave.load(Ordering::Relaxed) {
                    served += 1;
                    if let Err(error) = visit(&tale, address).await {
                        failed.push(error.to_string());
                    }
                }
                (served, failed)
            })
        });
        Self { visitors: visitors.collect(), leave }
    }

    async fn disperse(self) -> (u32, Vec<String>) {
        self.leave.store(true, Ordering::Relaxed);
        let (mut served, mut failed) = (0, Vec::new());
        for visitor in self.visitors {
            let (requests, failures) = visitor.join().await.unwrap_or_default();
            served += requests;
            failed.extend(failures);
        }
        (served, failed)
    }
}

/// The processes that this one has started and that have not ended.
fn children() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}
