//! What is written, byte for byte, and what is refused.

use serde_json::json;

use super::*;
use crate::api::schema::table;

/// A field of bytes.
fn bytes(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, number.into(), inner);
    out
}

fn int(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn enveloped(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [MAGIC, &bytes(1, &meta), &bytes(2, raw)].concat()
}

/// Bytes as Rust writes them, and so as etcd's users see them.
fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[test]
fn an_object_is_the_tree_that_its_json_would_be() {
    // Unset strings and times are written by gogo; JSON leaves them out.
    let metadata = [
        bytes(1, b"web"),
        bytes(2, b""),
        bytes(8, b""),
        bytes(11, &[bytes(1, b"a"), bytes(2, b"b")].concat()),
    ];
    let data = bytes(2, &[bytes(1, b"k"), bytes(2, b"v")].concat());
    let raw = [bytes(1, &metadata.concat()), data].concat();
    assert_eq!(
        decode_protobuf(&enveloped("v1", "ConfigMap", &raw)),
        Ok(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"},
            "metadata": {"name": "web", "labels": {"a": "b"}}}))
    );
}

#[test]
fn a_zero_counts_where_the_field_is_a_pointer() {
    // replicas is a pointer, minReadySeconds is not; maxSurge is one to a message.
    let none = bytes(2, &[int(1, 0), int(2, 0), bytes(3, b"")].concat());
    let spec = [int(1, 0), int(5, 0), bytes(4, &bytes(2, &none))].concat();
    let tree = decode_protobuf(&enveloped("apps/v1", "Deployment", &bytes(2, &spec))).unwrap();
    assert_eq!(tree["spec"], json!({"replicas": 0, "strategy": {"rollingUpdate": {"maxSurge": 0}}}));
}

#[test]
fn an_inlined_message_is_part_of_its_outer_object() {
    // A probe: its handler is a message of its own, with an HTTP get in it.
    let port = [int(1, 0), vec![2 << 3, 0x90, 0x3f], bytes(3, b"")].concat();
    let handler = bytes(2, &[bytes(1, b"/ok"), bytes(2, &port)].concat());
    let probe = [bytes(1, &handler), int(2, 0), int(3, 7)].concat();
    let container = [bytes(1, b"web"), bytes(10, &probe)].concat();
    let raw = bytes(2, &bytes(2, &container));
    let tree = decode_protobuf(&enveloped("v1", "Pod", &raw)).unwrap();
    assert_eq!(
        tree["spec"]["containers"],
        json!([{"name": "web", "livenessProbe": {"httpGet": {"path": "/ok", "port": 8080}, "timeoutSeconds": 7}}])
    );
}

#[test]
fn what_is_no_pointer_is_written_whatever_it_says() {
    let tree = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "2", "a": ""}, "metadata":
        {"name": "web", "creationTimestamp": "2020-01-01T00:00:00Z", "labels": {"x": "y"}}});
    assert_eq!(
        escaped(&encode_protobuf(&tree).unwrap()),
        concat!(
            r#"k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x124"#,
            r#"\n#\n\x03web\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x08\x08\x80\xc2\xaf\xf0\x05\x10\x00"#,
            r#"Z\x06\n\x01x\x12\x01y"#,
            r#"\x12\x05\n\x01a\x12\x00\x12\x06\n\x01b\x12\x012"#,
            r#"\x1a\x00\"\x00"#
        )
    );
    // Of a container: what it may leave out is not there, what is no pointer is.
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers":
        [{"name": "a", "image": "i", "imagePullPolicy": "Always", "terminationMessagePath": "/dev/log"}]}});
    let written = escaped(&encode_protobuf(&pod).unwrap());
    let container = r#"\n\x01a\x12\x01i*\x00B\x00j\x08/dev/logr\x06Always\x80\x01\x00\x88\x01\x00\x90\x01\x00\xa2\x01\x00"#;
    assert!(written.contains(container), "{written}");
}

#[test]
fn scalars_of_many_fields_are_written_as_go_writes_them() {
    let spec = |spec: Value| {
        let tree = json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [spec]}});
        escaped(&encode_protobuf(&tree).unwrap())
    };
    for (target, bytes) in [
        (json!(null), r#"\"\x06\x08\x00\x10\x00\x1a\x00"#),
        (json!(80), r#"\"\x06\x08\x00\x10P\x1a\x00"#),
        (json!("web"), r#"\"\t\x08\x01\x10\x00\x1a\x03web"#),
        // A negative number takes ten bytes.
        (json!(-1), r#"\"\x0f\x08\x00\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x00"#),
    ] {
        let written = spec(json!({"port": 1, "targetPort": target}));
        assert!(written.contains(&format!(r#"\x18\x01{bytes}(\x00"#)), "{target}: {written}");
    }
    let lease = |time: &str| {
        let tree =
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"renewTime": time}});
        escaped(&encode_protobuf(&tree).unwrap())
    };
    for (time, bytes) in [
        ("1970-01-01T00:00:01.000002Z", r#"\"\x05\x08\x01\x10\xd0\x0f"#),
        (
            "1969-12-31T23:59:59.500000Z",
            r#"\"\x11\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x80\xca\xb5\xee\x01"#,
        ),
        ("0001-01-01T00:00:00.000000Z", r#"\"\x00"#),
    ] {
        assert!(lease(time).contains(bytes), "{time}: {}", lease(time));
    }
}

#[test]
fn schemas_may_have_something_else_in_their_place() {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "default": {"a": [1, null]},
        "enum": [null, 1.5, "x"],
        "maximum": 3,
        "x-kubernetes-preserve-unknown-fields": false,
        "dependencies": {"a": ["b", "c"], "d": {"type": "string"}},
        "properties": {
            "many": {"type": "array", "items": {"type": "string"}, "additionalItems": true},
            "tuple": {"items": [{"type": "string"}, {"type": "integer"}]},
            "map": {"additionalProperties": {"$ref": "#/a"}},
        },
    });
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {},
        "spec": {"group": "x.io", "names": {"kind": "A", "plural": "as"}, "scope": "Cluster", "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}}}]}});
    let read = decode_protobuf(&encode_protobuf(&crd).unwrap()).unwrap();
    assert_eq!(read["spec"], crd["spec"]);
}

#[test]
fn lists_and_events_hold_what_stands_alone_elsewhere() {
    let item = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    let list = |version: &str, kind: &str, item: &Value| {
        encode_protobuf_list(version, kind, &json!({"resourceVersion": "7"}), [item].into_iter()).unwrap()
    };
    let read = decode_protobuf(&list("v1", "Namespace", &item)).unwrap();
    assert_eq!(
        (&read["kind"], &read["metadata"]),
        (&json!("NamespaceList"), &json!({"resourceVersion": "7"}))
    );
    assert_eq!(read["items"][0]["metadata"], json!({"name": "a"}));
    // The two versions of a list of metadata have each other's numbers.
    let partial = json!({"metadata": {"name": "a"}});
    let meta = r#"\n\x00\x12\x017\x1a\x00"#;
    let [now, before] = ["v1", "v1beta1"]
        .map(|version| escaped(&list(&format!("meta.k8s.io/{version}"), "PartialObjectMetadata", &partial)));
    assert!(now.contains(&format!(r#"\n\x07{meta}\x12"#)), "{now}");
    assert!(before.contains(&format!(r#"\x12\x07{meta}\x1a\x00"#)), "{before}");

    let object = encode_protobuf(&item).unwrap();
    let frame = encode_protobuf_event("ADDED", &object).unwrap();
    let (length, event) = frame.split_first_chunk::<4>().unwrap();
    assert_eq!(u32::from_be_bytes(*length) as usize, event.len());
    assert_eq!(event, [bytes(1, b"ADDED"), bytes(2, &bytes(1, &object))].concat());
}

#[test]
fn every_list_is_its_metadata_and_items() {
    let lists =
        table::all().filter(|entry| entry.short().ends_with("List") && entry.field("metadata").is_some());
    let mut count = 0;
    for entry in lists {
        let number = |name| entry.field(name).unwrap().number;
        assert_eq!((number("metadata"), number("items")), (Some(1), Some(2)), "{}", entry.name());
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn what_is_no_object_is_refused() {
    assert_eq!(decode_protobuf(b"{}"), Err(ProtobufError::NoMagic));
    assert_eq!(decode_protobuf(MAGIC), Err(ProtobufError::Empty));
    let whole = enveloped("v1", "Pod", &bytes(1, &bytes(1, b"web")));
    let named = enveloped("v1", "Pod", b"").len() - 2;
    for end in 5..whole.len() {
        // Cut off anywhere, it is malformed or has no kind yet; but right behind the kind it is empty.
        assert_eq!(decode_protobuf(&whole[..end]).is_err(), end != named, "{end}");
    }
    for (version, kind) in
        [("v1", "Cake"), ("apps.example.com/v1", "Deployment"), ("meta.k8s.io/v1", "Table")]
    {
        let unknown = Err(ProtobufError::UnknownKind { api_version: version.into(), kind: kind.into() });
        assert_eq!(decode_protobuf(&enveloped(version, kind, b"")), unknown);
        assert_eq!(encode_protobuf(&json!({"apiVersion": version, "kind": kind})).map(|_| json!(0)), unknown);
    }
    let wrong = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": "none"}});
    assert_eq!(encode_protobuf(&wrong), Err(ProtobufError::Malformed { field: "containers" }));
}

/// A schema within a schema, so many times.
fn nots(levels: usize) -> Vec<u8> {
    (0..levels).fold(Vec::new(), |inner, _| {
        let mut out = Vec::with_capacity(inner.len() + 8);
        put_bytes(&mut out, 28, &inner);
        out
    })
}

#[test]
fn what_is_malformed_ends_soon_and_says_where() {
    let pod = |raw: &[u8]| decode_protobuf(&enveloped("v1", "Pod", raw)).map(drop);
    let metadata = |raw: &[u8]| pod(&bytes(1, raw));
    let revision = |json: &[u8]| {
        let raw = bytes(2, &bytes(1, json));
        decode_protobuf(&enveloped("apps/v1", "ControllerRevision", &raw)).map(drop)
    };
    let crd = |schema: &[u8]| {
        let version = bytes(4, &bytes(1, schema));
        let raw = bytes(2, &bytes(7, &version));
        decode_protobuf(&enveloped("apiextensions.k8s.io/v1", "CustomResourceDefinition", &raw)).map(drop)
    };
    let wrong = |wire, field| Err(ProtobufError::WrongWireType { wire, field });
    let malformed = |field| Err(ProtobufError::Malformed { field });
    let endless = [0xff; 11];
    let cases: Vec<(&str, Result<()>, Result<()>)> = vec![
        ("a length past the end", metadata(&[0x0a, 5, b'a']), Err(ProtobufError::Truncated)),
        (
            "a length of 2^62",
            metadata(&[&[0x0a][..], &[0xff; 8], &[0x3f]].concat()),
            Err(ProtobufError::Truncated),
        ),
        (
            "a negative length",
            metadata(&[&[0x0a][..], &[0xff; 9], &[1]].concat()),
            Err(ProtobufError::NegativeLength),
        ),
        ("a varint without end", metadata(&[&[0x38][..], &endless].concat()), Err(ProtobufError::Overflow)),
        ("a tag without end", metadata(&endless), Err(ProtobufError::Overflow)),
        ("a varint cut off", metadata(&[0x38, 0x80]), Err(ProtobufError::Truncated)),
        ("eight bytes cut off", metadata(&[0x39, 0]), Err(ProtobufError::Truncated)),
        ("the field of number 0", metadata(&[0, 0]), Err(ProtobufError::IllegalTag { number: 0, tag: 0 })),
        ("a group", metadata(&[0x0b, 0x0c]), Err(ProtobufError::IllegalWireType { wire: 3 })),
        ("a way that does not exist", metadata(&[0x0f]), Err(ProtobufError::IllegalWireType { wire: 7 })),
        ("a number for a text", metadata(&[0x08, 1]), wrong(0, "name")),
        ("four bytes for a text", metadata(&[0x0d, 0, 0, 0, 0]), wrong(5, "name")),
        ("a text for a number", metadata(&bytes(7, b"x")), wrong(2, "generation")),
        ("a number for a message", pod(&[0x08, 1]), wrong(0, "metadata")),
        ("a number for a map's entry", metadata(&[0x58, 1]), wrong(0, "labels")),
        ("a number for a map's key", metadata(&bytes(11, &[0x08, 1])), wrong(0, "labels")),
        ("no text", metadata(&bytes(1, &[0xff])), malformed("name")),
        (
            "no such time",
            metadata(&bytes(8, &[&[8][..], &[0xff; 8], &[0x7f]].concat())),
            malformed("creationTimestamp"),
        ),
        ("what nobody knows", metadata(&[0xd0, 0x0f, 1]), Ok(())),
        ("raw bytes that are no JSON", revision(b"{"), malformed("data")),
        ("JSON that nests deep", revision("[".repeat(100_000).as_bytes()), malformed("data")),
        (
            "JSON that nests too deep in its object",
            revision(["[".repeat(120), "]".repeat(120)].concat().as_bytes()),
            Err(ProtobufError::TooDeep { field: "data" }),
        ),
        ("messages that nest", crd(&nots(100)), Ok(())),
        ("messages that nest deep", crd(&nots(3000)), Err(ProtobufError::TooDeep { field: "not" })),
        ("a great many items of no bytes", pod(&bytes(2, &[0x12, 0].repeat(100_000))), Ok(())),
    ];
    for (what, found, expected) in cases {
        assert_eq!(found, expected, "{what}");
    }
}
