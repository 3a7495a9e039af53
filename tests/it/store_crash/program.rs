//! What is done to the store: small programs, one for each thing that can be half done, and large
//! random ones.

use std::fmt;

use bytes::Bytes;
use windlass::env::Stream;
use windlass::store::{Compare, KeyRange, Op, Txn};

/// One step of a program.
#[derive(Clone)]
pub(super) enum Step {
    /// These are committed at once, so that they may share a batch.
    Commit(Vec<Txn>),
    /// This is begun, and nobody waits for the answer: it may happen or not.
    Abandon(Txn),
    /// A lease of this number is granted, for [`ttl`].
    Grant(i64),
    Revoke(i64),
    KeepAlive(i64),
    /// So many seconds pass, and leases end.
    Wait(u64),
    /// History is compacted up to so many revisions before the newest.
    Compact(u64),
    Defragment,
    /// A snapshot is taken, with a write meanwhile, and restored elsewhere.
    Backup,
    /// The store is closed and opened again.
    Reopen,
    /// A past revision is read, so many before the newest.
    Look(u64),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(txns) => {
                let told = txns.iter().map(told).collect::<Vec<_>>();
                write!(f, "commit {}", told.join(" | "))
            }
            Self::Abandon(txn) => write!(f, "abandon {}", told(txn)),
            Self::Grant(id) => write!(f, "grant {id}"),
            Self::Revoke(id) => write!(f, "revoke {id}"),
            Self::KeepAlive(id) => write!(f, "keep {id} alive"),
            Self::Wait(seconds) => write!(f, "wait {seconds} s"),
            Self::Compact(ago) => write!(f, "compact to {ago} before the newest"),
            Self::Defragment => write!(f, "defragment"),
            Self::Backup => write!(f, "back up"),
            Self::Reopen => write!(f, "reopen"),
            Self::Look(ago) => write!(f, "look at {ago} before the newest"),
        }
    }
}

/// A transaction in a few words: values by their beginning and length.
fn told(txn: &Txn) -> String {
    let ops = |ops: &[Op]| ops.iter().map(told_op).collect::<Vec<_>>().join(", ");
    let mut told = ops(&txn.then);
    if let Some(compare) = txn.compare.first() {
        told = format!("if {:?} {:?} then {told}", compare.range.start, compare.condition);
    }
    if !txn.or_else.is_empty() {
        told = format!("{told} else {}", ops(&txn.or_else));
    }
    told
}

fn told_op(op: &Op) -> String {
    match op {
        Op::Put { key, value: Some(value), lease, .. } => {
            let begin = String::from_utf8_lossy(value.split(|byte| *byte == b';').next().unwrap_or_default());
            let lease = lease.filter(|lease| *lease != 0).map(|lease| format!(" (lease {lease})"));
            format!("{key:?}={begin}*{}{}", value.len(), lease.unwrap_or_default())
        }
        Op::Delete { range, .. } if range.as_single().is_some() => format!("delete {:?}", range.start),
        Op::Delete { range, .. } => format!("delete {:?}..", range.start),
        other => format!("{other:?}"),
    }
}

/// Another time to live for every lease, in seconds, so that no two end together.
pub(super) fn ttl(id: i64) -> u64 {
    100 + 37 * id.unsigned_abs()
}

/// A value that no other write has: what is served wrongly is seen to be.
fn value(tag: &str, length: usize) -> Bytes {
    let mut value = format!("{tag};").repeat(length / (tag.len() + 1) + 1);
    value.truncate(length.max(tag.len() + 1));
    value.into()
}

fn put(key: &str, tag: &str, length: usize) -> Op {
    Op::put(key.to_owned(), value(tag, length))
}

fn commit(ops: impl IntoIterator<Item = Op>) -> Step {
    Step::Commit(vec![Txn { then: ops.into_iter().collect(), ..Txn::new() }])
}

/// The small programs, by name. Each is crashed at every boundary.
pub(super) fn small() -> Vec<(&'static str, Vec<Step>)> {
    use Step::{Backup, Compact, Defragment, Grant, Look, Reopen, Revoke, Wait};
    let history = |count: u64| {
        (0..count).map(|n| commit([put(["a", "b", "c"][n as usize % 3], &format!("h{n}"), 40 * n as usize)]))
    };
    let together = |names: &[&str]| {
        Step::Commit(names.iter().map(|name| Txn::new().then(put(name, &format!("t{name}"), 700))).collect())
    };
    vec![
        ("put", vec![commit([put("a", "1", 10)]), commit([put("a", "2", 10)]), commit([put("b", "3", 600)])]),
        (
            "txn",
            vec![
                commit([put("a", "1", 300), put("b", "2", 300), put("c", "3", 900)]),
                commit([put("a", "4", 10), Op::delete(KeyRange::single("b")), put("d", "5", 10)]),
                commit([Op::delete(KeyRange::all())]),
            ],
        ),
        (
            "batch",
            vec![
                together(&["a", "b", "c"]),
                Step::Abandon(Txn::new().then(put("f", "y", 5))),
                together(&["d", "a"]),
                commit([put("e", "x", 5)]),
            ],
        ),
        (
            "lease",
            vec![
                Grant(1),
                commit([Op::put_leased("a", "1", 1), put("b", "2", 5)]),
                Grant(2),
                commit([Op::put_leased("c", "3", 2)]),
                Revoke(1),
                Wait(180),
            ],
        ),
        (
            "compact",
            history(6)
                .chain([Compact(3), Look(1), commit([put("a", "n", 20)]), Compact(0), Look(0)])
                .collect(),
        ),
        ("reopen", vec![commit([put("a", "1", 50)]), Reopen, commit([put("a", "2", 50)]), Reopen]),
        (
            "defragment",
            history(5)
                .chain([Compact(1), Defragment, commit([put("b", "n", 20)]), Defragment, Reopen])
                .collect(),
        ),
        ("backup", history(4).chain([Compact(2), Grant(3), Backup, commit([put("a", "n", 9)])]).collect()),
        // More than a file of the log holds.
        ("segments", (0..5).map(|n| commit([put(["a", "b"][n % 2], &format!("s{n}"), 3000)])).collect()),
    ]
}

/// A large program of so many steps. `tag` makes its values unlike those of any other.
pub(super) fn random(chance: &Stream, steps: usize, tag: &str) -> Vec<Step> {
    (0..steps).map(|step| random_step(chance, &format!("{tag}.{step}"))).collect()
}

fn random_step(chance: &Stream, tag: &str) -> Step {
    match chance.below(41) {
        40 => Step::Abandon(random_txn(chance, tag)),
        0..=15 => Step::Commit(vec![random_txn(chance, tag)]),
        16..=23 => {
            let count = 2 + chance.below(5);
            Step::Commit((0..count).map(|n| random_txn(chance, &format!("{tag}.{n}"))).collect())
        }
        24 | 25 => Step::Grant(lease(chance)),
        26 => Step::Revoke(lease(chance)),
        27 => Step::KeepAlive(lease(chance)),
        28 => Step::Wait(20 + chance.below(150)),
        29..=31 => Step::Compact(chance.below(12)),
        32 => Step::Defragment,
        33 => Step::Backup,
        34 | 35 => Step::Reopen,
        _ => Step::Look(chance.below(20)),
    }
}

fn lease(chance: &Stream) -> i64 {
    1 + chance.below(4) as i64
}

fn random_txn(chance: &Stream, tag: &str) -> Txn {
    const KEYS: [&str; 9] = ["a", "a/1", "a/2", "a/3", "b", "b/1", "c", "d/long/name/of/a/key", "\u{7f}"];
    let key = || KEYS[chance.below(KEYS.len() as u64) as usize];
    let length = || match chance.below(16) {
        0 => 3000 + chance.below(6000),
        1..=3 => 400 + chance.below(300),
        _ => chance.below(60),
    } as usize;
    match chance.below(16) {
        0 | 1 => Txn::new().then(Op::delete(KeyRange::single(key())).with_previous()),
        2 => Txn::new().then(Op::delete(KeyRange::prefix("a/")).with_previous()),
        3 => Txn::new().then(Op::put_leased(key(), value(tag, length()), lease(chance))),
        4..=6 => {
            // Several keys, each once.
            let first = chance.below(KEYS.len() as u64) as usize;
            let count = 2 + chance.below(3) as usize;
            let ops = (0..count).map(|n| {
                let key = KEYS[(first + n) % KEYS.len()];
                if chance.below(4) == 0 {
                    Op::delete(KeyRange::single(key))
                } else {
                    put(key, &format!("{tag}-{n}"), length()).with_previous()
                }
            });
            Txn { then: ops.collect(), ..Txn::new() }
        }
        7 | 8 => Txn::new().when(Compare::missing(key())).then(put(key(), tag, length())).or_else(put(
            key(),
            &format!("{tag}!"),
            length(),
        )),
        9 => Txn::new().when(Compare::exists(key())).then(Op::delete(KeyRange::single(key()))),
        _ => Txn::new().then(put(key(), tag, length()).with_previous()),
    }
}
