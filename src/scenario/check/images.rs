//! Names of images and users, which the engine would refuse in the middle of a run.

use std::sync::LazyLock;

use regex::Regex;

/// `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, after the grammar of the distribution project's `reference`
/// package; an image's id is one too.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    let part = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    let label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let host = format!(r"(?:{label}(?:\.{label})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?");
    let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    let tag = r"[\w&&[:ascii:]][\w.\-&&[:ascii:]]{0,127}";
    let whole = format!("^(?:{host}/)?{part}(?:/{part})*(?::{tag})?(?:@{digest})?$");
    #[expect(clippy::expect_used, reason = "a constant, and a test has it")]
    Regex::new(&whole).expect("it is a regular expression")
});

/// Largest id that the engine takes.
const LARGEST_ID: u64 = i32::MAX as u64;

/// What is wrong with the name of an image.
pub(super) fn image(name: &str) -> Option<String> {
    if name.is_empty() || REFERENCE.is_match(name) {
        return None;
    }
    let lower = name.to_lowercase();
    let hint = if lower != name && REFERENCE.is_match(&lower) {
        format!("only a host and a tag have capitals: did you mean `{lower}`?")
    } else {
        "`[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, as in `postgres:15`".to_owned()
    };
    Some(format!("`{name}` is no name of an image\n\nhint: {hint}"))
}

/// What is wrong with a user; an empty one is the image's own, as a Compose file may have it.
pub(super) fn user(name: &str) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    let parts: Vec<&str> = name.split(':').collect();
    let odd = |part: &&str| {
        let is_id = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_too_large = part.parse::<u64>().map_or(true, |id| id > LARGEST_ID);
        part.is_empty() || part.contains(char::is_whitespace) || is_id && is_too_large
    };
    (parts.len() > 2 || parts.iter().any(odd)).then(|| {
        format!(
            "`{name}` is no user\n\nhint: `UID`, `UID:GID`, or names that the image knows; an id is at \
             most {LARGEST_ID}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_as_the_engine_names_them() {
        let id = format!("sha256:{}", "0f".repeat(32));
        let pinned = format!("ghcr.io:443/a/b_c:1.0-rc.1@{id}");
        for good in
            ["nginx", "postgres:15", "keelhaul/specimen", "Host/a", "a__b/c--d", &id, &pinned]
        {
            assert_eq!(image(good), None);
        }
        for bad in ["Bad Image!", "a:b:c", "UPPER", "a//b", "-a", "a:", "a@sha256:0", "a b", "a:ä"]
        {
            assert!(image(bad).is_some(), "{bad}");
        }
        assert!(image("Nginx").unwrap().contains("did you mean `nginx`?"));
    }

    #[test]
    fn users_are_ids_or_names() {
        for good in ["", "0", "1000:1000", "postgres", "app:www-data", "2147483647"] {
            assert_eq!(user(good), None);
        }
        for bad in ["a b", "1:2:3", ":1", "1:", "2147483648", "99999999999999999999"] {
            assert!(user(bad).is_some(), "{bad}");
        }
    }
}
