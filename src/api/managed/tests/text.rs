//! Path elements, sets of fields, and how both are written.

use crate::api::managed::*;

/// A path from words: a field each, or an element as FieldsV1 writes it.
fn path(words: &[&str]) -> Path {
    let element = |word: &&str| match word.as_bytes() {
        [b'f' | b'k' | b'v' | b'i', b':', ..] => PathElement::parse(word).unwrap().unwrap(),
        _ => PathElement::field(*word),
    };
    words.iter().map(element).collect()
}

fn set(paths: &[&[&str]]) -> FieldSet {
    paths.iter().map(|words| path(words)).collect()
}

#[test]
fn path_elements_are_written_as_they_are_read() {
    for text in [
        "i:0",
        "i:1234",
        "f:",
        "f:spec",
        "f: string-with-spaces   ",
        r#"k:{"name":"my-container"}"#,
        r#"k:{"name":"   name with spaces   "}"#,
        r#"k:{"port":"8080","protocol":"TCP"}"#,
        r#"k:{"port":8080,"protocol":"TCP"}"#,
        r#"k:{"optionalField":null}"#,
        r#"k:{"jsonField":{"A":1,"B":null,"C":"D","E":{"F":"G"}}}"#,
        r#"k:{"listField":["1","2","3"]}"#,
        "v:null",
        r#"v:"some-string""#,
        "v:1234",
        "v:1.5",
        "v:true",
        r#"v:{"some":" some  with spaces  "}"#,
        r#"k:{"name":"app-🚀"}"#,
        r#"k:{"name":"नमस्ते दुनिया"}"#,
        r"f:spec-\n",
    ] {
        assert_eq!(PathElement::parse(text).unwrap().unwrap().to_fields_v1(), text);
    }
}

#[test]
fn path_elements_are_written_canonically() {
    for (read, written) in [
        (r#"k: { "protocol":"udp","port":443}"#, r#"k:{"port":443,"protocol":"udp"}"#),
        ("v: 3", "v:3"),
        ("v:3.0", "v:3"),
        ("v:1e21", "v:1e+21"),
        ("v:0.0000005", "v:5e-7"),
        (r#"k:{"name\u002dcontainer":"x"}"#, r#"k:{"name-container":"x"}"#),
        (r#"v:"\u4f60\u597d""#, r#"v:"你好""#),
        (r#"v:"a<b>&c""#, r#"v:"a\u003cb\u003e\u0026c""#),
        (r#"v:"\b\f\u0001\n""#, r#"v:"\u0008\u000c\u0001\n""#),
    ] {
        assert_eq!(PathElement::parse(read).unwrap().unwrap().to_fields_v1(), written);
    }
}

#[test]
fn what_is_no_path_element_is_refused() {
    for (text, why) in [
        ("", "key must be 2 characters long:"),
        ("v", "key must be 2 characters long:"),
        ("no-colon", "missing colon: no-colon"),
        ("i:index", r#"strconv.Atoi: parsing "index": invalid syntax"#),
        ("i:1.23", r#"strconv.Atoi: parsing "1.23": invalid syntax"#),
        ("i:", r#"strconv.Atoi: parsing "": invalid syntax"#),
        ("i: 0", r#"strconv.Atoi: parsing " 0": invalid syntax"#),
        ("i:99999999999999999999", r#"strconv.Atoi: parsing "99999999999999999999": value out of range"#),
        ("k:[]", "ReadObjectCB: expect { or n, but found ["),
    ] {
        assert_eq!(PathElement::parse(text), Err(why.to_owned()));
    }
    for text in [
        "v:invalid json",
        "v:",
        "k:invalid json",
        r#"k:{"name":invalid}"#,
        r#"v:{"some":" \x41"}"#,
        r#"v:{"a":"b""#,
        r#"v:{"some":"json"} {"other":"json"}"#,
        r#"k:{"name":"my-container"} garbage"#,
    ] {
        assert!(PathElement::parse(text).is_err(), "{text}");
    }
    assert_eq!(PathElement::parse("r:Hello"), Ok(None));
}

#[test]
fn path_elements_are_shown_and_ordered_as_kubernetes_does() {
    let shown = path_text(&path(&["spec", r#"k:{"name":"a","port":80}"#, r#"v:"x""#, "v:1.5", "i:3"]));
    assert_eq!(shown, r#".spec[name="a",port=80][="x"][=1.5][3]"#);
    let ordered = [
        "f:a",
        "f:b",
        r#"k:{"name":"a"}"#,
        r#"k:{"port":80,"protocol":"TCP"}"#,
        r#"k:{"port":80,"protocol":"UDP"}"#,
        r#"k:{"port":443,"protocol":"TCP"}"#,
        "v:2",
        "v:2.5",
        "v:10",
        r#"v:"a""#,
        "v:false",
        "v:true",
        "v:[1]",
        "v:[1,2]",
        r#"v:{"a":1}"#,
        "v:null",
        "i:2",
        "i:10",
    ];
    let elements = path(&ordered);
    assert!(elements.is_sorted_by(|a, b| a < b), "{elements:?}");
    assert_eq!(path(&["v:1"]), path(&["v:1.0"]));
}

#[test]
fn sets_are_written_as_kubernetes_writes_them() {
    for text in [
        "{}",
        r#"{"f:aaa":{},"f:aab":{},"k:{\"name\":\"first\"}":{},"k:{\"port\":443,\"protocol\":\"tcp\"}":{},"k:{\"port\":443,\"protocol\":\"udp\"}":{},"v:1":{},"v:2":{},"v:\"aa\"":{},"v:\"ab\"":{},"v:true":{},"i:1":{},"i:2":{}}"#,
        r#"{"f:aaa":{"k:{\"name\":\"second\"}":{"v:3":{"f:aab":{}}},"v:3":{},"v:true":{}},"f:aad":{"f:aac":{"v:1":{}},"f:aaf":{"k:{\"name\":\"first\"}":{"k:{\"name\":\"first\"}":{}}},"i:1":{"i:1":{},"i:3":{"v:true":{}}}}}"#,
        r#"{"f:spec":{".":{},"f:apps":{".":{},"k:{\"name\":\" app-💻\"}":{".":{},"f:container":{".":{},"f:image":{},"f:ports":{".":{},"k:{\"name\":\"port 🔑\"}":{".":{},"f:containerPort":{}}}},"f:name":{}}}}}"#,
        r#"{"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}},"k:{\"containerPort\":443,\"protocol\":\"TCP\"}":{}}}"#,
    ] {
        let read = FieldSet::from_json(text).unwrap();
        assert_eq!(read.to_json(), text);
        assert_eq!(FieldSet::from_fields_v1(&read.to_fields_v1()), Ok(read));
    }
}

#[test]
fn sets_are_read_in_any_order_and_form() {
    let read = FieldSet::from_json(
        r#" { "v: 3":{}, "f:b" : {"f:c":{},".":{}}, "k:{ \"protocol\":\"udp\",\"port\":443}":null, "f:a":{".":{}}} "#,
    );
    assert_eq!(
        read.unwrap().to_json(),
        r#"{"f:a":{},"f:b":{".":{},"f:c":{}},"k:{\"port\":443,\"protocol\":\"udp\"}":{},"v:3":{}}"#
    );
    assert_eq!(FieldSet::from_json(r#"{"f:aaa":{},"r:aab":{}}"#).unwrap().to_json(), r#"{"f:aaa":{}}"#);
    assert!(FieldSet::from_json("null").unwrap().is_empty());
}

#[test]
fn what_is_no_set_is_refused_with_its_place() {
    for (text, why) in [
        (
            r#"{"f:a":{"f:b":{"x":{}}}}"#,
            r#"parsing key as path element: key must be 2 characters long:, error found in "f:a/f:b/x""#,
        ),
        (
            r#"{"f:a":{"bad":{}}}"#,
            r#"parsing key as path element: missing colon: bad, error found in "f:a/bad""#,
        ),
        (r#"{"f:a":1}"#, r#"ReadMapCB: expect { or n, but found 1, error found in "f:a""#),
        ("[]", r#"ReadMapCB: expect { or n, but found [, error found in """#),
    ] {
        assert_eq!(FieldSet::from_json(text).unwrap_err().to_string(), why);
    }
    for text in ["", "{", r#"{"f:a":}"#, r#"{"f:a":{}}}"#, r#"{"f:a":{}}{}"#, "{1:{}}"] {
        assert!(FieldSet::from_json(text).is_err(), "{text}");
    }
}

#[test]
fn sets_are_combined_path_by_path_or_as_trees() {
    let ours = set(&[&["a"], &["a", "b"], &["c", "d"], &["e"], &["f", "g"]]);
    let theirs = set(&[&["a"], &["c"], &["c", "d"], &["f"], &["h", "i"]]);
    assert_eq!(
        ours.union(&theirs),
        set(&[&["a"], &["a", "b"], &["c"], &["c", "d"], &["e"], &["f"], &["f", "g"], &["h", "i"]])
    );
    assert_eq!(ours.intersection(&theirs), set(&[&["a"], &["c", "d"]]));
    assert_eq!(ours.difference(&theirs), set(&[&["a", "b"], &["e"], &["f", "g"]]));
    assert_eq!(ours.recursive_difference(&theirs), set(&[&["e"]]));
    assert_eq!(set(&[&["c"]]).difference(&set(&[&["c", "d"]])), set(&[&["c"]]));
    assert_eq!(ours.leaves(), set(&[&["a", "b"], &["c", "d"], &["e"], &["f", "g"]]));
    assert_eq!(ours.below(&PathElement::field("a")), Some(&set(&[&["b"]])));
    assert_eq!(ours.below(&PathElement::field("e")), None);
    assert_eq!((ours.len(), ours.is_empty(), FieldSet::new().len()), (5, false, 0));
    assert!(ours.contains(&path(&["c", "d"])) && !ours.contains(&path(&["c"])));
    assert_eq!(ours.to_string(), ".a\n.e\n.a.b\n.c.d\n.f.g");
}

#[test]
fn filters_leave_out_or_keep_what_lies_below() {
    let fields = set(&[
        &["spec"],
        &["spec", "replicas"],
        &["spec", "containers", r#"k:{"name":"a"}"#, "resources", "limits"],
        &["spec", "containers", r#"k:{"name":"a"}"#, "image"],
        &["status"],
        &["status", "phase"],
    ]);
    assert_eq!(
        Filter::Exclude(set(&[&["status"], &["spec", "containers"]])).apply(&fields),
        set(&[&["spec"], &["spec", "replicas"], &["spec", "containers", r#"k:{"name":"a"}"#, "image"]])
            .difference(&set(&[&["spec", "containers", r#"k:{"name":"a"}"#, "image"]]))
    );
    let pattern = vec![
        Some(PathElement::field("spec")),
        Some(PathElement::field("containers")),
        None,
        Some(PathElement::field("resources")),
    ];
    assert_eq!(
        Filter::Include(vec![pattern]).apply(&fields),
        set(&[&["spec"], &["spec", "containers", r#"k:{"name":"a"}"#, "resources", "limits"]])
    );
}
