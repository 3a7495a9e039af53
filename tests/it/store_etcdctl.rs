//! A store behind etcd's gRPC API, as etcdctl sees it.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use windlass::env::Clock;
use windlass::store::{MemoryOptions, MemoryStore, ObjectStore, ObjectStoreExt, Revision};

use super::store_facade_kit::*;
use super::support::skip;

/// etcdctl, led to a server.
struct Etcdctl {
    program: PathBuf,
    endpoint: String,
}

impl Etcdctl {
    /// What `WINDLASS_ETCDCTL` names, or the one on the path; where there is none, the test is skipped.
    fn find(test: &str, served: &Served) -> Option<Self> {
        let named = std::env::var_os("WINDLASS_ETCDCTL").map(PathBuf::from);
        let program = named.or_else(|| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).map(|folder| folder.join("etcdctl")).find(|file| file.is_file())
        });
        if program.is_none() {
            skip(test, "there is no etcdctl: set WINDLASS_ETCDCTL");
        }
        Some(Self { program: program?, endpoint: served.server.address().to_string() })
    }

    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoint])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn output(&self, arguments: &[&str]) -> std::process::Output {
        Clock::system()
            .timeout(PATIENCE, self.command(arguments).output())
            .await
            .unwrap_or_else(|_| panic!("etcdctl {arguments:?} does not end"))
            .expect("etcdctl runs")
    }

    /// What it prints when all goes well.
    async fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What it complains of.
    async fn fails(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        assert!(!output.status.success(), "etcdctl {arguments:?} succeeds");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-w", "json"]].concat();
        serde_json::from_str(&self.run(&arguments).await).expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_reads_and_writes() {
    let served = serve().await;
    let Some(etcdctl) = Etcdctl::find("etcdctl_reads_and_writes", &served) else { return };
    for (key, value) in [("/a/1", "one"), ("/a/2", "two"), ("/a/3", "three"), ("/a/1", "uno")] {
        assert_eq!(etcdctl.run(&["put", key, value]).await, "OK\n");
    }
    assert_eq!(etcdctl.run(&["put", "--prev-kv", "/a/2", "dos"]).await, "OK\n/a/2\ntwo\n");
    assert_eq!(etcdctl.run(&["get", "--prefix", "/a/", "--print-value-only"]).await, "uno\ndos\nthree\n");
    let sorted = ["get", "--prefix", "/a/", "--keys-only", "--sort-by", "MODIFY", "--order", "DESCEND"];
    assert_eq!(etcdctl.run(&sorted).await, "/a/2\n\n/a/1\n\n/a/3\n\n");
    assert_eq!(etcdctl.run(&["get", "/a/1", "--rev", "2"]).await, "/a/1\none\n");
    let json = etcdctl.json(&["get", "--prefix", "/a/", "--limit", "1"]).await;
    assert_eq!(
        (&json["count"], &json["more"], &json["header"]["revision"]),
        (&3.into(), &true.into(), &6.into())
    );
    assert_eq!(json["kvs"][0]["version"], 2);
    let mut txn = etcdctl.command(&["txn"]).stdin(Stdio::piped()).spawn().unwrap();
    let program =
        b"mod(\"/a/1\") = \"5\"\nvalue(\"/a/2\") = \"dos\"\n\nput /a/4 cuatro\nget /a/4\n\nget /a/1\n\n";
    txn.stdin.take().unwrap().write_all(program).await.unwrap();
    let answer = txn.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "SUCCESS\n\nOK\n\n/a/4\ncuatro\n");
    assert_eq!(etcdctl.run(&["del", "--prefix", "/a/4", "--prev-kv"]).await, "1\n/a/4\ncuatro\n");
    assert_eq!(etcdctl.run(&["compaction", "--physical", "6"]).await, "compacted revision 6\n");
    let compacted = etcdctl.fails(&["get", "/a/1", "--rev", "3"]).await;
    assert!(compacted.contains("required revision has been compacted"), "{compacted}");
    let future = etcdctl.fails(&["compaction", "99"]).await;
    assert!(future.contains("required revision is a future revision"), "{future}");
    served.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_watches() {
    let served = serve().await;
    let Some(etcdctl) = Etcdctl::find("etcdctl_watches", &served) else { return };
    for value in ["1", "2"] {
        served.put("/w/a", value).await;
    }
    let mut watching =
        etcdctl.command(&["watch", "--prefix", "/w/", "--rev", "2", "--prev-kv"]).spawn().unwrap();
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(watching.stdout.take().unwrap()));
    let mut next = async || {
        Clock::system().timeout(PATIENCE, lines.next_line()).await.expect("a line").unwrap().expect("a line")
    };
    for expected in ["PUT", "/w/a", "1", "PUT", "/w/a", "1", "/w/a", "2"] {
        assert_eq!(next().await, expected);
    }
    served.put("/w/b", "3").await;
    for expected in ["PUT", "/w/b", "3"] {
        assert_eq!(next().await, expected);
    }
    served.store.delete("/w/a").await.unwrap();
    for expected in ["DELETE", "/w/a", "2", "/w/a", ""] {
        assert_eq!(next().await, expected);
    }
    watching.kill().await.unwrap();
    served.store.compact(Revision(4)).await.unwrap();
    let compacted = etcdctl.fails(&["watch", "/w/a", "--rev", "2"]).await;
    assert!(compacted.contains("required revision has been compacted"), "{compacted}");
    served.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_asks_how_it_is() {
    let served = serve().await;
    let Some(etcdctl) = Etcdctl::find("etcdctl_asks_how_it_is", &served) else { return };
    served.put("/a", "1").await;
    let members = etcdctl.json(&["member", "list"]).await;
    assert_eq!(members["members"][0]["name"], "default");
    let status = etcdctl.json(&["endpoint", "status"]).await;
    assert_eq!(status[0]["Status"]["header"]["revision"], 2);
    let by_url = Etcdctl { endpoint: format!("http://{}", etcdctl.endpoint), ..etcdctl };
    assert_eq!(by_url.run(&["get", "/a", "--print-value-only"]).await, "1\n");
    // For these, etcdctl 3.4 has a connection whose authority is the whole URL.
    let status = by_url.json(&["endpoint", "status"]).await;
    assert_eq!(status[0]["Status"]["header"]["revision"], 2);
    by_url.run(&["defrag"]).await;
    let etcdctl = Etcdctl { endpoint: served.server.address().to_string(), ..by_url };
    let health = etcdctl.output(&["endpoint", "health"]).await;
    assert!(health.status.success(), "{health:?}");
    assert_eq!(etcdctl.run(&["alarm", "list"]).await, "");
    let refused = etcdctl.fails(&["auth", "enable"]).await;
    assert!(refused.contains("root user does not exist"), "{refused}");
    let refused = etcdctl.fails(&["member", "add", "second", "--peer-urls=http://127.0.0.1:1"]).await;
    assert!(refused.contains("not enough started members"), "{refused}");
    served.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_leases_locks_and_elects() {
    let served = serve().await;
    let Some(etcdctl) = Etcdctl::find("etcdctl_leases_locks_and_elects", &served) else { return };
    let granted = etcdctl.run(&["lease", "grant", "100"]).await;
    let id = granted.split(' ').nth(1).expect("a number").to_owned();
    etcdctl.run(&["put", "/leased", "x", "--lease", &id]).await;
    let alive = etcdctl.run(&["lease", "keep-alive", "--once", &id]).await;
    assert!(alive.contains("keepalived with TTL(100)"), "{alive}");
    let left = etcdctl.run(&["lease", "timetolive", "--keys", &id]).await;
    assert!(left.contains("granted with TTL(100s)") && left.contains("/leased"), "{left}");
    assert!(etcdctl.run(&["lease", "list"]).await.contains(&id));
    etcdctl.run(&["lease", "revoke", &id]).await;
    assert_eq!(etcdctl.run(&["get", "/leased"]).await, "");
    assert!(etcdctl.run(&["lease", "timetolive", &id]).await.contains("already expired"));
    assert!(etcdctl.run(&["lock", "mutex", "echo", "held"]).await.contains("held"));
    let mut elected = etcdctl.command(&["elect", "chair", "first"]).spawn().unwrap();
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(elected.stdout.take().unwrap()));
    for expected in ["chair/", "first"] {
        let line = Clock::system().timeout(PATIENCE, lines.next_line()).await.expect("a line");
        assert!(line.unwrap().unwrap().starts_with(expected));
    }
    elected.kill().await.unwrap();
    served.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcdctl_saves_a_snapshot_that_a_store_is_made_of() {
    let served = serve().await;
    let Some(etcdctl) = Etcdctl::find("etcdctl_saves_a_snapshot", &served) else { return };
    for number in 0..1000 {
        served.store.put(format!("/{number}"), vec![number as u8; 700]).await.unwrap();
    }
    etcdctl.run(&["defrag"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved");
    let saved = etcdctl.run(&["snapshot", "save", file.to_str().unwrap()]).await;
    assert!(saved.contains("Snapshot saved at"), "{saved}");
    let bytes = bytes::Bytes::from(std::fs::read(&file).unwrap());
    assert_eq!(bytes.len() % 512, 32, "whole pages and a checksum");
    let pieces = futures_util::stream::iter([Ok(bytes)]);
    let restored = MemoryStore::restore(MemoryOptions::default(), Box::pin(pieces)).await.unwrap();
    assert_eq!(restored.revision().await.unwrap(), Revision(1001));
    assert_eq!(restored.get(b"/999").await.unwrap().unwrap().value.len(), 700);
    served.shutdown().await;
}
