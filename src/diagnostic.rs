//! Diagnostics for what the user wrote: position, excerpt, what to do.
//!
//! A diagnostic carries the lines it shows, so rendering needs no source. Pure: it reads no file
//! and knows nothing of scenarios.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use serde::{Deserialize, Serialize};

/// More than this many are summed up in one line.
pub const SHOWN: usize = 100;
/// Columns of a source line that are shown; longer lines are cropped around the caret.
const WIDTH: usize = 100;
/// Separates what is wrong from what to do, in every error text of this crate.
const HINT: &str = "\n\nhint: ";

/// One problem, where it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Where; none when it is about the command line.
    pub place: Option<Place>,
    /// What is wrong: lower-case fragment, literals in backticks.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// What else belongs to it.
    pub notes: Vec<Note>,
}

/// A remark beside a problem: `${X}` is defined here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// The remark.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
}

/// A file, and the part of a line in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The file, as the user named it.
    pub file: String,
    /// The part of a line; none when the file as a whole is meant.
    pub spot: Option<Spot>,
}

/// Part of one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spot {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters underlined; at least one is shown.
    pub length: usize,
    /// The whole line.
    pub text: String,
}

impl Diagnostic {
    /// A problem; a hint may follow the message after a blank line and `hint: `.
    #[must_use]
    pub fn new(place: Option<Place>, text: &str) -> Self {
        let (message, hint) = match text.split_once(HINT) {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text.to_owned(), None),
        };
        Self { place, message, hint, notes: Vec::new() }
    }

    /// About a file as a whole.
    #[must_use]
    pub fn of_file(file: &str, text: &str) -> Self {
        Self::new(Some(Place { file: file.to_owned(), spot: None }), text)
    }

    /// With a remark.
    #[must_use]
    pub fn note(mut self, message: impl Into<String>, place: Option<Place>) -> Self {
        self.notes.push(Note { message: message.into(), place });
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spot {
            Some(spot) => write!(f, "{}:{}:{}", clean(&self.file), spot.line, spot.column),
            None => f.write_str(&clean(&self.file)),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.notes.iter().map(|note| note.place.as_ref()).chain([self.place.as_ref()]);
        let lines = places.filter_map(|place| place?.spot.as_ref().map(|spot| spot.line));
        let gutter = lines.max().unwrap_or(1).to_string().len();
        writeln!(f, "error: {}", clean(&self.message))?;
        excerpt(f, self.place.as_ref(), gutter, '^')?;
        for note in &self.notes {
            writeln!(f, "{:gutter$} note: {}", "", clean(&note.message))?;
            excerpt(f, note.place.as_ref(), gutter, '-')?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "{:gutter$} hint: {}", "", clean(hint))?;
        }
        Ok(())
    }
}

/// The position, the line and the underline.
fn excerpt(
    f: &mut fmt::Formatter<'_>,
    place: Option<&Place>,
    gutter: usize,
    mark: char,
) -> fmt::Result {
    let Some(place) = place else { return Ok(()) };
    writeln!(f, "{:gutter$}--> {place}", "")?;
    let Some(spot) = &place.spot else { return Ok(()) };
    let (line, underline) = spot.draw(mark);
    writeln!(f, "{:gutter$} |", "")?;
    writeln!(f, "{}", format!("{:>gutter$} | {line}", spot.line).trim_end())?;
    writeln!(f, "{:gutter$} | {underline}", "")
}

impl Spot {
    /// The line as shown, and marks beneath the part that is meant.
    fn draw(&self, mark: char) -> (String, String) {
        let glyphs: Vec<String> = self.text.chars().map(glyph).collect();
        let start = (self.column.max(1) - 1).min(glyphs.len());
        let end = (start + self.length).clamp(start, glyphs.len());
        let from = if glyphs.len() > WIDTH { start.saturating_sub(WIDTH / 2) } else { 0 };
        let to = glyphs.len().min(from + WIDTH);
        let (before, after) =
            (if from > 0 { "…" } else { "" }, if to < glyphs.len() { "…" } else { "" });
        let line = format!("{before}{}{after}", glyphs[from..to].concat());
        let indent = width(before) + width(&glyphs[from..start].concat());
        let marks = width(&glyphs[start..end.min(to)].concat()).max(1);
        let mut underline = " ".repeat(indent);
        underline.extend(std::iter::repeat_n(mark, marks));
        (line, underline)
    }
}

/// What is printed for a character: tabs as spaces, control characters visibly.
fn glyph(c: char) -> String {
    match c {
        '\t' => "    ".to_owned(),
        c if is_hostile(c) => "\u{fffd}".to_owned(),
        c => c.to_string(),
    }
}

/// Characters that would move the cursor, colour the terminal or reorder the text.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A message without characters that could act on a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if is_hostile(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Columns that a text takes on a terminal.
fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// East Asian wide characters and pictographs take two columns, combining marks none. The ranges
/// are those of Unicode's `EastAsianWidth.txt`, coarsened to blocks.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Brings diagnostics into reading order and drops repetitions.
#[must_use]
pub fn sorted(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort();
    diagnostics.dedup();
    diagnostics
}

/// All of them as text, at most [`SHOWN`], and a last line that counts them.
#[must_use]
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.iter().take(SHOWN) {
        // writing to a string cannot fail
        let _ = writeln!(text, "{diagnostic}");
    }
    let more = diagnostics.len().saturating_sub(SHOWN);
    if more > 0 {
        let _ = writeln!(text, "… and {more} more\n");
    }
    let mut files: Vec<&str> =
        diagnostics.iter().filter_map(|d| Some(d.place.as_ref()?.file.as_str())).collect();
    files.sort_unstable();
    files.dedup();
    let _ = writeln!(
        text,
        "{}{}",
        count(diagnostics.len(), "error"),
        match files.len() {
            0 => String::new(),
            n => format!(" in {}", count(n, "file")),
        }
    );
    text
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The candidate that the user probably meant.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words; case, `_` for `-` and a shared beginning are forgiven.
fn distance(word: &str, candidate: &str) -> usize {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let (word, candidate) = (plain(word), plain(candidate));
    if word.len() >= 4 && candidate.starts_with(&word) {
        return 1;
    }
    strsim::damerau_levenshtein(&word, &candidate)
}

/// A hint on a name that is not known: the one that was probably meant, or all of them.
#[must_use]
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let candidates: Vec<&str> = candidates.into_iter().filter(|name| seen.insert(*name)).collect();
    if let Some(meant) = closest(word, candidates.iter().copied()) {
        return Some(format!("did you mean `{meant}`?"));
    }
    (!candidates.is_empty()).then(|| format!("known here: {}", listed(candidates)))
}

/// Names in backticks, separated by commas.
#[must_use]
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, column: usize, length: usize) -> Diagnostic {
        let spot = Spot { line: 7, column, length, text: text.into() };
        Diagnostic::new(
            Some(Place { file: "a.yaml".into(), spot: Some(spot) }),
            "this is wrong\n\nhint: do that",
        )
    }

    #[test]
    fn a_diagnostic_shows_position_excerpt_and_hint() {
        let text = at("memory: 128", 9, 3).to_string();
        assert_eq!(
            text,
            "error: this is wrong\n --> a.yaml:7:9\n  |\n7 | memory: 128\n  |         ^^^\n  hint: do that\n"
        );
    }

    #[test]
    fn carets_stand_below_wide_characters_and_tabs() {
        let (line, marks) =
            Spot { line: 1, column: 4, length: 2, text: "\t漢: ab".into() }.draw('^');
        assert_eq!(line, "    漢: ab");
        assert_eq!(marks, format!("{}^^", " ".repeat(7)));
    }

    #[test]
    fn long_lines_are_cropped_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let (line, marks) = Spot { line: 1, column: 5001, length: 1, text }.draw('^');
        assert!(width(&line) <= WIDTH + 2, "{line}");
        let under = line.chars().nth(marks.chars().count() - 1);
        assert_eq!(under, Some('X'));
    }

    #[test]
    fn escapes_never_reach_the_terminal() {
        let text = at("a: \u{1b}[31m\u{202e}", 4, 1).to_string();
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }

    #[test]
    fn the_list_is_bounded_and_counted() {
        let many: Vec<_> = (1..=150).map(|n| at("x", n, 1)).collect();
        let text = render(&sorted(many));
        assert!(text.contains("… and 50 more"));
        assert!(text.ends_with("150 errors in 1 file\n"), "{text}");
        assert_eq!(text.matches("error: ").count(), SHOWN);
    }

    #[test]
    fn the_probable_name_is_suggested() {
        assert_eq!(closest("memroy", ["memory", "mounts"]), Some("memory"));
        assert_eq!(closest("inode", ["inode-exhaustion", "pause"]), Some("inode-exhaustion"));
        assert_eq!(closest("zzz", ["memory", "mounts"]), None);
    }
}
