//! Which values are secret: by the names of variables, and passwords in addresses. Pure.

/// In a word of a variable's name.
const WORDS: [&str; 5] = ["PASS", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE"];
/// At the end of a word of a variable's name: `APIKEY`, and not `KEYSPACE`.
const ENDS: [&str; 5] = ["PWD", "KEY", "KEYS", "AUTH", "DSN"];
/// At the end of a name that tells where a secret lies, or of which kind it is.
const ABOUT: [&str; 3] = ["_FILE", "_METHOD", "_TYPE"];
/// A shell's own, where it is.
const DIRECTORIES: [&str; 2] = ["PWD", "OLDPWD"];
/// Values that are no secret, whatever they are called.
const SWITCHES: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "0", "1"];

/// Whether a variable of this name holds a secret.
#[must_use]
pub fn is_secret(key: &str, value: &str) -> bool {
    let upper = key.to_uppercase();
    let is_word = |word: &str| {
        WORDS.iter().any(|secret| word.contains(secret))
            || ENDS.iter().any(|secret| word.ends_with(secret))
    };
    let other = ABOUT.iter().any(|end| upper.ends_with(end))
        || DIRECTORIES.contains(&upper.as_str())
        || value.is_empty()
        || SWITCHES.contains(&value.to_lowercase().as_str());
    !other && upper.split(|c: char| !c.is_ascii_alphanumeric()).any(is_word)
}

/// The passwords of `SCHEME://USER:PASSWORD@HOST`.
#[must_use]
pub fn passwords(text: &str) -> Vec<&str> {
    let after = text.split("://").skip(1);
    let found = after.filter_map(|rest| {
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c));
        let (user, _) = rest[..end.unwrap_or(rest.len())].rsplit_once('@')?;
        user.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_secret() {
        for key in
            ["DB_PASS", "MYSQL_PWD", "API_KEY", "apikey", "NEO4J_AUTH", "SENTRY_DSN", "X_TOKEN"]
        {
            assert!(is_secret(key, "s3cret"), "{key}");
        }
        for key in ["PASSWORD_FILE", "HOST_AUTH_METHOD", "PWD", "KEYSPACE", "AUTHOR", "DB_USER"] {
            assert!(!is_secret(key, "s3cret"), "{key}");
        }
        assert!(!is_secret("ALLOW_EMPTY_PASSWORD", "yes") && !is_secret("DB_PASS", ""));
    }

    #[test]
    fn an_address_may_hold_a_password() {
        assert_eq!(passwords("postgresql://app:s3cret@db/app"), ["s3cret"]);
        assert!(passwords("http://host:80/a@b").is_empty() && passwords("shop").is_empty());
    }
}
