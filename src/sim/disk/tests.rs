//! Each fault happens, and nothing else does.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::*;

fn disk(seed: u64) -> SimDisk {
    SimDisk::new(&Random::seeded(seed))
}

/// A file that is there, with these bytes, for good.
fn settled(disk: &SimDisk, name: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let file = disk.open(name, true).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync().unwrap();
    disk.sync_directory().unwrap();
    file
}

fn content(disk: &SimDisk, name: &str) -> Vec<u8> {
    let file = disk.open(name, false).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

/// What may be left, over many seeds, of what `act` does to a file of eight settled bytes.
fn outcomes(loss: Loss, act: impl Fn(&SimDisk, &dyn DiskFile)) -> BTreeSet<Vec<u8>> {
    (0..200)
        .map(|seed| {
            let disk = disk(seed);
            let file = settled(&disk, "a", b"--------");
            act(&disk, &*file);
            disk.crash();
            disk.restart(loss);
            content(&disk, "a")
        })
        .collect()
}

fn texts(outcomes: &BTreeSet<Vec<u8>>) -> Vec<&str> {
    outcomes.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect()
}

#[test]
fn what_was_synced_survives_every_loss() {
    for loss in Loss::POWER.into_iter().chain([Loss::Any, Loss::Process]) {
        assert_eq!(texts(&outcomes(loss, |_, _| {})), ["--------"]);
        let synced = outcomes(loss, |_, file| {
            file.write_at(b"new", 0).unwrap();
            file.sync().unwrap();
        });
        assert_eq!(texts(&synced), ["new-----"]);
    }
}

#[test]
fn what_was_not_synced_is_kept_dropped_torn_and_reordered() {
    let two = |_: &SimDisk, file: &dyn DiskFile| {
        file.write_at(b"aa", 0).unwrap();
        file.write_at(b"bb", 4).unwrap();
    };
    assert_eq!(texts(&outcomes(Loss::Nothing, two)), ["aa--bb--"]);
    assert_eq!(texts(&outcomes(Loss::Everything, two)), ["--------"]);
    assert_eq!(texts(&outcomes(Loss::Each, two)), ["--------", "----bb--", "aa------", "aa--bb--"]);
    let torn = outcomes(Loss::Bytes, two);
    assert!(torn.contains(&b"a---bb--"[..]) && torn.contains(&b"-a---b--"[..]), "{:?}", texts(&torn));
    let tail = outcomes(Loss::Tail, two);
    assert!(tail.contains(&b"aa--b---"[..]) && !tail.contains(&b"----bb--"[..]), "{:?}", texts(&tail));
    let over = outcomes(Loss::Each, |_, file| {
        file.write_at(b"aaaa", 0).unwrap();
        file.write_at(b"bb", 0).unwrap();
    });
    assert!(over.contains(&b"aaaa----"[..]) && over.contains(&b"bbaa----"[..]), "{:?}", texts(&over));
    let any = outcomes(Loss::Any, two);
    for left in ["aa--bb--", "--------", "----bb--", "a-------"] {
        assert!(any.contains(left.as_bytes()), "{left} {:?}", texts(&any));
    }
}

#[test]
fn a_long_write_tears_between_sectors() {
    let left = outcomes(Loss::Sectors, |_, file| file.write_at(&[b'x'; 1536], 0).unwrap());
    for bytes in &left {
        let sectors: Vec<_> = bytes.chunks(512).collect();
        assert!(sectors.iter().all(|sector| sector[8..].windows(2).all(|pair| pair[0] == pair[1])));
    }
    // Three sectors, each there or not, of which the last also makes the length.
    assert_eq!(left.iter().filter(|bytes| bytes.len() == 1536).count(), 8);
    assert!(left.len() >= 11, "{}", left.len());
}

#[test]
fn a_length_may_come_back_without_the_bytes_and_the_bytes_without_the_cut() {
    let grown = outcomes(Loss::Each, |_, file| file.write_at(b"new", 8).unwrap());
    assert_eq!(texts(&grown), ["--------", "--------\0\0\0", "--------new"]);
    let cut = outcomes(Loss::Each, |_, file| file.set_len(4).unwrap());
    assert_eq!(texts(&cut), ["----", "--------"]);
}

#[test]
fn names_are_dropped_and_renames_undone() {
    let left: BTreeSet<_> = (0..200)
        .map(|seed| {
            let disk = disk(seed);
            settled(&disk, "old", b"old");
            let new = disk.open("new", true).unwrap();
            new.write_at(b"new", 0).unwrap();
            new.sync().unwrap();
            disk.rename("new", "old").unwrap();
            disk.open("other", true).unwrap();
            disk.crash();
            disk.restart(Loss::Each);
            (disk.names().unwrap().join(" "), content(&disk, "old"))
        })
        .collect();
    let all = |names: &str, old: &str| left.contains(&(names.to_owned(), old.as_bytes().to_vec()));
    assert!(all("old", "old") && all("new old", "old") && all("old", "new") && all("old other", "new"));
    let disk = disk(1);
    settled(&disk, "old", b"old");
    disk.remove("old").unwrap();
    assert!(disk.names().unwrap().is_empty());
    disk.restart(Loss::Everything);
    assert_eq!(content(&disk, "old"), b"old");
}

#[test]
fn a_machine_that_crashed_does_nothing_until_it_restarts() {
    let disk = disk(1);
    let file = settled(&disk, "a", b"--------");
    let lock = disk.lock().unwrap();
    assert_eq!(disk.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    let before = disk.boundaries();
    disk.inject(2, Fault::Crash);
    file.write_at(b"one", 0).unwrap();
    file.sync().unwrap();
    assert!(file.write_at(b"two", 0).is_err() && disk.is_crashed());
    assert!(file.sync().is_err() && disk.names().is_err() && disk.lock().is_err());
    assert_eq!(disk.boundaries(), before + 3);
    disk.restart(Loss::Nothing);
    assert_eq!(content(&disk, "a"), b"two-----");
    assert!(file.write_at(b"three", 0).is_err(), "it was opened before");
    let _again = disk.lock().unwrap();
    drop(lock);
    assert_eq!(disk.lock().unwrap_err().kind(), ErrorKind::WouldBlock, "the old lock frees no new one");
}

#[test]
fn a_process_that_died_leaves_what_a_later_power_cut_takes() {
    let disk = disk(1);
    let file = settled(&disk, "a", b"--------");
    file.write_at(b"new", 0).unwrap();
    disk.crash();
    disk.restart(Loss::Process);
    assert_eq!(content(&disk, "a"), b"new-----");
    disk.restart(Loss::Everything);
    assert_eq!(content(&disk, "a"), b"--------");
}

#[test]
fn a_failed_sync_loses_what_later_syncs_do_not_bring_back() {
    let mut lost = 0;
    for seed in 0..100 {
        let disk = disk(seed);
        let file = settled(&disk, "a", b"--------");
        file.write_at(b"new", 0).unwrap();
        disk.inject(0, Fault::Fail(ErrorKind::Other));
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert_eq!(content(&disk, "a"), b"new-----", "the system goes on to show it");
        disk.crash();
        disk.restart(Loss::Nothing);
        lost += usize::from(content(&disk, "a") == b"--------");
    }
    assert!((50..100).contains(&lost), "{lost} of 100");
}

#[test]
fn a_failed_sync_of_the_directory_loses_names() {
    let lost = (0..100).filter(|seed| {
        let disk = disk(*seed);
        disk.open("a", true).unwrap();
        disk.inject(0, Fault::Fail(ErrorKind::Other));
        assert!(disk.sync_directory().is_err());
        disk.sync_directory().unwrap();
        disk.restart(Loss::Nothing);
        disk.names().unwrap().is_empty()
    });
    assert!((20..80).contains(&lost.count()));
}

#[test]
fn calls_fail_as_injected_and_a_write_in_part() {
    let parts: BTreeSet<_> = (0..100)
        .map(|seed| {
            let disk = disk(seed);
            let file = settled(&disk, "a", b"--------");
            for call in 0..4 {
                disk.inject(call, Fault::Fail(ErrorKind::PermissionDenied));
            }
            assert_eq!(disk.open("b", true).unwrap_err().kind(), ErrorKind::PermissionDenied);
            assert_eq!(disk.rename("a", "b").unwrap_err().kind(), ErrorKind::PermissionDenied);
            assert_eq!(file.set_len(1).unwrap_err().kind(), ErrorKind::PermissionDenied);
            assert_eq!(file.write_at(b"abc", 0).unwrap_err().kind(), ErrorKind::PermissionDenied);
            disk.inject(5, Fault::Fail(ErrorKind::Other));
            disk.calm();
            disk.names().map(|names| assert_eq!(names, ["a"])).unwrap();
            content(&disk, "a")
        })
        .collect();
    assert_eq!(texts(&parts), ["--------", "a-------", "ab------"]);
}

#[test]
fn a_full_disk_takes_what_fits_and_what_was_reserved() {
    let disk = disk(1);
    disk.set_capacity(Some(3 * 4096));
    let file = disk.open("a", true).unwrap();
    file.preallocate(4096).unwrap();
    assert_eq!((file.len().unwrap(), disk.used()), (4096, 4096));
    let other = disk.open("b", true).unwrap();
    assert_eq!(other.write_at(&[1; 3 * 4096], 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(other.len().unwrap(), 2 * 4096);
    file.write_at(&[1; 4096], 0).unwrap();
    assert_eq!(file.write_at(&[1], 4096).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.preallocate(8192).unwrap_err().kind(), ErrorKind::StorageFull);
    file.set_len(1 << 40).unwrap();
    disk.remove("b").unwrap();
    file.write_at(&[1], 8192).unwrap();
    assert_eq!(disk.used(), 2 * 4096);
}

#[test]
fn bits_flip_in_the_class_that_was_asked_for() {
    let disk = disk(1);
    let file = settled(&disk, "a", &[0; 100]);
    assert_eq!(disk.flip(Rest::Superseded), None);
    assert_eq!(disk.flip(Rest::Free), None);
    let before = disk.syncs();
    file.write_at(&[0; 50], 200).unwrap();
    assert_eq!(disk.flip(Rest::Free), None, "it is not at rest yet");
    file.sync().unwrap();
    assert_eq!(disk.flip(Rest::Superseded), None, "nobody has said so");
    disk.supersede(before);
    for (rest, range) in [(Rest::Superseded, 0..100), (Rest::Free, 100..200), (Rest::Newest, 200..250)] {
        let flips: Vec<_> = (0..20).map(|_| disk.flip(rest).unwrap()).collect();
        assert!(flips.iter().all(|flip| range.contains(&flip.offset)), "{rest:?} {flips:?}");
        for flip in &flips {
            disk.flip_at(flip);
        }
        assert_eq!(content(&disk, "a"), vec![0; 250]);
    }
    let flip = disk.flip(Rest::Newest).unwrap();
    disk.restart(Loss::Any);
    assert_eq!(content(&disk, "a")[flip.offset as usize], 1 << flip.bit);
}

#[test]
fn a_seed_decides_what_is_left() {
    let left = |seed| {
        let disk = disk(seed);
        let file = settled(&disk, "a", b"--------");
        file.write_at(b"new", 0).unwrap();
        disk.restart(Loss::Any);
        content(&disk, "a")
    };
    assert!((0..20).all(|seed| left(seed) == left(seed)));
    assert!((0..20).map(left).collect::<BTreeSet<_>>().len() > 2);
}

#[test]
fn the_trace_tells_the_last_calls() {
    let disk = disk(1);
    let file = settled(&disk, "a", b"--------");
    disk.inject(0, Fault::Crash);
    assert!(file.sync().is_err());
    assert_eq!(
        disk.trace(),
        ["0: open a", "1: write 8 bytes to a at 0", "2: sync a", "3: sync the directory", "4: sync a: CRASH"]
    );
}
