//! Whether the server is well: `/livez`, `/readyz` and the older `/healthz`.
//!
//! Source: `healthz/healthz.go` and `healthz.go` of `k8s.io/apiserver/pkg/server` (1.36), whose texts these
//! are to the letter: probes and people read them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::env::Clock;
use crate::store::ObjectStore;

/// How long the store may take to answer.
///
/// Source: `DefaultHealthcheckTimeout` of `k8s.io/apiserver/pkg/storage/storagebackend` (1.36).
const PATIENCE: Duration = Duration::from_secs(2);

/// Something that must be well for the server to be.
///
/// # Contract
///
/// A check answers soon, and looks without changing anything. Its name stands in the endpoints' texts and
/// paths (`/readyz/NAME`), and is told to anybody; why it fails is told to nobody who may not ask for the
/// check by its path.
///
/// # Cancel safety
///
/// Dropping a check loses nothing.
///
/// # Errors
///
/// Why it is not well.
#[async_trait]
pub trait HealthCheck: Send + Sync + 'static {
    /// What it is called.
    fn name(&self) -> &str;

    /// Whether it is well.
    async fn check(&self) -> Result<(), String>;
}

/// Which of the endpoints is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Healthz,
    Livez,
    Readyz,
}

/// What a look at the checks gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Whether all is well.
    pub(crate) well: bool,
    /// A line a check.
    pub(crate) lines: String,
}

impl Endpoint {
    pub(crate) const ALL: [Self; 3] = [Self::Healthz, Self::Livez, Self::Readyz];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }
}

/// The checks of an endpoint, in order. `closing` tells whether the listener that was asked is about to
/// close, which only readiness minds.
pub(crate) fn checks(
    endpoint: Endpoint,
    own: &[Arc<dyn HealthCheck>],
    closing: bool,
) -> Vec<Arc<dyn HealthCheck>> {
    let mut all: Vec<Arc<dyn HealthCheck>> = vec![Arc::new(Ping)];
    all.extend(own.iter().cloned());
    if endpoint == Endpoint::Readyz {
        all.push(Arc::new(Shutdown(closing)));
    }
    all
}

/// Looks at all checks but those that are excluded by name.
pub(crate) async fn look(checks: &[Arc<dyn HealthCheck>], excluded: &[&str]) -> Report {
    let (mut well, mut lines) = (true, String::new());
    for check in checks {
        let name = check.name();
        let told = if excluded.contains(&name) {
            format!("[+]{name} excluded: ok")
        } else {
            match check.check().await {
                Ok(()) => format!("[+]{name} ok"),
                Err(why) => {
                    tracing::warn!(check = name, why, "a health check fails");
                    well = false;
                    format!("[-]{name} failed: reason withheld")
                }
            }
        };
        lines.push_str(&told);
        lines.push('\n');
    }
    let mut unknown: Vec<&str> =
        excluded.iter().copied().filter(|name| checks.iter().all(|check| check.name() != *name)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|name| format!("{name:?}")).collect();
        let names = names.join(",");
        let _ = writeln!(lines, "warn: some health checks cannot be excluded: no matches for {names}");
    }
    Report { well, lines }
}

/// Somebody answers.
struct Ping;

#[async_trait]
impl HealthCheck for Ping {
    fn name(&self) -> &str {
        "ping"
    }

    async fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The listener goes on listening.
struct Shutdown(bool);

#[async_trait]
impl HealthCheck for Shutdown {
    fn name(&self) -> &str {
        "shutdown"
    }

    async fn check(&self) -> Result<(), String> {
        if self.0 { Err("process is shutting down".into()) } else { Ok(()) }
    }
}

/// The store answers. It has the name of what kube-apiserver keeps its objects in, since tools exclude
/// that one by name.
pub(crate) struct Store {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) clock: Clock,
}

#[async_trait]
impl HealthCheck for Store {
    fn name(&self) -> &str {
        "etcd"
    }

    async fn check(&self) -> Result<(), String> {
        match self.clock.timeout(PATIENCE, self.store.revision()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("error getting data from the store: {error}")),
            Err(_) => Err(format!("the store did not answer within {PATIENCE:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Own(&'static str, Result<(), &'static str>);

    #[async_trait]
    impl HealthCheck for Own {
        fn name(&self) -> &str {
            self.0
        }

        async fn check(&self) -> Result<(), String> {
            self.1.map_err(str::to_owned)
        }
    }

    #[tokio::test]
    async fn what_fails_is_named_and_its_reason_withheld() {
        let own: Vec<Arc<dyn HealthCheck>> =
            vec![Arc::new(Own("disk", Err("full"))), Arc::new(Own("net", Ok(())))];
        let all = checks(Endpoint::Livez, &own, true);
        let report = look(&all, &[]).await;
        assert!(!report.well);
        assert_eq!(report.lines, "[+]ping ok\n[-]disk failed: reason withheld\n[+]net ok\n");
        let report = look(&all, &["disk", "disk", "b", "a"]).await;
        assert!(report.well);
        assert_eq!(
            report.lines,
            "[+]ping ok\n[+]disk excluded: ok\n[+]net ok\nwarn: some health checks cannot be excluded: no \
             matches for \"a\",\"b\"\n"
        );
    }

    #[tokio::test]
    async fn only_readiness_minds_a_listener_that_closes() {
        for endpoint in Endpoint::ALL {
            for closing in [false, true] {
                let well = look(&checks(endpoint, &[], closing), &[]).await.well;
                assert_eq!(well, !(closing && endpoint == Endpoint::Readyz), "{endpoint:?}");
            }
        }
    }
}
