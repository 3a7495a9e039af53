//! Quantities and what else is one scalar: the canonical form is its own, and arithmetic bears any of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::api::cidr::Cidr;
use windlass::api::quantity::Quantity;

fuzz_target!(|text: &str| {
    let mut sum = None;
    for text in text.split(' ') {
        if let Ok(quantity) = text.parse::<Quantity>() {
            let written = quantity.to_string();
            let again: Quantity = written.parse().unwrap_or_else(|error| panic!("{error}: {written}"));
            assert_eq!(again.to_string(), written, "{text}");
            let _ = (quantity.value(), quantity.milli_value(), quantity.is_whole());
            let _ = (quantity.times(3), quantity.rounded_to_milli(), quantity.negated());
            sum = Some(sum.map_or(quantity, |sum: Quantity| sum.plus(quantity).minus(quantity.negated())));
        }
        if let Ok(range) = text.parse::<Cidr>() {
            assert_eq!(range.to_string().parse::<Cidr>().ok(), Some(range), "{text}");
        }
    }
});
