//! What the API server does in a second: over HTTPS, driven by h2load, and in process; how much it holds in
//! memory, and how soon it is ready.
//!
//! `cargo bench --bench api --features portable` prints all; words behind `--` choose sections by name. The
//! server is a process of its own (this program again), which shares two cores with whoever drives it: figures
//! are for comparing within a run. `static` is a handler that serves the very same bytes from memory over the
//! same TLS and HTTP, and so is what the transport allows.
#![allow(missing_docs, reason = "a bench is a program")]
#![allow(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

mod h2load;
mod https;
mod in_process;
mod memory;
mod objects;
mod server;
mod statics;
#[path = "../store/table.rs"]
#[allow(dead_code, reason = "the store's bench needs more of it")]
mod table;
mod watch;

/// As the example `apiserver` has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The sections: what they are called, and what prints them.
const SECTIONS: &[(&str, fn())] =
    &[("https", https::print), ("process", in_process::print), ("memory", memory::print)];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if words.first().is_some_and(|word| word == server::WORD) {
        return server::run(&words[1..]);
    }
    for (name, print) in SECTIONS {
        if words.is_empty() || words.iter().any(|word| word == name) {
            print();
        }
    }
}
