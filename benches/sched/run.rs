//! One run of a workload.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

use crate::churn;
use crate::counted::{Counted, Counts};
use crate::process;
use crate::table;
use crate::workload::{Churn, Workload};
use crate::world::{World, create_pods};

/// How long pods that are to be bound within the run, and are none of those measured, are waited for.
const GRACE: Duration = Duration::from_secs(5);

/// How much memory the machine is to keep.
const LEAST_MEMORY: u64 = 1 << 30;

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// How many pods were to be bound.
    pub(crate) wanted: usize,
    /// How many were.
    pub(crate) bound: usize,
    /// From the first create until a watch has seen the last of them bound.
    pub(crate) took: Duration,
    /// How many were bound in each whole second.
    pub(crate) samples: Vec<usize>,
    /// How many pods came in between.
    pub(crate) came: usize,
    /// How many of those were bound.
    pub(crate) came_bound: usize,
    /// The processor time of the whole process meanwhile.
    pub(crate) cpu: Duration,
    /// The memory of the whole process at the end, in bytes.
    pub(crate) resident: f64,
    /// Events that tell of a binding.
    pub(crate) written: usize,
    /// Bindings of which no event tells.
    pub(crate) dropped: usize,
}

impl Outcome {
    /// Pods bound in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.bound as f64 / self.took.as_secs_f64()
    }
}

/// Runs a workload with so many measured pods, for so long at most.
pub(crate) async fn run(workload: Workload, count: usize, limit: Duration) -> Outcome {
    let world = World::of(&workload).await;
    let before = settled(&world).await;
    let (progress, namespace) = (world.progress.clone(), workload.measured.namespace);

    let done = progress.reached(namespace, count);
    let (busy, start) = (process::cpu(), progress.sample(namespace));
    let came = workload.churn.map(|churn| {
        let happens = churn::happen(churn, world.client.clone(), progress.clone(), namespace, count);
        (churn, world.env.tasks.spawn("churn", happens))
    });
    let (client, pods) = (world.client.clone(), workload.measured);
    let load = world.env.tasks.spawn("load", async move { create_pods(&client, &pods, count).await });
    let mut end = {
        let short = pin!(short_of_memory(&world));
        let limited = pin!(world.env.clock.timeout(limit, select(done, short)));
        match limited.await {
            Ok(Either::Left((reached, _))) => reached.expect("a watch"),
            Ok(Either::Right(_)) | Err(_) => Instant::now(),
        }
    };
    let (bound, samples) = (progress.bound(namespace).min(count), progress.samples());
    load.abort();
    let (came, came_bound) = match came {
        // Where not all are bound, the last of their events never come.
        Some((_, task)) if bound < count => {
            task.abort();
            (0, 0)
        }
        Some((churn, task)) => {
            let came = task.join().await.expect("it happened");
            if let Churn::Preemptor { .. } = churn
                && let Ok(Ok(last)) =
                    world.env.clock.timeout(GRACE, progress.reached(churn::NAMESPACE, came)).await
            {
                end = end.max(last);
            }
            (came, progress.bound(churn::NAMESPACE))
        }
        None => (0, 0),
    };
    let (cpu, resident) = (process::cpu() - busy, table::resident());
    let after = settled(&world).await;
    world.end().await;
    let (bindings, written) = (after.bindings - before.bindings, after.scheduled - before.scheduled);
    Outcome {
        wanted: count,
        bound,
        took: end - start,
        samples,
        came,
        came_bound,
        cpu,
        resident,
        written,
        dropped: bindings.saturating_sub(written),
    }
}

/// Waits until the machine has hardly any memory left: a run ends before others have to.
async fn short_of_memory(world: &World) {
    while process::memory_left() > LEAST_MEMORY {
        world.env.clock.sleep(Duration::from_millis(250)).await;
    }
}

/// What was written, once nothing more is.
async fn settled(world: &World) -> Counts {
    let count = |counted: &Counted| counted.counts();
    let mut last = count(&world.counted);
    loop {
        world.env.clock.sleep(Duration::from_millis(200)).await;
        let now = count(&world.counted);
        if std::mem::replace(&mut last, now) == now {
            return now;
        }
    }
}
