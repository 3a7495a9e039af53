//! The names of images, as `distribution/reference` reads them.
//!
//! `nginx`, `docker.io/library/nginx` and `nginx:latest` are one image; a runtime that looks
//! images up by name compares their normal form.

use std::fmt;

use super::{Error, Result};

/// The name of an image in parts, with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageReference {
    /// The registry, such as `docker.io` or `localhost:5000`.
    pub domain: String,
    /// The repository in it, such as `library/nginx`.
    pub path: String,
    /// The tag; `latest` where neither tag nor digest were given.
    pub tag: Option<String>,
    /// The digest, such as `sha256:…`.
    pub digest: Option<String>,
}

impl ImageReference {
    /// Reads a reference.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidImageName`], with what is wrong.
    pub fn parse(reference: &str) -> Result<Self> {
        Self::read(reference)
            .map_err(|why| Error::InvalidImageName { reference: reference.into(), why: why.into() })
    }

    fn read(reference: &str) -> Result<Self, &'static str> {
        let (rest, digest) = match reference.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err("invalid reference format: the digest is malformed"),
            None => (reference, None),
        };
        // A colon behind the last slash starts a tag; one before it is a registry's port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err("invalid reference format: the tag is malformed");
        }
        let (domain, path) = match name.split_once('/') {
            Some((first, rest)) if looks_like_domain(first) => (first, rest.to_owned()),
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        if path.chars().any(|c| c.is_ascii_uppercase()) {
            return Err("invalid reference format: repository name must be lowercase");
        }
        if !is_domain(domain) || !path.split('/').all(is_component) {
            return Err("invalid reference format");
        }
        if name.len() > 255 {
            return Err("repository name must not be more than 255 characters");
        }
        let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { domain: domain.to_owned(), path, tag, digest })
    }
}

impl fmt::Display for ImageReference {
    /// The normal form: every default written out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

fn looks_like_domain(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(|c| c.is_ascii_uppercase())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.rsplit_once(':').map_or((domain, None), |(host, port)| (host, Some(port)));
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(label)
        && port.is_none_or(|port| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()))
}

/// Lower-case letters and digits, joined by one dot, one or two underscores, or any number of dashes.
fn is_component(component: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separator = String::new();
    let mut words = 0;
    for c in component.chars() {
        if word(c) {
            let joined =
                matches!(separator.as_str(), "." | "_" | "__") || separator.chars().all(|c| c == '-');
            if !joined || (words == 0 && !separator.is_empty()) {
                return false;
            }
            separator.clear();
            words += 1;
        } else {
            separator.push(c);
        }
    }
    words > 0 && separator.is_empty()
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.starts_with(|c: char| c.is_ascii_alphabetic())
            && algorithm.chars().all(|c| c.is_ascii_alphanumeric() || "+._-".contains(c))
            && hex.len() >= 32
            && hex.chars().all(|c| c.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_written_out() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (reference, normal) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.29", "docker.io/library/nginx:1.29"),
            ("team/web", "docker.io/team/web:latest"),
            ("localhost/web", "localhost/web:latest"),
            ("localhost:5000/web:v1", "localhost:5000/web:v1"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
            ("a--b/c__d/e.f", "docker.io/a--b/c__d/e.f:latest"),
        ] {
            assert_eq!(ImageReference::parse(reference).unwrap().to_string(), normal);
        }
        let with_digest = ImageReference::parse(&format!("web@{digest}")).unwrap();
        assert_eq!(with_digest.to_string(), format!("docker.io/library/web@{digest}"));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for reference in [
            "",
            ":v1",
            "web:",
            "web:-x",
            "Web",
            "web/",
            "/web",
            "a//b",
            "a___b",
            "a.-b",
            "-a",
            "a-",
            "web v1",
            "http://root",
            "web@sha256:12",
            "web:v1:v2",
            "local host/web",
        ] {
            let error = ImageReference::parse(reference).unwrap_err();
            assert!(matches!(error, Error::InvalidImageName { .. }), "{reference:?}: {error}");
        }
    }
}
