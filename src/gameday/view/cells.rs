//! How much of a screen a text takes. A character of Chinese or an emoji has two cells, and an accent of
//! its own none. Pure.

use unicode_width::UnicodeWidthStr as _;

/// Cells of a text.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The beginning that has room in so many cells, and the rest.
pub(super) fn split(text: &str, cells: usize) -> (&str, &str) {
    // not one by one: what follows a character may change its width
    let mut ends = text.char_indices().map(|(at, c)| (at, at + c.len_utf8()));
    let over = ends.find(|(_, end)| width(&text[..*end]) > cells);
    text.split_at(over.map_or(text.len(), |(at, _)| at))
}

/// The same; of a text that is not empty at least one character, however little room there is.
pub(super) fn split_some(text: &str, cells: usize) -> (&str, &str) {
    match split(text, cells) {
        ("", rest) => rest.split_at(rest.chars().next().map_or(0, char::len_utf8)),
        parts => parts,
    }
}

/// A text in rows of so many cells, with room for a cursor behind it.
pub(super) fn rows(text: &str, cells: usize) -> Vec<&str> {
    let (mut rows, mut rest) = (Vec::new(), text);
    while width(rest) >= cells && !rest.is_empty() {
        let (row, more) = split_some(rest, cells);
        rows.push(row);
        rest = more;
    }
    rows.push(rest);
    rows
}

/// Row and cell of the cursor that has so many characters of these rows before it.
pub(super) fn cursor(rows: &[&str], before: usize) -> (usize, usize) {
    let mut left = before;
    for (index, row) in rows.iter().enumerate() {
        let here = row.chars().count();
        if left < here || index + 1 == rows.len() {
            let end = row.char_indices().nth(left).map_or(row.len(), |(at, _)| at);
            return (index, width(&row[..end]));
        }
        left -= here;
    }
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_character_has_two_cells() {
        assert_eq!(split("日本語", 4), ("日本", "語"));
        assert_eq!(split("日本語", 5), ("日本", "語"), "half of one is none");
        assert_eq!(split("e\u{301}a", 1), ("e\u{301}", "a"), "an accent stays with its letter");
        assert_eq!(split("❤\u{fe0f}a", 2), ("❤\u{fe0f}", "a"), "a sign that is shown as an emoji");
        assert_eq!(split("日", 1), ("", "日"));
        assert_eq!(split_some("日本", 1), ("日", "本"));
        assert_eq!(split_some("", 1), ("", ""));
    }

    #[test]
    fn the_cursor_stands_where_its_character_is_drawn() {
        let wide = rows("日本語a", 4);
        assert_eq!(wide, ["日本", "語a"]);
        let at = |before| cursor(&wide, before);
        assert_eq!([at(0), at(1), at(2), at(3), at(4)], [(0, 0), (0, 2), (1, 0), (1, 2), (1, 3)]);
        assert_eq!(rows("abcd", 4), ["abcd", ""]);
        assert_eq!(cursor(&["abcd", ""], 4), (1, 0));
        assert_eq!(rows("a日b", 2), ["a", "日", "b"]);
        assert_eq!(rows("", 4), [""]);
    }
}
