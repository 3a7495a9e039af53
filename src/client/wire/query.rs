//! Query strings.

use std::fmt::Display;
use std::time::Duration;

use crate::api::field::{self, Path};
use crate::api::selector::{FieldSelector, LabelSelector};
use crate::api::{Revision, Status, status};
use crate::client::{
    FieldValidation, GetOptions, ListOptions, Patch, PatchType, ResourceVersionMatch, WatchOptions,
    WriteOptions,
};

/// A query string, taken apart.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string, without its question mark.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The first value of this name, unless it is empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(key, _)| key == name)?;
        Some(first.1.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on: present, and neither `0` nor `false`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.switch(name).unwrap_or(false)
    }

    /// A switch, where it is present at all.
    #[must_use]
    pub fn switch(&self, name: &str) -> Option<bool> {
        self.all(name).next().map(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// 400 when it is none, in the words of Go's `strconv`.
    pub fn int(&self, name: &str) -> Result<Option<i64>, Box<Status>> {
        self.get(name).map(|text| text.parse().map_err(|_| bad(not_a_number("ParseInt", text)))).transpose()
    }
}

/// How a get is meant.
///
/// # Errors
///
/// The `Status` to answer: a value that cannot be read, or that does not go with the others.
pub fn decode_get(query: &Query) -> Result<GetOptions, Box<Status>> {
    let resource_version =
        revision(query).map_err(|error| bad(format!("invalid resource version: {error}")))?;
    Ok(GetOptions { resource_version })
}

/// How a list is meant.
///
/// # Errors
///
/// The `Status` to answer: a value that cannot be read, or that does not go with the others.
pub fn decode_list(query: &Query) -> Result<ListOptions, Box<Status>> {
    let mut errors = Vec::new();
    let path = Path::new("resourceVersionMatch");
    let chosen = query.get("resourceVersionMatch");
    if let Some(chosen) = chosen {
        if query.get("resourceVersion").is_none() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            errors.push(field::Error::forbidden(&path, why));
        }
        if query.get("continue").is_some() {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            errors.push(field::Error::forbidden(&path, why));
        }
        if version_match(chosen).is_none() {
            errors.push(field::Error::not_supported(&path, chosen, &["Exact", "NotOlderThan", ""]));
        }
        if chosen == "Exact" && query.get("resourceVersion") == Some("0") {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            errors.push(field::Error::forbidden(&path, why));
        }
    }
    if query.switch("sendInitialEvents").is_some() {
        let why = "sendInitialEvents is forbidden for list";
        errors.push(field::Error::forbidden(&Path::new("sendInitialEvents"), why));
    }
    refuse("ListOptions", &errors)?;
    let limit = query.int("limit")?;
    let resource_version = match revision(query) {
        Err(_) if query.get("continue").is_some() => {
            return Err(bad("specifying resource version is not allowed when using continue"));
        }
        read => read.map_err(|error| bad(format!("invalid resource version: {error}")))?,
    };
    Ok(ListOptions {
        labels: labels(query)?,
        fields: fields(query)?,
        // Kubernetes takes a negative limit for none.
        limit: limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0),
        continue_token: query.get("continue").map(Into::into),
        resource_version,
        resource_version_match: chosen.and_then(version_match),
    })
}

/// How a watch is meant.
///
/// # Errors
///
/// The `Status` to answer: a value that cannot be read, or that does not go with the others.
pub fn decode_watch(query: &Query) -> Result<WatchOptions, Box<Status>> {
    let mut errors = Vec::new();
    let path = Path::new("resourceVersionMatch");
    let chosen = query.get("resourceVersionMatch");
    let initial = query.switch("sendInitialEvents");
    if initial.is_some() && chosen != Some("NotOlderThan") {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(field::Error::forbidden(&path, why));
    }
    if let Some(chosen) = chosen {
        if initial.is_none() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(field::Error::forbidden(&path, why));
        }
        if chosen != "NotOlderThan" {
            errors.push(field::Error::not_supported(&path, chosen, &["NotOlderThan"]));
        }
        if query.get("continue").is_some() {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            errors.push(field::Error::forbidden(&path, why));
        }
    }
    refuse("ListOptions", &errors)?;
    let resource_version = revision(query)
        .map_err(|error| Box::new(status::invalid("meta.k8s.io", "ListOptions", "", &[error])))?;
    let timeout = query.int("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok());
    Ok(WatchOptions {
        labels: labels(query)?,
        fields: fields(query)?,
        resource_version,
        resource_version_match: chosen.and_then(version_match),
        bookmarks: query.flag("allowWatchBookmarks"),
        send_initial_events: initial,
        timeout: timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs),
    })
}

/// How a write is meant, and whether an apply is forced. `options` is what Kubernetes calls these
/// options, such as `CreateOptions`; `patch` is set for patches.
///
/// # Errors
///
/// The `Status` to answer: a value that cannot be read, or that does not go with the others.
pub fn decode_write(
    query: &Query,
    options: &str,
    patch: Option<PatchType>,
) -> Result<(WriteOptions, bool), Box<Status>> {
    let manager = query.get("fieldManager");
    let mut errors = writer_errors(manager, patch, query.switch("force").is_some());
    let dry_run = dry_run(query.all("dryRun"), &mut errors);
    let validation = query.get("fieldValidation");
    let field_validation = validation.and_then(|text| match text {
        "Ignore" => Some(FieldValidation::Ignore),
        "Warn" => Some(FieldValidation::Warn),
        "Strict" => Some(FieldValidation::Strict),
        _ => {
            let allowed = ["", "Ignore", "Strict", "Warn"];
            errors.push(field::Error::not_supported(&Path::new("fieldValidation"), text, &allowed));
            None
        }
    });
    refuse(options, &errors)?;
    let options = WriteOptions { dry_run, field_manager: manager.map(Into::into), field_validation };
    Ok((options, query.flag("force")))
}

/// Refuses options that do not go with a write, as [`decode_write`] does for those that come over a wire.
/// `options` is what Kubernetes calls these options; `patch` is set for patches.
///
/// # Errors
///
/// 422: who manages the fields is not said and must be, or is no name; or a patch is forced that is no apply.
pub fn check_write(write: &WriteOptions, options: &str, patch: Option<&Patch>) -> Result<(), Box<Status>> {
    let manager = write.field_manager.as_deref().filter(|manager| !manager.is_empty());
    let forced = patch.is_some_and(|patch| patch.force);
    refuse(options, &writer_errors(manager, patch.map(|patch| patch.kind), forced))
}

/// What is wrong with who writes, and with how far they may go.
fn writer_errors(manager: Option<&str>, patch: Option<PatchType>, says_force: bool) -> Vec<field::Error> {
    let mut errors = Vec::new();
    match patch {
        Some(PatchType::Apply) if manager.is_none() => {
            errors.push(field::Error::required(&Path::new("fieldManager"), "is required for apply patch"));
        }
        Some(PatchType::Json | PatchType::Merge | PatchType::StrategicMerge) if says_force => {
            let why = "may not be specified for non-apply patch";
            errors.push(field::Error::forbidden(&Path::new("force"), why));
        }
        _ => {}
    }
    if let Some(manager) = manager {
        let path = Path::new("fieldManager");
        if manager.len() > 128 {
            errors.push(field::Error::too_long(&path, 128));
        }
        for (position, letter) in manager.char_indices().filter(|(_, letter)| letter.is_control()) {
            let why = format!("invalid character U+{:04X} (at position {position})", u32::from(letter));
            errors.push(field::Error::invalid(&path, manager, why));
        }
    }
    errors
}

/// The query string of a get; empty where there is nothing to say.
#[must_use]
pub fn encode_get(options: &GetOptions) -> String {
    let mut query = Writer::default();
    query.put("resourceVersion", options.resource_version);
    query.finish()
}

/// The query string of a list; empty where there is nothing to say.
#[must_use]
pub fn encode_list(options: &ListOptions) -> String {
    let mut query = Writer::default();
    query.selectors(&options.labels, &options.fields);
    query.put("limit", options.limit);
    query.put("continue", options.continue_token.as_deref());
    query.put("resourceVersion", options.resource_version);
    query.put("resourceVersionMatch", options.resource_version_match.map(match_text));
    query.finish()
}

/// The query string of a watch.
#[must_use]
pub fn encode_watch(options: &WatchOptions) -> String {
    let mut query = Writer::default();
    query.put("watch", Some(true));
    query.selectors(&options.labels, &options.fields);
    query.put("resourceVersion", options.resource_version);
    query.put("resourceVersionMatch", options.resource_version_match.map(match_text));
    query.put("allowWatchBookmarks", options.bookmarks.then_some(true));
    query.put("sendInitialEvents", options.send_initial_events);
    query.put("timeoutSeconds", options.timeout.map(|timeout| timeout.as_secs().max(1)));
    query.finish()
}

/// The query string of a write; empty where there is nothing to say.
#[must_use]
pub fn encode_write(options: &WriteOptions, force: bool) -> String {
    let mut query = Writer::default();
    query.put("dryRun", options.dry_run.then_some("All"));
    query.put("fieldManager", options.field_manager.as_deref());
    let validation = options.field_validation.map(|validation| match validation {
        FieldValidation::Ignore => "Ignore",
        FieldValidation::Warn => "Warn",
        FieldValidation::Strict => "Strict",
    });
    query.put("fieldValidation", validation);
    query.put("force", force.then_some(true));
    query.finish()
}

struct Writer(form_urlencoded::Serializer<'static, String>);

impl Default for Writer {
    fn default() -> Self {
        Self(form_urlencoded::Serializer::new(String::new()))
    }
}

impl Writer {
    fn put(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.0.append_pair(name, &value.to_string());
        }
    }

    fn selectors(&mut self, labels: &LabelSelector, fields: &FieldSelector) {
        let (labels, fields) = (labels.to_string(), fields.to_string());
        self.put("labelSelector", Some(labels).filter(|text| !text.is_empty()));
        self.put("fieldSelector", Some(fields).filter(|text| !text.is_empty()));
    }

    fn finish(mut self) -> String {
        self.0.finish()
    }
}

fn labels(query: &Query) -> Result<LabelSelector, Box<Status>> {
    query.get("labelSelector").unwrap_or_default().parse().map_err(|error| bad(format!("{error}")))
}

fn fields(query: &Query) -> Result<FieldSelector, Box<Status>> {
    query.get("fieldSelector").unwrap_or_default().parse().map_err(|error| bad(format!("{error}")))
}

fn revision(query: &Query) -> Result<Option<Revision>, field::Error> {
    let parse = |text: &str| {
        text.parse().map_err(|_| {
            field::Error::invalid(&Path::new("resourceVersion"), text, not_a_number("ParseUint", text))
        })
    };
    query.get("resourceVersion").map(parse).transpose()
}

fn version_match(text: &str) -> Option<ResourceVersionMatch> {
    match text {
        "Exact" => Some(ResourceVersionMatch::Exact),
        "NotOlderThan" => Some(ResourceVersionMatch::NotOlderThan),
        _ => None,
    }
}

fn match_text(chosen: ResourceVersionMatch) -> &'static str {
    match chosen {
        ResourceVersionMatch::Exact => "Exact",
        ResourceVersionMatch::NotOlderThan => "NotOlderThan",
    }
}

pub(super) fn dry_run<'a>(values: impl Iterator<Item = &'a str>, errors: &mut Vec<field::Error>) -> bool {
    let values: Vec<&str> = values.collect();
    if values.iter().any(|value| *value != "All") {
        errors.push(field::Error::not_supported(&Path::new("dryRun"), values.clone(), &["All"]));
    }
    !values.is_empty()
}

pub(super) fn refuse(options: &str, errors: &[field::Error]) -> Result<(), Box<Status>> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Box::new(status::invalid("meta.k8s.io", options, "", errors)))
}

pub(super) fn bad(why: impl AsRef<str>) -> Box<Status> {
    Box::new(status::bad_request(why))
}

/// Go's words for a text that is no number (or one too large for its type).
pub(super) fn not_a_number(function: &str, text: &str) -> String {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let signed = digits.len() < text.len();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let what = if is_number && (!signed || function == "ParseInt") {
        "value out of range"
    } else {
        "invalid syntax"
    };
    format!("strconv.{function}: parsing {text:?}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T>(result: Result<T, Box<Status>>) -> (u16, String) {
        match result {
            Ok(_) => panic!("nothing was wrong"),
            Err(status) => (status.code, status.message),
        }
    }

    #[test]
    fn wrong_values_are_worded_as_kubernetes_does() {
        let query = Query::parse;
        assert_eq!(
            message(decode_list(&query("limit=abc"))),
            (400, r#"strconv.ParseInt: parsing "abc": invalid syntax"#.into())
        );
        assert_eq!(
            message(decode_list(&query("resourceVersionMatch=Exact"))),
            (
                422,
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: \
                 resourceVersionMatch is forbidden unless resourceVersion is provided"
                    .into()
            )
        );
        assert_eq!(
            message(decode_write(&query("dryRun=Some"), "CreateOptions", None)),
            (
                422,
                r#"CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All""#
                    .into()
            )
        );
        assert_eq!(
            message(decode_write(&query("force=true"), "PatchOptions", Some(PatchType::Merge))),
            (
                422,
                "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
                    .into()
            )
        );
        assert_eq!(
            message(decode_get(&query("resourceVersion=x"))),
            (
                400,
                "invalid resource version: resourceVersion: Invalid value: \"x\": \
                 strconv.ParseUint: parsing \"x\": invalid syntax"
                    .into()
            )
        );
    }

    #[test]
    fn a_switch_is_on_unless_it_is_off() {
        for (text, on) in
            [("", false), ("watch=0", false), ("watch=False", false), ("watch=1", true), ("watch", true)]
        {
            assert_eq!(Query::parse(text).flag("watch"), on, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let list = ListOptions {
            labels: "a=b,c in (d,e),!f".parse().unwrap(),
            fields: "metadata.name=x".parse().unwrap(),
            limit: Some(3),
            resource_version: Some(Revision(7)),
            resource_version_match: Some(ResourceVersionMatch::Exact),
            ..ListOptions::default()
        };
        let read = decode_list(&Query::parse(&encode_list(&list))).unwrap();
        assert_eq!(format!("{read:?}"), format!("{list:?}"));

        let watch = WatchOptions {
            bookmarks: true,
            send_initial_events: Some(true),
            resource_version_match: Some(ResourceVersionMatch::NotOlderThan),
            timeout: Some(Duration::from_secs(9)),
            ..WatchOptions::default()
        };
        let read = decode_watch(&Query::parse(&encode_watch(&watch))).unwrap();
        assert_eq!(format!("{read:?}"), format!("{watch:?}"));
    }
}
