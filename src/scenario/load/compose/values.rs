//! Values as Compose writes them: switches, sizes, durations, commands, files of variables. Pure.

use super::build;
use crate::{
    diagnostic::closest,
    scenario::load::{
        node::{Node, Value},
        problem::Problem,
    },
};

/// It is there already, and not the run's to make.
pub(super) const EXTERNAL: &str = "external";

/// A switch, which is a text where it stood in quotes or came of a variable; none for anything else.
pub(super) fn flag(node: &Node) -> Option<bool> {
    match &node.value {
        Value::Bool(flag) => Some(*flag),
        Value::Text(text) => match text.to_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// What is wrong with a value that is no switch.
pub(super) fn no_switch(what: &str, node: &Node) -> Problem {
    let word = build::word(node).unwrap_or_default();
    let meant = closest(word, ["true", "false"]);
    let hint = meant.map(|meant| format!("\n\nhint: did you mean `{meant}`?")).unwrap_or_default();
    Problem::on(node, format!("{what} wants `true` or `false`, not {}{hint}", node.words()))
}

/// The same of a map of a section: `external` may be one, with the name of what is there already.
pub(super) fn no_switches(what: &str, map: &Node, keys: &[&str]) -> Vec<Problem> {
    let entries = map.entries().iter().filter(|entry| keys.contains(&entry.key.as_str()));
    let wrong = entries.filter(|entry| {
        let named = entry.key == EXTERNAL && matches!(entry.value.value, Value::Map(_));
        flag(&entry.value).is_none() && !named
    });
    wrong.map(|entry| no_switch(&format!("`{}` of {what}", entry.key), &entry.value)).collect()
}

/// Bytes of `512m`, `1g`, `64kb` or `4096`; powers of 1024, as Compose counts.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let shift = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let scaled = number.parse::<f64>().ok()? * f64::from(shift).exp2();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    (0.0..9e18).contains(&scaled).then_some(scaled as u64)
}

/// Milliseconds of `1m30s`, `500ms` or `10s`.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let (mut rest, mut micros) = (text.trim(), 0_u64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let unit = match unit {
            "us" => 1,
            "ms" => 1000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            _ => return None,
        };
        micros = number.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(micros)?;
        rest = next;
    }
    Some(micros / 1000)
}

/// The words of a command as a shell would split it, without expanding anything; none where a quote
/// is never closed.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None) => word.get_or_insert_default().push(chars.next()?),
            ('\\', Some('"')) => {
                let next = chars.next()?;
                let word = word.get_or_insert_default();
                if !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => all.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    quote.is_none().then_some(all)
}

/// `KEY=VALUE` lines of a file of variables; a value in single quotes is taken as it is, which the
/// last element says.
pub(super) fn variables(text: &str) -> Vec<(String, String, bool)> {
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.filter_map(|line| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let value = value.trim();
        let inside = |quote: char| {
            value.strip_prefix(quote).and_then(|rest| rest.rsplit_once(quote)).map(|(it, _)| it)
        };
        let (value, literal) = match (inside('\''), inside('"')) {
            (Some(value), _) => (value.to_owned(), true),
            (None, Some(value)) => (value.replace("\\n", "\n").replace("\\\"", "\""), false),
            _ => (value.split(" #").next().unwrap_or_default().trim_end().to_owned(), false),
        };
        Some((name.trim().to_owned(), value, literal))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load::node::Span;

    #[test]
    fn a_switch_may_be_a_text() {
        let text = |text| flag(&build::text(Span::default(), text));
        assert_eq!((text("true"), text("Yes"), text("on")), (Some(true), Some(true), Some(true)));
        assert_eq!(
            (text("false"), text("no"), text("OFF")),
            (Some(false), Some(false), Some(false))
        );
        assert_eq!((text(""), text("1"), text("ro")), (None, None, None));
        assert_eq!(flag(&build::flag(Span::default(), true)), Some(true));
        assert_eq!(flag(&build::number(Span::default(), 1)), None);
    }

    #[test]
    fn sizes_and_durations_are_compose_s() {
        assert_eq!(bytes("512m"), Some(512 << 20));
        assert_eq!(bytes("1.5G"), Some(3 << 29));
        assert_eq!(bytes("64kb"), Some(64 << 10));
        assert_eq!(bytes("4096"), Some(4096));
        assert_eq!((bytes("a lot"), bytes("5x"), bytes("")), (None, None, None));
        assert_eq!(milliseconds("1m30s"), Some(90_000));
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!((milliseconds("5"), milliseconds(""), milliseconds("s")), (None, None, None));
    }

    #[test]
    fn commands_are_split_as_a_shell_does() {
        let words = |text| words(text).map(|words| words.join("|"));
        assert_eq!(words("a  'b c' \"d\\\"e\" f\\ g ''").as_deref(), Some("a|b c|d\"e|f g|"));
        assert_eq!(words("sh -c \"echo \\n\"").as_deref(), Some("sh|-c|echo \\n"));
        assert_eq!(words("a 'b"), None);
    }

    #[test]
    fn files_of_variables() {
        let text = "# c\nA=1 # one\nexport B=\"x y\"\nC='$A'\n\nD=\nnothing\n";
        let found = variables(text);
        let names: Vec<_> = found.iter().map(|(name, value, _)| (&**name, &**value)).collect();
        assert_eq!(names, [("A", "1"), ("B", "x y"), ("C", "$A"), ("D", "")]);
        assert!(found[2].2 && !found[1].2);
    }
}
