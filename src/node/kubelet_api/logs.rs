//! `/containerLogs`: what a container printed, and prints.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::{SignedDuration, Timestamp};

use super::{Answer, Refusal, declares, id, status};
use crate::client::wire::Query;
use crate::node::context::{Context, View};
use crate::runtime::{ContainerId, LogLine, LogOptions, LogStreamKind};

pub(super) async fn serve(context: &Arc<Context>, view: &View, container: &str, query: &Query) -> Answer {
    let refuse = |why: String| Refusal(StatusCode::BAD_REQUEST, why);
    let name = view.pod.metadata.name.as_deref().unwrap_or_default();
    if !declares(view, container) {
        return Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("container {container:?} not found in pod {name:?}"),
        ));
    }
    let number = |name: &str| query.int(name).map_err(|status| refuse(status.message));
    let (tail, limit, seconds) = (number("tailLines")?, number("limitBytes")?, number("sinceSeconds")?);
    let time = query.get("sinceTime").map(str::parse::<Timestamp>).transpose();
    let time = time.map_err(|error| refuse(format!("parsing time: {error}")))?;
    let since = seconds.map(|seconds| {
        let now = context.env.clock.now();
        now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
    });
    let only = match query.get("stream").unwrap_or("All") {
        "All" => None,
        "Stdout" => Some(LogStreamKind::Stdout),
        "Stderr" => Some(LogStreamKind::Stderr),
        other => return Err(refuse(format!("invalid stream type {other:?}"))),
    };
    let id = instance(view, container, name, query.flag("previous")).map_err(refuse)?;
    let Some(logs) = context.runtime.logs() else {
        return Err(Refusal(StatusCode::NOT_IMPLEMENTED, "the container runtime keeps no logs".into()));
    };
    let options = LogOptions {
        follow: query.flag("follow"),
        tail_lines: tail.and_then(|tail| u64::try_from(tail).ok()),
        since: time.or(since),
    };
    let lines = logs.logs(&id, options).await.map_err(|error| refuse(error.to_string()))?;
    let shape = Shape {
        timestamps: query.flag("timestamps"),
        only,
        left: limit.and_then(|limit| usize::try_from(limit).ok()),
    };
    let frames = stream::unfold((lines, shape), |(mut lines, mut shape)| async move {
        loop {
            if shape.left == Some(0) {
                return None;
            }
            let bytes = match lines.next().await? {
                Ok(line) => shape.bytes(line),
                Err(error) => return Some((Err(io::Error::other(error)), (lines, shape))),
            };
            if !bytes.is_empty() {
                return Some((Ok(Frame::data(bytes)), (lines, shape)));
            }
        }
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let text = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, text);
    Ok(response)
}

/// How lines are shown.
struct Shape {
    timestamps: bool,
    only: Option<LogStreamKind>,
    /// How many bytes more.
    left: Option<usize>,
}

impl Shape {
    fn bytes(&mut self, line: LogLine) -> Bytes {
        if self.only.is_some_and(|only| only != line.stream) {
            return Bytes::new();
        }
        let mut bytes = match self.timestamps {
            true => [format!("{:.9} ", line.time).as_bytes(), &line.line].concat().into(),
            false => line.line,
        };
        if let Some(left) = &mut self.left {
            bytes.truncate(*left);
            *left -= bytes.len();
        }
        bytes
    }
}

/// The instance whose log is meant, in kubelet's order and words.
fn instance(view: &View, container: &str, pod: &str, previous: bool) -> Result<ContainerId, String> {
    let status = status(view, container)
        .ok_or_else(|| format!("container {container:?} in pod {pod:?} is not available"))?;
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let last = last.and_then(|last| id(last.container_id.as_deref()));
    if previous {
        return last
            .ok_or_else(|| format!("previous terminated container {container:?} in pod {pod:?} not found"));
    }
    if state.running.is_some()
        && let Some(id) = id(status.container_id.as_deref())
    {
        return Ok(id);
    }
    if let Some(end) = &state.terminated {
        let found = id(end.container_id.as_deref()).or(last);
        return found.ok_or_else(|| format!("container {container:?} in pod {pod:?} is terminated"));
    }
    if let Some(last) = last {
        return Ok(last);
    }
    let reason = state.waiting.and_then(|waiting| waiting.reason).unwrap_or_default();
    let why = match reason.as_str() {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        other => other,
    };
    Err(format!("container {container:?} in pod {pod:?} is waiting to start: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_filtered_and_stamped() {
        let line = |text: &str| LogLine {
            time: Timestamp::from_second(1).unwrap(),
            stream: LogStreamKind::Stdout,
            line: Bytes::copy_from_slice(text.as_bytes()),
        };
        let mut shape = Shape { timestamps: true, only: None, left: Some(36) };
        assert_eq!(shape.bytes(line("a\n")), "1970-01-01T00:00:01.000000000Z a\n");
        assert_eq!(shape.bytes(line("b\n")), "197");
        assert_eq!(shape.left, Some(0));
        let mut errors = Shape { timestamps: false, only: Some(LogStreamKind::Stderr), left: None };
        assert_eq!(errors.bytes(line("a\n")), "");
    }
}
