//! Values that must not get into a file, and what stands in for them. Pure. It knows names of
//! variables and passwords in addresses; whoever commits a file reads it first all the same.

use crate::runtime::Choices;

/// What stands in for a secret: in a run of its own, any will do.
const STAND_IN: &str = "keelhaul-starter";
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
/// Characters of a secret that is looked for inside of words; shorter ones are everywhere.
const LEAST: usize = 4;

/// The secrets of a container.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Values of variables that are called so, and passwords in addresses wherever they stand.
    pub(super) fn of(choices: &Choices) -> Self {
        let pairs = choices.env.iter().filter_map(|pair| pair.split_once('='));
        let named = pairs.filter(|(key, value)| is_secret(key, value)).map(|(_, value)| value);
        let words = choices.entrypoint.iter().chain(&choices.command);
        let words = words.chain(choices.health.iter().flatten()).chain(&choices.env);
        let all = named.chain(words.flat_map(|word| passwords(word)));
        let mut all: Vec<String> = all.map(str::to_owned).collect();
        // one may be the beginning of another
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        all.dedup();
        Self(all)
    }

    /// The text with a stand-in for every secret.
    pub(super) fn hidden(&self, text: &str) -> String {
        if self.0.iter().any(|secret| secret == text) {
            return STAND_IN.into();
        }
        let inside = self.0.iter().filter(|secret| secret.len() >= LEAST);
        inside.fold(without_passwords(text), |text, secret| text.replace(secret, STAND_IN))
    }

    /// A command; its program is none, though a password may be the same word.
    pub(super) fn hidden_in(&self, words: &[String]) -> Vec<String> {
        let (program, rest) = words.split_at(words.len().min(1));
        program.iter().cloned().chain(rest.iter().map(|word| self.hidden(word))).collect()
    }
}

fn is_secret(key: &str, value: &str) -> bool {
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
fn passwords(text: &str) -> Vec<&str> {
    let after = text.split("://").skip(1);
    let found = after.filter_map(|rest| {
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c));
        let (user, _) = rest[..end.unwrap_or(rest.len())].rsplit_once('@')?;
        user.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
    });
    found.collect()
}

/// A short password is looked for where it stands, and nowhere else.
fn without_passwords(text: &str) -> String {
    passwords(text).into_iter().fold(text.to_owned(), |text, password| {
        text.replace(&format!(":{password}@"), &format!(":{STAND_IN}@"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

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
    fn a_secret_is_hidden_wherever_it_stands() {
        let secrets = Secrets::of(&Choices {
            env: texts(&["DB_PASS=s3cret", "URL=amqp://app:pw@queue/x", "PIN_TOKEN=12"]),
            command: texts(&["s3cret", "--requirepass", "s3cret", "--auth=s3cret", "v12"]),
            ..Choices::default()
        });
        let command = secrets.hidden_in(&texts(&[
            "s3cret",
            "--requirepass",
            "s3cret",
            "--auth=s3cret",
            "v12",
        ]));
        let (bare, inside) = (STAND_IN.to_owned(), format!("--auth={STAND_IN}"));
        assert_eq!(command, texts(&["s3cret", "--requirepass", &bare, &inside, "v12"]));
        let url = secrets.hidden("amqp://app:pw@queue/x");
        assert_eq!(url, format!("amqp://app:{STAND_IN}@queue/x"));
        assert_eq!(secrets.hidden("http://host:80/a@b"), "http://host:80/a@b");
    }
}
