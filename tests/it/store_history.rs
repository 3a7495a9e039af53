//! Concurrent clients of stores that delay, fail and lose answers: what they were told is what one
//! store could have told, and every watch kept its promises.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use windlass::env::{Env, Stream};
use windlass::store::conformance::checks::{Recorded, Truth, broken};
use windlass::store::conformance::linear::{Answer, Operation, Request, linearizable};
use windlass::store::{
    Compare, Condition, Encrypted, EncryptionKey, EncryptionKeys, Error, Faults, Faulty, KeyRange,
    ListOptions, MemoryStore, ObjectStore, Op, Relation, Revision, Txn, WatchOptions,
};

const CLIENTS: usize = 6;
const CALLS: usize = 40;
const SEEDS: u64 = 40;

fn rough() -> Faults {
    Faults::default().refused(0.05).lost(0.08).delayed(0.7, Duration::from_millis(20)).cut(0.03)
}

/// One client: what it asks follows from its stream.
struct Client {
    number: usize,
    store: Faulty,
    time: Arc<AtomicU64>,
    chance: Stream,
    calls: Vec<Operation>,
}

impl Client {
    async fn call(&mut self, request: Request) -> Answer {
        let called = self.time.fetch_add(1, SeqCst);
        let answer = match &request {
            Request::Commit(txn) => self.store.commit(txn.clone()).await.map(Answer::Committed),
            Request::List(range, options) => self.store.list(range.clone(), *options).await.map(Answer::Page),
        };
        let answered = self.time.fetch_add(1, SeqCst);
        let answer = match answer {
            Ok(answer) => answer,
            Err(Error::Unavailable { .. }) => Answer::Lost,
            Err(error) => panic!("{error}"),
        };
        self.calls.push(Operation { client: self.number, called, answered, request, answer: answer.clone() });
        answer
    }

    fn key(&self) -> String {
        format!("/{}/{}", ["a", "b"][self.chance.below(2) as usize], self.chance.below(3))
    }

    /// No value is written twice, so that who reads one knows who wrote it.
    fn value(&self, number: usize) -> String {
        format!("{}-{number}", self.number)
    }

    async fn run(mut self) -> Vec<Operation> {
        for number in 0..CALLS {
            let (key, value) = (self.key(), self.value(number));
            let commit = |txn| Request::Commit(txn);
            match self.chance.below(10) {
                0..3 => drop(self.call(commit(Txn::new().then(Op::put(key, value).with_previous()))).await),
                3..5 => {
                    let read = Request::List(KeyRange::single(key.clone()), ListOptions::default());
                    let Answer::Page(page) = self.call(read).await else { continue };
                    let compare = match page.items.first() {
                        Some(kv) if self.chance.below(2) == 0 => {
                            Compare::key(key.clone(), Condition::Value(Relation::Equal, kv.value.clone()))
                        }
                        Some(kv) => Compare::unchanged_since(key.clone(), kv.mod_revision),
                        None => Compare::missing(key.clone()),
                    };
                    let swap =
                        Txn::new().when(compare).then(Op::put(key.clone(), value)).or_else(Op::get(key));
                    self.call(commit(swap)).await;
                }
                5 => {
                    let delete = Op::delete(KeyRange::single(key)).with_previous();
                    self.call(commit(Txn::new().then(delete))).await;
                }
                6 => {
                    let within = Txn::new()
                        .when(Compare::exists(key))
                        .then(Op::delete(KeyRange::prefix("/b/")))
                        .or_else(Op::Range(KeyRange::all(), ListOptions::default()));
                    let txn = Txn::new().then(Op::put("/a/0", value)).then(Op::Txn(within));
                    self.call(commit(txn.then(Op::get("/a/0")))).await;
                }
                _ => {
                    let range = match self.chance.below(3) {
                        0 => KeyRange::all(),
                        1 => KeyRange::prefix("/a/"),
                        _ => KeyRange::single(key),
                    };
                    let options = ListOptions::default().limit(self.chance.below(4) as usize);
                    self.call(Request::List(range, options)).await;
                }
            }
        }
        self.calls
    }
}

/// Follows a range until everybody is done, beginning again wherever it is cut off.
async fn follow(
    env: &Env,
    store: Faulty,
    range: KeyRange,
    from: Option<Revision>,
    previous: bool,
    done: &AtomicBool,
) -> Vec<Recorded> {
    let (mut from, mut recorded) = (from, Vec::new());
    loop {
        let mut options = from.map_or_else(WatchOptions::default, WatchOptions::from);
        options.previous = previous;
        let mut watch = match store.watch(range.clone(), options).await {
            Ok(watch) => watch,
            Err(Error::Compacted { oldest }) => {
                from = Some(oldest);
                continue;
            }
            Err(_) => continue,
        };
        let mut record = Recorded { range: range.clone(), from, previous, batches: Vec::new() };
        let end = loop {
            match env.clock.timeout(Duration::from_secs(1), watch.next()).await {
                Ok(Some(Ok(batch))) => record.batches.push(batch),
                Ok(Some(Err(error))) => break Some(error),
                Ok(None) => panic!("a watch ends with an error"),
                Err(_) => {
                    let newest = record.batches.last().map(|batch| batch.revision);
                    let store_is_at = store.revision().await;
                    if done.load(SeqCst) && newest.is_some() && store_is_at.is_ok_and(|at| newest >= Some(at))
                    {
                        break None;
                    }
                    drop(store.request_progress(range.clone()).await);
                }
            }
        };
        // A watch from now on that was cut before it told anything goes on from wherever it stands then.
        if let Some(last) = record.batches.last() {
            from = Some(last.revision.next());
        }
        recorded.push(record);
        match end {
            None => return recorded,
            Some(Error::Compacted { oldest }) => from = Some(oldest),
            Some(_) => {}
        }
    }
}

/// What became of one run.
struct Run {
    calls: Vec<Operation>,
    watches: Vec<Recorded>,
    truth: Truth,
}

async fn run(env: Env, below: Arc<dyn ObjectStore>, over: Arc<dyn ObjectStore>, faults: Faults) -> Run {
    let time = Arc::new(AtomicU64::new(0));
    let done = AtomicBool::new(false);
    let clients = (0..CLIENTS).map(|number| {
        let store = Faulty::new(over.clone(), &env, &format!("client {number}"), faults);
        let chance = env.random.stream(&format!("client/{number}"));
        Client { number, store, time: time.clone(), chance, calls: Vec::new() }.run()
    });
    let watches = [
        (KeyRange::all(), Some(Revision(2)), true),
        (KeyRange::prefix("/a/"), Some(Revision(2)), false),
        (KeyRange::prefix("/b/"), None, true),
        (KeyRange::single("/a/0"), Some(Revision(20)), true),
    ];
    let followers = watches.into_iter().enumerate().map(|(number, (range, from, previous))| {
        let store = Faulty::new(over.clone(), &env, &format!("watch {number}"), faults);
        let (env, done) = (&env, &done);
        async move { follow(env, store, range, from, previous, done).await }
    });
    let working = async {
        let calls = join_all(clients).await.concat();
        done.store(true, SeqCst);
        calls
    };
    let (calls, watches) = join(working, join_all(followers)).await;
    let newest = below.revision().await.unwrap();
    let mut whole =
        over.watch(KeyRange::all(), WatchOptions::from(Revision(2)).with_previous()).await.unwrap();
    let mut batches = Vec::new();
    while batches.last().is_none_or(|batch: &windlass::store::WatchBatch| batch.revision < newest) {
        batches.push(whole.next().await.unwrap().unwrap());
    }
    Run { calls, watches: watches.concat(), truth: Truth::new(batches) }
}

fn on_paused_time<T>(scenario: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(scenario)
}

/// Checks a run; answers how many answers were lost and how many watches were cut.
fn check(seed: u64, run: &Run) -> (usize, usize) {
    if let Err(stuck) = linearizable(&run.calls, Some(&run.truth)) {
        panic!("seed {seed}: {stuck}");
    }
    for watch in &run.watches {
        let broken = broken(watch, &run.truth);
        assert!(
            broken.is_empty(),
            "seed {seed}: {broken:?} by a watch of {:?} from {:?}",
            watch.range,
            watch.from
        );
    }
    let lost = run.calls.iter().filter(|call| matches!(call.answer, Answer::Lost)).count();
    (lost, run.watches.len())
}

#[test]
fn what_clients_are_told_is_what_one_store_could_tell() {
    let (mut lost, mut watches) = (0, 0);
    for seed in 0..SEEDS {
        let run = on_paused_time(async {
            let store = Arc::new(MemoryStore::new());
            run(Env::simulated(seed), store.clone(), store, rough()).await
        });
        let (answers, parts) = check(seed, &run);
        (lost, watches) = (lost + answers, watches + parts);
    }
    // Otherwise the runs were too smooth to prove anything.
    assert!(lost > 10 * SEEDS as usize && watches > 6 * SEEDS as usize, "{lost} lost, {watches} watches");
}

#[test]
fn sealed_values_change_nothing_of_it() {
    for seed in 0..SEEDS / 4 {
        let run = on_paused_time(async {
            let below = Arc::new(MemoryStore::new());
            let keys = EncryptionKeys::new(EncryptionKey::new("first", [1; 32])).salt([seed as u8; 32]);
            // Delays between the reads of a comparison and the commit, too.
            let env = Env::simulated(seed);
            let late = Faults::default().delayed(0.5, Duration::from_millis(5));
            let between = Faulty::new(below.clone(), &env, "between", late);
            let over = Arc::new(Encrypted::new(Arc::new(between), keys));
            run(env, below, over, rough()).await
        });
        check(seed, &run);
    }
}

/// Time is real here, and so are threads and syncs: what happens follows from no seed, only what is asked.
#[cfg(feature = "disk")]
#[test]
fn the_store_on_disk_tells_what_one_store_could_tell() {
    use windlass::store::disk::{DiskOptions, DiskStore};

    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for seed in 0..3 {
        let run = runtime.block_on(async {
            let folder = directory.path().join(seed.to_string());
            let store = Arc::new(DiskStore::open(folder, DiskOptions::default()).unwrap());
            let env = Env { random: windlass::env::Random::seeded(seed), ..Env::system() };
            run(env, store.clone(), store, rough().delayed(0.3, Duration::from_millis(2))).await
        });
        check(seed, &run);
    }
}

#[test]
fn the_seed_decides_the_history() {
    let history = |seed| {
        on_paused_time(async {
            let store = Arc::new(MemoryStore::new());
            let run = run(Env::simulated(seed), store.clone(), store, rough()).await;
            format!("{:?} {:?}", run.calls, run.watches)
        })
    };
    let first = history(7);
    assert_eq!(first, history(7));
    assert_ne!(first, history(8));
}

#[test]
fn stale_reads_are_found() {
    let found = |seed| {
        on_paused_time(async {
            let store = Arc::new(MemoryStore::new());
            let run = run(Env::simulated(seed), store.clone(), store, rough().stale(0.1, 3)).await;
            linearizable(&run.calls, Some(&run.truth)).is_err()
        })
    };
    let seeds = 10;
    assert_eq!((0..seeds).filter(|seed| found(*seed)).count(), seeds as usize);
}
