//! `allOf`, `anyOf`, `oneOf` and `not`.

use serde_json::Value;

use super::judge;
use super::verdict::{Fault, Verdict};
use crate::api::structural::correlate::Correlated;
use crate::api::structural::schema::Schema;
use crate::api::structural::trail::Trail;

pub(super) fn logic(
    schema: &Schema,
    trail: &Trail<'_>,
    value: &Value,
    old: Option<&Correlated<'_>>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let says = |sentence: &str| Fault::whole(format!("{:?} {sentence}", trail.dotted()));
    let of = |schema| judge(schema, trail, value, old);
    if !schema.any_of.is_empty() {
        any_of(schema.any_of.iter().map(of), &mut verdict, || {
            says("must validate at least one schema (anyOf)")
        });
    }
    if !schema.one_of.is_empty() {
        one_of(schema.one_of.iter().map(of), &mut verdict, says);
    }
    if !schema.all_of.is_empty() {
        let mut valid = 0;
        for part in schema.all_of.iter().map(of) {
            valid += usize::from(part.is_valid());
            verdict.merge(part);
        }
        if valid != schema.all_of.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            verdict.add(says(&format!("must validate all the schemas (allOf){none}")));
        }
    }
    if let Some(not) = &schema.not
        && of(not).is_valid()
    {
        verdict.add(says("must not validate the schema (not)"));
    }
    verdict.count();
    verdict
}

/// The first alternative that holds; where none does, what is wrong with the best of them.
fn any_of(parts: impl Iterator<Item = Verdict>, verdict: &mut Verdict, says: impl Fn() -> Fault) {
    let mut best: Option<Verdict> = None;
    for part in parts {
        if part.is_valid() {
            verdict.merge(part);
            return;
        }
        if best.as_ref().is_none_or(|best| part.count > best.count) {
            best = Some(part);
        }
    }
    verdict.add(says());
    best.into_iter().for_each(|best| verdict.merge(best));
}

/// The one alternative that holds.
fn one_of(parts: impl Iterator<Item = Verdict>, verdict: &mut Verdict, says: impl Fn(&str) -> Fault) {
    let (mut valid, mut first, mut best): (usize, Option<Verdict>, Option<Verdict>) = (0, None, None);
    for part in parts {
        if part.is_valid() {
            valid += 1;
            best = None;
            first = first.or(Some(part));
        } else if valid == 0 && best.as_ref().is_none_or(|best| part.count > best.count) {
            best = Some(part);
        }
    }
    if valid == 1 {
        first.into_iter().for_each(|first| verdict.merge(first));
        return;
    }
    let found = match valid {
        0 => "Found none valid".to_owned(),
        many => format!("Found {many} valid alternatives"),
    };
    verdict.add(says(&format!("must validate one and only one schema (oneOf). {found}")));
    best.into_iter().for_each(|best| verdict.merge(best));
}
