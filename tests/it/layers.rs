//! The borders between the layers: who may import whom, as data, held against the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer and what it may import. ARCHITECTURE.md draws the same picture.
const EDGES: &[(&str, &[&str])] = &[
    ("env", &[]),
    ("api", &[]),
    ("store", &["env", "api"]),
    ("client", &["env", "api"]),
    ("server", &["env", "api", "store", "client"]),
    ("reconcile", &["env", "api", "client"]),
    ("sched", &["env", "api", "client"]),
    ("runtime", &["env", "api"]),
    ("net", &["env", "api"]),
    ("node", &["env", "api", "client", "runtime", "net"]),
    ("cluster", &["env", "api", "store", "client", "server", "reconcile", "sched", "runtime", "net", "node"]),
    (
        "sim",
        &[
            "env",
            "api",
            "store",
            "client",
            "server",
            "reconcile",
            "sched",
            "runtime",
            "net",
            "node",
            "cluster",
        ],
    ),
];

/// Parts of a layer that may import more than the layer.
const EXCEPTIONS: &[(&str, &str)] = &[("net/proxy", "client")];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The code of a file without its comments and doc examples.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The layers that code names behind `crate::`, also in `crate::{a, b}`.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut item) = (0, String::new());
            for letter in group.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.extend(head(&std::mem::take(&mut item))),
                    _ => item.push(letter),
                }
            }
            found.extend(head(&item));
        } else {
            found.extend(head(rest));
        }
    }
    found
}

fn head(path: &str) -> Option<String> {
    let name: String = path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    Some(name).filter(|name| !name.is_empty())
}

/// How many levels up the longest `super::super::…` of some code goes.
fn climbs(code: &str) -> usize {
    let mut longest = 0;
    for (at, _) in code.match_indices("super::") {
        let mut rest = &code[at..];
        let mut levels = 0;
        while let Some(shorter) = rest.strip_prefix("super::") {
            (rest, levels) = (shorter, levels + 1);
        }
        longest = longest.max(levels);
    }
    longest
}

fn offences(layer: &str, allowed: &[&str], file: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let layers: Vec<_> = EDGES.iter().map(|(name, _)| *name).collect();
    let mut found: Vec<_> = imports(&code)
        .into_iter()
        .filter(|name| layers.contains(&name.as_str()) && name != layer && !allowed.contains(&name.as_str()))
        .filter(|name| !EXCEPTIONS.iter().any(|(part, import)| file.starts_with(part) && import == name))
        .map(|name| format!("{file} imports {name}"))
        .collect();
    // From `layer/mod.rs` one `super` leaves the layer; from `layer/a.rs` two do; each folder adds one, and
    // so does an inline module, of which tests are the only ones.
    let depth = file.matches('/').count()
        + usize::from(!file.ends_with("mod.rs"))
        + usize::from(code.contains("mod tests {"));
    if climbs(&code) >= depth {
        found.push(format!("{file} climbs out of its layer with super"));
    }
    found
}

#[test]
fn imports_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for (layer, allowed) in EDGES {
        for path in sources(&root.join(layer)) {
            let file = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            found.extend(offences(layer, allowed, &file, &fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_folder_is_a_layer_and_every_layer_is_a_folder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "lib.rs")
        .collect();
    folders.sort();
    let mut layers: Vec<_> = EDGES.iter().map(|(layer, _)| (*layer).to_owned()).collect();
    layers.sort();
    assert_eq!(folders, layers);
}

/// `tokio::select!` draws from a random stream unless it is told otherwise; `env` owns the one that is.
fn unbiased(file: &str, text: &str) -> bool {
    file != "env/mod.rs"
        && ["tokio::select!", "tokio::{select", "use tokio::select"]
            .iter()
            .any(|door| code(text).contains(door))
}

#[test]
fn nobody_selects_at_random() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&root) {
        let file = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        assert!(!unbiased(&file, &fs::read_to_string(&path).unwrap()), "{file}: use crate::select");
    }
    assert!(unbiased("node/a.rs", "tokio::select! {}") && !unbiased("node/a.rs", "crate::select! {}"));
}

#[test]
fn an_import_upwards_is_found() {
    let refused = |layer, file, text| {
        !offences(layer, EDGES.iter().find(|edge| edge.0 == layer).unwrap().1, file, text).is_empty()
    };
    assert!(refused("store", "store/mod.rs", "use crate::client::Client;"));
    assert!(refused("sched", "sched/a/b.rs", "use crate::{\n    env::Env,\n    reconcile::{x, y},\n};"));
    assert!(refused("net", "net/ipam.rs", "fn f() -> crate::client::Error {}"));
    assert!(refused("store", "store/txn.rs", "use super::super::client;"));
    assert!(!refused("net", "net/proxy/table.rs", "use crate::client::Client;"));
    assert!(!refused("store", "store/txn.rs", "use super::Revision; // as crate::client does"));
}

#[test]
fn no_test_file_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        // A folder without a module holds what tests read.
        if path.is_dir() && !path.join("mod.rs").exists() {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            name == "main" || main.contains(&format!("mod {name};")),
            "tests/it/main.rs does not name {name}"
        );
    }
}
