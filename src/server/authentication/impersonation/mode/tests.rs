//! Who may act as whom, as tables that read like roles.

use std::cell::RefCell;

use super::*;

/// The caller, and what it is allowed: `verb group/resource[/subresource] [namespace/]name`.
fn attempt(identity: &Identity, wish: &Wish, allowed: &[&str]) -> (Result<Identity, String>, Vec<String>) {
    let told = RefCell::new(Vec::new());
    let ask = |_: &Identity, own: &Attributes| {
        let subresource = if own.subresource.is_empty() { "" } else { "/" };
        let namespace = if own.namespace.is_empty() { "" } else { "/" };
        let line = format!(
            "{} {}/{}{subresource}{} {}{namespace}{}",
            own.verb, own.group, own.resource, own.subresource, own.namespace, own.name
        );
        let allow = allowed.contains(&line.trim_end());
        told.borrow_mut().push(line.trim_end().to_owned());
        if allow { Decision::Allow } else { Decision::Deny { reason: String::new() } }
    };
    let asked = Attributes {
        verb: "list".into(),
        version: "v1".into(),
        resource: "pods".into(),
        namespace: "ns".into(),
        ..Attributes::default()
    };
    let granted = try_each(&ask, identity, wish, &asked).map_err(|status| status.message);
    (granted, told.into_inner())
}

fn wish(user: &str) -> Wish {
    Wish { user: user.into(), ..Wish::default() }
}

fn pod_on(node: &str) -> Identity {
    let mut account = Identity::user("system:serviceaccount:ns:agent");
    account.extra.insert(NODE_NAME.into(), vec![node.into()]);
    account
}

#[test]
fn an_agent_acts_as_its_own_node_and_as_no_other() {
    let allowed = [
        "impersonate-on:associated-node:list /pods ns/",
        "impersonate:associated-node authentication.k8s.io/nodes *",
    ];
    let (granted, told) = attempt(&pod_on("n1"), &wish("system:node:n1"), &allowed);
    let granted = granted.unwrap();
    assert_eq!(granted.user, "system:node:n1");
    assert_eq!(granted.groups, ["system:nodes", "system:authenticated"]);
    assert_eq!(told, allowed);
    for caller in [pod_on("n2"), Identity::user("n1")] {
        let (refused, told) = attempt(&caller, &wish("system:node:n1"), &allowed);
        let user = &caller.user;
        assert_eq!(
            refused.unwrap_err(),
            format!(
                "pods is forbidden: User {user:?} cannot impersonate-on:arbitrary-node:list resource \"pods\" in \
                 API group \"\" in the namespace \"ns\""
            )
        );
        assert_eq!(told.last().unwrap(), "impersonate /users system:node:n1");
    }
}

#[test]
fn of_an_account_that_is_its_node_only_that_counts() {
    let seen = RefCell::new(Vec::new());
    let ask = |identity: &Identity, _: &Attributes| {
        seen.borrow_mut().push(identity.extra.clone());
        Decision::Allow
    };
    let asked = Attributes::path("get", "/version");
    try_each(&ask, &pod_on("n1"), &wish("system:node:n1"), &asked).unwrap();
    let keys = [(NODE_KEYS.to_owned(), vec![NODE_NAME.to_owned()])];
    assert_eq!(seen.into_inner(), [keys.clone().into(), keys.into()]);
}

#[test]
fn each_sort_of_user_has_its_mode() {
    for (user, allowed, groups) in [
        (
            "system:node:n1",
            [
                "impersonate-on:arbitrary-node:list /pods ns/",
                "impersonate:arbitrary-node authentication.k8s.io/nodes n1",
            ],
            &["system:nodes", "system:authenticated"][..],
        ),
        (
            "system:serviceaccount:a:b",
            [
                "impersonate-on:serviceaccount:list /pods ns/",
                "impersonate:serviceaccount authentication.k8s.io/serviceaccounts a/b",
            ],
            &["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"],
        ),
        (
            "jane",
            [
                "impersonate-on:user-info:list /pods ns/",
                "impersonate:user-info authentication.k8s.io/users jane",
            ],
            &["system:authenticated"],
        ),
    ] {
        let caller = Identity::user("helper");
        let (granted, told) = attempt(&caller, &wish(user), &allowed);
        assert_eq!(granted.unwrap().groups, groups, "{user}");
        assert_eq!(told, allowed);
        // To be somebody is not enough, and neither is to do something.
        for one in allowed {
            assert!(attempt(&caller, &wish(user), &[one]).0.is_err(), "{one}");
        }
    }
    // With anything else asked for, an account is left to the last mode.
    let grouped = Wish { groups: vec!["dev".into()], ..wish("system:serviceaccount:a:b") };
    let (_, told) = attempt(&Identity::user("helper"), &grouped, &[]);
    assert_eq!(told, ["impersonate /serviceaccounts a/b"]);
}

#[test]
fn everything_that_is_asked_for_is_asked_for_by_itself() {
    let full = Wish {
        groups: vec!["dev".into(), "ops".into()],
        uid: "7".into(),
        extra: [("example.com/team".to_owned(), vec!["red".into(), "blue".into()])].into(),
        ..wish("jane")
    };
    let of = |verb: &str, group: &str| {
        vec![
            format!("{verb} {group}/users jane"),
            format!("{verb} authentication.k8s.io/uids 7"),
            format!("{verb} {group}/groups dev"),
            format!("{verb} {group}/groups ops"),
            format!("{verb} authentication.k8s.io/userextras/example.com/team red"),
            format!("{verb} authentication.k8s.io/userextras/example.com/team blue"),
        ]
    };
    let mut constrained = vec!["impersonate-on:user-info:list /pods ns/".to_owned()];
    constrained.extend(of("impersonate:user-info", "authentication.k8s.io"));
    for (asked, before) in [(constrained, 0), (of("impersonate", ""), 1)] {
        let allowed: Vec<_> = asked.iter().map(String::as_str).collect();
        let (granted, told) = attempt(&Identity::user("helper"), &full, &allowed);
        let granted = granted.unwrap();
        assert_eq!((granted.uid.as_str(), granted.extra.len()), ("7", 1));
        assert_eq!(told[before..], asked);
    }
}

#[test]
fn many_are_asked_for_at_once() {
    let groups = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let many = Wish { groups, ..wish("jane") };
    let allowed = [
        "impersonate-on:user-info:list /pods ns/",
        "impersonate:user-info authentication.k8s.io/users jane",
        "impersonate:user-info authentication.k8s.io/groups *",
    ];
    let (granted, told) = attempt(&Identity::user("helper"), &many, &allowed);
    assert!(granted.is_ok());
    assert_eq!(told, allowed);
}

#[test]
fn what_nobody_may_be_by_a_mode() {
    let extra = |key: &str, values: &[&str]| Wish {
        extra: [(key.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())].into(),
        ..wish("jane")
    };
    let groups = |group: &str| Wish { groups: vec![group.into()], ..wish("jane") };
    let allowed =
        ["impersonate-on:user-info:list /pods ns/", "impersonate:user-info authentication.k8s.io/users jane"];
    for (wish, why) in [
        (groups(""), "impersonating the empty string group is not allowed"),
        (groups(MASTERS), "impersonating the system:masters group is not allowed"),
        (extra("", &["a"]), "impersonating the empty string key in extra is not allowed"),
        (
            extra("team", &["a"]),
            "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: \"team\": must be a \
             domain-prefixed path (such as \"acme.io/foo\")",
        ),
        (
            extra("example.com/Team", &["a"]),
            "impersonating a non-lowercase key in extra is not allowed: \"example.com/Team\"",
        ),
        (extra("example.com/team", &[]), "impersonating empty values in extra is not allowed"),
        (extra("example.com/team", &[""]), "impersonating the empty string value in extra is not allowed"),
    ] {
        let refused = attempt(&Identity::user("helper"), &wish, &allowed).0.unwrap_err();
        assert!(refused.ends_with(&format!(": {why}")), "{refused}");
    }
}
