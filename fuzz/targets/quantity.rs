//! Quantities and what else is one scalar: what is written is the same number, and arithmetic bears any of them.
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
            // Kubernetes writes 62.5Ki as 64000, which is no more binary, and so 64k from then on.
            assert_eq!(again, quantity, "{text}");
            let settled = again.to_string();
            assert_eq!(settled.parse::<Quantity>().map(|it| it.to_string()), Ok(settled), "{text}");
            let _ = (quantity.value(), quantity.milli_value(), quantity.is_whole());
            let _ = (quantity.times(3), quantity.rounded_to_milli(), quantity.negated());
            sum = Some(sum.map_or(quantity, |sum: Quantity| sum.plus(quantity).minus(quantity.negated())));
        }
        if let Ok(range) = text.parse::<Cidr>() {
            assert_eq!(range.to_string().parse::<Cidr>().ok(), Some(range), "{text}");
        }
    }
});
