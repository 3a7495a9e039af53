//! Every kind of the table, filled from a seed: there and back again.

use proptest::prelude::*;
use serde_json::json;

use super::message::{Instead, Kind, Message, Part};
use super::*;
use crate::api::schema::table::{self, Scalar};

/// Fills messages from a seed, with all that Go's JSON would show: messages that are no pointers,
/// zeros of pointers and of what is required.
struct Filler(u64);

impl Filler {
    fn next(&mut self, below: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % below
    }

    fn object(&mut self, message: &Message, depth: usize) -> Map<String, Value> {
        let mut object = Map::new();
        self.fill(message, &mut object, depth);
        object
    }

    fn fill(&mut self, message: &Message, object: &mut Map<String, Value>, depth: usize) {
        for (_, part) in &message.parts {
            let slot = match part {
                Part::Inline(_, inner) => {
                    self.fill(inner, object, depth);
                    continue;
                }
                Part::Field(slot) => slot,
            };
            let shown = match slot.kind {
                Kind::Record(_) => slot.always,
                Kind::Scalar(Scalar::Quantity) => slot.always || slot.field.required,
                // Programs' types know nothing without what it must have.
                Kind::Scalar(Scalar::Time | Scalar::MicroTime) | Kind::Json => slot.field.required,
                _ => false,
            };
            let often = if depth < 3 { 2 } else { 5 };
            if !shown && (depth > 8 || self.next(often) > 0) {
                continue;
            }
            let zero = !slot.always || slot.field.required;
            object.insert(slot.field.name.into(), self.value(&slot.kind, zero, depth));
        }
        // Required is written even where it is nothing; so it is there.
        for (_, part) in &message.parts {
            let Part::Field(slot) = part else { continue };
            let nothing = match &slot.kind {
                Kind::Scalar(Scalar::String) => json!(""),
                Kind::Scalar(Scalar::Bool) => json!(false),
                Kind::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::IntOrString) => json!(0),
                _ => continue,
            };
            if slot.always && slot.field.required && !object.contains_key(slot.field.name) {
                object.insert(slot.field.name.into(), nothing);
            }
        }
    }

    fn text(&mut self) -> String {
        ["a", "web-1", "ä\u{1f600}", &"long".repeat(40), "\"\\\n"][self.next(5) as usize].to_owned()
    }

    fn value(&mut self, kind: &Kind, zero: bool, depth: usize) -> Value {
        let nothing = zero && self.next(3) == 0;
        match kind {
            Kind::Record(known) => self.object(known.message(), depth + 1).into(),
            Kind::List(item) => (0..=self.next(2)).map(|_| self.value(item, true, depth + 1)).collect(),
            Kind::Wrapped(item) => (0..self.next(3)).map(|_| self.value(item, true, depth + 1)).collect(),
            Kind::Map(item) => {
                let keys = ["", "b", "a/c"].into_iter().take(1 + self.next(3) as usize);
                let entries = keys.map(|key| (key.to_owned(), self.value(item, true, depth + 1)));
                Value::Object(entries.collect())
            }
            Kind::Schema(known, instead) => match (self.next(2), instead) {
                (0, Instead::Bool) => (self.next(2) == 0).into(),
                (0, Instead::Strings) => json!([self.text(), ""]),
                (0, Instead::Schemas) => json!([self.object(known.message(), depth + 2), {}]),
                _ => self.object(known.message(), depth + 1).into(),
            },
            Kind::Json => [json!({"f:a": {".": {}}}), json!([1, null, "x"]), json!(0.5), json!(false)]
                [self.next(4) as usize]
                .clone(),
            Kind::Scalar(Scalar::String) => if nothing { String::new() } else { self.text() }.into(),
            Kind::Scalar(Scalar::Bool) => (!nothing).into(),
            Kind::Scalar(Scalar::Int32) if nothing => 0.into(),
            Kind::Scalar(Scalar::Int32) => {
                [1, -1, 127, 128, i32::MAX, i32::MIN][self.next(6) as usize].into()
            }
            Kind::Scalar(Scalar::Int64) if nothing => 0.into(),
            Kind::Scalar(Scalar::Int64) => [1, -1, 300, i64::MAX, i64::MIN][self.next(5) as usize].into(),
            Kind::Scalar(Scalar::Double) => {
                [json!(0), json!(1), json!(-2.5), json!(1e30)][self.next(4) as usize].clone()
            }
            Kind::Scalar(Scalar::Bytes) => ["AA==", "aGVsbG8="][self.next(2) as usize].into(),
            Kind::Scalar(Scalar::Time) => {
                ["1970-01-01T00:00:00Z", "2026-02-03T04:05:06Z"][self.next(2) as usize].into()
            }
            Kind::Scalar(Scalar::MicroTime) => {
                ["1969-01-01T00:00:00.000001Z", "2026-02-03T04:05:06.123456Z"][self.next(2) as usize].into()
            }
            Kind::Scalar(Scalar::Quantity) => ["0", "100m", "1Gi", "-3"][self.next(4) as usize].into(),
            Kind::Scalar(Scalar::IntOrString) if nothing => 0.into(),
            Kind::Scalar(Scalar::IntOrString) => {
                [json!(8080), json!("25%"), json!(-1)][self.next(3) as usize].clone()
            }
            Kind::Scalar(Scalar::Any | Scalar::Object) => unreachable!("any JSON is a kind of its own"),
        }
    }
}

/// Every kind of the table, as something like JSON of it.
pub(super) fn filled(seed: u64) -> impl Iterator<Item = Value> {
    table::all().filter_map(move |entry| {
        let Some(table::Kind::One(group, version, kind)) = entry.gvk() else { return None };
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let known = known(&api_version, kind).unwrap();
        let mut object = Filler(seed ^ kind.len() as u64).object(known.message(), 0);
        object.insert("apiVersion".into(), api_version.into());
        object.insert("kind".into(), kind.into());
        Some(Value::Object(object))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_kind_is_what_it_was_after_either_way(seed: u64) {
        let mut kinds = 0;
        for tree in filled(seed) {
            let bytes = encode_protobuf(&tree).unwrap();
            let read = decode_protobuf(&bytes).unwrap();
            prop_assert_eq!(&read, &tree);
            prop_assert_eq!(encode_protobuf(&read).unwrap(), bytes);
            kinds += 1;
        }
        prop_assert!(kinds > 120, "{}", kinds);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_another_object(seed: u64, damage in prop::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
        for tree in filled(seed) {
            let mut bytes = encode_protobuf(&tree).unwrap();
            for (at, byte) in &damage {
                let at = usize::from(*at) % bytes.len();
                bytes[at] = *byte;
            }
            if let Ok(read) = decode_protobuf(&bytes) {
                // What is no pointer may have been lost; once it is written, nothing changes any more.
                let written = encode_protobuf(&read).unwrap();
                let again = decode_protobuf(&written).unwrap();
                prop_assert_eq!(encode_protobuf(&again).unwrap(), written);
            }
        }
    }
}
