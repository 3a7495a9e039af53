//! Network policies.

use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};
use crate::api::{ip, ip_form};

const TYPES: [&str; 2] = ["Ingress", "Egress"];

/// What a policy that is wrong already may keep.
struct Kept {
    /// Whether selectors may have values that labels may not.
    selectors: bool,
    /// Blocks that may stand anywhere, whatever they are.
    blocks: Vec<String>,
}

pub(super) fn object(policy: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let kept = Kept::by(old);
    let spec = policy.get("spec");
    checks::label_selector_with(&spec.get("podSelector"), kept.selectors, errors);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.get(direction).items() {
            rule.get("ports").items().for_each(|port| self::port(&port, errors));
            rule.get(peers).items().for_each(|peer| self::peer(&peer, &kept, errors));
        }
    }
    let types = spec.get("policyTypes");
    if types.len() > TYPES.len() {
        errors.push(types.invalid("may not specify more than two policyTypes"));
        return;
    }
    for kind in types.items() {
        if !TYPES.contains(&kind.text()) {
            errors.push(kind.not_supported(&TYPES));
        }
    }
}

impl Kept {
    fn by(old: Option<&At<'_>>) -> Self {
        let Some(old) = old else { return Self { selectors: false, blocks: Vec::new() } };
        let spec = old.get("spec");
        let mut wrong = Vec::new();
        checks::label_selector(&spec.get("podSelector"), &mut wrong);
        let mut blocks = Vec::new();
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            for rule in spec.get(direction).items() {
                for peer in rule.get(peers).items() {
                    let block = peer.get("ipBlock");
                    blocks.push(block.get("cidr").text().to_owned());
                    blocks.extend(block.get("except").items().map(|except| except.text().to_owned()));
                }
            }
        }
        Self { selectors: !wrong.is_empty(), blocks }
    }
}

fn port(entry: &At<'_>, errors: &mut Errors) {
    let (protocol, port, end) = (entry.get("protocol"), entry.get("port"), entry.get("endPort"));
    checks::one_of_if_set(&protocol, &["TCP", "UDP", "SCTP"], errors);
    match (port.is_set(), port.number()) {
        (true, Some(number)) => {
            checks::port_number(&port, errors);
            if let Some(last) = end.number() {
                if last < number {
                    let wrong = "must be greater than or equal to `port`";
                    errors.push(Error::invalid(&end.path(), number, wrong));
                }
                checks::port_number(&end, errors);
            }
        }
        (true, None) => {
            if end.is_set() {
                errors.push(end.invalid("may not be specified when `port` is non-numeric"));
            }
            checks::named(&port, names::port_name, errors);
        }
        (false, _) if end.is_set() => {
            errors.push(end.invalid("may not be specified when `port` is not specified"));
        }
        (false, _) => {}
    }
}

fn peer(peer: &At<'_>, kept: &Kept, errors: &mut Errors) {
    let (pods, namespaces, block) =
        (peer.get("podSelector"), peer.get("namespaceSelector"), peer.get("ipBlock"));
    for at in [&pods, &namespaces] {
        if at.is_set() {
            checks::label_selector_with(at, kept.selectors, errors);
        }
    }
    if block.is_set() {
        self::block(&block, kept, errors);
    }
    let named = [&pods, &namespaces, &block].iter().filter(|at| at.is_set()).count();
    if named == 0 {
        errors.push(peer.required("must specify a peer"));
    } else if named > 1 && block.is_set() {
        errors.push(peer.forbidden("may not specify both ipBlock and another peer"));
    }
}

fn block(block: &At<'_>, kept: &Kept, errors: &mut Errors) {
    let cidr = block.get("cidr");
    if !checks::present(&cidr, errors) {
        return;
    }
    let judge = |at: &At<'_>, errors: &mut Errors| {
        if !kept.blocks.iter().any(|known| known == at.text()) {
            checks::sentences(at, ip::block_problems(at.text()), errors);
        }
    };
    judge(&cidr, errors);
    let Some(whole) = ip_form::block(cidr.text()) else { return };
    for except in block.get("except").items() {
        judge(&except, errors);
        if ip_form::block(except.text()).is_some_and(|part| !ip_form::is_part(&part, &whole)) {
            errors.push(except.invalid("must be a strict subset of `cidr`"));
        }
    }
}
