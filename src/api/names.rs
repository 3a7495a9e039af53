//! Names: what may be one, and what Kubernetes says of what may not.
//!
//! Each check answers with the sentences of `k8s.io/apimachinery/pkg/util/validation` (1.36); an
//! empty list means that the name is good. Two generations of that package count lengths in
//! different units ("characters" in the older, "bytes" in the newer); both mean bytes.

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// The longest name that is generated from a `generateName`, without its random suffix.
pub const GENERATED_BASE_MAX: usize = 63 - GENERATED_SUFFIX;

/// How many random characters a generated name ends in.
pub const GENERATED_SUFFIX: usize = 5;

/// The name that `generateName` and a random suffix of [`GENERATED_SUFFIX`] characters make: the
/// base is cut so that a DNS label stays one.
#[must_use]
pub fn generated(base: &str, suffix: &str) -> String {
    let mut end = base.len().min(GENERATED_BASE_MAX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &base[..end])
}

/// What a name is checked for: one of the functions below.
pub type Check = fn(&str) -> Vec<String>;

/// A DNS label as RFC 1123 has it: `my-name`, `123-abc`.
#[must_use]
pub fn dns1123_label(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 63, "characters");
    if !is_label(value) {
        problems.push(if is_subdomain(value) {
            "must not contain dots".into()
        } else {
            pattern(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                 start and end with an alphanumeric character",
                LABEL,
                &["my-name", "123-abc"],
            )
        });
    }
    problems
}

/// A DNS subdomain as RFC 1123 has it: labels joined by dots, such as `example.com`.
#[must_use]
pub fn dns1123_subdomain(value: &str) -> Vec<String> {
    subdomain(value, "characters")
}

fn subdomain(value: &str, unit: &str) -> Vec<String> {
    let mut problems = longer_than(value, 253, unit);
    if !is_subdomain(value) {
        problems.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
             must start and end with an alphanumeric character",
            &format!("{LABEL}(\\.{LABEL})*"),
            &["example.com"],
        ));
    }
    problems
}

/// A DNS subdomain whose labels may hold underscores, as search paths of resolvers do.
#[must_use]
pub fn dns1123_subdomain_with_underscore(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 253, "characters");
    let label = |label: &str| {
        let bytes = label.strip_prefix('_').unwrap_or(label).as_bytes();
        bytes.iter().all(|&byte| is_lower(byte) || matches!(byte, b'-' | b'_'))
            && bytes.first().is_some_and(|&byte| is_lower(byte))
            && bytes.last().is_some_and(|&byte| is_lower(byte))
    };
    if !value.split('.').all(label) {
        const LABEL: &str = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
        problems.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', \
             and must start and end with an alphanumeric character",
            &format!("{LABEL}(\\.{LABEL})*"),
            &["example.com"],
        ));
    }
    problems
}

/// The path of an HTTP address, percent-encoded.
#[must_use]
pub fn http_path(value: &str) -> Vec<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    if !value.is_empty() && value.bytes().all(allowed) {
        return Vec::new();
    }
    vec![pattern("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", &[])]
}

/// The name of a kernel parameter of a pod, with dots or slashes between its parts.
///
/// Source: `IsValidSysctlName` of `k8s.io/kubernetes/pkg/apis/core/validation` (1.36).
#[must_use]
pub fn sysctl(value: &str) -> Vec<String> {
    let segment = |segment: &str| {
        let bytes = segment.as_bytes();
        bytes.iter().all(|&byte| is_lower(byte) || matches!(byte, b'-' | b'_'))
            && bytes.first().is_some_and(|&byte| is_lower(byte))
            && bytes.last().is_some_and(|&byte| is_lower(byte))
    };
    if value.len() <= 253 && value.split(['.', '/']).all(segment) {
        return Vec::new();
    }
    const SEGMENT: &str = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
    vec![format!("must have at most 253 characters and match regex ^({SEGMENT}[\\./])*{SEGMENT}$")]
}

/// A wildcard before a DNS subdomain: `*.example.com`.
#[must_use]
pub fn wildcard_subdomain(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 253, "characters");
    if !value.strip_prefix("*.").is_some_and(is_subdomain) {
        problems.push(pattern(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
             consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            &format!("\\*\\.{LABEL}(\\.{LABEL})*"),
            &["*.example.com"],
        ));
    }
    problems
}

/// A DNS label as RFC 1035 has it: it starts with a letter.
#[must_use]
pub fn dns1035_label(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 63, "characters");
    if !(is_label(value) && value.starts_with(|first: char| first.is_ascii_lowercase())) {
        problems.push(pattern(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    problems
}

/// A segment of a path: names of the objects whose kinds allow almost anything (roles, for one).
#[must_use]
pub fn path_segment(value: &str) -> Vec<String> {
    if value == "." || value == ".." {
        return vec![format!("may not be '{value}'")];
    }
    ["/", "%"]
        .into_iter()
        .filter(|part| value.contains(part))
        .map(|part| format!("may not contain '{part}'"))
        .collect()
}

/// A label key, annotation key, finalizer or resource name: a name with an optional domain before
/// it, such as `example.com/MyName`.
#[must_use]
pub fn qualified_name(value: &str) -> Vec<String> {
    let sentence = || {
        pattern(
            "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
             character",
            LABEL_KEY,
            &["MyName", "my.name", "123-abc"],
        )
    };
    let mut problems = Vec::new();
    let parts: Vec<_> = value.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".into());
            } else {
                problems.extend(
                    subdomain(prefix, "bytes").iter().map(|problem| format!("prefix part {problem}")),
                );
            }
            name
        }
        _ => {
            problems.push(format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                sentence()
            ));
            return problems;
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".into());
    }
    problems.extend(longer_than(name, 63, "bytes").iter().map(|problem| format!("name part {problem}")));
    if !is_label_text(name) {
        problems.push(format!("name part {}", sentence()));
    }
    problems
}

/// The value of a label.
#[must_use]
pub fn label_value(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 63, "bytes");
    if !(value.is_empty() || is_label_text(value)) {
        problems.push(pattern(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character",
            &format!("({LABEL_KEY})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    problems
}

/// The name of a port: at most 15 of `a-z`, `0-9` and `-`, with a letter among them.
#[must_use]
pub fn port_name(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 15, "characters");
    if value.is_empty() || !value.bytes().all(|byte| is_lower(byte) || byte == b'-') {
        problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !value.bytes().any(|byte| byte.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".into());
    }
    if value.contains("--") {
        problems.push("must not contain consecutive hyphens".into());
    }
    if value.starts_with('-') || value.ends_with('-') {
        problems.push("must not begin or end with a hyphen".into());
    }
    problems
}

/// A port's number.
#[must_use]
pub fn port_number(port: i64) -> Vec<String> {
    if (1..=65535).contains(&port) { Vec::new() } else { vec![between(1, 65535)] }
}

/// A percentage, such as `25%`.
#[must_use]
pub fn percent(value: &str) -> Vec<String> {
    let digits = value.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    vec![pattern(
        "a valid percent string must be a numeric string followed by an ending '%'",
        "[0-9]+%",
        &["1%", "93%"],
    )]
}

/// The name of an environment variable: any printable ASCII but `=`.
#[must_use]
pub fn env_var_name(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if value.is_empty() {
        problems.push("environment variable name must be non-empty".into());
    }
    if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') {
        problems.push(
            "a valid environment variable name must consist only of printable ASCII characters other than '='".into(),
        );
    }
    problems
}

/// A key of a ConfigMap or Secret.
#[must_use]
pub fn config_map_key(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 253, "characters");
    if value.is_empty() || !value.bytes().all(is_label_byte) {
        problems.push(pattern(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match value {
        "." => problems.push("must not be '.'".into()),
        ".." => problems.push("must not be '..'".into()),
        _ if value.starts_with("..") => problems.push("must not start with '..'".into()),
        _ => {}
    }
    problems
}

/// The name of an HTTP header.
#[must_use]
pub fn http_header_name(value: &str) -> Vec<String> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Vec::new();
    }
    vec![pattern(
        "a valid HTTP header must consist of alphanumeric characters or '-'",
        "[-A-Za-z0-9]+",
        &["X-Header-Name"],
    )]
}

/// Words of CEL, which no name in it can be.
const CEL_WORDS: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Whether a word is CEL's own, so that no name in it can be this word.
pub(in crate::api) fn is_cel_word(word: &str) -> bool {
    CEL_WORDS.contains(&word)
}

/// An identifier as C has it: letters, digits and `_`, and no digit first.
#[must_use]
pub fn c_identifier(value: &str) -> Vec<String> {
    let bytes = value.as_bytes();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if bytes.first().is_some_and(|byte| !byte.is_ascii_digit()) && bytes.iter().all(word) {
        return Vec::new();
    }
    vec![pattern(
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric \
         characters or '_'",
        "[A-Za-z_][A-Za-z0-9_]*",
        &["my_name", "MY_NAME", "MyName"],
    )]
}

/// "must be between … and …, inclusive".
#[must_use]
pub fn between(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

fn longer_than(value: &str, max: usize, unit: &str) -> Vec<String> {
    if value.len() > max { vec![format!("must be no more than {max} {unit}")] } else { Vec::new() }
}

fn pattern(sentence: &str, regex: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{sentence} (regex used for validation is '{regex}')");
    }
    let examples: Vec<_> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{sentence} (e.g. {}regex used for validation is '{regex}')", examples.join(" or "))
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.iter().all(|&byte| is_lower(byte) || byte == b'-')
        && bytes.first().is_some_and(|&byte| byte != b'-')
        && bytes.last().is_some_and(|&byte| byte != b'-')
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_label_text(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.iter().all(|&byte| is_label_byte(byte))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_good() {
        let table: &[(Check, &[&str])] = &[
            (dns1123_label, &["a", "ab", "a1", "a-1", "a--1", "0", "0a", "a-b-c"]),
            (dns1123_subdomain, &["a", "a.b", "a.b.c-d", "0.1.2", "a-1.b"]),
            (dns1035_label, &["a", "a-1", "abc"]),
            (wildcard_subdomain, &["*.example.com"]),
            (qualified_name, &["a", "A.b_c-D", "example.com/name", "1.2/3", "a.b/C"]),
            (label_value, &["", "a", "A_b.c", "1"]),
            (port_name, &["http", "t-1", "a"]),
            (percent, &["1%", "100%"]),
            (config_map_key, &["a", ".a", "A_B", "a..b"]),
            (env_var_name, &["A", "a.b", "1a", "with space"]),
            (path_segment, &["a:b", "..."]),
            (dns1123_subdomain_with_underscore, &["_dns.a", "a_b.c", "a"]),
            (http_path, &["a", "a/b%20c", "~a:b"]),
            (sysctl, &["kernel.shm_rmid_forced", "net/ipv4/ip_local_port_range", "a"]),
            (c_identifier, &["a", "_A9"]),
        ];
        for (check, good) in table {
            for name in *good {
                assert_eq!(check(name), Vec::<String>::new(), "{name}");
            }
        }
    }

    #[test]
    fn names_that_are_bad() {
        let table: &[(Check, &[&str])] = &[
            (dns1123_label, &["", "A", "-a", "a-", "a.b", "a_b", "é", " a"]),
            (dns1123_subdomain, &["", "a..b", ".a", "a.", "A.b", "a.-b"]),
            (dns1035_label, &["", "0a", "-a", "a."]),
            (wildcard_subdomain, &["*", "*.", "a.b", "*.A"]),
            (qualified_name, &["", "/a", "a/", "a/b/c", "A.b/c", "-a", "a b"]),
            (label_value, &["-a", "a-", "a/b", "ä", "_"]),
            (port_name, &["", "1", "a--b", "-a", "a-", "A", "abcdefghijklmnop"]),
            (percent, &["", "%", "1", "-1%", "1.5%"]),
            (config_map_key, &["", ".", "..", "..a", "a/b", "a b"]),
            (env_var_name, &["", "a=b", "ä"]),
            (path_segment, &[".", "..", "a/b", "a%b"]),
            (dns1123_subdomain_with_underscore, &["", ".", "__a", "a_", "A.b", "_"]),
            (http_path, &["", "a b", "a?b", "é"]),
            (sysctl, &["", "a..b", "Kernel.a", "a.", "_a.b", "a b"]),
            (c_identifier, &["", "9a", "a-b"]),
        ];
        for (check, bad) in table {
            for name in *bad {
                assert_ne!(check(name), Vec::<String>::new(), "{name:?}");
            }
        }
    }

    #[test]
    fn wording() {
        assert_eq!(
            dns1123_label("A"),
            [
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
              and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ]
        );
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
        assert_eq!(label_value(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        assert_eq!(port_number(0), ["must be between 1 and 65535, inclusive"]);
    }

    #[test]
    fn a_generated_name_stays_a_label() {
        assert_eq!(generated("web-", "abcde"), "web-abcde");
        let long = generated(&"a".repeat(80), "bcdfg");
        assert_eq!(long.len(), 63);
        assert!(long.ends_with("abcdfg"));
        assert!(generated(&"é".repeat(40), "bcdfg").len() <= 63);
    }
}
