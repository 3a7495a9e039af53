//! What callers say about a stream, in the words of a node's agent.
//!
//! Each function answers the query string for the agent, with its question mark.

use crate::api::field::{self, Path};
use crate::api::{Status, status};
use crate::client::wire::Query;

type Pairs = form_urlencoded::Serializer<'static, String>;

/// `PodLogOptions`.
pub(super) fn log(query: &Query, pod: &str) -> Result<String, Status> {
    let int = |name: &str| query.int(name).map_err(|status| *status);
    let (tail, bytes, seconds) = (int("tailLines")?, int("limitBytes")?, int("sinceSeconds")?);
    let time = query.get("sinceTime");
    let mut errors = Vec::new();
    if let Some(tail) = tail.filter(|tail| *tail < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(field::Error::invalid(&Path::new("tailLines"), tail, why));
    }
    if let Some(bytes) = bytes.filter(|bytes| *bytes < 1) {
        errors.push(field::Error::invalid(&Path::new("limitBytes"), bytes, "must be greater than 0"));
    }
    if seconds.is_some() && time.is_some() {
        let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        errors.push(field::Error::forbidden(&Path::root(), why));
    } else if let Some(seconds) = seconds.filter(|seconds| *seconds < 1) {
        errors.push(field::Error::invalid(&Path::new("sinceSeconds"), seconds, "must be greater than 0"));
    }
    // Selecting one is behind the feature gate `PodLogsQuerySplitStreams`, which is off (1.36); agents can.
    if query.get("stream").is_some() {
        errors.push(field::Error::forbidden(&Path::new("stream"), "may not be specified"));
    }
    if !errors.is_empty() {
        return Err(status::invalid("", "PodLogOptions", pod, &errors));
    }
    if let Some(time) = time {
        time.parse::<jiff::Timestamp>()
            .map_err(|error| status::bad_request(format!("parsing time {time:?}: {error}")))?;
    }
    let mut pairs = pairs();
    for name in ["follow", "previous", "timestamps"] {
        if query.flag(name) {
            pairs.append_pair(name, "true");
        }
    }
    for (name, number) in [("sinceSeconds", seconds), ("tailLines", tail), ("limitBytes", bytes)] {
        if let Some(number) = number {
            pairs.append_pair(name, &number.to_string());
        }
    }
    if let Some(time) = time {
        pairs.append_pair("sinceTime", time);
    }
    Ok(finish(pairs))
}

/// `PodExecOptions` (`verb` is `exec`) or `PodAttachOptions`.
pub(super) fn streams(verb: &str, query: &Query) -> Result<String, Status> {
    // What is not said is Kubernetes' default: output and errors are wanted, input is not.
    let on = |name: &str, default| query.switch(name).unwrap_or(default);
    let (stdin, stdout, stderr, tty) = (
        on("stdin", false),
        on("stdout", verb == "attach"),
        on("stderr", verb == "attach"),
        on("tty", false),
    );
    let kind = if verb == "exec" { "PodExecOptions" } else { "PodAttachOptions" };
    let mut errors = Vec::new();
    if !(stdin || stdout || stderr) {
        errors.push("you must specify at least one of stdin, stdout, stderr".to_owned());
    }
    if verb == "exec" && query.all("command").all(str::is_empty) {
        errors.push("you must specify at least one command for the container".to_owned());
    }
    if !errors.is_empty() {
        return Err(status::bad_request(format!("{kind}: {}", errors.join(", "))));
    }
    let mut pairs = pairs();
    // A terminal has one output: its errors come with it.
    for (name, wanted) in [("input", stdin), ("output", stdout), ("error", stderr && !tty), ("tty", tty)] {
        if wanted {
            pairs.append_pair(name, "1");
        }
    }
    for word in query.all("command").filter(|_| verb == "exec") {
        pairs.append_pair("command", word);
    }
    Ok(finish(pairs))
}

/// `PodPortForwardOptions`.
pub(super) fn port_forward(query: &Query) -> Result<String, Status> {
    let mut pairs = pairs();
    for port in query.all("ports").flat_map(|ports| ports.split(',')) {
        if port.parse::<u16>().ok().filter(|port| *port > 0).is_none() {
            return Err(status::bad_request(format!("{port:?} is not a valid port number")));
        }
        pairs.append_pair("port", port);
    }
    Ok(finish(pairs))
}

fn pairs() -> Pairs {
    Pairs::new(String::new())
}

fn finish(mut pairs: Pairs) -> String {
    let text = pairs.finish();
    if text.is_empty() { text } else { format!("?{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_in_the_agents_words() {
        let query = Query::parse;
        let said = |result: Result<String, Status>| result.map_err(|status| status.message);
        assert_eq!(
            said(log(&query("follow=true&tailLines=5&container=a&timestamps=false"), "web")),
            Ok("?follow=true&tailLines=5".into())
        );
        assert_eq!(said(log(&query(""), "web")), Ok(String::new()));
        assert_eq!(
            said(log(&query("tailLines=-1"), "web")),
            Err("PodLogOptions \"web\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0".into())
        );
        assert_eq!(
            said(log(&query("stream=Stdout"), "web")),
            Err("PodLogOptions \"web\" is invalid: stream: Forbidden: may not be specified".into())
        );
        assert_eq!(
            said(streams("exec", &query("command=ls&command=-l%20x&stdout=true&stdin=1&tty=1&stderr=1"))),
            Ok("?input=1&output=1&tty=1&command=ls&command=-l+x".into())
        );
        assert!(streams("exec", &query("stdout=1")).is_err());
        assert!(streams("exec", &query("command=ls")).is_err());
        assert_eq!(said(streams("attach", &query(""))), Ok("?output=1&error=1".into()));
        assert_eq!(said(port_forward(&query("ports=80,443"))), Ok("?port=80&port=443".into()));
        assert!(port_forward(&query("ports=x")).is_err());
    }
}
