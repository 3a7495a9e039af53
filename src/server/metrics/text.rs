//! Metrics as text: Prometheus' own, or OpenMetrics where that is asked for.

use std::fmt::Write;

use http::HeaderMap;
use http::header::ACCEPT;

use super::instrument::Snapshot;

/// What a family of series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page that is being written.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    open_metrics: bool,
    family: String,
}

impl Page {
    /// An empty page in the form that is asked for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        Self { text: String::new(), open_metrics: prefers_open_metrics(accept), family: String::new() }
    }

    pub(super) fn media_type(&self) -> &'static str {
        if self.open_metrics {
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
        } else {
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        }
    }

    pub(super) fn finish(mut self) -> String {
        if self.open_metrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// Begins a family; its series follow.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        name.clone_into(&mut self.family);
        // OpenMetrics gives a counter's name without what its series end in.
        let told = if self.open_metrics && kind == Kind::Counter {
            name.strip_suffix("_total").unwrap_or(name)
        } else {
            name
        };
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {told} {help}\n# TYPE {told} {kind}");
    }

    pub(super) fn count<V: AsRef<str>>(&mut self, labels: &[(&str, V)], value: u64) {
        self.sample("", labels, None, value as f64);
    }

    pub(super) fn gauge<V: AsRef<str>>(&mut self, labels: &[(&str, V)], value: f64) {
        self.sample("", labels, None, value);
    }

    pub(super) fn histogram<V: AsRef<str>>(&mut self, labels: &[(&str, V)], read: &Snapshot) {
        for (bound, below) in read.bounds.iter().zip(&read.cumulative) {
            let bound = self.bound(*bound);
            self.sample("_bucket", labels, Some(&bound), *below as f64);
        }
        self.sample("_bucket", labels, Some("+Inf"), read.count as f64);
        self.sample("_sum", labels, None, read.sum);
        self.sample("_count", labels, None, read.count as f64);
    }

    /// A bound as a label: OpenMetrics wants it to look like no whole number.
    fn bound(&self, bound: f64) -> String {
        let text = number(bound);
        if self.open_metrics && !text.contains(['.', 'e']) { text + ".0" } else { text }
    }

    fn sample<V: AsRef<str>>(&mut self, suffix: &str, labels: &[(&str, V)], bound: Option<&str>, value: f64) {
        self.text.push_str(&self.family);
        self.text.push_str(suffix);
        let all = labels.iter().map(|(name, value)| (*name, value.as_ref()));
        let mut before = '{';
        for (name, value) in all.chain(bound.map(|bound| ("le", bound))) {
            self.text.push(before);
            before = ',';
            let _ = write!(self.text, "{name}=\"");
            for letter in value.chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {}", number(value));
    }
}

/// Whether OpenMetrics stands before plain text in what is accepted, by quality and then by place.
fn prefers_open_metrics(accept: &str) -> bool {
    let mut best: Option<(f32, bool)> = None;
    for clause in accept.split(',') {
        let mut parts = clause.split(';').map(str::trim);
        let open = match parts.next() {
            Some("application/openmetrics-text") => true,
            Some("text/plain" | "text/*" | "*/*") => false,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        if best.is_none_or(|(other, _)| quality > other) {
            best = Some((quality, open));
        }
    }
    best.is_some_and(|(_, open)| open)
}

/// A number as Go writes it shortest, and so as Prometheus' own library does: `0.005`, `131072`, `1e+06`.
fn number(value: f64) -> String {
    let exponent = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if (-4..6).contains(&exponent) || !value.is_finite() {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, power)) => {
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
            format!("{digits}e{sign}{power:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::metrics::instrument::Histogram;

    fn page(accept: &str) -> Page {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        Page::of(&headers)
    }

    #[test]
    fn numbers_are_gos() {
        for (value, text) in [
            (0.0, "0"),
            (-1.0, "-1"),
            (0.005, "0.005"),
            (0.0001, "0.0001"),
            (0.000_05, "5e-05"),
            (1.25, "1.25"),
            (131_072.0, "131072"),
            (1e6, "1e+06"),
            (12_345_678.0, "1.2345678e+07"),
            (1e12, "1e+12"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_family_reads_as_prometheus_has_it() {
        let sizes = Histogram::sizes(&[10.0, 1e6]);
        sizes.size(7);
        let write = |mut page: Page| {
            page.family("a_total", Kind::Counter, "How many.");
            page.count(&[("who", "a\"b\\c\nd")], 3);
            page.family("b", Kind::Histogram, "How large.");
            page.histogram::<&str>(&[], &sizes.read());
            page.finish()
        };
        let series = |one: &str| {
            format!(
                "b_bucket{{le=\"{one}\"}} 1\nb_bucket{{le=\"1e+06\"}} 1\nb_bucket{{le=\"+Inf\"}} 1\nb_sum 7\nb_count 1\n"
            )
        };
        let plain = format!(
            "# HELP a_total How many.\n# TYPE a_total counter\na_total{{who=\"a\\\"b\\\\c\\nd\"}} 3\n# HELP b How \
             large.\n# TYPE b histogram\n{}",
            series("10")
        );
        assert_eq!(write(page("text/plain")), plain);
        let open = format!(
            "# HELP a How many.\n# TYPE a counter\na_total{{who=\"a\\\"b\\\\c\\nd\"}} 3\n# HELP b How large.\n# \
             TYPE b histogram\n{}# EOF\n",
            series("10.0")
        );
        assert_eq!(write(page("application/openmetrics-text")), open);
    }

    #[test]
    fn open_metrics_are_written_where_they_are_preferred() {
        for (accept, open) in [
            ("", false),
            ("*/*", false),
            ("application/openmetrics-text; version=1.0.0", true),
            (
                "text/plain;version=0.0.4;q=0.3,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
                true,
            ),
            ("text/plain,application/openmetrics-text;q=0.9", false),
        ] {
            assert_eq!(prefers_open_metrics(accept), open, "{accept}");
        }
    }
}
