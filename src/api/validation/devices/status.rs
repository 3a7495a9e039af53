//! What a claim was given, who uses it, and what the drivers say of it.

use std::collections::BTreeSet;

use super::claim::{MAX_CONFIGS, Requests};
use super::{binding_conditions, fits, json_object, opaque, own_text, pool_name, repeated};
use crate::api::field::Error;
use crate::api::ip_form;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::validation::{conditions, pod};

const MAX_CONSUMERS: usize = 256;
const MAX_RESULTS: usize = 32;
const MAX_CONDITIONS: usize = 8;
const MAX_DATA_BYTES: usize = 10 << 10;
const MAX_INTERFACE_NAME: usize = 256;
const MAX_HARDWARE_ADDRESS: usize = 128;
const MAX_ADDRESSES: usize = 16;

pub(super) fn claim(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, status, before) = (new.get("spec"), new.get("status"), old.get("status"));
    let known = Requests::of(&spec.get("devices"));
    let (consumers, allocation, devices) =
        (status.get("reservedFor"), status.get("allocation"), status.get("devices"));
    if fits(&consumers, MAX_CONSUMERS, errors) {
        for consumer in consumers.items() {
            for field in ["resource", "name", "uid"] {
                checks::present(&consumer.get(field), errors);
            }
        }
        repeated(&consumers, |consumer| text_of(consumer, "uid"), errors);
    }
    let given = allocation.get("devices");
    let results = given.get("results");
    let allocated: BTreeSet<String> = results.items().map(|result| device_id(&result)).collect();
    devices.items().for_each(|device| self::device(&device, &allocated, errors));
    repeated(&devices, device_id, errors);
    if consumers.len() > 0 {
        let deleting = !new.value()["metadata"]["deletionTimestamp"].is_null();
        let reserved = before.get("reservedFor");
        let added = |consumer: At<'_>| !reserved.items().any(|known| known.value() == consumer.value());
        if !allocation.is_set() {
            errors.push(consumers.forbidden("may not be specified when `allocated` is not set"));
        } else if deleting && consumers.items().any(added) {
            errors.push(consumers.forbidden(
                "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set",
            ));
        }
    }
    let was = before.get("allocation");
    if was.is_set() && allocation.is_set() {
        checks::immutable(&allocation, &was, errors);
    } else if allocation.is_set() {
        self::allocation(&allocation, &known, errors);
    }
}

fn text_of(at: &At<'_>, field: &str) -> String {
    at.value()[field].as_str().unwrap_or_default().to_owned()
}

/// A device, and the share of it.
fn device_id(at: &At<'_>) -> String {
    let device = ["driver", "pool", "device"].map(|field| text_of(at, field)).join("/");
    match at.value()["shareID"].as_str() {
        Some(share) => format!("{device}/{share}"),
        None => device,
    }
}

fn allocation(allocation: &At<'_>, known: &Requests, errors: &mut Errors) {
    let devices = allocation.get("devices");
    let (results, configs) = (devices.get("results"), devices.get("config"));
    if fits(&results, MAX_RESULTS, errors) {
        for result in results.items() {
            known.reference(&result.get("request"), errors);
            place(&result, errors);
            binding_conditions(&result, errors);
        }
    }
    // A class has as many as a claim.
    if fits(&configs, 2 * MAX_CONFIGS, errors) {
        for config in configs.items() {
            checks::one_of(&config.get("source"), &["FromClaim", "FromClass"], errors);
            known.references(&config.get("requests"), errors);
            opaque(&config, false, errors);
        }
    }
    let nodes = allocation.get("nodeSelector");
    if nodes.is_set() {
        pod::node_selector(&nodes, false, errors);
    }
}

/// Driver, pool, device and share.
fn place(at: &At<'_>, errors: &mut Errors) {
    checks::driver_name(&at.get("driver"), errors);
    pool_name(&at.get("pool"), errors);
    checks::named(&at.get("device"), names::dns1123_label, errors);
    let share = at.get("shareID");
    if share.is_set() {
        uid(&share, errors);
    }
}

/// A UUID in its normal form.
fn uid(at: &At<'_>, errors: &mut Errors) {
    let text = at.text();
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    let digits = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if groups != [8, 4, 4, 4, 12] || !digits {
        let why = if text.len() == 36 { "invalid UUID format" } else { "invalid UUID length" };
        let why = if text.len() == 36 { why.to_owned() } else { format!("{why}: {}", text.len()) };
        errors.push(at.invalid(format!("error validating uid: {why}")));
    } else if text != text.to_lowercase() {
        errors.push(at.invalid(
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase \
             hexadecimal characters",
        ));
    }
}

fn device(device: &At<'_>, allocated: &BTreeSet<String>, errors: &mut Errors) {
    place(device, errors);
    let id = device_id(device);
    if !allocated.contains(&id) {
        errors.push(Error::invalid(&device.path(), id, "must be an allocated device in the claim"));
    }
    let (conditions, data) = (device.get("conditions"), device.get("data"));
    fits(&conditions, MAX_CONDITIONS, errors);
    conditions::all(&conditions, errors);
    if data.is_set() {
        json_object(&data, MAX_DATA_BYTES, errors);
    }
    let network = device.get("networkData");
    checks::short(&network.get("interfaceName"), MAX_INTERFACE_NAME, errors);
    checks::short(&network.get("hardwareAddress"), MAX_HARDWARE_ADDRESS, errors);
    let ips = network.get("ips");
    if fits(&ips, MAX_ADDRESSES, errors) {
        ips.items().for_each(|ip| checks::sentences(&ip, ip_form::interface_problems(ip.text()), errors));
        repeated(&ips, own_text, errors);
    }
}
