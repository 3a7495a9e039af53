//! A score as a function of how full something is.

use crate::api::field::{Error, Path};
use crate::sched::config::reader::{Fields, Record};

/// A point of a function from how full something is to a score; lines run between the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtilizationShapePoint {
    /// How full, in percent.
    pub utilization: i32,
    /// The score, from 0 to 10.
    pub score: i32,
}

impl Record for UtilizationShapePoint {
    const GO: &'static str = "v1.UtilizationShapePoint";

    fn read(fields: &mut Fields<'_>) -> Self {
        Self { utilization: fields.plain("utilization"), score: fields.plain("score") }
    }
}

/// Source: `validateFunctionShape` of `pkg/scheduler/apis/config/validation/validation_pluginargs.go` (1.36).
pub(super) fn validate(shape: &[UtilizationShapePoint], path: &Path, errors: &mut Vec<Error>) {
    if shape.is_empty() {
        errors.push(Error::required(path, "at least one point must be specified"));
        return;
    }
    // Only the first that is out of order is told of.
    if let Some(at) = shape.windows(2).position(|pair| pair[0].utilization >= pair[1].utilization) {
        let (path, value) = (path.index(at + 1).child("utilization"), shape[at + 1].utilization);
        errors.push(Error::invalid(&path, value, "values must be sorted in increasing order"));
    }
    for (index, point) in shape.iter().enumerate() {
        for (name, value, most) in [("utilization", point.utilization, 100), ("score", point.score, 10)] {
            if !(0..=most).contains(&value) {
                let detail = format!("not in valid range [0, {most}]");
                errors.push(Error::invalid(&path.index(index).child(name), value, detail));
            }
        }
    }
}

/// Points as Go shows them, in the order of its fields.
pub(super) fn shown(shape: &[UtilizationShapePoint]) -> String {
    let point = |point: &UtilizationShapePoint| {
        format!(r#"{{"Utilization":{},"Score":{}}}"#, point.utilization, point.score)
    };
    format!("[{}]", shape.iter().map(point).collect::<Vec<_>>().join(","))
}
