//! Values that must not get into a file, and what stands in for them. Pure. Whoever commits a file
//! reads it first all the same.

use std::ops::Range;

use super::script;
use crate::{
    runtime::Choices,
    secrets::{is_plain, is_secret, passwords},
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
        let program = || choices.entrypoint.iter().chain(&choices.command);
        let words = program().chain(choices.health.iter().flatten()).chain(&choices.env);
        let handed = given(program()).into_iter().chain(given(choices.health.iter().flatten()));
        let all = named.chain(words.flat_map(|word| passwords(word))).chain(handed);
        let mut all: Vec<String> = all.map(str::to_owned).collect();
        // one may be the beginning of another
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        all.dedup();
        Self(all)
    }

    /// What a variable or an option of this name is given, with a stand-in for every secret.
    pub(super) fn hidden_of(&self, name: &str, value: &str) -> String {
        if is_secret(name, value) { STAND_IN.into() } else { self.hidden(value) }
    }

    /// The text with a stand-in for every secret.
    fn hidden(&self, text: &str) -> String {
        // a password that is a word is the name of a user, a program or a directory as well
        let (plain, rare): (Vec<&String>, Vec<&String>) =
            self.0.iter().partition(|secret| is_plain(secret));
        if rare.iter().any(|secret| *secret == text) {
            return STAND_IN.into();
        }
        let inside = rare.into_iter().filter(|secret| secret.len() >= LEAST);
        let text = without_given(&without_passwords(text));
        let text = inside.fold(text, |text, secret| text.replace(secret, STAND_IN));
        plain.into_iter().fold(text, |text, secret| without_assigned(&text, secret))
    }

    /// A command; its program is none, though a password may be the same word.
    pub(super) fn hidden_in(&self, words: &[String]) -> Vec<String> {
        let program = words.first().cloned();
        let client = words.iter().any(|word| is_client(word));
        let rest = words.windows(2).map(|pair| match pair {
            [option, value] if takes_password(option, client) && !value.is_empty() => {
                STAND_IN.into()
            }
            [option, value] if option.starts_with('-') && !option.contains('=') => {
                // what follows `--requirepass` is a secret only where it is one of those known
                let known = self.0.contains(value);
                if known { self.hidden_of(option, value) } else { self.hidden(value) }
            }
            [_, value] => self.hidden(value),
            _ => String::new(),
        });
        program.into_iter().chain(rest).collect()
    }
}

/// Clients of Redis and of what speaks as it does: each takes a password behind `-a`.
const CLIENTS: [&str; 3] = ["redis-cli", "valkey-cli", "keydb-cli"];
/// Options of theirs, and of their servers, that a password follows.
const OPTIONS: [&str; 3] = ["--pass", "--requirepass", "--masterauth"];

fn is_client(word: &str) -> bool {
    CLIENTS.iter().any(|client| word.rsplit('/').next() == Some(client))
}

/// Whether a password follows this option; `client` where one of those clients is called.
fn takes_password(option: &str, client: bool) -> bool {
    match option {
        "-a" | "--pass" => client,
        other => OPTIONS.contains(&other),
    }
}

/// What such options are given in a command, whose words may be scripts. A variable is no password.
fn given<'a>(words: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let words: Vec<&str> = words.map(String::as_str).collect();
    let scripts = words.iter().flat_map(|word| {
        let values = script::commands(word).into_iter().flat_map(|one| handed(word, &one));
        values.map(|at| &word[at]).collect::<Vec<_>>()
    });
    let listed = values_at(&words).into_iter().map(|at| words[at]);
    let is_value = |value: &&str| !value.is_empty() && !value.starts_with('$');
    scripts.chain(listed.filter(is_value)).collect()
}

/// Which words are values of such options: of a client's where that is called before them.
fn values_at(words: &[&str]) -> Vec<usize> {
    let mut client = false;
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate().take(words.len().saturating_sub(1)) {
        client |= is_client(word);
        if takes_password(word, client) {
            found.push(index + 1);
        }
    }
    found
}

/// Likewise of a command in a script: where they stand in it, without their quotes.
fn handed(text: &str, command: &[Range<usize>]) -> Vec<Range<usize>> {
    let words: Vec<&str> = command.iter().map(|at| &text[at.clone()]).collect();
    let values = values_at(&words).into_iter().map(|at| script::bare(text, &command[at]));
    values.filter(|at| !at.is_empty() && !text[at.clone()].starts_with('$')).collect()
}

/// Likewise in a script, where a password that is a word stands for itself nowhere else.
fn without_given(text: &str) -> String {
    let mut shown = text.to_owned();
    let all = script::commands(text).into_iter().flat_map(|one| handed(text, &one));
    for at in all.collect::<Vec<_>>().into_iter().rev() {
        shown.replace_range(at, STAND_IN);
    }
    shown
}

/// A secret that is a word is looked for where a name of secrets is given it, `PASSWORD=WORD`, and
/// only as a whole.
fn without_assigned(text: &str, secret: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(secret) {
        shown.push_str(before);
        let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || "_-./".contains(c));
        let is_given = !goes_on && is_secret(assigned_to(&shown), secret);
        shown.push_str(if is_given { STAND_IN } else { secret });
        rest = after;
    }
    shown + rest
}

/// The name before the `=`, or the `="`, that a text ends with; empty where it ends with none.
fn assigned_to(text: &str) -> &str {
    let Some(before) = text.trim_end_matches(['"', '\'']).strip_suffix('=') else { return "" };
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    before
        .rfind(|c: char| !name(c))
        .map_or(before, |at| before[at..].trim_start_matches(|c: char| !name(c)))
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
        assert_eq!(secrets.hidden_of("PIN_TOKEN", "12"), STAND_IN);
        let url = secrets.hidden("amqp://app:pw@queue/x");
        assert_eq!(url, format!("amqp://app:{STAND_IN}@queue/x"));
        assert_eq!(secrets.hidden("http://host:80/a@b"), "http://host:80/a@b");
    }

    /// Of a shell, and what is shown of it.
    const SCRIPTS: [(&str, &str); 9] = [
        ("redis-cli -a s3cret ping | grep PONG", "redis-cli -a keelhaul-starter ping | grep PONG"),
        ("/bin/redis-cli -a 'redis' ping redis", "/bin/redis-cli -a 'keelhaul-starter' ping redis"),
        ("redis-cli -a $REDIS_PASSWORD ping", "redis-cli -a $REDIS_PASSWORD ping"),
        ("redis-cli ping | grep -a PONG", "redis-cli ping | grep -a PONG"),
        (
            "test \"$(redis-cli ping -a s3cret)\" = PONG -a -f /ready",
            "test \"$(redis-cli ping -a keelhaul-starter)\" = PONG -a -f /ready",
        ),
        ("redis-cli -a  redis ping|grep PONG", "redis-cli -a  keelhaul-starter ping|grep PONG"),
        ("redis-cli ping -a s3cret|grep PONG", "redis-cli ping -a keelhaul-starter|grep PONG"),
        ("redis-cli -a 's3 cret' ping", "redis-cli -a 'keelhaul-starter' ping"),
        ("redis-cli -a \"`cat /key`\" ping", "redis-cli -a \"`cat /key`\" ping"),
    ];

    /// The guess of a health check has the password of its service in it.
    #[test]
    fn what_a_client_of_redis_is_given_is_hidden() {
        let words = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let shell = |script: &str| texts(&["sh", "-c", script]);
        for (check, shown) in [
            (words("redis-cli -a s3cret ping"), words("redis-cli -a keelhaul-starter ping")),
            (words("redis-cli -a redis ping"), words("redis-cli -a keelhaul-starter ping")),
            (words("ls -a somewhere"), words("ls -a somewhere")),
        ]
        .into_iter()
        .chain(SCRIPTS.map(|(check, shown)| (shell(check), shell(shown))))
        {
            let health = Some(check.clone());
            let secrets = Secrets::of(&Choices { health, ..Choices::default() });
            assert_eq!(secrets.hidden_in(&check), shown);
        }
    }

    /// `postgres` is a password, a user, a scheme and a part of paths at once.
    #[test]
    fn a_password_that_is_a_word_is_hidden_only_where_it_is_one() {
        let url = "postgres://postgres:postgres@db/postgres";
        let env = ["POSTGRES_PASSWORD=postgres", "REDIS_PASSWORD=redis"];
        let secrets = Secrets::of(&Choices { env: texts(&env), ..Choices::default() });
        let data = "/var/lib/postgresql/data/pgdata";
        for (name, value, shown) in [
            ("POSTGRES_PASSWORD", "postgres", STAND_IN),
            ("POSTGRES_USER", "postgres", "postgres"),
            ("PGDATA", data, data),
            ("URL", url, "postgres://postgres:keelhaul-starter@db/postgres"),
            (
                "CONNECTION",
                "user=postgres password=postgres",
                "user=postgres password=keelhaul-starter",
            ),
            (
                "OPTS",
                "--password='redis' --auth=redis-cli",
                "--password='keelhaul-starter' --auth=redis-cli",
            ),
        ] {
            assert_eq!(secrets.hidden_of(name, value), shown, "{name}");
        }
        let command =
            ["gosu", "postgres", "postgres", "redis-server", "redis", "--requirepass", "redis"];
        let mut shown = texts(&command);
        shown[6] = STAND_IN.into();
        assert_eq!(secrets.hidden_in(&texts(&command)), shown);
        assert_eq!(secrets.hidden_in(&texts(&["x", "--pass", "3"])), ["x", "--pass", "3"]);
    }
}
