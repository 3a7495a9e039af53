//! Taints, and the tolerations that let a pod pass them.

use k8s_openapi::api::core::v1::{Taint, Toleration};

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing: other nodes are better.
    PreferNoSchedule,
    /// None is placed.
    NoSchedule,
    /// None is placed, and those that run are evicted.
    NoExecute,
}

impl Effect {
    /// The effect of a taint; `None` for one that is not known and does nothing.
    #[must_use]
    pub fn of(taint: &Taint) -> Option<Self> {
        match taint.effect.as_str() {
            "PreferNoSchedule" => Some(Self::PreferNoSchedule),
            "NoSchedule" => Some(Self::NoSchedule),
            "NoExecute" => Some(Self::NoExecute),
            _ => None,
        }
    }
}

/// Whether a toleration matches a taint. An absent key or effect matches any; an absent operator is
/// `Equal`.
#[must_use]
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let any_or =
        |own: &Option<String>, other: &str| own.as_deref().is_none_or(|own| own.is_empty() || own == other);
    if !any_or(&toleration.effect, &taint.effect) || !any_or(&toleration.key, &taint.key) {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or_default() {
        "" | "Equal" => {
            toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default()
        }
        "Exists" => true,
        _ => false,
    }
}

/// The first taint of these effects that no toleration matches.
#[must_use]
pub fn untolerated<'a>(
    taints: &'a [Taint],
    tolerations: &[Toleration],
    effects: &[Effect],
) -> Option<&'a Taint> {
    taints.iter().find(|taint| {
        Effect::of(taint).is_some_and(|effect| effects.contains(&effect))
            && !tolerations.iter().any(|toleration| tolerates(toleration, taint))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str, effect: &str) -> Taint {
        Taint { key: key.into(), value: Some(value.into()), effect: effect.into(), time_added: None }
    }

    fn toleration(key: &str, operator: &str, value: &str, effect: &str) -> Toleration {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Toleration {
            key: text(key),
            operator: text(operator),
            value: text(value),
            effect: text(effect),
            toleration_seconds: None,
        }
    }

    #[test]
    fn tolerations_match_taints() {
        let taint = taint("a", "1", "NoSchedule");
        for (toleration, matches) in [
            (toleration("a", "Equal", "1", "NoSchedule"), true),
            (toleration("a", "", "1", ""), true),
            (toleration("a", "Equal", "2", "NoSchedule"), false),
            (toleration("a", "Exists", "", ""), true),
            (toleration("a", "Exists", "", "NoExecute"), false),
            (toleration("b", "Exists", "", ""), false),
            (toleration("", "Exists", "", ""), true),
            (toleration("a", "Lt", "5", ""), false),
        ] {
            assert_eq!(tolerates(&toleration, &taint), matches, "{toleration:?}");
        }
    }

    #[test]
    fn only_the_effects_asked_for_count() {
        let taints = [taint("a", "", "PreferNoSchedule"), taint("b", "", "NoExecute")];
        let hard = [Effect::NoSchedule, Effect::NoExecute];
        assert_eq!(untolerated(&taints, &[], &hard).unwrap().key, "b");
        assert!(untolerated(&taints, &[toleration("b", "Exists", "", "")], &hard).is_none());
        assert_eq!(untolerated(&taints, &[], &[Effect::PreferNoSchedule]).unwrap().key, "a");
    }
}
