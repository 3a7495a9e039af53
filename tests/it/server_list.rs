//! Lists: as of which revision, in which parts, and what is said of the rest.
//!
//! The cases are those of `RunTestList` of `k8s.io/apiserver/pkg/storage/testing` (1.36); their pods are
//! slots here, for a pod stays on its node.

use std::sync::Arc;

use ResourceVersionMatch::{Exact, NotOlderThan};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use windlass::api::Revision;
use windlass::client::{ObjectList, ResourceVersionMatch};
use windlass::store::MemoryStore;

use super::server_kit::*;

const NO_MORE: &str = "The resourceVersion for the provided list is too old.";
const CONTINUE_NO_MORE: &str =
    "The provided continue parameter is too old to display a consistent list result.";

/// The token that a kube-apiserver would hand out.
pub(crate) fn token(start: &str, revision: i64) -> String {
    let start = start.replace('\0', r"\u0000");
    URL_SAFE_NO_PAD.encode(format!(r#"{{"v":"meta.k8s.io/v1","rv":{revision},"start":"{start}"}}"#))
}

fn rv(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap()
}

/// What is asked.
#[derive(Clone, Default)]
struct Ask {
    story: String,
    namespace: &'static str,
    fields: &'static str,
    limit: Option<u64>,
    at: Option<Revision>,
    meant: Option<ResourceVersionMatch>,
    token: Option<String>,
}

/// What is answered: the objects with their revisions and the list's own; then, where there is more, with
/// which key it goes on, and how many objects there are, where that is known.
type Page = (Vec<(&'static str, Revision)>, Revision, Option<(&'static str, Option<u64>)>);
/// Or a code and how the message begins.
type Answer = Result<Page, (u16, String)>;

fn ask(story: &str) -> Ask {
    Ask { story: story.into(), ..Ask::default() }
}

impl Ask {
    fn within(self, namespace: &'static str) -> Self {
        Self { namespace, ..self }
    }
    fn fields(self, fields: &'static str) -> Self {
        Self { fields, ..self }
    }
    fn limit(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }
    fn at(self, revision: Revision) -> Self {
        Self { at: Some(revision), ..self }
    }
    fn meant(self, meant: ResourceVersionMatch) -> Self {
        Self { meant: Some(meant), ..self }
    }
    fn from(self, start: &str, revision: i64) -> Self {
        Self { token: Some(token(start, revision)), ..self }
    }

    async fn of(&self, kit: &Kit) -> Result<ObjectList, windlass::client::Error> {
        let options = list_options(|options| {
            options.fields = self.fields.parse().unwrap();
            options.limit = self.limit;
            options.resource_version = self.at;
            options.resource_version_match = self.meant;
            options.continue_token = self.token.clone();
        });
        kit.list(self.namespace, "slots", options).await
    }
}

async fn check(kit: &Kit, rows: Vec<(Ask, Answer)>) {
    for (ask, expected) in rows {
        let story = format!("{}; of {:?} by {:?}", ask.story, ask.namespace, ask.fields);
        match (ask.of(kit).await, expected) {
            (Ok(list), Ok((items, revision, more))) => {
                let seen: Vec<_> =
                    list.items.iter().map(|item| (item.key().to_string(), item.revision())).collect();
                let items: Vec<_> = items.into_iter().map(|(key, at)| (key.to_owned(), at)).collect();
                assert_eq!((seen, list.revision), (items, revision), "{story}");
                let next = more.map(|(start, _)| token(start, rv(revision)));
                let left = more.and_then(|(_, left)| left);
                assert_eq!((list.continue_token, list.remaining), (next, left), "{story}");
            }
            (Err(error), Err((code, words))) => {
                assert_eq!(said(&error).0, code, "{story}");
                assert!(said(&error).2.starts_with(&words), "{story}: {error}");
            }
            (list, expected) => panic!("{story}: {list:?}, but {expected:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_what_its_options_ask_for() {
    let store = MemoryStore::new();
    let kit = kit_with(|builder| builder.store(Arc::new(store.clone()))).await;
    kit.create("", "customresourcedefinitions", placed_kind("slots", "Slot", "Namespaced")).await.unwrap();
    for namespace in ["first", "second", "third"] {
        kit.create("", "namespaces", serde_json::json!({"metadata": {"name": namespace}})).await.unwrap();
    }
    kit.names("", "slots").await;
    let initial = kit.revision().await;
    let put = async |namespace, name, node| {
        kit.put(namespace, &format!("slots/{name}"), placed(name, node)).await.revision()
    };
    let bar1 = put("first", "bar", "").await;
    let bar2 = put("second", "bar", "").await;
    let foo2 = put("second", "foo", "").await;
    let barfoo3 = put("third", "barfoo", "").await;
    let foo3 = put("third", "foo", "").await;
    let baz2 = put("second", "baz", "").await;
    let updated = put("first", "bar", "fakeNode").await;
    kit.delete("second", "slots/baz").await.unwrap();
    let deleted = kit.revision().await;
    kit.server.compact(bar1).await.unwrap();
    // Another resource's write.
    let now = kit.config_map("other").await;

    let first = ("first/bar", updated);
    let was = ("first/bar", bar1);
    let (second_bar, second_baz, second_foo) =
        (("second/bar", bar2), ("second/baz", baz2), ("second/foo", foo2));
    let (third_barfoo, third_foo) = (("third/barfoo", barfoo3), ("third/foo", foo3));
    let all = || vec![first, second_bar, second_foo, third_barfoo, third_foo];
    let whole = |items: &[(&'static str, Revision)], at| Ok((items.to_vec(), at, None));
    let part = |items: &[(&'static str, Revision)], at, start: &'static str, left: Option<u64>| {
        Ok((items.to_vec(), at, Some((start, left))))
    };
    let too_large =
        |asked: Revision| Err((504, format!("Timeout: Too large resource version: {asked}, current: {now}")));
    let refused = |code: u16, words: &str| Err((code, words.to_owned()));
    let most = Revision(i64::MAX as u64);

    let mut rows = vec![
        (
            ask("a revision and a token").within("second").limit(1).from("foo", rv(deleted)).at(Revision(1)),
            refused(400, "specifying resource version is not allowed when using continue"),
        ),
        (ask("a revision far too high").at(most), too_large(most)),
        (ask("a future revision, exactly").at(now.next()).meant(Exact), too_large(now.next())),
        (ask("a future revision in a token").from("a", rv(now.next())), too_large(now.next())),
        (ask("a namespace").within("first"), whole(&[first], now)),
        (ask("at 0").within("first").at(Revision::NONE), whole(&[first], now)),
        (ask("before the update").within("first").at(bar1).meant(Exact), whole(&[was], bar1)),
        (ask("before the creation").within("second").at(bar1).meant(Exact), whole(&[], bar1)),
        (ask("after the creation").within("second").at(bar2).meant(Exact), whole(&[second_bar], bar2)),
        (ask("what is compacted").within("first").at(initial).meant(Exact), refused(410, NO_MORE)),
        (ask("what is compacted, by limit").limit(1).at(initial), refused(410, NO_MORE)),
        (
            ask("not older than 0").within("first").at(Revision::NONE).meant(NotOlderThan),
            whole(&[first], now),
        ),
        (ask("not older than all").within("first").at(initial).meant(NotOlderThan), whole(&[first], now)),
        (ask("at the newest").within("first").at(now), whole(&[first], now)),
        (ask("not older than the newest").within("first").at(now).meant(NotOlderThan), whole(&[first], now)),
        (ask("an empty namespace").within("default"), whole(&[], now)),
        (ask("a namespace that is none").within("non-existing"), whole(&[], now)),
        (ask("all but a name").within("first").fields("metadata.name!=bar"), whole(&[], now)),
        (
            ask("all but a name at a revision")
                .within("first")
                .fields("metadata.name!=bar")
                .at(deleted)
                .meant(Exact),
            whole(&[], deleted),
        ),
        (ask("a limit").within("second").limit(1), part(&[second_bar], now, "bar\0", Some(1))),
        (
            ask("a limit at a revision").within("second").limit(1).at(deleted),
            part(&[second_bar], deleted, "bar\0", Some(1)),
        ),
        (
            ask("a limit at exactly a revision").within("second").limit(1).at(deleted).meant(Exact),
            part(&[second_bar], deleted, "bar\0", Some(1)),
        ),
        (
            ask("a limit not before a revision").within("second").limit(1).at(deleted).meant(NotOlderThan),
            part(&[second_bar], now, "bar\0", Some(1)),
        ),
        // Kubernetes' cache gives the whole list at 0, and so do we; its store gives what it is asked for.
        (
            ask("a limit at 0").within("second").limit(1).at(Revision::NONE),
            whole(&[second_bar, second_foo], now),
        ),
        (ask("a limit before it came").within("second").limit(1).at(bar1).meant(Exact), whole(&[], bar1)),
        (
            ask("a limit when it came").within("second").limit(1).at(bar2).meant(Exact),
            whole(&[second_bar], bar2),
        ),
        (ask("a token").within("second").limit(1).from("foo", rv(deleted)), whole(&[second_foo], deleted)),
        (
            ask("a token and 0").within("second").limit(1).from("foo", rv(deleted)).at(Revision::NONE),
            whole(&[second_foo], deleted),
        ),
        (ask("everything"), whole(&all(), now)),
        (ask("everything, at another's revision").at(now).meant(Exact), whole(&all(), now)),
        (
            ask("one of one, and others behind it").fields("metadata.name=barfoo").limit(1),
            part(&[third_barfoo], now, "third/barfoo\0", None),
        ),
        (ask("one of two").fields("metadata.name=barfoo").limit(2), whole(&[third_barfoo], now)),
        (
            ask("two of two, and others behind them").fields("metadata.name=bar").limit(2),
            part(&[first, second_bar], now, "second/bar\0", None),
        ),
        (ask("two of two").fields("metadata.name=foo").limit(2), whole(&[second_foo, third_foo], now)),
        (
            ask("the last, not full").fields("metadata.name=foo").limit(2).from("third/barfoo", rv(deleted)),
            whole(&[third_foo], deleted),
        ),
        (
            ask("the last, full").fields("metadata.name=foo").limit(1).from("third/barfoo", rv(deleted)),
            whole(&[third_foo], deleted),
        ),
        (
            ask("as many as there are").fields("metadata.name=foo").limit(5),
            whole(&[second_foo, third_foo], now),
        ),
        (
            ask("all on a node").fields("spec.nodeName=fakeNode").limit(1),
            part(&[first], now, "first/bar\0", None),
        ),
        (
            ask("a name and a namespace").within("second").fields("metadata.name=bar").limit(1),
            whole(&[second_bar], now),
        ),
        (
            ask("a namespace by selector").fields("metadata.namespace=second").limit(1),
            part(&[second_bar], now, "second/bar\0", None),
        ),
        (
            ask("and what is behind it")
                .fields("metadata.namespace=second")
                .limit(1)
                .from("second/bar\0", rv(now)),
            whole(&[second_foo], now),
        ),
        (
            ask("a token that is too old").limit(1).from("first/bar\0", rv(initial)),
            refused(410, CONTINUE_NO_MORE),
        ),
        (
            ask("the newest, behind the first").from("first/bar\0", -1),
            whole(&[second_bar, second_foo, third_barfoo, third_foo], now),
        ),
        (
            ask("the newest, behind the first, in parts").limit(2).from("first/bar\0", -1),
            part(&[second_bar, second_foo], now, "second/foo\0", Some(2)),
        ),
        (
            ask("the newest, behind the third").from("second/foo\0", -1),
            whole(&[third_barfoo, third_foo], now),
        ),
        (
            ask("from a key that is none").from("second/c", -1),
            whole(&[second_foo, third_barfoo, third_foo], now),
        ),
        (ask("from a namespace on").from("third", -1), whole(&[third_barfoo, third_foo], now)),
        (ask("from the root on").from("/", -1), whole(&all(), now)),
        (ask("with a slash before it").from("/third/foo", -1), whole(&[third_foo], now)),
        (ask("from behind everything").from("zzz", -1), whole(&[], now)),
        (
            ask("a token without a key").from("", rv(deleted)),
            refused(
                400,
                "invalid continue token: continue key is not valid: encoded start key empty (version meta.k8s.io/v1)",
            ),
        ),
        (
            ask("a token without a revision").from("first/bar\0", 0),
            refused(
                400,
                "invalid continue token: continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
        ),
    ];
    for start in ["../second/foo", "./foo", "foo/../..", "..", "foo//bar", "foo/", "//"] {
        let words = format!("invalid continue token: continue key is not valid: {start}");
        rows.push((
            ask("a token that leads elsewhere").within("first").from(start, rv(deleted)),
            Err((400, words)),
        ));
    }
    // Each write, whole, in parts, and behind its first.
    let states = [
        (bar1, vec![was]),
        (bar2, vec![was, second_bar]),
        (foo2, vec![was, second_bar, second_foo]),
        (barfoo3, vec![was, second_bar, second_foo, third_barfoo]),
        (foo3, vec![was, second_bar, second_foo, third_barfoo, third_foo]),
        (baz2, vec![was, second_bar, second_baz, second_foo, third_barfoo, third_foo]),
        (updated, vec![first, second_bar, second_baz, second_foo, third_barfoo, third_foo]),
        (deleted, all()),
        (now, all()),
    ];
    for (at, state) in &states {
        rows.push((ask("each write").at(*at).meant(Exact), whole(state, *at)));
        let left = state.len() as u64 - 1;
        let limited =
            if left == 0 { whole(state, *at) } else { part(&state[..1], *at, "first/bar\0", Some(left)) };
        rows.push((ask("each write, one").limit(1).at(*at).meant(Exact), limited));
        rows.push((
            ask("each write, behind the first").from("first/bar\0", rv(*at)),
            whole(&state[1..], *at),
        ));
        let second = match left {
            0 | 1 => whole(&state[1..], *at),
            left => part(&state[1..2], *at, "second/bar\0", Some(left - 1)),
        };
        rows.push((ask("each write, one behind the first").limit(1).from("first/bar\0", rv(*at)), second));
    }
    check(&kit, rows.clone()).await;
    // A server that comes late asks the store about the past, and says the same.
    let late = kit_with(|builder| builder.store(Arc::new(store))).await;
    assert_eq!(late.revision().await, now, "it writes nothing when it starts");
    check(&late, rows).await;
}
