//! Arguments of VolumeBinding.

use super::{Arguments, UtilizationShapePoint, shape};
use crate::api::field::{Error, Path};
use crate::sched::config::FeatureGates;
use crate::sched::config::reader::{Fields, Record};

/// Arguments of VolumeBinding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeBindingArgs {
    /// How long to wait for volumes to be bound, in seconds.
    pub bind_timeout_seconds: i64,
    /// How a node is scored by how full its volumes are; needs [`FeatureGates::storage_capacity_scoring`].
    pub shape: Option<Vec<UtilizationShapePoint>>,
}

impl Record for VolumeBindingArgs {
    const GO: &'static str = "v1.VolumeBindingArgs";

    fn read(fields: &mut Fields<'_>) -> Self {
        fields.head();
        let bind_timeout_seconds = fields.get("bindTimeoutSeconds").unwrap_or(600);
        let mut shape: Option<Vec<UtilizationShapePoint>> = fields.get("shape");
        if fields.gates().storage_capacity_scoring && shape.as_ref().is_none_or(Vec::is_empty) {
            shape = Some(vec![
                UtilizationShapePoint { utilization: 0, score: 10 },
                UtilizationShapePoint { utilization: 100, score: 0 },
            ]);
        }
        Self { bind_timeout_seconds, shape }
    }
}

impl Arguments for VolumeBindingArgs {
    fn validate(&self, path: &Path, gates: &FeatureGates, errors: &mut Vec<Error>) {
        if self.bind_timeout_seconds < 0 {
            let detail = "invalid BindTimeoutSeconds, should not be a negative value";
            let path = path.child("bindTimeoutSeconds");
            errors.push(Error::invalid(&path, self.bind_timeout_seconds, detail));
        }
        let path = path.child("shape");
        match &self.shape {
            points if gates.storage_capacity_scoring => {
                shape::validate(points.as_deref().unwrap_or_default(), &path, errors);
            }
            // So that what has no effect now has none either when the feature comes to be on.
            Some(points) => errors.push(Error::unshown(
                &path,
                format!(
                    "{}: unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring",
                    shape::shown(points)
                ),
            )),
            None => {}
        }
    }
}
