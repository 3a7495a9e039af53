//! Kubernetes protobuf: what is read can be written, and reads back equal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::api::schema::{decode_protobuf, encode_protobuf};

fuzz_target!(|data: &[u8]| {
    let Ok(tree) = decode_protobuf(data) else { return };
    let Ok(written) = encode_protobuf(&tree) else { return };
    let again = decode_protobuf(&written).expect("what is written reads");
    let once_more = encode_protobuf(&again).expect("what reads is written");
    assert_eq!(written, once_more);
});
