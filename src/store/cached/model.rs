//! The cache against a model: the list of everything that happened, looked through anew for each
//! watcher and each list. Random programs with several selectors, a history that is too short for
//! some of them, reads at past revisions, and values that cannot be read; above a store that fails, cuts
//! watches and loses answers.

use std::sync::atomic::Ordering::Relaxed;

use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

use super::failing::Shaky;
use super::query::Filter;
use super::tests::{labelled, on, pod, pods, tell};
use super::*;
use crate::api::selector::{FieldSelector, FieldTerm};
use crate::store::{MemoryStore, ObjectStoreExt};

#[derive(Clone, Debug)]
enum Step {
    /// Writes pod `0..6` with a node and a color.
    Write(usize, usize, usize),
    Delete(usize),
    /// Writes what is no object.
    Spoil(usize),
    /// Starts a watch of a selector so many revisions ago.
    Watch(usize, u64, bool),
    /// Takes so many events from one of the watches.
    Take(usize, usize),
    /// Lists what a selector selects, so many revisions ago.
    List(usize, u64, Option<usize>),
    /// Lets the feeder run.
    Yield,
    /// Lets so much time pass.
    Sleep(u64),
    /// The store's watches break.
    Cut,
    /// The store refuses so many lists and watches.
    Fail(usize),
    /// The answer to the next commit is lost.
    Lose,
}

const NODES: [&str; 3] = ["", "n1", "n2"];
const COLORS: [&str; 2] = ["red", "blue"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..6usize, 0..3usize, 0..2usize).prop_map(|(pod, node, color)| Step::Write(pod, node, color)),
        2 => (0..6usize).prop_map(Step::Delete),
        1 => (0..6usize).prop_map(Step::Spoil),
        3 => (0..FILTERS, 0..8u64, any::<bool>()).prop_map(|(f, ago, initial)| Step::Watch(f, ago, initial)),
        4 => (0..8usize, 1..5usize).prop_map(|(which, count)| Step::Take(which, count)),
        3 => (0..FILTERS, 0..8u64, prop::option::of(0..4usize))
            .prop_map(|(filter, ago, limit)| Step::List(filter, ago, limit)),
        2 => Just(Step::Yield),
    ]
}

fn trouble() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => step(),
        1 => (1..500u64).prop_map(Step::Sleep),
        1 => Just(Step::Cut),
        1 => (1..3usize).prop_map(Step::Fail),
        2 => Just(Step::Lose),
    ]
}

const FILTERS: usize = 8;

fn filter(number: usize) -> Filter {
    let term =
        |field: &str, value: &str, equal| FieldTerm { field: field.into(), value: value.into(), equal };
    let fields = |terms: Vec<FieldTerm>| FieldSelector { terms };
    let all = Filter::default();
    match number {
        0 => all,
        1 => Filter { namespace: Some("a".into()), ..all },
        2 => Filter { fields: on("n1"), ..all },
        3 => Filter { fields: on(""), namespace: Some("b".into()), ..all },
        4 => Filter { labels: labelled("color", "blue"), ..all },
        5 => Filter {
            fields: fields(vec![term("metadata.name", "p1", true)]),
            namespace: Some("b".into()),
            ..all
        },
        6 => Filter { fields: fields(vec![term("spec.nodeName", "n1", false)]), ..all },
        _ => Filter { fields: on("n2"), labels: labelled("color", "red"), ..all },
    }
}

struct Watched {
    watch: ObjectWatch,
    filter: Filter,
    /// What the state had, still to be told.
    initial: Vec<String>,
    /// Everything up to this revision has been told.
    told: u64,
}

/// What a pod's key holds.
#[derive(Clone, Debug)]
enum Held {
    Object(Object),
    Unreadable(Arc<Unreadable>),
}

struct Happened {
    revision: u64,
    key: ObjectKey,
    before: Option<Held>,
    after: Option<Held>,
}

impl Held {
    async fn now(cached: &Cached, row: &Arc<Resource>, key: &ObjectKey) -> Option<Self> {
        match cached.get(row, key).await {
            Err(Error::Unreadable { values, .. }) => values.into_iter().next().map(Self::Unreadable),
            got => got.unwrap().map(Self::Object),
        }
    }

    fn revision(&self) -> Revision {
        match self {
            Self::Object(object) => object.revision(),
            Self::Unreadable(value) => value.revision,
        }
    }

    /// Whether it is selected, or may be for all that anybody knows.
    fn may_match(&self, filter: &Filter) -> bool {
        match self {
            Self::Object(object) => filter.matches(object),
            Self::Unreadable(value) => covers(filter, &value.object),
        }
    }
}

fn covers(filter: &Filter, key: &ObjectKey) -> bool {
    let named = |name: &String| filter.fields.required("metadata.name").is_none_or(|wanted| wanted == name);
    filter.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace) && named(&key.name)
}

/// The first thing after `told` that somebody who selects so should be told, and when it happened.
fn due(history: &[Happened], filter: &Filter, told: u64) -> Option<(String, u64)> {
    use Held::{Object, Unreadable};
    history.iter().filter(|happened| happened.revision > told).find_map(|happened| {
        let Happened { revision, key, before, after } = happened;
        let matches = |held: &Option<Held>| matches!(held, Some(held) if held.may_match(filter));
        let by_key =
            filter.labels.requirements.is_empty() && filter.fields.required("spec.nodeName").is_none();
        let by_key = by_key && filter.fields.terms.iter().all(|term| term.equal);
        let kind = match (before, after) {
            (Some(Unreadable(_)), _) | (_, Some(Unreadable(_))) if !covers(filter, key) => return None,
            (_, Some(Unreadable(value))) => return Some((format!("unreadable {}", named(value)), *revision)),
            (Some(Unreadable(value)), None) => return Some((format!("gone {}", named(value)), *revision)),
            (Some(Unreadable(_)), Some(Object(_))) if by_key => "M",
            (Some(Unreadable(value)), Some(Object(_))) => {
                return Some((format!("unreadable {}", named(value)), *revision));
            }
            _ => match (matches(before), matches(after)) {
                (false, false) => return None,
                (false, true) => "A",
                (true, true) => "M",
                (true, false) => "D",
            },
        };
        Some((format!("{kind} {key}@{revision}"), *revision))
    })
}

fn named(value: &Unreadable) -> String {
    format!("{}@{}", value.object, value.revision)
}

/// What is selected at a revision, or may be.
fn state(history: &[Happened], filter: &Filter, at: u64) -> Vec<(ObjectKey, Held)> {
    let mut state = BTreeMap::new();
    for happened in history.iter().filter(|happened| happened.revision <= at) {
        match &happened.after {
            Some(after) => drop(state.insert(happened.key.clone(), after.clone())),
            None => drop(state.remove(&happened.key)),
        }
    }
    state.into_iter().filter(|(_, held)| held.may_match(filter)).collect()
}

/// What a watch tells that begins with this state.
fn told_of(state: &[(ObjectKey, Held)], at: u64) -> Vec<String> {
    let mut told = Vec::new();
    for (key, held) in state {
        match held {
            Held::Object(object) => told.push(format!("A {key}@{}", object.revision())),
            Held::Unreadable(value) => {
                told.push(format!("unreadable {}", named(value)));
                return told;
            }
        }
    }
    told.push(format!("end @{at}"));
    told
}

async fn take(
    watched: &mut Watched,
    history: &[Happened],
    cached: &Cached,
    row: &Arc<Resource>,
) -> Option<bool> {
    let expected = if watched.initial.is_empty() {
        due(history, &watched.filter, watched.told)
    } else {
        Some((watched.initial.remove(0), 0))
    };
    let (expected, happened) = expected.unzip();
    match watched.watch.next().now_or_never() {
        Some(Some(Ok(event))) => {
            assert_eq!(Some(tell(&event)), expected);
            watched.told = watched.told.max(event.revision().0);
            Some(true)
        }
        Some(Some(Err(Error::Unreadable { values, more: false }))) => {
            assert_eq!(Some(format!("unreadable {}", named(&values[0]))), expected);
            assert!(matches!(watched.watch.next().now_or_never(), Some(None)), "nothing comes behind it");
            None
        }
        Some(Some(Err(Error::UnreadableDeleted { value }))) => {
            assert_eq!(Some(format!("gone {}", named(&value))), expected);
            None
        }
        Some(Some(Err(Error::Compacted { .. }))) => {
            let floor = cached.cache(row).read().shelf.floor().0;
            assert!(floor > watched.told, "nothing that it had not seen is gone");
            None
        }
        Some(other) => panic!("{other:?}"),
        None => {
            let reached = cached.cache(row).read().shelf.revision().0;
            assert!(happened.is_none_or(|revision| revision > reached), "it waits for what is there");
            Some(false)
        }
    }
}

/// Commits, and finds out what became of it where the answer was lost.
async fn commit(cached: &Cached, change: Change, troubled: bool) -> Revision {
    let before = cached.store().revision().await.unwrap();
    match cached.commit(vec![change]).await {
        Ok(Outcome::Committed(revision)) => revision,
        Err(Error::Unavailable { .. }) if troubled => {
            let after = cached.store().revision().await.unwrap();
            assert_eq!(after, before.next(), "nobody else writes");
            after
        }
        other => panic!("nobody else writes: {other:?}"),
    }
}

async fn run(steps: Vec<Step>) {
    let row = pods();
    let below = MemoryStore::new();
    let store = Shaky::new(below.clone());
    let options = CachedOptions::default().history_bytes(3000);
    let env = Env::simulated(1);
    let cached = Cached::with_options(Arc::new(store.clone()), &env, options);
    // Whether the store has failed at all: otherwise nothing may.
    let mut troubled = false;
    let mut history: Vec<Happened> = Vec::new();
    let mut watches: Vec<Watched> = Vec::new();
    let key = |number: usize| (if number.is_multiple_of(2) { "a" } else { "b" }, format!("p{}", number / 2));
    for step in steps {
        let newest = history.last().map_or(1, |happened| happened.revision);
        match step {
            Step::Write(number, node, color) => {
                let (namespace, name) = key(number);
                let object = pod(namespace, &name).on(NODES[node]).label("color", COLORS[color]).object(&row);
                let key = object.key().clone();
                let before = Held::now(&cached, &row, &key).await;
                let change = match &before {
                    Some(before) => Change::Update { object: object.clone(), from: before.revision() },
                    None => Change::Create(object.clone()),
                };
                let revision = commit(&cached, change, troubled).await;
                let after = Some(Held::Object(object.at(revision)));
                history.push(Happened { revision: revision.0, key, before, after });
            }
            Step::Delete(number) => {
                let (namespace, name) = key(number);
                let key = ObjectKey::new(namespace, name);
                if let Some(held) = Held::now(&cached, &row, &key).await {
                    let change = match held.clone() {
                        Held::Object(object) => Change::Delete { from: object.revision(), object },
                        Held::Unreadable(value) => Change::Discard(value),
                    };
                    let revision = commit(&cached, change, troubled).await;
                    history.push(Happened { revision: revision.0, key, before: Some(held), after: None });
                }
            }
            Step::Spoil(number) => {
                let (namespace, name) = key(number);
                let key = ObjectKey::new(namespace, name);
                let before = Held::now(&cached, &row, &key).await;
                let revision = below.put(format!("/registry/pods/{key}"), "{").await.unwrap();
                let after = Held::now(&cached, &row, &key).await;
                assert!(matches!(&after, Some(Held::Unreadable(value)) if value.revision == revision));
                history.push(Happened { revision: revision.0, key, before, after });
            }
            Step::Watch(number, ago, initial) => {
                let (selected, from) = (filter(number), newest.saturating_sub(ago).max(1));
                let query = WatchQuery {
                    namespace: selected.namespace.clone(),
                    labels: selected.labels.clone(),
                    fields: selected.fields.clone(),
                    from: Some(Revision(from)),
                    initial,
                    bookmarks: false,
                };
                match cached.watch(&row, &query).await {
                    Ok(watch) if initial => {
                        let reached = cached.cache(&row).read().shelf.revision().0;
                        assert!(reached >= from);
                        let initial = told_of(&state(&history, &selected, reached), reached);
                        watches.push(Watched { watch, filter: selected, initial, told: 0 });
                    }
                    Ok(watch) => {
                        watches.push(Watched { watch, filter: selected, initial: Vec::new(), told: from });
                    }
                    Err(Error::Compacted { oldest }) => assert!(oldest.0 > from + 1),
                    Err(Error::Unavailable { .. }) if troubled => {}
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Take(which, count) => {
                for _ in 0..count {
                    let Some(watched) = watches.get_mut(which) else { break };
                    match take(watched, &history, &cached, &row).await {
                        Some(true) => {}
                        Some(false) => break,
                        None => drop(watches.remove(which)),
                    }
                }
            }
            Step::List(number, ago, limit) => {
                let (selected, at) = (filter(number), newest.saturating_sub(ago).max(1));
                let query = ListQuery {
                    namespace: selected.namespace.clone(),
                    labels: selected.labels.clone(),
                    fields: selected.fields.clone(),
                    at: if ago == 0 { At::Newest } else { At::Exact(Revision(at)) },
                    limit,
                    start: None,
                };
                let expected = state(&history, &selected, at);
                let mut rest = &expected[..];
                // What stands where it looks, selected or not.
                let namespace = selected.namespace.clone();
                let all = state(&history, &Filter { namespace, ..Filter::default() }, at);
                let limit = limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
                let mut query = query;
                loop {
                    let listed = match cached.list(&row, &query).await {
                        Err(Error::Unavailable { .. }) if troubled && query.start.is_none() => break,
                        Err(Error::Unavailable { .. }) if troubled => continue,
                        listed => listed,
                    };
                    let (mut items, mut unreadable) = (Vec::new(), Vec::new());
                    for (_, held) in rest {
                        if items.len() == limit {
                            break;
                        }
                        match held {
                            Held::Object(object) => items.push(object.clone()),
                            Held::Unreadable(value) => unreadable.push(value.clone()),
                        }
                    }
                    if !unreadable.is_empty() {
                        let Err(Error::Unreadable { values, more: false }) = listed else {
                            panic!("{listed:?}")
                        };
                        assert_eq!(values, unreadable);
                        break;
                    }
                    let page = listed.unwrap();
                    assert_eq!((page.revision.0, &page.items), (at, &items));
                    rest = &rest[items.len()..];
                    let last = items.last().filter(|_| items.len() == limit && number != 5);
                    let left = last.map_or(0, |last| all.iter().filter(|(key, _)| key > last.key()).count());
                    assert_eq!(page.remaining, (number < 2).then_some(left));
                    assert_eq!(page.next.is_some(), left > 0);
                    let Some(start) = page.next else {
                        assert!(rest.is_empty(), "{rest:?}");
                        break;
                    };
                    (query.at, query.start) = (At::Exact(page.revision), Some(start));
                }
            }
            Step::Yield => tokio::task::yield_now().await,
            Step::Sleep(millis) => env.clock.sleep(Duration::from_millis(millis)).await,
            Step::Cut => {
                store.cut.notify_one();
                troubled = true;
            }
            Step::Fail(count) => {
                store.failures.store(count, Relaxed);
                troubled = true;
            }
            Step::Lose => {
                store.lost.store(1, Relaxed);
                troubled = true;
            }
        }
    }
    let newest = Revision(history.last().map_or(1, |happened| happened.revision));
    // In the end it gets there, whatever was in between.
    while let Err(error) = cached.wait(&row, newest).await {
        assert!(troubled && matches!(error, Error::Unavailable { .. }), "{error}");
    }
    for mut watched in watches {
        while take(&mut watched, &history, &cached, &row).await == Some(true) {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_program_is_answered_as_by_the_model(steps in prop::collection::vec(step(), 1..80)) {
        block_on(run(steps));
    }

    #[test]
    fn every_program_is_answered_so_above_a_store_that_fails(steps in prop::collection::vec(trouble(), 1..120)) {
        block_on(run(steps));
    }
}

fn block_on(run: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run);
}
