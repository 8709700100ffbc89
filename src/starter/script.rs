//! A shell script, taken apart into commands and words as far as it takes to find what an option is
//! given. Pure.

use std::ops::Range;

/// What a text inside of a text is: what ends it, and the quote that is open in it.
struct Level {
    end: Option<char>,
    quote: Option<char>,
}

/// Where the words of each simple command stand, quotes and all, in order. What `$(…)` and backticks
/// call is a command of its own.
pub(super) fn commands(script: &str) -> Vec<Vec<Range<usize>>> {
    let mut levels = vec![Level { end: None, quote: None }];
    let (mut all, mut command, mut word) = (Vec::new(), Vec::new(), None);
    let mut before = ' ';
    for (at, c) in script.char_indices() {
        let end = what_ends(&mut levels, before, c);
        before = c;
        if end == End::Nothing {
            word = word.or(Some(at));
            continue;
        }
        command.extend(word.take().map(|from| from..at));
        if end == End::Command {
            all.push(std::mem::take(&mut command));
        }
    }
    command.extend(word.map(|from| from..script.len()));
    all.push(command);
    all
}

/// What a character is the end of.
#[derive(PartialEq, Eq)]
enum End {
    Nothing,
    Word,
    Command,
}

fn what_ends(levels: &mut Vec<Level>, before: char, c: char) -> End {
    let Some(level) = levels.last_mut() else { return End::Nothing };
    match (level.quote, c) {
        (None, '\'' | '"') => {
            level.quote = Some(c);
            End::Nothing
        }
        (Some(quote), c) if quote == c => {
            level.quote = None;
            End::Nothing
        }
        (Some('\''), _) => End::Nothing,
        (None, c) if level.end == Some(c) => {
            levels.pop();
            End::Command
        }
        (quote, '(') if quote.is_none() || before == '$' => {
            levels.push(Level { end: Some(')'), quote: None });
            End::Command
        }
        (_, '`') => {
            levels.push(Level { end: Some('`'), quote: None });
            End::Command
        }
        (Some(_), _) => End::Nothing,
        (None, '|' | ';' | '&' | '\n' | ')') => End::Command,
        (None, '<' | '>') => End::Word,
        (None, c) if c.is_whitespace() => End::Word,
        (None, _) => End::Nothing,
    }
}

/// A word without the quotes around it.
pub(super) fn bare(script: &str, word: &Range<usize>) -> Range<usize> {
    let quotes = ['"', '\''];
    let inner = script[word.clone()].trim_start_matches(quotes);
    let start = word.end - inner.len();
    start..start + inner.trim_end_matches(quotes).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_words_are_told_apart() {
        let of = |script: &str| -> Vec<Vec<String>> {
            let words = |command: Vec<Range<usize>>| {
                command.into_iter().map(|at| script[bare(script, &at)].to_owned()).collect()
            };
            commands(script).into_iter().filter(|one| !one.is_empty()).map(words).collect()
        };
        assert_eq!(of("a 'b c'|d"), [vec!["a", "b c"], vec!["d"]]);
        assert_eq!(of("a \"it's\" b>c && d"), [vec!["a", "it's", "b", "c"], vec!["d"]]);
        assert_eq!(of("a \"x `b c` y\" d"), [vec!["a", "x "], vec!["b", "c"], vec![" y", "d"]]);
        assert_eq!(of("a '$(b)' \"$(c ')')\""), [vec!["a", "$(b)", "$"], vec!["c", ")"], vec![""]]);
    }
}
