//! A probe over time: when it is due, and what its results amount to.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Probe;

use super::Verdict;

/// The kinds of probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeKind {
    /// Whether the container has come up; the others wait for it.
    Startup,
    /// Whether it still works; it starts anew where not.
    Liveness,
    /// Whether it can be sent requests.
    Readiness,
}

impl ProbeKind {
    /// As events name it, with a capital where a sentence starts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// What one probe of a container found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// It answered well.
    Success,
    /// It did not.
    Failure,
    /// The probe itself could not be made; counts as nothing.
    Unknown,
}

/// One probe of one instance.
#[derive(Clone, Debug)]
pub struct ProbeMachine {
    kind: ProbeKind,
    period: SignedDuration,
    failures_needed: u32,
    successes_needed: u32,
    due: Timestamp,
    last: Option<ProbeResult>,
    run: u32,
    verdict: Option<Verdict>,
    settled: bool,
}

impl ProbeMachine {
    /// The probe of an instance that was started then. Defaults are the API's: every 10 s, one
    /// success, three failures.
    #[must_use]
    pub fn new(kind: ProbeKind, spec: &Probe, started_at: Timestamp) -> Self {
        let delay = SignedDuration::from_secs(i64::from(spec.initial_delay_seconds.unwrap_or(0).max(0)));
        let count = |value: Option<i32>, default| {
            value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(default)
        };
        Self {
            kind,
            period: SignedDuration::from_secs(i64::from(count(spec.period_seconds, 10))),
            failures_needed: count(spec.failure_threshold, 3),
            successes_needed: count(spec.success_threshold, 1),
            due: started_at.checked_add(delay).unwrap_or(Timestamp::MAX),
            last: None,
            run: 0,
            // What counts before the first result: alive, but not ready.
            verdict: match kind {
                ProbeKind::Startup => None,
                ProbeKind::Liveness => Some(Verdict::Success),
                ProbeKind::Readiness => Some(Verdict::Failure),
            },
            settled: false,
        }
    }

    /// When it is to be probed next; never again where it has settled.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        Some(self.due).filter(|_| !self.settled)
    }

    /// What counts now.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Takes the result of the probe that was started at `started`.
    pub fn take(&mut self, result: ProbeResult, started: Timestamp) {
        self.due = started.checked_add(self.period).unwrap_or(Timestamp::MAX);
        if result == ProbeResult::Unknown {
            return;
        }
        self.run = if self.last == Some(result) { self.run + 1 } else { 1 };
        self.last = Some(result);
        let verdict = match result {
            ProbeResult::Failure if self.run >= self.failures_needed => Verdict::Failure,
            ProbeResult::Success if self.run >= self.successes_needed => Verdict::Success,
            _ => return,
        };
        self.verdict = Some(verdict);
        // Startup is asked once; a container that is not alive is stopped, and its successor has a
        // probe of its own.
        self.settled = match self.kind {
            ProbeKind::Startup => true,
            ProbeKind::Liveness => verdict == Verdict::Failure,
            ProbeKind::Readiness => false,
        };
    }

    /// Probes at the next occasion: its container has just come up.
    pub fn hasten(&mut self, now: Timestamp) {
        self.due = self.due.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn machine(kind: ProbeKind, delay: i32, period: i32, successes: i32, failures: i32) -> ProbeMachine {
        let spec = Probe {
            initial_delay_seconds: Some(delay),
            period_seconds: Some(period),
            success_threshold: Some(successes),
            failure_threshold: Some(failures),
            ..Probe::default()
        };
        ProbeMachine::new(kind, &spec, at(100))
    }

    fn story(machine: &mut ProbeMachine, results: &[ProbeResult]) -> Vec<(i64, Option<Verdict>)> {
        results
            .iter()
            .map_while(|result| {
                let due = machine.due()?;
                machine.take(*result, due);
                Some((due.as_second(), machine.verdict()))
            })
            .collect()
    }

    #[test]
    fn readiness_follows_thresholds_both_ways() {
        use ProbeResult::{Failure as F, Success as S, Unknown as U};
        let mut readiness = machine(ProbeKind::Readiness, 5, 2, 2, 3);
        assert_eq!(readiness.verdict(), Some(Verdict::Failure));
        let (no, yes) = (Some(Verdict::Failure), Some(Verdict::Success));
        assert_eq!(
            story(&mut readiness, &[S, S, F, U, F, F, S, S]),
            [(105, no), (107, yes), (109, yes), (111, yes), (113, yes), (115, no), (117, no), (119, yes),]
        );
    }

    #[test]
    fn startup_and_failed_liveness_settle() {
        use ProbeResult::{Failure as F, Success as S};
        let mut startup = machine(ProbeKind::Startup, 0, 1, 1, 3);
        assert_eq!(story(&mut startup, &[F, S, F]), [(100, None), (101, Some(Verdict::Success))]);
        let mut liveness = machine(ProbeKind::Liveness, 0, 10, 1, 2);
        let told = story(&mut liveness, &[S, F, F, F]);
        assert_eq!(told.last(), Some(&(120, Some(Verdict::Failure))));
        assert_eq!(told.len(), 3, "a container that is to be stopped is not probed again");
    }
}
