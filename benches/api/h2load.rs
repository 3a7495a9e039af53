//! h2load, of Debian's nghttp2-client: a client that leaves most of two cores to the server.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::server::TOKEN;

/// Requests of one kind.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    /// Over all connections.
    pub(crate) in_flight: usize,
    pub(crate) path: &'a str,
    /// Each request its own path, in turn, instead of the one.
    pub(crate) paths: Option<&'a str>,
    /// Method, media type and body, where it is no get.
    pub(crate) body: Option<(&'a str, &'a str, &'a str)>,
    pub(crate) amount: Amount,
}

/// How many requests.
#[derive(Clone, Copy)]
pub(crate) enum Amount {
    Requests(usize),
    Time(Duration),
}

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Answers a second.
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Whether there is one.
pub(crate) fn is_there() -> bool {
    Command::new("h2load")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Load<'_> {
    pub(crate) fn run(self) -> Outcome {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        let mut command = Command::new("h2load");
        command.args(["-t", "1", "-c", &self.connections.to_string()]);
        command.args(["-m", &(self.in_flight / self.connections).max(1).to_string()]);
        command.args(["-H", &format!("authorization: Bearer {TOKEN}")]);
        command.arg("--log-file").arg(file("log"));
        match self.amount {
            Amount::Requests(count) => command.args(["-n", &count.to_string()]),
            Amount::Time(time) => command.args(["-D", &time.as_secs().to_string()]),
        };
        if let Some((method, media_type, body)) = self.body {
            std::fs::write(file("body"), body).expect("a body");
            command.arg("-d").arg(file("body"));
            command.args(["-H", &format!(":method: {method}"), "-H", &format!("content-type: {media_type}")]);
        }
        let origin = format!("https://{}", self.address);
        match self.paths {
            Some(paths) => {
                let all: String = paths.lines().map(|path| format!("{origin}{path}\n")).collect();
                std::fs::write(file("paths"), all).expect("paths");
                command.arg("-i").arg(file("paths"));
            }
            None => drop(command.arg(format!("{origin}{}", self.path))),
        }
        let output = command.stderr(Stdio::null()).output().expect("h2load runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        outcome(&said, &std::fs::read_to_string(file("log")).unwrap_or_default())
    }
}

/// What h2load says of all requests, and what its log says of each: when it began, its code, how long it took,
/// in microseconds.
fn outcome(said: &str, log: &str) -> Outcome {
    let rate = said
        .lines()
        .find_map(|line| line.strip_prefix("finished in ")?.split(", ").nth(1)?.split(' ').next());
    let rate = rate.and_then(|rate| rate.parse().ok()).unwrap_or_else(|| panic!("h2load said: {said}"));
    let mut took = Vec::new();
    for line in log.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (code, micros) = (fields[1], fields[2].parse().unwrap_or(0));
        assert!(code.starts_with('2'), "a request was answered with {code}: {said}");
        took.push(Duration::from_micros(micros));
    }
    took.sort_unstable();
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default();
    Outcome { rate, p50: at(0.50), p99: at(0.99) }
}
