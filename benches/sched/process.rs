//! What this process takes of the machine.

use std::time::Duration;

/// The processor time of all threads that live. None of those that matter ends while it is measured.
///
/// Zero where the system does not tell.
pub(crate) fn cpu() -> Duration {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let nanos = threads.flatten().map(|thread| {
        let told = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum())
}

/// The memory that the machine has left, in bytes; without bound where the system does not tell.
pub(crate) fn memory_left() -> u64 {
    let told = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.map_or(u64::MAX, |kilobytes| kilobytes << 10)
}

/// Two threads for two cores, and nothing else that works.
pub(crate) fn two_cores<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // What the main thread ran itself would be a third thread's work.
    runtime.block_on(async { tokio::spawn(work).await.expect("no panic") })
}

/// One thread for everything.
pub(crate) fn one_core<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}
