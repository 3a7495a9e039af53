//! What selectors of devices speak of: `device`, with how large each part of it may be.
//!
//! Source: `cel/compile.go` of `k8s.io/dynamic-resource-allocation` (1.36). `DRAConsumableCapacity` is on, and
//! `DRAListTypeAttributes` off: attributes are scalars. What has been stored may ask for `includes` all the same.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use k8s_openapi::api::resource::v1::{Device, DeviceAttribute};

use super::functions::Special;
use super::schema::Declaration;
use super::types::Type;
use super::{
    Activation, Budget, Environment, Key, Map, PER_CALL_LIMIT, Program, Semver, Text, TypedError, Value,
};
use crate::api::quantity::Quantity;

const MAX_DOMAIN: i64 = 63;
const MAX_IDENTIFIER: i64 = 32;
const MAX_DRIVER: i64 = 63;
const MAX_VALUE: i64 = 64;
/// The most attributes, and the most capacities, of a device.
const MOST: i64 = 32;

static DEVICE: LazyLock<Declaration> = LazyLock::new(|| {
    let text = |most| Declaration::simple(Type::String, most);
    // What an attribute's value is shows when it is looked at; all that is known is how large.
    let value = Declaration::simple(Type::Any, MAX_VALUE);
    let amount = Declaration::simple(Type::Object("kubernetes.Quantity".into()), 0);
    let by_name = |values: Declaration, selects_values: bool| {
        let inner = Declaration::map(text(MAX_IDENTIFIER), values, MOST, selects_values);
        Declaration::map(text(MAX_DOMAIN), inner, MOST, false)
    };
    Declaration::record(
        "kubernetes.DRADevice",
        [
            ("driver", text(MAX_DRIVER)),
            ("allowMultipleAllocations", Declaration::simple(Type::Bool, 1)),
            ("attributes", by_name(value, true)),
            ("capacity", by_name(amount, false)),
        ],
    )
});

impl Environment {
    /// The environment of selectors of devices; of those that are `stored`, what any version may have stored.
    #[must_use]
    pub fn for_devices(minor: u32, stored: bool) -> Self {
        // Only what is stored may speak of what is not served yet.
        let special = if stored { Special::StoredSelectors } else { Special::Selectors };
        Self::with(minor, special).with_declared("device", &DEVICE).with_root(&DEVICE)
    }

    /// Compiles a selector, which must be a truth value, or an attribute that may be one.
    ///
    /// # Errors
    /// What is wrong with it, as Kubernetes words it below the expression's path.
    pub fn compile_selector(&self, text: &str) -> Result<Program, TypedError> {
        self.compile_where(text, |kind| match kind {
            Type::Bool | Type::Any => Ok(()),
            kind => Err(format!("must evaluate to bool or the unknown type, not {}", kind.declared())),
        })
    }
}

impl Program {
    /// Whether a selector holds of a device, which costs no more than [`PER_CALL_LIMIT`].
    ///
    /// # Errors
    /// What of the device cannot be read, what went wrong, or that what it comes to is no truth value.
    pub fn selects(&self, driver: &str, device: &Device) -> Result<bool, String> {
        let mut activation = Activation::new();
        activation.value("device", value(driver, device)?);
        let mut budget = Budget::with_call_limit(PER_CALL_LIMIT, PER_CALL_LIMIT);
        match self.evaluate(&activation, &mut budget) {
            Ok(Value::Bool(truth)) => Ok(truth),
            Ok(other) => {
                let kind = other.kind();
                Err(format!("CEL result of type {} could not be converted to bool", kind.name()))
            }
            Err(fault) => Err(fault.to_string()),
        }
    }
}

type Entries<'a> = BTreeMap<Key, Value<'a>>;

fn entry<'a>(name: &str, value: Value<'a>) -> (Key, Value<'a>) {
    (Key::String(name.into()), value)
}

/// A device as selectors see it.
fn value<'a>(driver: &'a str, device: &'a Device) -> Result<Value<'a>, String> {
    let mut attributes = BTreeMap::new();
    for (name, attribute) in device.attributes.iter().flatten() {
        let value = attribute_value(attribute).map_err(|error| format!("attribute {name}: {error}"))?;
        put(&mut attributes, driver, name, value);
    }
    let mut capacity = BTreeMap::new();
    for (name, amount) in device.capacity.iter().flatten() {
        let amount =
            Quantity::try_from(&amount.value).map_err(|error| format!("capacity {name}: {error}"))?;
        put(&mut capacity, driver, name, Value::Quantity(amount));
    }
    let fields = [
        entry("driver", Value::String(Text::Borrowed(driver))),
        entry("allowMultipleAllocations", Value::Bool(device.allow_multiple_allocations == Some(true))),
        entry("attributes", by_domain(attributes)),
        entry("capacity", by_domain(capacity)),
    ];
    Ok(Value::Map(Map::Entries(Arc::new(Entries::from(fields)))))
}

/// Puts a value under its domain, which is the driver's own where none is said.
fn put<'a>(domains: &mut BTreeMap<&'a str, Entries<'a>>, driver: &'a str, name: &'a str, value: Value<'a>) {
    let (domain, id) = name.split_once('/').unwrap_or((driver, name));
    domains.entry(domain).or_default().extend([entry(id, value)]);
}

/// A domain that is not there is a map of nothing: only what is asked for within is missing then.
fn by_domain<'a>(domains: BTreeMap<&str, Entries<'a>>) -> Value<'a> {
    let map = |(domain, entries)| entry(domain, Value::Map(Map::Entries(Arc::new(entries))));
    Value::Map(Map::Domains(Arc::new(domains.into_iter().map(map).collect())))
}

fn attribute_value(attribute: &DeviceAttribute) -> Result<Value<'_>, String> {
    if let Some(number) = attribute.int {
        return Ok(Value::Int(number));
    }
    if let Some(truth) = attribute.bool {
        return Ok(Value::Bool(truth));
    }
    if let Some(text) = &attribute.string {
        return Ok(Value::String(Text::Borrowed(text)));
    }
    let Some(version) = &attribute.version else { return Err("unsupported attribute value".to_owned()) };
    match Semver::parse(version) {
        Ok(version) => Ok(Value::Semver(Arc::new(version))),
        Err(error) => Err(format!("parse semantic version: {error}")),
    }
}
