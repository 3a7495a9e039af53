use proptest::prelude::*;

use super::*;

fn q(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn canonical_form() {
    let table = [
        ("0", "0"),
        ("0m", "0"),
        ("1", "1"),
        ("100m", "100m"),
        ("1000m", "1"),
        ("1.5", "1500m"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.", "1"),
        ("+1", "1"),
        ("-1.5", "-1500m"),
        ("1500", "1500"),
        ("15000", "15k"),
        ("1000k", "1M"),
        ("100k", "100k"),
        ("1E", "1E"),
        ("10E", "10E"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("12e6", "12e6"),
        ("1e4", "10e3"),
        ("1e-3", "1e-3"),
        ("1e0", "1"),
        ("1Ki", "1Ki"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("512Ki", "512Ki"),
        ("1000Ki", "1000Ki"),
        ("1000Mi", "1000Mi"),
        ("1025", "1025"),
        ("0.001Ki", "1024m"),
        ("1.1Ki", "1126400m"),
        ("8Ei", "9223372036854775807"),
        ("1000Ei", "9223372036854775807"),
        ("0.1n", "1n"),
        ("1.0000000001", "1000000001n"),
        ("-0.1n", "-1n"),
        ("123u", "123u"),
        ("1234567n", "1234567n"),
        ("1e21", "1e21"),
    ];
    for (text, canonical) in table {
        assert_eq!(q(text).to_string(), canonical, "{text}");
        assert_eq!(q(canonical), q(text), "{text}");
    }
}

#[test]
fn what_is_no_quantity_is_refused_in_kubernetes_words() {
    for text in ["", "abc", "1.2.3", "1Kib", "1 Gi", "1Gi ", "1m!", "0x10", "é"] {
        assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Format), "{text:?}");
    }
    for text in ["1K", "1mm", "--1", "1ei", "e", "1i"] {
        assert!(text.parse::<Quantity>().is_err(), "{text:?}");
    }
    assert_eq!("1K".parse::<Quantity>(), Err(QuantityError::Suffix));
    assert_eq!(
        QuantityError::Format.to_string(),
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
    assert_eq!("1".repeat(60).parse::<Quantity>(), Err(QuantityError::Numeric));
}

#[test]
fn values_round_away_from_zero() {
    for (text, value, milli) in [
        ("1.2", 2, 1200),
        ("-1.2", -2, -1200),
        ("1n", 1, 1),
        ("1500m", 2, 1500),
        ("1Gi", 1 << 30, (1 << 30) * 1000),
        ("1e30", i64::MAX, i64::MAX),
        ("-1e30", i64::MIN, i64::MIN),
        ("9E", 9_000_000_000_000_000_000, i64::MAX),
    ] {
        assert_eq!((q(text).value(), q(text).milli_value()), (value, milli), "{text}");
    }
}

#[test]
fn sums_keep_the_first_ones_suffixes() {
    assert_eq!(q("1Gi").plus(q("1Mi")).to_string(), "1025Mi");
    assert_eq!(q("1Gi").plus(q("1M")).to_string(), "1074741824");
    assert_eq!(Quantity::ZERO.plus(q("1Gi")).to_string(), "1Gi");
    assert_eq!(q("1").minus(q("250m")).to_string(), "750m");
    assert_eq!(q("250m").times(4).to_string(), "1");
    assert_eq!(q("1e100").plus(q("1n")).cmp(&q("1e30")), Ordering::Greater);
}

#[test]
fn order_is_the_numbers_own() {
    let mut amounts: Vec<_> =
        ["1Ki", "1k", "-1", "1e30", "0", "1n", "-1e40", "1000m", "1Mi", "999m"].map(q).into();
    amounts.sort();
    let sorted: Vec<_> = amounts.iter().map(ToString::to_string).collect();
    assert_eq!(sorted, ["-10e39", "-1", "0", "1n", "999m", "1", "1k", "1Ki", "1Mi", "1e30"]);
    assert!(q("1e1000") > q("1") && q("-1e1000") < q("1") && q("1") < q("1e1000"));
}

#[test]
fn json_is_the_canonical_text() {
    let read: Quantity = serde_json::from_str("\"1.5Gi\"").unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), "\"1536Mi\"");
    assert!(serde_json::from_str::<Quantity>("\"x\"").is_err());
}

fn written() -> impl Strategy<Value = String> {
    let suffix = prop::sample::select(vec![
        "", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e3", "e-3", "E6", "e0",
    ]);
    ("-?[0-9]{1,5}(\\.[0-9]{0,6})?", suffix).prop_map(|(number, suffix)| format!("{number}{suffix}"))
}

proptest! {
    #[test]
    fn canonical_form_is_a_fixed_point_of_the_same_value(text in written()) {
        let once = q(&text);
        let again = q(&once.to_string());
        prop_assert_eq!(once, again);
        prop_assert_eq!(once.to_string(), again.to_string());
    }

    #[test]
    fn sums_are_undone_exactly(a in written(), b in written()) {
        let (a, b) = (q(&a), q(&b));
        prop_assert_eq!(a.plus(b).minus(b), a);
        prop_assert_eq!(a.plus(b), b.plus(a));
        prop_assert_eq!(a.cmp(&b), a.minus(b).cmp(&Quantity::ZERO));
    }

    #[test]
    fn values_are_the_nearest_number_that_is_not_closer_to_zero(a in written()) {
        let a = q(&a);
        let whole = Quantity::new(a.value(), Format::DecimalSi);
        let (size, rounded) = if a.is_negative() { (a.negated(), whole.negated()) } else { (a, whole) };
        prop_assert!(rounded >= size);
        prop_assert!(rounded.minus(size) < Quantity::new(1, Format::DecimalSi));
    }
}
