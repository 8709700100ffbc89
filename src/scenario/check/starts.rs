//! How a service is started: image, user, host name, directory, limits, attempts. The engine would refuse what is
//! wrong here in the middle of a run, or take it for something else.

use super::{Cx, images};
use crate::runtime::RestartPolicy;

/// Longest host name that the kernel takes.
const HOSTNAME: usize = 64;

/// Limits that the engine knows.
const LIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Checks them.
pub(super) fn check(cx: &mut Cx<'_>) {
    for (name, service) in &cx.scenario.services {
        let mut problems: Vec<(&str, String)> = Vec::new();
        problems.extend(images::image(&service.image).map(|text| ("image", text)));
        let user = service.user.as_deref().and_then(images::user);
        problems.extend(user.map(|text| ("user", text)));
        if let Some(host) = service.hostname.as_deref().filter(|host| !is_hostname(host)) {
            let text = format!(
                "`{host}` is no host name\n\nhint: letters, digits, `-`, `_` and `.`, at most {HOSTNAME}"
            );
            problems.push(("hostname", text));
        }
        if service.working_dir.as_deref().is_some_and(|path| !path.starts_with('/')) {
            let text = "it must be absolute\n\nhint: begin it with `/`".to_owned();
            problems.push(("working_dir", text));
        }
        if service.restart_attempts.is_some() && service.restart != RestartPolicy::OnFailure {
            let text = "only a failure is counted\n\nhint: write `restart: on-failure`".to_owned();
            problems.push(("restart_attempts", text));
        }
        for (key, text) in problems {
            cx.report(&["services".into(), name.into(), key.into()], &text);
        }
        limits(cx, name);
    }
}

fn limits(cx: &mut Cx<'_>, name: &str) {
    for (key, limit) in &cx.scenario.services[name].ulimits {
        let above = |soft: i64, hard: i64| hard != -1 && (soft == -1 || soft > hard);
        let text = if !LIMITS.contains(&key.as_str()) {
            let hint = crate::diagnostic::suggest(key, LIMITS).unwrap_or_default();
            format!("no limit is called `{key}`\n\nhint: {hint}")
        } else if limit.soft < -1 || limit.hard < -1 || above(limit.soft, limit.hard) {
            "no such limit can be set\n\nhint: `soft` is at most `hard`, and -1 is without a limit"
                .into()
        } else {
            continue;
        };
        let path = ["services".into(), name.into(), "ulimits".into(), key.as_str().into()];
        cx.report(&path, &text);
    }
}

fn is_hostname(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=HOSTNAME).contains(&text.len())
        && text.chars().all(plain)
        && !text.starts_with(['-', '.'])
        && !text.ends_with('-')
}
