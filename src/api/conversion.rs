//! Between the versions of one built-in kind: what fields are called, and where they stand.
//!
//! Most versions of a kind differ in nothing but their names. Those that differ in more are here, each as
//! the two functions that Kubernetes has for it; `apiVersion` is the caller's to set. What nobody serves any
//! more and is still stored is `stored`'s.

mod autoscaler;
mod stored;

use serde_json::{Map, Value};

use super::defaults::{Fields, absent, child, each};
use super::{Resource, schema};

pub(crate) use stored::protobuf;

/// Fields of a core event and what the versions of `events.k8s.io` call them.
///
/// Source: `Convert_v1_Event_To_core_Event` of `k8s.io/kubernetes/pkg/apis/events/v1` (1.36).
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// A built-in object as it is stored, in the version of `row`: that of another version is converted, and loses
/// what this one does not declare.
///
/// # Errors
///
/// Where it is no version of the row's kind.
pub(crate) fn from_stored(row: &Resource, mut tree: Value) -> Result<Value, String> {
    let text = |name: &str| tree.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if row.schema.is_none() || api_version.is_empty() || api_version == row.api_version() {
        return Ok(tree);
    }
    let Some(from) = stored::version(row, api_version, kind) else {
        return Err(format!("no kind {kind:?} is registered for version {api_version:?}"));
    };
    if let Some(root) = tree.as_object_mut() {
        root.insert("apiVersion".into(), row.api_version().into());
        fields(&from, row, root);
    }
    schema::prune(row, tree).map(|decoded| decoded.tree).map_err(|error| error.to_string())
}

/// Makes the fields of an object of `from`'s version those of `to`'s.
pub(crate) fn fields(from: &Resource, to: &Resource, object: &mut Fields) {
    match &*from.group {
        _ if to.kind == "Event" && from.group != to.group => event(to, object),
        "autoscaling" if (&*from.version, &*to.version) == ("v2", "v1") => autoscaler::older(object),
        "autoscaling" if (&*from.version, &*to.version) == ("v1", "v2") => autoscaler::newer(object),
        "resource.k8s.io" if from.version == "v1beta1" => devices(&from.kind, object, FLAT),
        "resource.k8s.io" if to.version == "v1beta1" => devices(&from.kind, object, NESTED),
        "admissionregistration.k8s.io" if from.version == "v1alpha1" => parameters(object),
        _ => stored::fields(from, to, object),
    }
}

/// Between the two groups of events.
fn event(to: &Resource, object: &mut Fields) {
    let to_core = to.group.is_empty();
    for (core, other) in EVENT_FIELDS {
        let (old, new) = if to_core { (other, core) } else { (core, other) };
        if let Some(value) = object.remove(old) {
            object.insert(new.into(), value);
        }
    }
}

/// What is done with a request for devices, and with a device.
type Devices = (fn(&mut Fields), fn(&mut Fields), fn(&mut Fields));

/// From `v1beta1`, where a request says at once what it wants and a device is `basic`.
///
/// Source: `Convert_v1beta1_DeviceRequest_To_resource_DeviceRequest`, `…_Device_…` and
/// `…_ResourceSliceSpec_…` of `k8s.io/kubernetes/pkg/apis/resource/v1beta1` (1.36).
const FLAT: Devices = (
    |request| {
        let wanted: Fields =
            EXACTLY.iter().filter_map(|name| request.remove_entry(*name)).filter(is_something).collect();
        if !wanted.is_empty() {
            request.insert("exactly".into(), wanted.into());
        }
    },
    |device| {
        if let Some(Value::Object(basic)) = device.remove("basic") {
            device.extend(basic);
        }
    },
    |slice| {
        // These two are no pointers there, so that nothing and zero are the same.
        for name in ["nodeName", "allNodes"] {
            if slice.get(name).is_some_and(|value| value == "" || value == false) {
                slice.remove(name);
            }
        }
    },
);

/// To `v1beta1`.
const NESTED: Devices = (
    |request| {
        if let Some(Value::Object(exactly)) = request.remove("exactly") {
            request.extend(exactly);
        }
    },
    |device| {
        let name = device.remove_entry("name");
        let basic = std::mem::take(device);
        device.extend(name);
        device.insert("basic".into(), basic.into());
    },
    |_| {},
);

/// What a request of `v1beta1` says itself, and one of later versions under `exactly`.
const EXACTLY: [&str; 7] =
    ["adminAccess", "allocationMode", "capacity", "count", "deviceClassName", "selectors", "tolerations"];

/// Whether a field of Go's would be set: the text and the number are no pointers.
fn is_something((name, value): &(String, Value)) -> bool {
    !(value.is_null() || *value == "" || (name == "count" && *value == 0))
}

fn devices(kind: &str, object: &mut Fields, (request, device, slice): Devices) {
    let claim = |spec: &mut Fields| child(spec, "devices", |devices| each(devices, "requests", request));
    match kind {
        "ResourceClaim" => child(object, "spec", claim),
        "ResourceClaimTemplate" => child(object, "spec", |spec| child(spec, "spec", claim)),
        "ResourceSlice" => child(object, "spec", |spec| {
            each(spec, "devices", device);
            slice(spec);
        }),
        _ => {}
    }
}

/// A binding of `v1alpha1` that does not say what becomes of a request without parameters denies it; later
/// versions insist that it says so.
///
/// Source: `SetDefaults_ParamRef` of `k8s.io/kubernetes/pkg/apis/admissionregistration/v1alpha1` (1.36).
fn parameters(object: &mut Fields) {
    child(object, "spec", |spec| {
        child(spec, "paramRef", |reference: &mut Map<_, _>| {
            absent(reference, "parameterNotFoundAction", "Deny");
        });
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{RuntimeConfig, Scheme};

    fn convert(kind: &str, from: &str, to: &str, tree: &Value) -> Value {
        let scheme = Scheme::builtin_with(&"api/all".parse::<RuntimeConfig>().unwrap());
        let row = |version: &str| scheme.api_kind(&format!("resource.k8s.io/{version}"), kind).unwrap();
        let mut tree = tree.clone();
        fields(row(from), row(to), tree.as_object_mut().unwrap());
        tree
    }

    #[test]
    fn a_request_says_exactly_what_it_said_at_once() {
        let exactly = json!({"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2,
            "selectors": [{"cel": {"expression": "true"}}], "adminAccess": false});
        let mut old = exactly.clone();
        old["name"] = "a".into();
        let either = json!({"name": "b", "firstAvailable": [{"name": "c", "deviceClassName": "gpu"}]});
        let old = json!({"spec": {"devices": {"requests": [old, either]}}});
        let new = json!({"spec": {"devices": {"requests": [{"name": "a", "exactly": exactly}, either]}}});
        assert_eq!(convert("ResourceClaim", "v1beta1", "v1", &old), new);
        assert_eq!(convert("ResourceClaim", "v1", "v1beta1", &new), old);
        assert_eq!(convert("ResourceClaim", "v1beta2", "v1", &new), new);
        let template = |spec: &Value| json!({"spec": {"spec": spec["spec"]}});
        let converted = convert("ResourceClaimTemplate", "v1beta1", "v1beta2", &template(&old));
        assert_eq!(converted, template(&new));
    }

    #[test]
    fn a_request_for_nothing_stays_one() {
        let nothing =
            json!({"spec": {"devices": {"requests": [{"name": "a", "count": 0, "deviceClassName": ""}]}}});
        let new = json!({"spec": {"devices": {"requests": [{"name": "a"}]}}});
        assert_eq!(convert("ResourceClaim", "v1beta1", "v1", &nothing), new);
    }

    #[test]
    fn a_device_is_basic_or_not() {
        let old = json!({"spec": {"nodeName": "n", "devices": [
            {"name": "a", "basic": {"attributes": {"x": {"int": 1}}, "nodeName": "n"}}, {"name": "b", "basic": {}}]}});
        let new = json!({"spec": {"nodeName": "n", "devices": [
            {"name": "a", "attributes": {"x": {"int": 1}}, "nodeName": "n"}, {"name": "b"}]}});
        assert_eq!(convert("ResourceSlice", "v1beta1", "v1", &old), new);
        assert_eq!(convert("ResourceSlice", "v1", "v1beta1", &new), old);
        let zeros = json!({"spec": {"nodeName": "", "allNodes": false}});
        assert_eq!(convert("ResourceSlice", "v1beta1", "v1", &zeros), json!({"spec": {}}));
    }
}
