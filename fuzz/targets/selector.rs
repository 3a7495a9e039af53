//! Selectors: what is read can be written, and means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::api::selector::{FieldSelector, LabelSelector};

fuzz_target!(|text: &str| {
    if let Ok(selector) = text.parse::<LabelSelector>() {
        let written = selector.to_string();
        let again: LabelSelector = written.parse().unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(again.to_string(), written);
        let labels = [("a", "b"), ("app", "web"), ("n", "3")].map(|(key, value)| (key.into(), value.into()));
        let labels = labels.into_iter().collect();
        assert_eq!(selector.matches(&labels), again.matches(&labels), "{written}");
    }
    if let Ok(selector) = text.parse::<FieldSelector>() {
        let written = selector.to_string();
        let again: FieldSelector = written.parse().unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(again.to_string(), written);
    }
});
