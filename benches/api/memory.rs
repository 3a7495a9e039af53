//! How much is held in memory: by an idle server, and by one that holds a cluster's pods and nodes.

use std::process::Command;

use crate::server::{Server, TOKEN};
use crate::table::{Cell, row, section};

pub(crate) fn print() {
    section("resident, store in memory", &["bytes", "a pod", "filled in"]);
    let idle = Server::start("memory", 0, 0);
    let before = idle.resident();
    row("idle", &[Cell::Bytes(before), Cell::None, Cell::Took(idle.took)]);
    drop(idle);
    for (nodes, pods) in [(1_000, 5_000), (5_000, 150_000)] {
        let server = Server::start("memory", nodes, pods);
        // What a scheduler and a controller manager would have: both resources listed, and so cached.
        for plural in ["pods", "nodes"] {
            let listed = Command::new("curl")
                .args([
                    "-sk",
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{http_code}",
                    "-H",
                    &format!("authorization: Bearer {TOKEN}"),
                ])
                .arg(format!("https://{}/api/v1/{plural}", server.address))
                .output()
                .expect("curl runs");
            assert_eq!(String::from_utf8_lossy(&listed.stdout), "200", "{plural} are listed");
        }
        let resident = server.resident();
        let each = (resident - before) / pods as f64;
        let name = format!("{pods} pods that run, {nodes} nodes");
        row(&name, &[Cell::Bytes(resident), Cell::Bytes(each), Cell::Took(server.took)]);
    }
}
