//! Text from outside made fit for a report: printable, bounded, and the same in every format.
//!
//! Whatever a container prints may reach a terminal or an XML file: no byte of it is trusted.

/// Longest line kept of any log or message, in bytes.
pub(crate) const LINE: usize = 4096;

/// Cutting less than this says more of the cut than was cut.
const SLACK: usize = 100;

/// Longest escape sequence that is taken for one.
const ESCAPE: usize = 64;

/// Makes text safe for a terminal and valid in XML 1.0.
///
/// Colour and cursor sequences vanish, other control characters become their pictures (`␀`),
/// and what XML forbids or a terminal would reorder by becomes U+FFFD. Keeps `\n` and `\t`.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '\n' | '\t' => out.push(next),
            // a line that was overwritten in place, as progress bars do
            '\r' => {
                if !rest.as_str().is_empty() && !rest.as_str().starts_with('\n') {
                    out.push('\n');
                }
            }
            '\u{1b}' => match after_sequence(rest.as_str()) {
                Some(after) => rest = after.chars(),
                None => out.push('␛'),
            },
            '\0'..='\u{1f}' => out.push(picture(next)),
            '\u{7f}' => out.push('␡'),
            '\u{80}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            // bidirectional overrides show a line in another order than it has
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// What follows a control sequence (`ESC [ … final byte`); none when this is not one.
fn after_sequence(rest: &str) -> Option<&str> {
    let body = rest.strip_prefix('[')?;
    let end = body
        .char_indices()
        .take(ESCAPE)
        .find(|(_, c)| !matches!(c, '\u{20}'..='\u{3f}'))
        .filter(|(_, c)| matches!(c, '@'..='~'))?;
    body.get(end.0 + 1..)
}

/// The picture of a control character: `␀` for NUL.
fn picture(control: char) -> char {
    char::from_u32(0x2400 + u32::from(control)).unwrap_or('\u{fffd}')
}

/// About `max` bytes of a text at most, with a notice of what was cut; printable.
pub(crate) fn clip(text: &str, max: usize) -> String {
    if text.len() <= max + SLACK.min(max / 4) {
        return printable(text);
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{} … [{} bytes cut]", printable(&text[..end]), text.len() - end)
}

/// A text in one line of at most `max` bytes; printable.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let clipped = clip(text.trim(), max);
    if !clipped.contains(['\n', '\t']) {
        return clipped;
    }
    let words: Vec<&str> = clipped.split(['\n', '\t']).map(str::trim).collect();
    words.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// The last lines of a text: at most `max` bytes and `lines` lines, each bounded; printable.
pub(crate) fn tail(text: &str, max: usize, lines: usize) -> String {
    let body = text.trim_end_matches('\n');
    let mut kept: Vec<String> = Vec::new();
    // where the first line that is kept begins
    let (mut from, mut size) = (body.len() + 1, 0);
    for line in body.rsplit('\n') {
        let line_kept = clip(line, LINE);
        if kept.len() == lines || size + line_kept.len() + 1 > max {
            break;
        }
        from -= line.len() + 1;
        size += line_kept.len() + 1;
        kept.push(line_kept);
    }
    match from.min(body.len()) {
        0 => {}
        // often the line in which a program says why it ended
        cut if cut <= SLACK && max > SLACK => {
            kept.extend(body[..cut].trim_end_matches('\n').rsplit('\n').map(printable));
        }
        cut => kept.push(format!("[{cut} bytes cut]")),
    }
    kept.reverse();
    kept.join("\n")
}

/// A span for people: `0.42ms`, `1.234s`, `2m05s`.
pub(crate) fn span(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{:.2}ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{}ms", micros / 1000),
        1_000_000..60_000_000 => format!("{:.3}s", micros as f64 / 1e6),
        _ => format!("{}m{:02}s", micros / 60_000_000, micros / 1_000_000 % 60),
    }
}

/// `1 case`, `2 cases`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_are_shown_and_sequences_vanish() {
        assert_eq!(printable("a\0b\x1b[31mred\x1b[0m\x1b]0;t\x07"), "a␀bred␛]0;t␇");
        assert_eq!(printable("50%\r100%\r\nend\r"), "50%\n100%\nend");
        assert_eq!(printable("\u{ffff}\u{202e}\u{85}"), "\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(printable("\x1b[31"), "␛[31");
    }

    #[test]
    fn what_is_cut_is_said() {
        assert_eq!(clip("ééé", 3), "é … [4 bytes cut]");
        assert_eq!(tail("a\nb\nc\n", 100, 2), "[2 bytes cut]\nb\nc");
        let start = "x".repeat(150);
        assert_eq!(tail(&format!("{start}\nb\nc\n\n"), 4000, 2), "[151 bytes cut]\nb\nc");
        assert_eq!(clip(&start, 20), format!("{} … [130 bytes cut]", "x".repeat(20)));
    }

    #[test]
    fn what_is_hardly_longer_is_not_cut() {
        assert_eq!(tail("why\nb\nc\n\n", 4000, 2), "why\nb\nc");
        assert_eq!(tail("é\nb", 4000, 1), "é\nb");
        let long = "x".repeat(120);
        assert_eq!(clip(&long, 100), long);
        let long = tail(&"x".repeat(1 << 20), 1 << 16, 10);
        assert!(long.len() < LINE + 100 && long.contains("bytes cut"), "{}", long.len());
    }

    proptest! {
        #[test]
        fn nothing_that_xml_forbids_is_left(text in any::<String>()) {
            let forbidden = |c: char| (c < ' ' && c != '\n' && c != '\t') || matches!(c, '\u{fffe}' | '\u{ffff}');
            prop_assert!(!printable(&text).contains(forbidden));
            prop_assert!(!one_line(&text, 40).contains(['\n', '\t']));
        }
    }
}
