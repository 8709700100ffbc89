//! Which values are secret: by the names of variables, by what they look like, and passwords in
//! addresses. Pure.

/// In a word of a variable's name.
const WORDS: [&str; 8] =
    ["PASS", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE", "COOKIE", "SESSION", "JWT"];
/// At the end of a word of a variable's name: `APIKEY`, and not `KEYSPACE`.
const ENDS: [&str; 6] = ["PW", "PWD", "KEY", "KEYS", "AUTH", "DSN"];
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

/// Longer ones are no words.
const LONGEST_WORD: usize = 20;
/// More digits are no port.
const LONGEST_NUMBER: usize = 5;

/// Whether a value says nothing that could be secret, unless its name says so: a small word, a number
/// such as a port, or a path. These stand in many other texts too.
#[must_use]
pub fn is_plain(value: &str) -> bool {
    let all = |is: fn(char) -> bool| value.chars().all(is);
    let word = all(|c| c.is_ascii_lowercase() || c == '-' || c == '_');
    let path = value.starts_with('/') && all(|c| !" =:@".contains(c));
    word && value.len() <= LONGEST_WORD
        || all(|c| c.is_ascii_digit()) && value.len() <= LONGEST_NUMBER
        || path
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
        for key in [
            "DB_PASS",
            "MYSQL_PWD",
            "API_KEY",
            "apikey",
            "NEO4J_AUTH",
            "SENTRY_DSN",
            "X_TOKEN",
            "DB_PW",
        ] {
            assert!(is_secret(key, "s3cret"), "{key}");
        }
        for key in ["PASSWORD_FILE", "HOST_AUTH_METHOD", "PWD", "KEYSPACE", "AUTHOR", "DB_USER"] {
            assert!(!is_secret(key, "s3cret"), "{key}");
        }
        assert!(!is_secret("ALLOW_EMPTY_PASSWORD", "yes") && !is_secret("DB_PASS", ""));
    }

    #[test]
    fn words_ports_and_paths_are_plain() {
        for plain in ["shop", "read-only", "5432", "/var/lib/postgresql/data"] {
            assert!(is_plain(plain), "{plain}");
        }
        for value in
            ["hunter22", "Shop", "1234567", "a=b", "/x:y@z", "correct-horse-battery-staple"]
        {
            assert!(!is_plain(value), "{value}");
        }
    }

    #[test]
    fn an_address_may_hold_a_password() {
        assert_eq!(passwords("postgresql://app:s3cret@db/app"), ["s3cret"]);
        assert!(passwords("http://host:80/a@b").is_empty() && passwords("shop").is_empty());
    }
}
