//! Clients in other languages, unmodified: their documented ways, as scripts beside this file.

use std::path::{Path, PathBuf};

use crate::support::tool::Tool;
use crate::support::{serve, server, skip};

/// Where `variable` says that a client's packages are. Where it says nothing, `test` is skipped.
fn packages(test: &str, variable: &str, what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        skip(test, &format!("there is no {what}: set {variable}"));
    }
    folder
}

/// Runs a script against a server of its own: every case that it has must have been passed.
async fn passes(tool: &Tool, cases: &[&str]) {
    let served = serve(server().await).await;
    tool.configure(&served.kubeconfig().to_yaml().expect("a kubeconfig"));
    let said = tool.run(&[]).await;
    assert_eq!(said.lines().collect::<Vec<_>>(), cases);
    served.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client() {
    let test = "clients::the_python_client";
    let Some(packages) = packages(test, "WINDLASS_PYTHON_PACKAGES", "Python client") else { return };
    let Some(tool) = Tool::find(test, "WINDLASS_PYTHON", "python3") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/client.py");
    let tool =
        tool.variable("PYTHONPATH", packages).variable("PYTHONDONTWRITEBYTECODE", "1").argument(script);
    let cases = [
        "version_and_discovery",
        "objects_are_made_read_changed_and_deleted",
        "lists_come_whole_selected_and_in_parts",
        "every_kind_of_patch",
        "a_watch_tells_what_happens",
        "custom_resources",
        "the_dynamic_client",
        "manifests_in_yaml",
        "who_may",
    ];
    passes(&tool, &cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client() {
    let test = "clients::the_javascript_client";
    let Some(packages) = packages(test, "WINDLASS_NODE_PACKAGES", "JavaScript client") else { return };
    let Some(tool) = Tool::find(test, "WINDLASS_NODE", "node") else { return };
    // A module is looked for beside the script that wants it.
    let script = tool.home().join("client.mjs");
    std::fs::write(&script, include_str!("client.mjs")).expect("a file");
    std::os::unix::fs::symlink(packages.join("node_modules"), tool.home().join("node_modules"))
        .expect("a link");
    let tool = tool.argument(script);
    let cases = [
        "objectsAreMadeReadChangedAndDeleted",
        "listsComeInParts",
        "everyKindOfPatch",
        "aWatchTellsWhatHappens",
        "anInformerKeepsUp",
        "customResources",
        "anyObjectByItsKind",
    ];
    passes(&tool, &cases).await;
}
