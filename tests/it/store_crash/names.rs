//! Names that show and are lost: a sync of the directory has failed, and the machine goes on.

use std::io::ErrorKind;
use std::sync::Arc;

use windlass::env::Env;
use windlass::sim::disk::{Fault, Loss, SimDisk};
use windlass::store::disk::{DiskOptions, DiskStore};
use windlass::store::{Maintenance, ObjectStore, ObjectStoreExt};

/// So many calls has the disk until the story is over, at least.
const BOUNDARIES: u64 = 120;

/// Opens the store and writes a key, twice over, and the first time that it is opened also its log anew;
/// tells what was acknowledged. Any call may fail.
async fn live(disk: &SimDisk, env: &Env, round: usize, acknowledged: &mut Vec<String>) {
    let options = DiskOptions::default().segment_bytes(4096).inline();
    let Ok(store) = DiskStore::open_on(Arc::new(disk.clone()), env, options) else { return };
    for part in ["first", "second"] {
        let key = format!("{round}/{part}");
        if store.put(key.clone(), "here").await.is_ok() {
            acknowledged.push(key);
        }
        if round == 0 {
            let _ = store.defragment().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_acknowledged_does_not_rely_on_a_name_that_may_be_lost() {
    let mut failed = 0;
    for (seed, boundary) in (0..8).flat_map(|seed| (0..BOUNDARIES).map(move |boundary| (seed, boundary))) {
        let env = Env::simulated(seed);
        let disk = SimDisk::new(&env.random);
        disk.inject(boundary, Fault::Fail(ErrorKind::Other));
        let mut acknowledged = Vec::new();
        // The process starts anew, and the machine does not.
        for round in 0..3 {
            let child = env.child();
            live(&disk, &child, round, &mut acknowledged).await;
            child.tasks.shutdown().await;
        }
        failed += usize::from(acknowledged.len() < 6);
        disk.calm();
        disk.crash();
        disk.restart(Loss::Everything);
        let opened = DiskStore::open_on(Arc::new(disk.clone()), &env, DiskOptions::default().inline());
        let store = opened.unwrap_or_else(|error| panic!("seed {seed}, boundary {boundary}: {error}"));
        for key in &acknowledged {
            let held = store.get(key.as_bytes()).await.unwrap();
            assert!(held.is_some(), "seed {seed}, boundary {boundary}: {key} is lost");
        }
        env.tasks.shutdown().await;
    }
    assert!(failed > 100, "{failed}");
}
