//! Health checks, and how long a service may take to end.

use super::{
    super::{build, values},
    Service,
};
use crate::{
    diagnostic::suggest,
    scenario::load::node::{Entry, Node},
    units::Duration,
};

/// Compose's own defaults, which are the engine's.
const INTERVAL_MS: u64 = 30_000;
const RETRIES: u64 = 3;

/// The check, with Compose's defaults.
pub(in crate::scenario::load::compose) fn check(service: &mut Service<'_, '_>, part: &Entry) {
    let of = |key: &str| part.value.entry(key);
    if service.flag(of("disable"), false) {
        return;
    }
    unknown_keys(service, part);
    // without a test of its own it changes the image's, which a run leaves as it is
    let Some(test) = of("test") else { return };
    let Some(program) = program(&test.value) else {
        if !is_none(&test.value) {
            service.wants(
                "test",
                "a command, as a text or as a list that begins with `CMD`",
                &test.value,
            );
        }
        return;
    };
    let words = program.iter().map(|word| build::text(test.value.span, word)).collect();
    let mut out = vec![build::entry("command", test.key_span, build::list(test.value.span, words))];
    for key in ["interval", "timeout"] {
        let given = of(key).map(|entry| duration(service, entry));
        let value = given.unwrap_or_else(|| Some(time(part, INTERVAL_MS)));
        out.extend(value.map(|value| build::entry(key, part.key_span, value)));
    }
    let retries = of("retries").and_then(|entry| build::word(&entry.value)?.parse().ok());
    let retries = build::number(part.key_span, retries.unwrap_or(RETRIES));
    out.push(build::entry("retries", part.key_span, retries));
    if let Some(entry) = of("start_period") {
        let value = duration(service, entry);
        out.extend(value.map(|value| build::entry("start_period", part.key_span, value)));
    }
    service.give("healthcheck", part, build::map(part.value.span, out));
}

fn unknown_keys(service: &mut Service<'_, '_>, part: &Entry) {
    const KNOWN: [&str; 7] =
        ["test", "interval", "timeout", "retries", "disable", "start_period", "start_interval"];
    for entry in part.value.entries().iter().filter(|entry| !KNOWN.contains(&&*entry.key)) {
        let hint = suggest(&entry.key, KNOWN).unwrap_or_default();
        let text = format!("unknown key `{}` in `healthcheck`\n\nhint: {hint}", entry.key);
        service.unknown(entry, text);
    }
}

/// `["CMD", …]`, `["CMD-SHELL", text]`, or a text for a shell.
fn program(test: &Node) -> Option<Vec<String>> {
    let shell = |text: &str| ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
    if test.is_scalar() {
        return build::word(test).map(shell);
    }
    let words: Option<Vec<&str>> = test.items().iter().map(build::word).collect();
    match words?.as_slice() {
        ["CMD", rest @ ..] if !rest.is_empty() => {
            Some(rest.iter().map(|word| (*word).to_owned()).collect())
        }
        ["CMD-SHELL", text] => Some(shell(text)),
        _ => None,
    }
}

fn is_none(test: &Node) -> bool {
    matches!(test.items(), [only] if only.raw == "NONE")
}

pub(in crate::scenario::load::compose) fn stop_grace(service: &mut Service<'_, '_>, part: &Entry) {
    if let Some(value) = duration(service, part) {
        service.give("stop_grace", part, value);
    }
}

fn duration(service: &mut Service<'_, '_>, entry: &Entry) -> Option<Node> {
    let found = build::word(&entry.value).and_then(values::milliseconds);
    if found.is_none() {
        service.wants(&entry.key, "a duration like `10s` or `1m30s`", &entry.value);
    }
    found.map(|milliseconds| time(entry, milliseconds))
}

fn time(entry: &Entry, milliseconds: u64) -> Node {
    build::text(entry.value.span, &Duration::from_millis(milliseconds).to_string())
}
