//! Objects of every kind in JSON and YAML: decoding settles at once, and defaults and validation bear what it lets in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::api::defaults;
use windlass::api::schema::{Media, apply_defaults, decode, prune};
use windlass::api::validation::Options;

fuzz_target!(|data: &[u8]| {
    let Some((row, data)) = windlass_fuzz::row(data) else { return };
    for media in [Media::Json, Media::Yaml] {
        let Ok(decoded) = decode(row, data, media) else { continue };
        let again = prune(row, decoded.tree.clone()).expect("what is decoded decodes");
        assert!(again.problems.is_empty(), "{:?}", again.problems);
        assert_eq!(again.tree, decoded.tree);
        let mut tree = decoded.tree;
        apply_defaults(row, &mut tree);
        let _ = Options::default().create_tree(row, &tree);
        if defaults::apply(row, &mut tree).is_ok() {
            let _ = Options::default().create_tree(row, &tree);
            let _ = Options::default().update_tree(row, &tree, &tree);
            let _ = Options::default().update_status_tree(row, &tree, &tree);
        }
    }
});
