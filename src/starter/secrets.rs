//! Values that must not get into a file, and what stands in for them. Pure. Whoever commits a file
//! reads it first all the same.

use crate::{
    runtime::Choices,
    secrets::{is_secret, passwords},
};

/// What stands in for a secret: in a run of its own, any will do.
const STAND_IN: &str = "keelhaul-starter";
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
