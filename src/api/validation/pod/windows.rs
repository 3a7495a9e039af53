//! Windows: who a process runs as there, and pods that run on the host itself.

use crate::api::field::Error;
use crate::api::names;
use crate::api::validation::at::At;
use crate::api::validation::checks::{self, Errors};

const MAX_SPEC: usize = 64 * 1024;

pub(super) fn options(options: &At<'_>, errors: &mut Errors) {
    let name = options.get("gmsaCredentialSpecName");
    if name.is_set() {
        checks::named(&name, names::dns1123_subdomain, errors);
    }
    let spec = options.get("gmsaCredentialSpec");
    if spec.is_set() && spec.text().is_empty() {
        errors.push(spec.invalid("gmsaCredentialSpec cannot be an empty string"));
    } else if spec.text().len() > MAX_SPEC {
        errors.push(spec.invalid("gmsaCredentialSpec size must be under 64 KiB"));
    }
    let user = options.get("runAsUserName");
    if user.is_set() {
        checks::sentences(&user, user_name(user.text()), errors);
    }
}

/// `user`, or `domain\user`.
fn user_name(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec!["runAsUserName cannot be an empty string".into()];
    }
    if name.bytes().any(|byte| byte.is_ascii_control()) {
        return vec!["runAsUserName cannot contain control characters".into()];
    }
    let (domain, user) = match name.split('\\').collect::<Vec<_>>()[..] {
        [user] => (None, user),
        [domain, user] => (Some(domain), user),
        _ => return vec!["runAsUserName cannot contain more than one backslash".into()],
    };
    let mut problems: Vec<String> = Vec::new();
    if let Some(domain) = domain {
        if domain.len() >= 256 {
            problems.push("runAsUserName's Domain length must be under 256 characters".into());
        }
        if !is_net_bios(domain) && !is_domain(domain) {
            problems.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format".into());
        }
    }
    if user.is_empty() {
        problems.push("runAsUserName's User cannot be empty".into());
    } else if user.len() > 104 {
        problems.push("runAsUserName's User length must not be longer than 104 characters".into());
    }
    if !user.is_empty() && user.chars().all(|letter| matches!(letter, '.' | ' ')) {
        problems.push("runAsUserName's User cannot contain only periods or spaces".into());
    }
    if user.contains(|letter| "\"/\\:;|=,+*?<>@[]".contains(letter)) {
        problems
            .push("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]".into());
    }
    problems
}

/// At most 15 characters that may be in a NetBIOS name, of which the first is no dot.
fn is_net_bios(name: &str) -> bool {
    let bad = |letter| "\\/:*?\"<>|".contains(letter);
    (1..=15).contains(&name.chars().count()) && !name.starts_with('.') && !name.contains(bad)
}

fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = label.as_bytes();
        bytes.len() <= 63
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    name.split('.').all(label)
}

/// A pod runs on the host with all of its containers, or with none.
pub(super) fn host_process(spec: &At<'_>, errors: &mut Errors) {
    let own = |holder: &At<'_>| holder.value()["securityContext"]["windowsOptions"]["hostProcess"].as_bool();
    let pod = own(spec);
    let (mut count, mut on_host) = (0, 0);
    super::each_container(spec, |container| {
        count += 1;
        let this = own(container);
        if let (Some(pod), Some(this)) = (pod, this)
            && pod != this
        {
            let context = container.get("securityContext");
            let options = context.get("windowsOptions");
            errors.push(options.get("hostProcess").invalid(format!(
                "pod hostProcess value must be identical if both are specified, was {pod}"
            )));
        }
        on_host += usize::from(this.or(pod) == Some(true));
    });
    if on_host == 0 {
        return;
    }
    if on_host != count {
        let wrong =
            "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(Error::invalid(&spec.path(), "", wrong));
    }
    let network = spec.get("hostNetwork");
    if !network.flag() {
        let wrong = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(Error::invalid(&network.path(), false, wrong));
    }
}
