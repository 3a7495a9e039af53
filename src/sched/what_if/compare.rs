//! Two clusters that could be, side by side: how full they are, how even, and who moved.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::WhatIf;
use crate::sched::Snapshot;
use crate::sched::explain::write_table;

const ZONE: &str = "topology.kubernetes.io/zone";

/// What differs between two states.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// By resource.
    pub resources: Vec<ResourceUse>,
    /// Pods by zone, and by node.
    pub spread: Vec<Spread>,
    /// Pods that are on another node.
    pub moved: Vec<Moved>,
    /// Pods that have a node and had none, or were not there.
    pub placed: Vec<Moved>,
    /// Pods that had a node and wait now.
    pub evicted: Vec<Moved>,
    /// Pods that had no node and still have none.
    pub pending: Vec<String>,
    /// Pods that were there and are not.
    pub gone: Vec<String>,
}

/// How much of a resource is in use.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ResourceUse {
    /// Its name.
    pub resource: String,
    /// In the first state.
    pub before: Use,
    /// In the second.
    pub after: Use,
}

/// How much is in use: milli-CPUs, bytes, or counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Use {
    /// What nodes have to give.
    pub allocatable: i64,
    /// What pods on them ask for.
    pub requested: i64,
    /// Percent in use, of all.
    pub percent: f64,
    /// Percent in use on the least used node, a quarter, half and three quarters of the nodes, and the most used one.
    pub quartiles: [f64; 5],
    /// How many nodes have it, and nothing of it in use.
    pub unused_nodes: usize,
}

/// How many pods there are in each domain.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Spread {
    /// The label that makes the domains.
    pub label: String,
    /// In the first state: fewest and most pods of a domain, and how many domains there are.
    pub before: [usize; 3],
    /// In the second.
    pub after: [usize; 3],
}

/// A pod, and where it was and is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Moved {
    /// `namespace/name`.
    pub pod: String,
    /// Where it was.
    pub from: Option<String>,
    /// Where it is.
    pub to: Option<String>,
}

impl WhatIf {
    /// What is otherwise here than in an earlier state.
    #[must_use]
    pub fn compare(&self, before: &Self) -> Comparison {
        let (old, new) = (before.places(), self.places());
        let mut comparison = Comparison {
            resources: self.uses(before),
            spread: vec![self.spread(before, ZONE), self.spread(before, super::HOSTNAME)],
            moved: Vec::new(),
            placed: Vec::new(),
            evicted: Vec::new(),
            pending: Vec::new(),
            gone: Vec::new(),
        };
        for (pod, to) in &new {
            let from = old.get(pod).cloned().flatten();
            let moved = Moved { pod: pod.clone(), from, to: to.clone() };
            match (&moved.from, &moved.to) {
                (None, None) => comparison.pending.push(moved.pod),
                (None, Some(_)) => comparison.placed.push(moved),
                (Some(_), None) => comparison.evicted.push(moved),
                (Some(from), Some(to)) if from != to => comparison.moved.push(moved),
                (Some(_), Some(_)) => {}
            }
        }
        comparison.gone = old.into_keys().filter(|pod| !new.contains_key(pod)).collect();
        comparison
    }

    /// All pods, and their nodes.
    fn places(&self) -> BTreeMap<String, Option<String>> {
        let placed = self.snapshot.nodes().iter().flat_map(|node| {
            let name = self.snapshot.name(*node);
            self.snapshot.pods(*node).map(move |pod| (pod.key.to_string(), Some(name.to_string())))
        });
        placed.chain(self.pending.iter().map(|pod| (pod.key.to_string(), None))).collect()
    }

    fn uses(&self, before: &Self) -> Vec<ResourceUse> {
        let names = |snapshot: &Snapshot| {
            let names = snapshot.resources().iter().map(|(_, name)| name.to_owned());
            names.collect::<Vec<_>>()
        };
        let mut all = names(&before.snapshot);
        let new: Vec<_> = names(&self.snapshot).into_iter().filter(|name| !all.contains(name)).collect();
        all.extend(new);
        let uses = all.into_iter().map(|resource| ResourceUse {
            before: used(&before.snapshot, &resource),
            after: used(&self.snapshot, &resource),
            resource,
        });
        uses.filter(|own| own.before != Use::default() || own.after != Use::default()).collect()
    }

    fn spread(&self, before: &Self, label: &str) -> Spread {
        let of = |snapshot: &Snapshot| {
            let mut domains: BTreeMap<&str, usize> = BTreeMap::new();
            for node in snapshot.nodes() {
                let domain = match snapshot.labels(*node).get(label) {
                    Some(domain) => domain,
                    None if label == super::HOSTNAME => &**snapshot.name(*node),
                    None => continue,
                };
                *domains.entry(domain).or_default() += snapshot.pods(*node).count();
            }
            let (fewest, most) = (domains.values().min(), domains.values().max());
            [fewest.copied().unwrap_or(0), most.copied().unwrap_or(0), domains.len()]
        };
        Spread { label: label.to_owned(), before: of(&before.snapshot), after: of(&self.snapshot) }
    }
}

fn used(snapshot: &Snapshot, resource: &str) -> Use {
    let Some((id, _)) = snapshot.resources().iter().find(|(_, name)| *name == resource) else {
        return Use::default();
    };
    let percent = |used: i64, of: i64| 100.0 * used as f64 / of as f64;
    let mut result = Use::default();
    let mut shares = Vec::new();
    for node in snapshot.nodes() {
        let (all, used) = (snapshot.allocatable(id, *node), snapshot.requested(id, *node));
        result.requested += used;
        if all > 0 {
            result.allocatable += all;
            result.unused_nodes += usize::from(used == 0);
            shares.push(percent(used, all));
        }
    }
    shares.sort_by(f64::total_cmp);
    if let Some(last) = shares.len().checked_sub(1) {
        result.percent = percent(result.requested, result.allocatable);
        result.quartiles = [0, 1, 2, 3, 4].map(|quarter| shares[last * quarter / 4]);
    }
    result
}

/// Tables: use, spread, and who moved.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![
            [
                "RESOURCE",
                "",
                "ALLOCATABLE",
                "REQUESTED",
                "USED",
                "MIN",
                "25%",
                "50%",
                "75%",
                "MAX",
                "UNUSED NODES",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        for own in &self.resources {
            for (state, of) in [("before", &own.before), ("after", &own.after)] {
                let mut row = vec![own.resource.clone(), state.to_owned()];
                row.extend([of.allocatable, of.requested].map(|amount| shown(&own.resource, amount)));
                row.push(format!("{:.1}%", of.percent));
                row.extend(of.quartiles.map(|share| format!("{share:.1}%")));
                row.push(of.unused_nodes.to_string());
                rows.push(row);
            }
        }
        write_table(f, &rows)?;
        writeln!(f)?;
        let mut rows = vec![["PODS BY", "", "DOMAINS", "FEWEST", "MOST"].map(str::to_owned).to_vec()];
        for own in &self.spread {
            for (state, [fewest, most, domains]) in [("before", own.before), ("after", own.after)] {
                let numbers = [domains, fewest, most].map(|number| number.to_string());
                rows.push([own.label.clone(), state.to_owned()].into_iter().chain(numbers).collect());
            }
        }
        write_table(f, &rows)?;
        for (what, pods) in
            [("placed", &self.placed), ("moved", &self.moved), ("left without a node", &self.evicted)]
        {
            writeln!(f, "\n{} pod(s) {what}", pods.len())?;
            let place = |node: &Option<String>| node.clone().unwrap_or_else(|| "-".into());
            let row = |own: &Moved| vec![own.pod.clone(), place(&own.from), "->".into(), place(&own.to)];
            write_table(f, &pods.iter().map(row).collect::<Vec<_>>())?;
        }
        for (what, pods) in [("still wait", &self.pending), ("are gone", &self.gone)] {
            writeln!(f, "\n{} pod(s) {what}", pods.len())?;
            write_table(f, &pods.iter().map(|pod| vec![pod.clone()]).collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

/// CPUs with their thousandths, memory in MiB, all else as a number.
fn shown(resource: &str, amount: i64) -> String {
    match resource {
        "cpu" => format!("{}.{:03}", amount / 1000, amount % 1000),
        "memory" | "ephemeral-storage" => format!("{}Mi", amount >> 20),
        _ => amount.to_string(),
    }
}
