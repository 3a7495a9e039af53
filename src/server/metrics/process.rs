//! What the system says of the process: processor time, memory, files. Linux only; elsewhere nothing is told.
//!
//! Names and meanings: `prometheus/client_golang`'s process collector.

use super::text::{Kind, Page};
use crate::env::Clock;

/// Ticks of the system's clock in a second: what Linux counts in for every program, whatever its kernel does.
const TICKS: f64 = 100.0;
/// Bytes of a page of memory, as far as `statm` is concerned, on the machines that Linux mostly runs on.
const PAGE: f64 = 4096.0;

pub(super) fn write(page: &mut Page, clock: &Clock) {
    let Some(stat) = read("/proc/self/stat") else { return };
    // Behind the program's name, which may hold anything.
    let Some((_, fields)) = stat.rsplit_once(") ") else { return };
    let fields: Vec<&str> = fields.split(' ').collect();
    // `proc(5)` counts from 1, and the name is the second field.
    let field =
        |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let mut tell = |name: &str, kind, help: &str, value: f64| {
        page.family(name, kind, help);
        page.gauge::<&str>(&[], value);
    };
    let cpu = (field(14) + field(15)) / TICKS;
    tell("process_cpu_seconds_total", Kind::Counter, "Total user and system CPU time spent in seconds.", cpu);
    if let Some(limit) = read("/proc/self/limits").and_then(|limits| open_files(&limits)) {
        tell("process_max_fds", Kind::Gauge, "Maximum number of open file descriptors.", limit);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        tell("process_open_fds", Kind::Gauge, "Number of open file descriptors.", open.count() as f64);
    }
    tell("process_resident_memory_bytes", Kind::Gauge, "Resident memory size in bytes.", field(24) * PAGE);
    if let Some(up) = read("/proc/uptime").and_then(|text| text.split(' ').next()?.parse::<f64>().ok()) {
        let help = "Start time of the process since unix epoch in seconds.";
        let start = clock.now().as_millisecond() as f64 / 1e3 - up + field(22) / TICKS;
        tell("process_start_time_seconds", Kind::Gauge, help, start);
    }
    tell("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory size in bytes.", field(23));
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// How many files may be open, of the table of limits.
fn open_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(limits), Some(1024.0));
        assert_eq!(
            open_files("Max open files            unlimited            unlimited            files"),
            None
        );
    }
}
