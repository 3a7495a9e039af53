//! What only this wrapper promises; the contract itself is tested by the conformance suite.

use futures_util::StreamExt;

use super::*;
use crate::store::{MemoryStore, ObjectStoreExt};

fn key(name: &str, byte: u8) -> EncryptionKey {
    EncryptionKey::new(name, [byte; 32])
}

fn over(below: &MemoryStore, keys: EncryptionKeys) -> Encrypted {
    Encrypted::new(Arc::new(below.clone()), keys)
}

async fn raw(below: &MemoryStore, key: &str) -> Bytes {
    below.get(key.as_bytes()).await.unwrap().unwrap().value
}

fn named(answer: Result<impl fmt::Debug>, key: &str, why: &str) {
    let Err(Error::Corrupt { what }) = &answer else { panic!("{answer:?}") };
    assert!(what.contains(key) && what.contains(why), "{what}");
}

#[tokio::test]
async fn nothing_of_a_value_lies_below() {
    let below = MemoryStore::new();
    let store = over(&below, EncryptionKeys::new(key("one", 1)));
    for value in ["", "x", "a secret that is long enough to be found again"] {
        store.put("/a", value).await.unwrap();
        let stored = raw(&below, "/a").await;
        assert_eq!(stored.len(), value.len() + Encrypted::OVERHEAD_BYTES + "one".len());
        assert!(stored.starts_with(b"windlass:enc:aes256gcm:v1:one:"));
        assert!(value.len() < 2 || !stored.windows(value.len()).any(|part| part == value.as_bytes()));
    }
    // The same value twice is not the same ciphertext.
    store.put("/a", "same").await.unwrap();
    let first = raw(&below, "/a").await;
    store.put("/a", "same").await.unwrap();
    assert_ne!(first, raw(&below, "/a").await);
}

#[tokio::test]
async fn a_damaged_or_moved_value_is_named_and_never_served() {
    let below = MemoryStore::new();
    let store = over(&below, EncryptionKeys::new(key("one", 1)));
    store.put("/a", "value").await.unwrap();
    store.put("/b", "other").await.unwrap();
    let sealed = raw(&below, "/a").await;
    // Every single bit.
    for at in 0..sealed.len() * 8 {
        let mut damaged = sealed.to_vec();
        damaged[at / 8] ^= 1 << (at % 8);
        below.put("/a", damaged).await.unwrap();
        assert!(matches!(store.get(b"/a").await, Err(Error::Corrupt { .. })), "bit {at}");
    }
    for length in 0..sealed.len() {
        below.put("/a", sealed.slice(..length)).await.unwrap();
        assert!(matches!(store.get(b"/a").await, Err(Error::Corrupt { .. })), "cut to {length}");
    }
    below.put("/a", raw(&below, "/b").await).await.unwrap();
    named(store.get(b"/a").await, "/a", "does not open");
    let mut seen = store.watch(KeyRange::all(), WatchOptions::default()).await.unwrap();
    below.put("/a", raw(&below, "/b").await).await.unwrap();
    named(store.list(KeyRange::all(), ListOptions::default()).await, "/a", "moved");
    named(store.commit(Txn::new().then(Op::get("/a"))).await, "/a", "moved");
    let compare = Compare::key("/a", Condition::Value(Relation::Equal, "other".into()));
    named(store.commit(Txn::new().when(compare)).await, "/a", "moved");
    named(seen.next().await.unwrap(), "/a", "moved");
    assert!(seen.next().await.is_none());
    // What does not need the value goes on.
    assert_eq!(store.list(KeyRange::all(), ListOptions::default().keys_only()).await.unwrap().count, 2);
    assert_eq!(store.get(b"/b").await.unwrap().unwrap().value, "other");
}

#[tokio::test]
async fn who_reads_sealed_hears_of_each_value_that_does_not_open_and_of_all_others() {
    let below = MemoryStore::new();
    let (one, two) = (EncryptionKeys::new(key("one", 1)), EncryptionKeys::new(key("two", 2)));
    let store = over(&below, one);
    // Whoever stands between hands it on.
    let store = crate::store::Faulty::new(
        Arc::new(Box::new(store)),
        &crate::env::Env::simulated(1),
        "test",
        crate::store::Faults::default(),
    );
    let mut seen = store.watch(KeyRange::all(), WatchOptions::default().sealed()).await.unwrap();
    store.put("/a", "value").await.unwrap();
    over(&below, two).put("/b", "of another key").await.unwrap();
    below.put("/c", "not sealed").await.unwrap();
    store.put("/d", "value").await.unwrap();
    let page = store.list(KeyRange::all(), ListOptions::default().sealed()).await.unwrap();
    let mut watched = Vec::new();
    while watched.len() < 4 {
        watched.extend(seen.next().await.unwrap().unwrap().events.iter().map(|event| event.kv.clone()));
    }
    assert_eq!(page.items, watched);
    for kv in page.items {
        let opened = store.open(&kv.key, &kv.value);
        match &kv.key[..] {
            b"/b" => named(opened, "/b", "sealed with \"two\", which is not here"),
            b"/c" => named(opened, "/c", "not sealed"),
            _ => assert_eq!(opened.unwrap(), "value"),
        }
        // Moved, it does not open.
        named(store.open(b"/elsewhere", &kv.value), "/elsewhere", "");
    }
    // Whoever does not ask for it hears nothing but that.
    named(store.list(KeyRange::all(), ListOptions::default()).await, "/b", "");
    let mut seen = store.watch(KeyRange::all(), WatchOptions::from(Revision(2))).await.unwrap();
    assert_eq!(seen.next().await.unwrap().unwrap().events[0].kv.value, "value");
    named(seen.next().await.unwrap(), "/b", "");
    // Sealed twice, it is opened twice.
    let below = MemoryStore::new();
    let inner = over(&below, EncryptionKeys::new(key("one", 1)));
    let outer = Encrypted::new(Arc::new(inner), EncryptionKeys::new(key("two", 2)));
    outer.put("/a", "value").await.unwrap();
    let page = outer.list(KeyRange::all(), ListOptions::default().sealed()).await.unwrap();
    assert_eq!(page.items[0].value, raw(&below, "/a").await);
    assert_eq!(outer.open(b"/a", &page.items[0].value).unwrap(), "value");
}

#[tokio::test]
async fn keys_rotate() {
    let below = MemoryStore::new();
    let old = over(&below, EncryptionKeys::new(key("old", 1)));
    for number in 0..600 {
        old.put(format!("/a/{number:03}"), number.to_string()).await.unwrap();
    }
    old.put("/b", "outside").await.unwrap();
    let new = over(&below, EncryptionKeys::new(key("new", 2)).and(key("old", 1)));
    new.put("/a/000", "new").await.unwrap();
    assert_eq!(new.get(b"/a/599").await.unwrap().unwrap().value, "599");
    assert_eq!(new.rotate(KeyRange::prefix("/a/")).await.unwrap(), 599);
    assert_eq!(new.rotate(KeyRange::prefix("/a/")).await.unwrap(), 0);
    let only_new = over(&below, EncryptionKeys::new(key("new", 2)));
    for number in 1..600 {
        let kv = only_new.get(format!("/a/{number:03}").as_bytes()).await.unwrap().unwrap();
        assert_eq!((kv.value, kv.version), (number.to_string().into(), 2));
    }
    named(only_new.get(b"/b").await, "/b", "sealed with \"old\", which is not here");
    // A key of the same name is not the same key.
    let impostor = over(&below, EncryptionKeys::new(key("new", 3)));
    named(impostor.get(b"/a/001").await, "/a/001", "another secret");
}

#[tokio::test]
async fn what_is_not_sealed_with_the_first_key_is_stale() {
    let below = MemoryStore::new();
    let old = over(&below, EncryptionKeys::new(key("old", 1)));
    old.put("/old", "value").await.unwrap();
    below.put("/plain", "value").await.unwrap();
    let keys = || EncryptionKeys::new(key("new", 2)).and(key("old", 1)).unsealed(true);
    let new = over(&below, keys());
    new.put("/new", "value").await.unwrap();
    for (key, stale) in [("/old", true), ("/plain", true), ("/new", false), ("/absent", false)] {
        assert_eq!(new.is_stale(key.as_bytes()).await.unwrap(), stale, "{key}");
    }
    assert!(!old.is_stale(b"/old").await.unwrap());
    // A key whose name begins the other's is another.
    let longer = over(&below, EncryptionKeys::new(key("new2", 3)).and(key("new", 2)));
    longer.put("/longer", "value").await.unwrap();
    assert!(longer.is_stale(b"/new").await.unwrap());
    assert!(new.is_stale(b"/longer").await.unwrap());
    // What is stale below is stale above, through other wrappers too.
    let above = Encrypted::new(Arc::new(over(&below, keys())), EncryptionKeys::new(key("above", 4)));
    above.put("/twice", "value").await.unwrap();
    assert!(!above.is_stale(b"/twice").await.unwrap());
    let below_changed = Encrypted::new(Arc::new(longer), EncryptionKeys::new(key("above", 4)));
    assert!(below_changed.is_stale(b"/twice").await.unwrap());
    new.put("/old", "value").await.unwrap();
    assert!(!new.is_stale(b"/old").await.unwrap());
}

#[tokio::test]
async fn values_that_are_not_sealed_are_served_where_that_is_allowed() {
    let below = MemoryStore::new();
    below.put("/plain", "plain").await.unwrap();
    below.put("/empty", "").await.unwrap();
    let strict = over(&below, EncryptionKeys::new(key("one", 1)));
    named(strict.get(b"/plain").await, "/plain", "not sealed");
    named(strict.get(b"/empty").await, "/empty", "not sealed");
    let lenient = over(&below, EncryptionKeys::new(key("one", 1)).unsealed(true));
    assert_eq!(lenient.get(b"/plain").await.unwrap().unwrap().value, "plain");
    assert_eq!(lenient.get(b"/empty").await.unwrap().unwrap().value, "");
    assert_eq!(lenient.rotate(KeyRange::all()).await.unwrap(), 2);
    assert_eq!(strict.get(b"/plain").await.unwrap().unwrap().value, "plain");
    below.put("/cbc", "k8s:enc:aescbc:v1:one:xxxxxxxxxxxxxxxx").await.unwrap();
    named(lenient.get(b"/cbc").await, "/cbc", "not read here");
}

#[tokio::test]
async fn what_kubernetes_sealed_with_the_same_key_opens() {
    use aes_gcm::aead::{Aead, KeyInit, Payload};
    let cipher = aes_gcm::Aes256Gcm::new_from_slice(&[1; 32]).unwrap();
    let storage_key = "/registry/secrets/default/a";
    let payload = Payload { msg: b"k8s\0secret", aad: storage_key.as_bytes() };
    let nonce = [9; 12];
    let sealed = cipher.encrypt(&nonce.into(), payload).unwrap();
    let below = MemoryStore::new();
    below.put(storage_key, [b"k8s:enc:aesgcm:v1:one:", &nonce[..], &sealed].concat()).await.unwrap();
    let store = over(&below, EncryptionKeys::new(key("one", 1)));
    assert_eq!(store.get(storage_key.as_bytes()).await.unwrap().unwrap().value, &b"k8s\0secret"[..]);
    assert_eq!(store.rotate(KeyRange::all()).await.unwrap(), 1);
    assert_eq!(store.get(storage_key.as_bytes()).await.unwrap().unwrap().value, &b"k8s\0secret"[..]);
}

#[tokio::test]
async fn no_two_sealers_share_a_nonce_and_a_given_salt_repeats_itself() {
    let (one, two, three) = (MemoryStore::new(), MemoryStore::new(), MemoryStore::new());
    let keys = || EncryptionKeys::new(key("one", 1));
    let salted = || keys().salt([5; 32]);
    for (below, keys) in [(&one, keys()), (&two, salted()), (&three, salted())] {
        over(below, keys).put("/a", "same").await.unwrap();
    }
    assert_ne!(raw(&one, "/a").await, raw(&two, "/a").await);
    assert_eq!(raw(&two, "/a").await, raw(&three, "/a").await);
}

/// A store that lets somebody write between the reads of a commit and the commit itself.
struct Meddled {
    inner: MemoryStore,
    meddle: std::sync::Mutex<Vec<Txn>>,
}

#[async_trait]
impl ObjectStore for Meddled {
    async fn revision(&self) -> Result<Revision> {
        self.inner.revision().await
    }
    async fn get(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        self.inner.get(key).await
    }
    async fn list(&self, range: KeyRange, options: ListOptions) -> Result<Page> {
        self.inner.list(range, options).await
    }
    async fn commit(&self, txn: Txn) -> Result<Committed> {
        let meddled = self.meddle.lock().unwrap().pop();
        if let Some(meddled) = meddled {
            self.inner.commit(meddled).await?;
        }
        self.inner.commit(txn).await
    }
    async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<WatchStream> {
        self.inner.watch(range, options).await
    }
    async fn compact(&self, revision: Revision) -> Result<()> {
        self.inner.compact(revision).await
    }
}

#[tokio::test]
async fn what_changes_under_a_comparison_is_compared_again() {
    let sealed = |key: &'static str, value: &'static str| {
        let below = MemoryStore::new();
        let salted = EncryptionKeys::new(self::key("one", 1)).salt([value.len() as u8; 32]);
        async move {
            over(&below, salted).put(key, value).await.unwrap();
            Txn::new().then(Op::put(key, raw(&below, key).await))
        }
    };
    let gone = |key: &'static str| Txn::new().then(Op::delete(KeyRange::single(key)));
    // What is there, what is compared, what happens in between (the last first), and how it comes out.
    let cases = [
        (vec!["/a"], KeyRange::single("/a"), vec![sealed("/a", "another").await], false),
        (vec!["/a"], KeyRange::single("/a"), vec![gone("/a")], false),
        (vec!["/a"], KeyRange::single("/b"), vec![sealed("/b", "yes").await], true),
        (vec!["/a", "/b"], KeyRange::all(), vec![sealed("/c", "another").await], false),
        (vec!["/a", "/b"], KeyRange::all(), vec![sealed("/c", "yes").await], true),
        (vec!["/a", "/b"], KeyRange::all(), vec![gone("/b")], true),
        (vec!["/a", "/b"], KeyRange::all(), vec![Txn::new().then(Op::delete(KeyRange::all()))], false),
        (vec!["/a", "/no"], KeyRange::all(), vec![gone("/no")], true),
        (
            vec!["/a", "/no"],
            KeyRange::all(),
            vec![sealed("/b", "another").await, sealed("/no", "yes").await],
            false,
        ),
    ];
    for (there, range, meddle, expected) in cases {
        let below = Arc::new(Meddled { inner: MemoryStore::new(), meddle: Vec::new().into() });
        let store = Encrypted::new(below.clone(), EncryptionKeys::new(key("one", 1)));
        for key in &there {
            store.put(*key, if *key == "/no" { "no" } else { "yes" }).await.unwrap();
        }
        *below.meddle.lock().unwrap() = meddle.clone();
        let compare = Compare { range, condition: Condition::Value(Relation::Equal, "yes".into()) };
        let txn = Txn::new().when(compare).then(Op::put("/then", "x")).or_else(Op::get("/a"));
        let before = below.inner.revision().await.unwrap();
        let committed = store.commit(Txn::new().then(Op::Txn(txn.clone()))).await.unwrap();
        let [OpResult::Txn(inner)] = &committed.results[..] else { panic!("{committed:?}") };
        assert_eq!(inner.succeeded, expected, "{there:?} {:?} {meddle:?}", txn.compare);
        let own = u64::from(expected);
        assert_eq!(committed.revision.0, before.0 + meddle.len() as u64 + own, "one revision, however often");
    }
}
