//! Server-side apply on objects of every kind: what is applied twice is applied once, and fields written read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::api::managed::{FieldManager, FieldSet, ManagedFields, OneVersion, Schema};

fuzz_target!(|data: &[u8]| {
    let Some((row, data)) = windlass_fuzz::row(data) else { return };
    if let Some(set) = std::str::from_utf8(data).ok().and_then(|text| FieldSet::from_json(text).ok()) {
        let written = set.to_json();
        let again = FieldSet::from_json(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(again.to_json(), written);
    }
    let Some([live, config]) = windlass_fuzz::parts(data) else { return };
    let (Some(mut live), Some(mut config)) = (windlass_fuzz::object(live), windlass_fuzz::object(config))
    else {
        return;
    };
    let (version, kind) = (row.api_version(), &*row.kind);
    for tree in [&mut live, &mut config] {
        tree["apiVersion"] = version.clone().into();
        tree["kind"] = kind.into();
    }
    let managed = ManagedFields::take(&mut live).unwrap_or_default();
    let (versions, now) = (OneVersion::new(version.clone(), Schema::of(row)), jiff::Timestamp::UNIX_EPOCH);
    let manager = FieldManager::new(&versions, &version, kind);
    let _ = manager.update(&live, &config, &managed, "updater", now);
    let Ok(first) = manager.apply(&live, &config, &managed, "applier", true, now) else { return };
    let second = manager
        .apply(&first.tree, &config, &first.managed, "applier", false, now)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(second.tree, first.tree);
    assert_eq!(second.managed.encode(), first.managed.encode());
});
