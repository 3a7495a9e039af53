//! Selectors of devices in CEL.

use super::*;

fn selects(expressions: &[&str]) -> Value {
    let list: Value = expressions.iter().map(|text| json!({"cel": {"expression": text}})).collect();
    exactly("r", json!({"selectors": list}))
}

fn scene() -> Scene {
    let device = |name: &str, memory: &str, version: &str| {
        json!({"name": name, "capacity": {"memory": {"value": memory}}, "attributes": {
            "model": {"string": name}, "numa": {"int": 1}, "fast": {"bool": name == "g1"},
            "driverVersion": {"version": version}, "other.com/kind": {"string": "k"}}})
    };
    let devices = json!([device("g0", "10Gi", "1.2.3"), device("g1", "40Gi", "2.0.0")]);
    Scene::of(&["a"]).slice("p", "a", devices)
}

#[test]
fn selectors_look_at_a_devices_attributes_and_capacity() {
    const OWN: &str = "device.attributes[\"d.com\"]";
    for (expression, expected) in [
        ("true".to_owned(), "r=g0"),
        ("false".to_owned(), ""),
        ("device.driver == \"d.com\"".to_owned(), "r=g0"),
        ("device.driver == \"e.com\"".to_owned(), ""),
        (format!("{OWN}.model == \"g1\""), "r=g1"),
        (format!("{OWN}.fast"), "r=g1"),
        (format!("{OWN}.numa == 1 && !{OWN}.fast"), "r=g0"),
        (format!("{OWN}.driverVersion.isGreaterThan(semver(\"1.9.0\"))"), "r=g1"),
        ("device.capacity[\"d.com\"].memory.compareTo(quantity(\"20Gi\")) > 0".to_owned(), "r=g1"),
        ("device.attributes[\"other.com\"].kind == \"k\"".to_owned(), "r=g0"),
        ("\"no.com\" in device.attributes".to_owned(), ""),
        ("\"kind\" in device.attributes[\"no.com\"]".to_owned(), ""),
        ("!device.allowMultipleAllocations".to_owned(), "r=g0"),
        ("cel.bind(own, device.attributes[\"d.com\"], own.numa == 1 && own.fast)".to_owned(), "r=g1"),
    ] {
        let mut scene = scene().claim("c", json!([selects(&[&expression])]));
        match expected {
            "" => assert_eq!(scene.fits(uses("p", &["c"])), "-", "{expression}"),
            expected => assert_eq!(scene.devices(uses("p", &["c"]), "a"), [expected], "{expression}"),
        }
    }
}

#[test]
fn all_selectors_must_hold_those_of_the_class_among_them() {
    let fast = json!([{"cel": {"expression": "device.attributes[\"d.com\"].fast"}}]);
    let class = json!({"metadata": {"name": "gpu"}, "spec": {"selectors": fast}});
    let mut scene = scene()
        .with::<DeviceClass>(class)
        .claim("c", json!([selects(&[])]))
        .claim("d", json!([selects(&["true", "device.attributes[\"d.com\"].model == \"g0\""])]))
        .claim("e", json!([{"name": "r", "exactly": {"deviceClassName": "gpu", "allocationMode": "All"}}]));
    assert_eq!(scene.devices(uses("p", &["c"]), "a"), ["r=g1"]);
    assert_eq!(scene.fits(uses("p", &["d"])), "-");
    assert_eq!(scene.devices(uses("p", &["e"]), "a"), ["r=g1"]);
}

#[test]
fn what_is_wrong_with_a_selector_is_told() {
    for (expression, expected) in [
        ("device.attributes[\"d.com\"].none", "CEL runtime error: no such key: none"),
        ("device.attributes[\"no.com\"].none", "CEL runtime error: no such key: none"),
        (
            "device.attributes[\"d.com\"].numa",
            "CEL runtime error: CEL result of type int could not be converted to bool",
        ),
        ("device.name", "CEL compile error: compilation failed: ERROR: <input>:1:7: undefined field 'name'"),
        ("1 + 1", "CEL compile error: must evaluate to bool or the unknown type, not int"),
    ] {
        let mut scene = scene().claim("c", json!([selects(&["true", expression])]));
        let said = scene.said(uses("p", &["c"]));
        let expected = format!("error: claim ns/c: selector #1: {expected}");
        assert!(said[0].starts_with(&expected), "{said:?}");
    }
}
