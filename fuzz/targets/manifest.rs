//! Manifests in YAML and JSON: what is read can be written, and reads back equal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::api::manifest::{read, write};
use windlass_fuzz::alike;

fuzz_target!(|text: &str| {
    match read("fuzz", text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(documents) => {
            for document in documents {
                let written = write(&document.tree);
                let again = read("again", &written).unwrap_or_else(|error| panic!("{error}: {written}"));
                assert_eq!(again.len(), 1, "{written}");
                assert!(alike(&again[0].tree, &document.tree), "{written}");
            }
        }
    }
});
