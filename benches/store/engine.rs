//! What the disk store's engine could be, measured: redb keyed by revision, against a bare
//! preallocated log.
//!
//! Both write batches of records of 1 KB under their revision, and sync after each: what is left
//! to an engine once group commit has made the batches. A store with n writers makes batches
//! between n / 2 and n, because one fills while the other syncs. Processor time matters as much as
//! the rate, since the writers want the same two cores.

#![allow(clippy::disallowed_methods, reason = "a bench measures the machine's time")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use redb::{Database, Durability, TableDefinition};

const VALUE: usize = 1024;
const RUN: Duration = Duration::from_secs(2);
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");

/// Prints the table.
pub(crate) fn print() {
    println!("{:<34}{:>8}{:>12}{:>14}{:>14}", "engine", "batch", "puts/s", "ms a batch", "CPU us a put");
    for batch in [1, 32, 64, 500, 1000] {
        for (name, run) in
            [("redb, keyed by revision", redb as fn(&Path, usize) -> Run), ("preallocated log", log)]
        {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let run = run(directory.path(), batch);
            println!(
                "{name:<34}{batch:>8}{:>12.0}{:>14.3}{:>14.2}",
                run.puts as f64 / run.took.as_secs_f64(),
                run.took.as_secs_f64() * 1e3 / (run.puts / batch) as f64,
                run.cpu.as_secs_f64() * 1e6 / run.puts as f64,
            );
        }
    }
}

struct Run {
    puts: usize,
    took: Duration,
    cpu: Duration,
}

/// Runs `commit`, which is given the first revision of its batch, until time is up.
fn measure(batch: usize, mut commit: impl FnMut(u64)) -> Run {
    let (start, cpu) = (Instant::now(), cpu());
    let mut puts = 0;
    while start.elapsed() < RUN {
        commit(puts as u64);
        puts += batch;
    }
    Run { puts, took: start.elapsed(), cpu: self::cpu() - cpu }
}

/// The processor time of this thread.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0))
}

fn redb(directory: &Path, batch: usize) -> Run {
    let database =
        Database::builder().set_cache_size(64 << 20).create(directory.join("redb")).expect("a database");
    let value = [7; VALUE];
    measure(batch, |first| {
        let mut transaction = database.begin_write().expect("a transaction");
        transaction.set_durability(Durability::Immediate).expect("a durability");
        {
            let mut table = transaction.open_table(RECORDS).expect("a table");
            for revision in first..first + batch as u64 {
                table.insert(revision, &value[..]).expect("an insert");
            }
        }
        transaction.commit().expect("a commit");
    })
}

fn log(directory: &Path, batch: usize) -> Run {
    const SEGMENT: u64 = 64 << 20;
    let open = |number: usize| -> File {
        let path = directory.join(format!("{number}"));
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path).expect("a file");
        // Written zeroes: what is only reserved costs a change of metadata at the first sync.
        let zeroes = vec![0; 1 << 20];
        for piece in 0..SEGMENT >> 20 {
            file.write_all_at(&zeroes, piece << 20).expect("room");
        }
        file.sync_all().expect("a sync");
        file
    };
    let (mut file, mut number, mut offset) = (open(0), 0, 0);
    let value = [7; VALUE];
    let mut buffer = Vec::new();
    measure(batch, |first| {
        buffer.clear();
        for revision in first..first + batch as u64 {
            buffer.extend_from_slice(&revision.to_le_bytes());
            buffer.extend_from_slice(&value);
        }
        buffer.resize(buffer.len().next_multiple_of(512), 0);
        if offset + buffer.len() as u64 > SEGMENT {
            number += 1;
            (file, offset) = (open(number), 0);
        }
        file.write_all_at(&buffer, offset).expect("a write");
        file.sync_data().expect("a sync");
        offset += buffer.len() as u64;
    })
}
