//! Which form an answer takes: `Accept` and `pretty`.
//!
//! As `k8s.io/apiserver/pkg/endpoints/handlers/negotiation` (1.36) does it: clauses by quality, the
//! first that names a form served here wins. Custom resources and tables have no protobuf; clients
//! that ask for it name JSON too.

use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use crate::api::{Status, status};

/// The media types that watches are written in.
const STREAMED: &str = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// The media types that answers are written and bodies are read in.
const SERVED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Kubernetes' protobuf.
    Protobuf,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The object or list as it is.
    Own,
    /// Rows and cells, in this version of `meta.k8s.io`.
    Table(&'static str),
    /// An object's metadata alone, in this version of `meta.k8s.io`.
    Metadata(&'static str),
    /// The same of each object of a list.
    MetadataList(&'static str),
    /// All resources at once, in `apidiscovery.k8s.io/v2`: `v2beta1` is no longer served as of 1.35
    /// (`AggregatedDiscoveryRemoveBetaType` is locked).
    Discovery,
}

/// Where an answer is given, and so which shapes it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Objects, lists and watches.
    Objects,
    /// The same of a custom resource.
    CustomObjects,
    /// `/api` and `/apis`.
    Discovery,
    /// Everything else has one shape.
    Fixed,
}

/// The form of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) encoding: Encoding,
    pub(crate) shape: Shape,
    pub(crate) pretty: bool,
}

impl Format {
    /// JSON as it is: how errors are said when nothing better is known.
    pub(crate) const PLAIN: Self = Self { encoding: Encoding::Json, shape: Shape::Own, pretty: false };

    /// The value of `Content-Type`.
    pub(crate) fn content_type(&self) -> HeaderValue {
        match (self.encoding, &self.shape) {
            (Encoding::Yaml, Shape::Discovery) => HeaderValue::from_static(
                "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            ),
            (Encoding::Protobuf, Shape::Discovery) => HeaderValue::from_static(
                "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            ),
            (Encoding::Json, Shape::Discovery) => HeaderValue::from_static(
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            ),
            (Encoding::Yaml, _) => HeaderValue::from_static("application/yaml"),
            (Encoding::Protobuf, _) => HeaderValue::from_static("application/vnd.kubernetes.protobuf"),
            (Encoding::Json, _) => HeaderValue::from_static("application/json"),
        }
    }
}

/// Chooses the form of an answer. `pretty` is the value of the query's `pretty`, if it has one.
///
/// # Errors
///
/// 406 when no form that is asked for is served.
pub(crate) fn negotiate(headers: &HeaderMap, pretty: Option<&str>, place: Place) -> Result<Format, Status> {
    let human = ["curl", "Wget", "Mozilla/5.0"];
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let pretty = match pretty {
        Some(text) => matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"),
        None => human.iter().any(|known| agent.starts_with(known)),
    };
    let accept: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    choose(&accept.join(","), pretty, place)
}

/// The form of a failure: what was asked for, or JSON.
pub(crate) fn of_failure(accept: Option<&HeaderValue>) -> Format {
    let accept = accept.and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    choose(accept, false, Place::Fixed).unwrap_or(Format::PLAIN)
}

fn choose(accept: &str, pretty: bool, place: Place) -> Result<Format, Status> {
    if accept.trim().is_empty() {
        return Ok(Format { pretty, ..Format::PLAIN });
    }
    let mut clauses: Vec<Clause<'_>> = accept.split(',').filter_map(Clause::parse).collect();
    clauses.sort_by(|a, b| b.rank().total_cmp(&a.rank()));
    clauses.iter().find_map(|clause| clause.format(place)).map_or_else(
        || Err(not_acceptable(&format!("only the following media types are accepted: {SERVED}"))),
        |format| Ok(Format { pretty: pretty || format.pretty, ..format }),
    )
}

/// 406: no form that is asked for is one that there is.
pub(super) fn not_acceptable(why: &str) -> Status {
    status::failure(406, "NotAcceptable", why)
}

/// 406: a watch was asked for in a form that cannot tell where one event ends.
pub(super) fn not_streamed() -> Status {
    not_acceptable(&format!("only the following media types are accepted: {STREAMED}"))
}

/// How a request's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEncoding {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Kubernetes' protobuf.
    Protobuf,
}

/// Which encoding a request's body has.
///
/// # Errors
///
/// 415 when it is none that is read here.
pub(crate) fn body_encoding(content_type: Option<&HeaderValue>) -> Result<BodyEncoding, Status> {
    let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = text.split(';').next().unwrap_or_default().trim();
    match media.to_ascii_lowercase().as_str() {
        "" | "application/json" => Ok(BodyEncoding::Json),
        "application/yaml" => Ok(BodyEncoding::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(BodyEncoding::Protobuf),
        _ => Err(unsupported(SERVED)),
    }
}

/// 415: a body is in none of these media types.
pub(crate) fn unsupported(accepted: &str) -> Status {
    status::unsupported_media_type(format!(
        "the body of the request was in an unknown format - accepted media types include: {accepted}"
    ))
}

/// One clause of `Accept`.
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|media| !media.is_empty())?;
        let pairs =
            parts.filter_map(|part| part.split_once('=')).map(|(key, value)| (key.trim(), value.trim()));
        let (quality, parameters): (Vec<_>, Vec<_>) = pairs.partition(|(key, _)| *key == "q");
        let quality = quality.first().and_then(|(_, value)| value.parse().ok()).unwrap_or(1.0);
        Some(Self { media, parameters, quality })
    }

    /// Quality first; what is named exactly before a wildcard.
    fn rank(&self) -> f32 {
        let vague = match self.media {
            "*/*" => 0.000_2,
            media if media.ends_with("/*") => 0.000_1,
            _ => 0.0,
        };
        self.quality - vague
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn format(&self, place: Place) -> Option<Format> {
        let encoding = match self.media {
            "application/json" | "application/*" | "*/*" => Encoding::Json,
            "application/yaml" => Encoding::Yaml,
            "application/vnd.kubernetes.protobuf" => Encoding::Protobuf,
            _ => return None,
        };
        let objects = matches!(place, Place::Objects | Place::CustomObjects);
        let protobuf = encoding == Encoding::Protobuf;
        if self.parameter("stream").is_some_and(|stream| !stream.is_empty() && stream != "watch") {
            return None;
        }
        let shape = match (self.parameter("as"), self.parameter("g"), self.parameter("v")) {
            (None, None, None) if protobuf && place == Place::CustomObjects => return None,
            (None, None, None) => Shape::Own,
            (Some(kind), Some("meta.k8s.io"), Some(version)) if objects => {
                let version = ["v1", "v1beta1"].into_iter().find(|known| *known == version)?;
                match kind {
                    "Table" if !protobuf => Shape::Table(version),
                    "PartialObjectMetadata" => Shape::Metadata(version),
                    "PartialObjectMetadataList" => Shape::MetadataList(version),
                    _ => return None,
                }
            }
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2"))
                if place == Place::Discovery =>
            {
                Shape::Discovery
            }
            _ => return None,
        };
        Some(Format { encoding, shape, pretty: self.parameter("pretty") == Some("1") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(accept: &str, place: Place) -> Result<(Encoding, Shape), u16> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        super::negotiate(&headers, None, place)
            .map(|format| (format.encoding, format.shape))
            .map_err(|status| status.code)
    }

    #[test]
    fn the_first_form_that_is_served_wins() {
        let json = |shape| Ok((Encoding::Json, shape));
        let objects = |accept| choose(accept, Place::Objects);
        assert_eq!(objects("application/json"), json(Shape::Own));
        assert_eq!(objects("*/*"), json(Shape::Own));
        let protobuf = |shape| Ok((Encoding::Protobuf, shape));
        let both = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(objects(both), protobuf(Shape::Own));
        assert_eq!(choose(both, Place::CustomObjects), json(Shape::Own));
        assert_eq!(
            objects("application/vnd.kubernetes.protobuf;q=0.5,application/json;q=0.6"),
            json(Shape::Own)
        );
        assert_eq!(objects("application/vnd.kubernetes.protobuf;stream=watch"), protobuf(Shape::Own));
        assert_eq!(
            objects("application/vnd.kubernetes.protobuf;stream=log,application/json"),
            json(Shape::Own)
        );
        assert_eq!(choose("application/vnd.kubernetes.protobuf", Place::CustomObjects), Err(406));
        assert_eq!(
            objects(
                "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io"
            ),
            json(Shape::Table("v1"))
        );
        assert_eq!(objects("application/yaml"), Ok((Encoding::Yaml, Shape::Own)));
        assert_eq!(objects("application/json;q=0.5,application/yaml"), Ok((Encoding::Yaml, Shape::Own)));
        assert_eq!(
            objects("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
            json(Shape::Table("v1"))
        );
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        for place in [Place::Objects, Place::CustomObjects] {
            assert_eq!(choose(metadata, place), protobuf(Shape::Metadata("v1")));
        }
        assert_eq!(objects("application/json;stream=watch"), json(Shape::Own));
        assert_eq!(objects("application/json;as=Cake;g=meta.k8s.io;v=v1"), Err(406));
        assert_eq!(objects("text/html"), Err(406));
    }

    #[test]
    fn only_discovery_has_its_shape() {
        let accept =
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;q=0.9";
        assert_eq!(choose(accept, Place::Discovery), Ok((Encoding::Json, Shape::Discovery)));
        let protobuf = accept.replace("application/json;g", "application/vnd.kubernetes.protobuf;g");
        assert_eq!(choose(&protobuf, Place::Discovery), Ok((Encoding::Protobuf, Shape::Discovery)));
        let old = accept.replace("v=v2", "v=v2beta1");
        assert_eq!(choose(&old, Place::Discovery), Ok((Encoding::Json, Shape::Own)));
        assert_eq!(choose(accept, Place::Objects), Ok((Encoding::Json, Shape::Own)));
    }

    #[test]
    fn bodies_are_json_yaml_or_protobuf() {
        let of = |text: &'static str| {
            body_encoding(Some(&HeaderValue::from_static(text))).map_err(|status| status.code)
        };
        assert_eq!(of("application/json; charset=utf-8"), Ok(BodyEncoding::Json));
        assert_eq!(of("application/yaml"), Ok(BodyEncoding::Yaml));
        assert_eq!(of("application/vnd.kubernetes.protobuf"), Ok(BodyEncoding::Protobuf));
        assert_eq!(of("application/cbor"), Err(415));
        assert_eq!(body_encoding(None), Ok(BodyEncoding::Json));
    }
}
