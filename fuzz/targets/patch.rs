//! The three patches on objects of every kind: an object stays one, and a merge patch made twice is made once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::api::patch;

fuzz_target!(|data: &[u8]| {
    let Some((row, data)) = windlass_fuzz::row(data) else { return };
    let Some([object, change]) = windlass_fuzz::parts(data) else { return };
    let Some(object) = windlass_fuzz::object(object) else { return };
    let _ = patch::json(&mut object.clone(), change);
    let Some(change) = windlass_fuzz::object(change) else { return };
    let mut merged = object.clone();
    patch::merge(&mut merged, &change);
    let once = merged.clone();
    patch::merge(&mut merged, &change);
    assert_eq!(merged, once);
    let mut tree = object;
    if patch::strategic(row, &mut tree, &change).is_ok() {
        assert!(tree.is_object());
    }
});
