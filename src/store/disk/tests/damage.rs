//! What a crash leaves, and what is damage.

use super::*;

/// The bytes of a directory's files.
fn image(path: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let bytes = std::fs::read(path.join(&name)).expect("a file");
        (name, bytes)
    };
    names(path).into_iter().map(read).collect()
}

/// A directory with these files.
fn with(image: &[(String, Vec<u8>)]) -> TempDir {
    let directory = directory();
    for (name, bytes) in image {
        std::fs::write(directory.path().join(name), bytes).expect("a file");
    }
    directory
}

fn path(directory: &TempDir, name: &str) -> PathBuf {
    directory.path().join(name)
}

/// Tiny files, so that many can be opened.
fn tiny() -> DiskOptions {
    small().segment_bytes(4 << 10)
}

/// Three puts without what closing writes behind the last.
async fn crashed() -> Vec<(String, Vec<u8>)> {
    let directory = directory();
    let store = DiskStore::open(directory.path(), tiny()).unwrap();
    for number in 1..=3 {
        store.put("key", format!("value {number}")).await.unwrap();
    }
    image(directory.path())
}

/// Where the batches of a file begin, by their magic number.
fn batches(bytes: &[u8]) -> Vec<usize> {
    let magic = u32::to_le_bytes(0x4254_4c57);
    (1..bytes.len() / 512).map(|sector| sector * 512).filter(|at| bytes[*at..*at + 4] == magic).collect()
}

#[tokio::test]
async fn a_batch_that_a_crash_has_cut_goes_as_a_whole() {
    let image = crashed().await;
    let (name, bytes) = &image[0];
    let last = *batches(bytes).last().unwrap();
    let used = bytes[last..last + 512].iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for length in 0..used {
        let mut cut = bytes.clone();
        cut[last + length..last + 512].fill(0);
        let directory = with(&[(name.clone(), cut)]);
        let store = DiskStore::open(directory.path(), tiny()).unwrap();
        assert_eq!(store.revision().await.unwrap(), Revision(3), "cut after {length} bytes");
        assert_eq!(value(&store, "key").await.unwrap(), "value 2");
        assert_eq!(store.put("key", "new").await.unwrap(), Revision(4));
        drop(store);
        let store = DiskStore::open(directory.path(), tiny()).unwrap();
        assert_eq!(value(&store, "key").await.unwrap(), "new");
    }
    // Not cut at all, and with the file cut short behind it.
    for end in [bytes.len(), last + 512] {
        let directory = with(&[(name.clone(), bytes[..end].to_vec())]);
        let store = DiskStore::open(directory.path(), tiny()).unwrap();
        assert_eq!(value(&store, "key").await.unwrap(), "value 3");
        store.put("key", "new").await.unwrap();
    }
}

#[tokio::test]
async fn every_flipped_byte_that_a_later_sync_covers_is_found_and_named() {
    let image = crashed().await;
    let (name, bytes) = &image[0];
    let last = *batches(bytes).last().unwrap();
    for at in 0..last {
        for bit in [0, 7] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let directory = with(&[(name.clone(), flipped)]);
            match DiskStore::open(directory.path(), tiny()) {
                Err(Error::Corrupt { what }) => {
                    let batch = batches(bytes).into_iter().rfind(|batch| *batch <= at).unwrap_or(0);
                    assert!(what.starts_with(&format!("{name} at byte {batch}")), "byte {at}: {what}");
                }
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_was_closed_has_no_byte_that_may_flip() {
    let directory = directory();
    let store = DiskStore::open(directory.path(), tiny()).unwrap();
    store.put("key", "value").await.unwrap();
    store.close().await.unwrap();
    let image = image(directory.path());
    let (name, bytes) = &image[0];
    let last = *batches(bytes).last().unwrap();
    for at in (0..last).step_by(3) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        let directory = with(&[(name.clone(), flipped)]);
        assert!(matches!(DiskStore::open(directory.path(), tiny()), Err(Error::Corrupt { .. })), "byte {at}");
    }
}

#[tokio::test]
async fn a_base_and_the_files_behind_it_are_whole_or_named() {
    let directory = directory();
    let store = DiskStore::open(directory.path(), tiny()).unwrap();
    for number in 0..10 {
        store.put(format!("{}", number % 3), vec![number; 100]).await.unwrap();
    }
    store.compact(Revision(9)).await.unwrap();
    store.defragment().await.unwrap();
    for number in 0..30 {
        store.put("a", vec![number; 300]).await.unwrap();
    }
    let before = told(&store).await;
    store.close().await.unwrap();
    let image = image(directory.path());
    assert!(image.len() >= 3 && image[0].0.starts_with("base"), "{:?}", names(directory.path()));
    assert_eq!(told(&DiskStore::open(with(&image).path(), tiny()).unwrap()).await, before);

    let base = &image[0].1;
    for at in (0..base.len()).step_by(7) {
        let mut flipped = image.clone();
        flipped[0].1[at] ^= 16;
        let result = DiskStore::open(with(&flipped).path(), tiny());
        assert!(
            matches!(&result, Err(Error::Corrupt { what }) if what.starts_with("base")),
            "{at}: {result:?}"
        );
    }
    for cut in [base.len() - 512, base.len() / 1024 * 512, 512, 0] {
        let mut short = image.clone();
        short[0].1.truncate(cut);
        let result = DiskStore::open(with(&short).path(), tiny());
        assert!(matches!(result, Err(Error::Corrupt { .. })), "{cut}: {result:?}");
    }
    // Any file but the last two, of which one may be ahead and empty.
    for missing in 0..image.len() - 2 {
        let mut files = image.clone();
        let (name, _) = files.remove(missing);
        let result = DiskStore::open(with(&files).path(), tiny());
        assert!(matches!(result, Err(Error::Corrupt { .. })), "{name}: {result:?}");
    }
    // A file that has another one's name.
    let mut swapped = image.clone();
    swapped[1].1 = image[2].1.clone();
    assert!(matches!(DiskStore::open(with(&swapped).path(), tiny()), Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn what_a_crash_leaves_of_upkeep_is_no_harm() {
    let directory = directory();
    let store = DiskStore::open(directory.path(), tiny()).unwrap();
    for number in 0..10 {
        store.put("a", vec![number; 300]).await.unwrap();
    }
    let old = image(directory.path());
    store.compact(Revision(9)).await.unwrap();
    store.defragment().await.unwrap();
    let before = told(&store).await;
    store.close().await.unwrap();
    let mut files = image(directory.path());
    // The base has its name, and what it replaces is still there; another one was begun.
    files.extend(old.into_iter().filter(|(name, _)| !names(directory.path()).contains(name)));
    files.push(("base-00000000000000ff.new".to_owned(), vec![1; 700]));
    // The next file was begun: without a header, or with a part of it.
    for begun in [vec![0; 4096], [&b"windlass"[..], &[1, 0, 0]].concat(), vec![]] {
        let mut files = files.clone();
        let next = names(directory.path()).last().unwrap().clone();
        let number = u64::from_str_radix(&next[4..], 16).unwrap() + 1;
        files.push((format!("log-{number:016x}"), begun));
        let directory = with(&files);
        let store = DiskStore::open(directory.path(), tiny()).unwrap();
        assert_eq!(told(&store).await, before);
        for number in 0..20 {
            store.put("a", vec![number; 300]).await.unwrap();
        }
        let after = told(&store).await;
        drop(store);
        assert_eq!(told(&DiskStore::open(directory.path(), tiny()).unwrap()).await, after);
        assert!(!path(&directory, "base-00000000000000ff.new").exists());
    }
}

#[tokio::test]
async fn a_byte_that_flips_while_the_store_is_open_is_not_served() {
    let directory = directory();
    let store = open(&directory);
    let old = store.put("key", "an old value").await.unwrap();
    store.put("key", "a new value").await.unwrap();
    let name = names(directory.path()).remove(0);
    let mut bytes = std::fs::read(path(&directory, &name)).unwrap();
    let at = bytes.windows(12).position(|window| window == b"an old value").unwrap();
    bytes[at] ^= 1;
    std::fs::write(path(&directory, &name), &bytes).unwrap();
    let read = value_at(&store, "key", old).await;
    assert!(matches!(&read, Err(Error::Corrupt { what }) if what.contains(&name)), "{read:?}");
    let watch = store.watch(KeyRange::all(), WatchOptions::from(old)).await.unwrap();
    let first = watch.into_future().await.0.unwrap();
    assert!(matches!(first, Err(Error::Corrupt { .. })), "{first:?}");
    let rewritten = store.defragment().await;
    assert!(matches!(rewritten, Err(Error::Corrupt { .. })), "{rewritten:?}");
    let snapshot = store.snapshot().await.unwrap();
    assert!(
        snapshot.collect::<Vec<_>>().await.iter().any(|piece| matches!(piece, Err(Error::Corrupt { .. })))
    );
    assert_eq!(value(&store, "key").await.unwrap(), "a new value");
}
