//! The points at which a configuration can enable plugins.

use std::fmt;

/// A point. They stand in the order in which kube-scheduler fills them, which is the order of its errors.
///
/// Source: `getExtensionPoints` of `pkg/scheduler/framework/runtime/framework.go` (1.36).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Looks at a pod before nodes are looked at.
    PreFilter,
    /// Whether a node will do.
    Filter,
    /// What to do when no node will.
    PostFilter,
    /// Takes what a pod needs on its node.
    Reserve,
    /// Looks at the nodes that will do.
    PreScore,
    /// How well a node will do. Plugins have weights here.
    Score,
    /// Prepares a node.
    PreBind,
    /// Binds a pod.
    Bind,
    /// Hears that a pod is bound.
    PostBind,
    /// Whether to wait before binding.
    Permit,
    /// Whether a pod may enter the queue.
    PreEnqueue,
    /// Which pod is next.
    QueueSort,
    /// Where the pods of a group could go.
    PlacementGenerate,
    /// How well a group's pods would go there. Plugins have weights here.
    PlacementScore,
}

impl Point {
    /// All points, in their order.
    pub const ALL: [Self; 14] = [
        Self::PreFilter,
        Self::Filter,
        Self::PostFilter,
        Self::Reserve,
        Self::PreScore,
        Self::Score,
        Self::PreBind,
        Self::Bind,
        Self::PostBind,
        Self::Permit,
        Self::PreEnqueue,
        Self::QueueSort,
        Self::PlacementGenerate,
        Self::PlacementScore,
    ];

    /// The field of `plugins` that holds its plugins: `preFilter`.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::PreFilter => "preFilter",
            Self::Filter => "filter",
            Self::PostFilter => "postFilter",
            Self::Reserve => "reserve",
            Self::PreScore => "preScore",
            Self::Score => "score",
            Self::PreBind => "preBind",
            Self::Bind => "bind",
            Self::PostBind => "postBind",
            Self::Permit => "permit",
            Self::PreEnqueue => "preEnqueue",
            Self::QueueSort => "queueSort",
            Self::PlacementGenerate => "placementGenerate",
            Self::PlacementScore => "placementScore",
        }
    }
}

impl fmt::Display for Point {
    /// What a plugin must be to stand here: `PreFilterPlugin`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}Plugin")
    }
}

/// A set of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Points(u16);

impl Points {
    /// These points.
    #[must_use]
    pub const fn of(points: &[Point]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < points.len() {
            set |= 1 << points[at] as u16;
            at += 1;
        }
        Self(set)
    }

    /// Whether this point is one of them.
    #[must_use]
    pub const fn contains(self, point: Point) -> bool {
        self.0 & (1 << point as u16) != 0
    }
}

impl FromIterator<Point> for Points {
    fn from_iter<I: IntoIterator<Item = Point>>(points: I) -> Self {
        points.into_iter().fold(Self::default(), |set, point| Self(set.0 | Self::of(&[point]).0))
    }
}
