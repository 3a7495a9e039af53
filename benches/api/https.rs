//! Over HTTPS: kilobyte config maps, 32 requests in flight on four connections.

use std::time::{Duration, Instant};

use crate::h2load::{self, Amount, Load, Outcome};
use crate::objects;
use crate::server::Server;
use crate::table::{Cell, median, remark, row, section};
use crate::watch::Watchers;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// How many are listed.
const OBJECTS: usize = 10_000;
const TIME: Duration = Duration::from_secs(4);
const WATCHERS: usize = 100;
/// Events that every watcher gets, where they wait for it.
const BACKLOG: usize = 2_000;

pub(crate) fn print() {
    if !h2load::is_there() {
        println!("SKIPPED https: there is no h2load (Debian: nghttp2-client)");
        return;
    }
    section("start", &["took"]);
    let starts = median(5, || Server::start("memory", 0, 0).took.as_secs_f64());
    row("a process from nothing to listening, ready", &[Cell::Took(Duration::from_secs_f64(starts))]);

    section("over HTTPS, kilobyte objects, 32 in flight", &["rate", "p50", "p99", "static", "ratio"]);
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Server::start(&folder.path().join("data").display().to_string(), 0, 0);
    print_row("create, store on disk", creates(&disk), None);
    drop(disk);
    let server = Server::start("memory", 0, 0);
    print_row("/livez", get(&server, "/livez", 32), Some(still(&server, "/livez", 32)));
    let created = create_all(&server);
    print_row("create, store in memory", created, None);
    let names = names(&server);
    let one = names.lines().next().expect("an object").to_owned();
    print_row("get", get(&server, &one, 32), Some(still(&server, &one, 32)));
    let lists = [
        ("list of 10,000", format!("{MAPS}?resourceVersion=0"), 4),
        ("list, consistent, limit 500", format!("{MAPS}?limit=500"), 32),
        ("list by a label that all have", format!("{MAPS}?labelSelector=app%3Dbench&limit=500"), 32),
        ("list by a label that none has", format!("{MAPS}?labelSelector=app%3Dnone"), 32),
    ];
    for (name, path, in_flight) in lists {
        print_row(name, get(&server, &path, in_flight), Some(still(&server, &path, in_flight)));
    }
    let patch = |value: &str| {
        Load {
            paths: Some(&names),
            body: Some(("PATCH", "application/merge-patch+json", value)),
            amount: Amount::Requests(OBJECTS),
            // Each connection goes through the paths by itself.
            connections: 1,
            ..load(&server, "", 32)
        }
        .run()
    };
    print_row("merge patch, each of 10,000 once", patch(r#"{"data":{"other":"v"}}"#), None);
    watches(&server);
    remark(&format!("resident with 10,000 of them: {}", Cell::Bytes(server.resident())));
}

fn load<'a>(server: &Server, path: &'a str, in_flight: usize) -> Load<'a> {
    let connections = in_flight.min(4);
    Load {
        address: server.address,
        connections,
        in_flight,
        path,
        paths: None,
        body: None,
        amount: Amount::Time(TIME),
    }
}

fn get(server: &Server, path: &str, in_flight: usize) -> Outcome {
    load(server, path, in_flight).run()
}

fn still(server: &Server, path: &str, in_flight: usize) -> f64 {
    Load { address: server.still, ..load(server, path, in_flight) }.run().rate
}

fn create(server: &Server, amount: Amount) -> Outcome {
    let body = objects::config_map().to_string();
    Load { body: Some(("POST", "application/json", &body)), amount, ..load(server, MAPS, 32) }.run()
}

fn creates(server: &Server) -> Outcome {
    create(server, Amount::Time(TIME))
}

fn create_all(server: &Server) -> Outcome {
    create(server, Amount::Requests(OBJECTS))
}

/// A line each: the paths of all objects.
fn names(server: &Server) -> String {
    let list = fetch(server, &format!("{MAPS}?resourceVersion=0"));
    let list: serde_json::Value = serde_json::from_str(&list).expect("a list");
    let items = list["items"].as_array().expect("objects");
    assert_eq!(items.len(), OBJECTS, "all that was created is there");
    items
        .iter()
        .map(|item| format!("{MAPS}/{}\n", item["metadata"]["name"].as_str().expect("a name")))
        .collect()
}

/// An answer, by way of the process that serves the same bytes.
fn fetch(server: &Server, path: &str) -> String {
    let output = std::process::Command::new("curl")
        .args(["-sk", "-H", &format!("authorization: Bearer {}", crate::server::TOKEN)])
        .arg(format!("https://{}{path}", server.address))
        .output()
        .expect("curl runs");
    String::from_utf8(output.stdout).expect("text")
}

fn print_row(name: &str, outcome: Outcome, still: Option<f64>) {
    let Outcome { rate, p50, p99 } = outcome;
    let (still, ratio) = match still {
        Some(still) => (Cell::Rate(still), Cell::Times(rate / still)),
        None => (Cell::None, Cell::None),
    };
    row(name, &[Cell::Rate(rate), Cell::Took(p50), Cell::Took(p99), still, ratio]);
}

/// Events as they happen, and events that wait.
fn watches(server: &Server) {
    let now = server_revision(server);
    let watch = format!("{MAPS}?watch=true&resourceVersion={now}");
    let (watchers, start) = (Watchers::start(server.address, &watch, WATCHERS, 4), Instant::now());
    let made = create(server, Amount::Requests(BACKLOG));
    watchers.wait((BACKLOG * WATCHERS) as u64);
    let rate = (BACKLOG * WATCHERS) as f64 / start.elapsed().as_secs_f64();
    watchers.stop();
    print_row("create while 100 watch", made, None);
    row("  events delivered to them", &[Cell::Rate(rate)]);

    // The same events once more, which wait by now, and the same bytes of a handler that just sends them.
    let whole = (BACKLOG * WATCHERS) as u64;
    let run = |address, path: &str| {
        let (cpu, start) = (server.cpu(), Instant::now());
        let watchers = Watchers::start(address, path, WATCHERS, 4);
        watchers.wait(whole);
        let (took, cpu) = (start.elapsed(), server.cpu() - cpu);
        watchers.stop();
        (whole as f64 / took.as_secs_f64(), cpu)
    };
    let still = format!("{MAPS}?watch=true&resourceVersion={now}/events/{BACKLOG}");
    run(server.still, &still);
    let mut ours = (0.0, Duration::ZERO);
    let mut theirs = ours;
    for _ in 0..3 {
        let (rate, cpu) = run(server.address, &watch);
        ours = (ours.0 + rate / 3.0, ours.1 + cpu / 3);
        let (rate, cpu) = run(server.still, &still);
        theirs = (theirs.0 + rate / 3.0, theirs.1 + cpu / 3);
    }
    let ratio = Cell::Times(ours.0 / theirs.0);
    row(
        "events that wait for 100 watchers",
        &[Cell::Rate(ours.0), Cell::None, Cell::None, Cell::Rate(theirs.0), ratio],
    );
    let each = |cpu: Duration| Cell::Took(cpu / whole as u32);
    row(
        "  processor time of the server for each",
        &[
            each(ours.1),
            Cell::None,
            Cell::None,
            each(theirs.1),
            Cell::Times(theirs.1.as_secs_f64() / ours.1.as_secs_f64()),
        ],
    );
}

fn server_revision(server: &Server) -> u64 {
    let list = fetch(server, &format!("{MAPS}?limit=1"));
    let list: serde_json::Value = serde_json::from_str(&list).expect("a list");
    list["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).expect("a revision")
}
