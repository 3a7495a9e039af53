//! Selectors of devices: what they may speak of, and what they cost at most.
//!
//! Expressions and numbers are those of `compile_test.go` in `cel` of `k8s.io/dynamic-resource-allocation` (1.36).

use super::*;

fn most(stored: bool, rule: &str) -> Result<u64, String> {
    let environment = Environment::for_devices(MINOR, stored);
    let compiled = environment.compile_selector(rule).map_err(|error| error.to_string());
    compiled.map(|program| program.estimate().max)
}

#[test]
fn selectors_cost_what_the_sizes_of_devices_allow() {
    const DOMAIN: &str = "device.attributes[\"dra.example.com\"]";
    const AMOUNTS: &str = "device.capacity[\"dra.example.com\"]";
    for (rule, cost) in [
        ("device.attributes[\"no-such-domain\"].noSuchAttr.isGreaterThan(quantity(\"0\"))".to_owned(), 6),
        ("\"no-such-domain\" in device.attributes".to_owned(), 3),
        ("device.driver == \"\"".to_owned(), 2),
        ("device.driver == \"dra.example.com\"".to_owned(), 4),
        (format!("{DOMAIN}.name"), 4),
        (format!("{DOMAIN}[\"name\"]"), 4),
        (format!("cel.bind(dra, {DOMAIN}, dra.name)"), 15),
        (format!("{DOMAIN}.name > 0"), 5),
        (format!("{DOMAIN}.name == \"fish\""), 5),
        (format!("{DOMAIN}.name.isGreaterThan(semver(\"0.0.1\"))"), 6),
        (format!("{DOMAIN}.name.isGreaterThan(semver(\"v0.0.1\", true)) && isSemver(\"v1.0.0\", true)"), 7),
        (format!("{AMOUNTS}.name.isGreaterThan(quantity(\"1Ki\"))"), 6),
        (format!("\"name\" in {AMOUNTS} && {AMOUNTS}.name.isGreaterThan(quantity(\"1Ki\"))"), 10),
        (format!("!(\"name\" in {AMOUNTS}) || {AMOUNTS}.name.isGreaterThan(quantity(\"1Ki\"))"), 11),
        (format!("{DOMAIN}.a && {DOMAIN}.b && {DOMAIN}.c"), 12),
        ("device.attributes.exists_one(x, x == \"dra.example.com\")".to_owned(), 164),
        (format!("{DOMAIN}.exists_one(x, x == \"services\")"), 133),
        (format!("{DOMAIN}.services.split(\"example\").size() >= 2"), 19),
        (format!("{DOMAIN}.services.matches(\"[^a]?sym\")"), 18),
        ("device.capacity.exists_one(x, x == \"dra.example.com\")".to_owned(), 164),
        (format!("{AMOUNTS}.exists_one(x, x == \"memory\")"), 133),
        ("device.allowMultipleAllocations == true".to_owned(), 3),
    ] {
        assert_eq!(most(false, &rule), Ok(cost), "{rule}");
        assert_eq!(most(true, &rule), Ok(cost), "{rule}, stored");
    }
}

#[test]
fn selectors_are_truth_values_or_attributes() {
    let wrong = |rule: &str| most(false, rule).expect_err(rule);
    assert_eq!(wrong("1"), "must evaluate to bool or the unknown type, not int");
    assert_eq!(wrong("dyn(true)"), "must evaluate to bool or the unknown type, not dyn");
    assert!(wrong("?!").contains("Syntax error"));
    assert!(wrong("device.name").contains("undefined field 'name'"));
    assert!(wrong("cel.bind('a', 1, true)").contains("cel.bind() variable names must be simple identifiers"));
    let ranged = "device.attributes['dra.example.com'].names.exists(x, x > 0)";
    assert!(wrong(ranged).contains("expression of type 'any' cannot be range of a comprehension"));
}

#[test]
fn only_what_is_stored_may_look_into_lists_of_attributes() {
    let rule = "device.attributes[\"dra.example.com\"].name.includes(true)";
    assert!(most(false, rule).expect_err(rule).contains("undeclared reference to 'includes'"));
    assert_eq!(most(true, rule), Ok(4 + 48));
    let environment = Environment::for_devices(MINOR, true);
    let evaluated = |rule: &str| {
        let program = environment.compile(rule).expect(rule);
        program.evaluate_bool(&Activation::new(), &mut Budget::new(100_000))
    };
    assert_eq!(evaluated("[1, 2].includes(2) && !['a'].includes('b') && 3.includes(3)"), Ok(true));
    assert_eq!(
        evaluated("lists.range(49).includes(99)"),
        Err(Fault::error("'includes' function cannot be applied to lists longer than 48 values"))
    );
    assert_eq!(evaluated("lists.range(48).includes(99)"), Ok(false));
}
