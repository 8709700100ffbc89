//! What a path in a container is for, guessed from its words. Pure.

/// Words of directories that may be lost at any time.
const SCRATCH: [&str; 9] =
    ["tmp", "temp", "run", "shm", "cache", "scratch", "lock", "sockets", "session"];

fn words(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|word| !word.is_empty())
}

/// Logs are written there.
pub(super) fn is_for_logs(path: &str) -> bool {
    words(path).any(|word| matches!(word, "log" | "logs") || word.ends_with(".log"))
}

/// What is kept there may be lost at any time.
pub(super) fn is_scratch(path: &str) -> bool {
    words(path).any(|word| {
        let word = word.trim_start_matches('.').to_lowercase();
        SCRATCH.iter().any(|scratch| word == *scratch || word.strip_suffix('s') == Some(scratch))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_known_by_a_whole_word() {
        assert!(is_for_logs("/var/log/nginx") && is_for_logs("/logs") && is_for_logs("/a/app.log"));
        assert!(!is_for_logs("/var/lib/catalog") && !is_for_logs("/login"));
    }

    #[test]
    fn scratch_is_known_by_a_whole_word() {
        assert!(is_scratch("/tmp") && is_scratch("/var/cache/nginx") && is_scratch("/app/.caches"));
        assert!(!is_scratch("/var/lib/templates") && !is_scratch("/state"));
    }
}
