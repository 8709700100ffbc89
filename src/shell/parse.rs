//! What a line says. Pure.

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// An empty line, or a comment.
    Nothing,
    Help,
    Pwd,
    Mounts,
    Ps,
    Id,
    Exit(u8),
    /// Names of the subject's environment, or the value of one.
    Env(Option<String>),
    Cd(String),
    Ls(Vec<String>),
    Cat(Vec<String>),
    Stat(Vec<String>),
    Df(Vec<String>),
    Touch(Vec<String>),
    Mkdir {
        parents: bool,
        paths: Vec<String>,
    },
    Rm {
        recursive: bool,
        force: bool,
        paths: Vec<String>,
    },
    Write {
        path: String,
        text: String,
    },
    /// A program of the subject's, with its arguments.
    Program(Vec<String>),
}

/// What `help` prints.
pub(super) const HELP: &str = "\
in the namespaces of the subject, with nothing of its image:
  ls [PATH…]           entries: mode, links, owner, size, name
  cat PATH…            contents
  stat PATH…           what the kernel says of a file, links not followed
  df [PATH…]           bytes and inodes: size, used, free
  mounts               the subject's mount table, stacked mounts too
  cd [PATH], pwd       the directory that other paths are relative to
  write PATH TEXT…     replace the contents by a line of text
  touch, mkdir [-p], rm [-rf]   PATH…
  ps, id               the subject's processes; who its first one is
  env [NAME]           names in its environment; the value of one
  exit [CODE]          leave; so does the end of input
any other word runs a program of the subject's, as its user, with no more than its capabilities
";

/// Reads a line.
///
/// # Errors
/// In words, with how the command is written.
pub(super) fn parse(line: &str) -> Result<Command, String> {
    if line.trim_start().starts_with('#') {
        return Ok(Command::Nothing);
    }
    let words = words(line)?;
    let Some((name, rest)) = words.split_first() else { return Ok(Command::Nothing) };
    let taken = |allowed: &str| options(name, rest, allowed);
    Ok(match name.as_str() {
        "help" | "?" => Command::Help,
        "pwd" => Command::Pwd,
        "mounts" | "mount" => Command::Mounts,
        "ps" => Command::Ps,
        "id" => Command::Id,
        "exit" | "quit" => Command::Exit(code(rest)?),
        "env" => Command::Env(rest.first().cloned()),
        "cd" => Command::Cd(rest.first().cloned().unwrap_or_else(|| "/".to_owned())),
        "ls" => Command::Ls(taken("lah")?.1),
        "df" => Command::Df(taken("hi")?.1),
        "cat" => Command::Cat(paths(name, taken("")?.1)?),
        "stat" => Command::Stat(paths(name, taken("")?.1)?),
        "touch" => Command::Touch(paths(name, taken("")?.1)?),
        "mkdir" => {
            let (given, rest) = taken("p")?;
            Command::Mkdir { parents: given.contains('p'), paths: paths(name, rest)? }
        }
        "rm" => {
            let (given, rest) = taken("rf")?;
            let (recursive, force) = (given.contains('r'), given.contains('f'));
            Command::Rm { recursive, force, paths: paths(name, rest)? }
        }
        "write" => match rest {
            [path, text @ ..] => Command::Write { path: path.clone(), text: text.join(" ") },
            [] => return Err("write: PATH is missing: `write PATH TEXT…`".into()),
        },
        _ => Command::Program(words),
    })
}

fn code(rest: &[String]) -> Result<u8, String> {
    let Some(word) = rest.first() else { return Ok(0) };
    word.parse().map_err(|_| format!("exit: `{word}` is no number from 0 to 255"))
}

/// The letters of leading options, which must be among those allowed, and the other words.
fn options(name: &str, rest: &[String], allowed: &str) -> Result<(String, Vec<String>), String> {
    let mut letters = String::new();
    let mut words = rest.iter();
    let mut paths = Vec::new();
    for word in words.by_ref() {
        match word.strip_prefix('-') {
            Some("-") => break,
            Some(given) if !given.is_empty() => {
                if let Some(unknown) = given.chars().find(|letter| !allowed.contains(*letter)) {
                    return Err(format!("{name}: no option `-{unknown}` here; `help` lists all"));
                }
                letters.push_str(given);
            }
            _ => paths.push(word.clone()),
        }
    }
    paths.extend(words.cloned());
    Ok((letters, paths))
}

fn paths(name: &str, paths: Vec<String>) -> Result<Vec<String>, String> {
    if paths.is_empty() { Err(format!("{name}: PATH is missing")) } else { Ok(paths) }
}

/// Words between blanks; quotes and backslashes as in `sh`, without variables.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(end), letter) if letter == end => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = letters.next().ok_or("the line ends with a backslash")?;
                word.get_or_insert_default().push(next);
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            // taken for a part of a word, it would be done to the wrong path
            (None, '|' | ';' | '<' | '>' | '&') => {
                return Err(format!(
                    "`{letter}`: one command a line, without pipes and redirection; quote it, or run \
                     `sh -c '…'` where the subject has a shell"
                ));
            }
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(end) = quote {
        return Err(format!("the quote {end} is not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn words_are_split_as_in_sh() {
        assert_eq!(
            words(r#" a "b c"'d' e\ f "" "x\"y" "#).unwrap(),
            ["a", "b cd", "e f", "", "x\"y"]
        );
        assert!(words("a 'b").is_err() && words("a\\").is_err());
        assert_eq!(words("echo 'a;b' c\\|d").unwrap(), ["echo", "a;b", "c|d"]);
        for line in ["rm a; ls", "cat a|wc", "ls >b", "a && b"] {
            assert!(words(line).unwrap_err().contains("one command a line"), "{line}");
        }
    }

    #[test]
    fn built_ins_are_told_from_programs() {
        assert_eq!(parse("  "), Ok(Command::Nothing));
        assert_eq!(parse(" # a note; and more"), Ok(Command::Nothing));
        assert_eq!(parse("df -h /data"), Ok(Command::Df(strings(&["/data"]))));
        assert_eq!(parse("cd"), Ok(Command::Cd("/".into())));
        assert_eq!(parse("exit 3"), Ok(Command::Exit(3)));
        assert_eq!(parse("/bin/df -h"), Ok(Command::Program(strings(&["/bin/df", "-h"]))));
        let write = Command::Write { path: "/a b".into(), text: "one two".into() };
        assert_eq!(parse("write '/a b' one two"), Ok(write));
        let rm = Command::Rm { recursive: true, force: true, paths: strings(&["-x"]) };
        assert_eq!(parse("rm -rf -- -x"), Ok(rm));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert_eq!(parse("cat"), Err("cat: PATH is missing".into()));
        assert!(parse("rm -z /a").unwrap_err().contains("`-z`"));
        assert!(parse("exit soon").is_err());
    }

    #[test]
    fn help_names_every_built_in() {
        for word in [
            "ls", "cat", "stat", "df", "mounts", "cd", "pwd", "write", "touch", "mkdir", "rm",
            "ps", "id", "env", "exit",
        ] {
            assert!(HELP.contains(word), "{word}");
            assert!(!matches!(parse(&format!("{word} x")), Ok(Command::Program(_))), "{word}");
        }
    }
}
