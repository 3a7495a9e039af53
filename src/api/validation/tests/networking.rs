//! What belongs to networks: ingresses, policies and addresses.

use serde_json::json;

use super::*;

#[test]
fn ingresses() {
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    let ingress = in_default(
        "web",
        json!({"spec": {"rules": [{"host": "a.example.com", "http": {"paths": [path]}}],
                        "tls": [{"hosts": ["*.example.com"], "secretName": "s"}]}}),
    );
    each_of(
        ("networking.k8s.io/v1", "Ingress"),
        &ingress,
        &[
            (
                "/spec/rules",
                json!([]),
                "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified",
            ),
            (
                "/spec/rules/0/http/paths/0/pathType",
                json!(null),
                "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
            ),
            (
                "/spec/rules/0/http/paths/0/path",
                json!("a"),
                "spec.rules[0].http.paths[0].path: Invalid value: \"a\": must be an absolute path",
            ),
            (
                "/spec/rules/0/http/paths/0/path",
                json!("/a//b"),
                "spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'",
            ),
            (
                "/spec/rules/0/http/paths/0/backend/service/port",
                json!({}),
                "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
            ),
            (
                "/spec/rules/0/http/paths/0/backend/service/port/number",
                json!(65_536),
                "spec.rules[0].http.paths[0].backend.service.port.number: Invalid value: 65536: must be between 1 and \
                 65535, inclusive",
            ),
            ("/spec/rules/0/http/paths", json!([]), "spec.rules[0].http.paths: Required value"),
        ],
    );
    let numeric = with(ingress.clone(), "/spec/rules/0/host", json!("10.0.0.1"));
    assert_eq!(
        judged(("networking.k8s.io/v1", "Ingress"), numeric),
        ["spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"]
    );
    let mut reported = ingress.clone();
    reported["status"] = json!({"loadBalancer": {"ingress": [{"ip": "010.0.0.1"}]}});
    assert_eq!(
        restated(("networking.k8s.io/v1", "Ingress"), ingress, reported.clone()),
        ["status.loadBalancer.ingress[0].ip: Invalid value: \"010.0.0.1\": must not have leading 0s"]
    );
    let same = restated(("networking.k8s.io/v1", "Ingress"), reported.clone(), reported);
    assert_eq!(same, Vec::<String>::new(), "what was there stays");
}

#[test]
fn classes_of_ingresses() {
    let class = named(
        "c",
        json!({"spec": {"controller": "example.com/c", "parameters": {"kind": "K", "name": "n", "scope": "Cluster"}}}),
    );
    let kind = ("networking.k8s.io/v1", "IngressClass");
    each_of(
        kind,
        &class,
        &[
            (
                "/spec/controller",
                json!("c"),
                "spec.controller: Invalid value: \"c\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            ),
            (
                "/spec/parameters/scope",
                json!("Namespace"),
                "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
            ),
            (
                "/spec/parameters/namespace",
                json!("n"),
                "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
            ),
            (
                "/spec/parameters/scope",
                json!("Moon"),
                "spec.parameters.scope: Unsupported value: \"Moon\": supported values: \"Cluster\", \"Namespace\"",
            ),
        ],
    );
    each_change(
        kind,
        &class,
        &[(
            "/spec/controller",
            json!("example.com/d"),
            "spec.controller: Invalid value: \"example.com/d\": field is immutable",
        )],
    );
}

#[test]
fn network_policies() {
    let policy = in_default(
        "p",
        json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
                         "ports": [{"protocol": "TCP", "port": 80, "endPort": 90}]}]}}),
    );
    let from = "spec.ingress[0].from[0]";
    each_of(
        ("networking.k8s.io/v1", "NetworkPolicy"),
        &policy,
        &[
            (
                "/spec/policyTypes/0",
                json!("Side"),
                "spec.policyTypes[0]: Unsupported value: \"Side\": supported values: \"Ingress\", \"Egress\"",
            ),
            ("/spec/ingress/0/from/0", json!({}), &format!("{from}: Required value: must specify a peer")),
            (
                "/spec/ingress/0/from/0/podSelector",
                json!({}),
                &format!("{from}: Forbidden: may not specify both ipBlock and another peer"),
            ),
            (
                "/spec/ingress/0/from/0/ipBlock/except/0",
                json!("11.0.0.0/16"),
                &format!(
                    "{from}.ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`"
                ),
            ),
            (
                "/spec/ingress/0/from/0/ipBlock",
                json!({"cidr": "10.0.0.1/8"}),
                &format!(
                    "{from}.ipBlock.cidr: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix \
                     length"
                ),
            ),
            (
                "/spec/ingress/0/ports/0/endPort",
                json!(70),
                "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
            ),
            (
                "/spec/ingress/0/ports/0/port",
                json!("http"),
                "spec.ingress[0].ports[0].endPort: Invalid value: 90: may not be specified when `port` is non-numeric",
            ),
        ],
    );
}

#[test]
fn addresses_of_services() {
    let cidr = named("extra", json!({"spec": {"cidrs": ["10.0.0.0/16"]}}));
    let kind = ("networking.k8s.io/v1", "ServiceCIDR");
    each_of(
        kind,
        &cidr,
        &[
            ("/spec/cidrs", json!([]), "spec.cidrs: Required value: at least one CIDR required"),
            (
                "/spec/cidrs",
                json!(["10.0.0.0/16", "10.1.0.0/16"]),
                "spec.cidrs: Invalid value: [\"10.0.0.0/16\",\"10.1.0.0/16\"]: may specify no more than one IP for \
                 each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ),
        ],
    );
    let both = with(cidr.clone(), "/spec/cidrs", json!(["10.0.0.0/16", "fd00::/112"]));
    assert_eq!(rejudged(kind, cidr.clone(), both.clone()), Vec::<String>::new());
    let errors = rejudged(kind, both, cidr.clone());
    assert!(errors[0].contains(IMMUTABLE), "{errors:?}");
    let moved = with(cidr.clone(), "/spec/cidrs/0", json!("10.1.0.0/16"));
    assert_eq!(
        rejudged(kind, cidr, moved),
        ["spec.cidrs[0]: Invalid value: \"10.1.0.0/16\": field is immutable"]
    );
    let address = named(
        "10.0.0.7",
        json!({"spec": {"parentRef": {"resource": "services", "namespace": "a", "name": "b"}}}),
    );
    let kind = ("networking.k8s.io/v1", "IPAddress");
    each_of(kind, &address, &[("/spec/parentRef", json!(null), "spec.parentRef: Required value")]);
    assert_eq!(judged(kind, with(address, "/metadata/name", json!("10.0.0.07"))).len(), 1);
}
