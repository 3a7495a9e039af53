//! What the store does in a second: in process, and over etcd's API, beside a real etcd in the same run.
//!
//! `cargo bench --bench store --features portable` prints the whole table; words behind `--` choose sections
//! by name. Two cores serve both the load and what is measured, so that figures are for comparing within a
//! run; each is the median of a few.
#![allow(missing_docs, reason = "a bench is a program")]
#![allow(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]
#![allow(dead_code, reason = "what one section does not need another does")]

mod cached;
mod disk;
mod engine;
mod facade;
mod load;
mod memory;
mod message;
mod nothing;
mod peer;
mod size;
mod table;
mod watchers;

/// What serves many small writes at once allocates in one thread and frees in another, by the batch, which the
/// allocator of the system does slowly: the example `etcd_server` chooses another, and so does this.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The sections: what they are called, and what prints them.
const SECTIONS: &[(&str, fn())] = &[
    ("memory", memory::print),
    ("disk", disk::print),
    ("cached", cached::print),
    ("facade", facade::print),
    ("size", size::print),
    ("engine", engine::print),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, print) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            print();
        }
    }
}
