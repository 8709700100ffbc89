//! One line that is typed: characters and a cursor. Pure.

/// Bytes. Longer is no line that a person types.
pub(super) const LONGEST: usize = 1000;

/// A line that is being typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    before: String,
    after: String,
}

impl Line {
    /// Starts with a text, the cursor behind it.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self { before: text.to_owned(), after: String::new() }
    }

    /// Starts with a text, the cursor before the first of these parts, or behind it all.
    #[must_use]
    pub fn before(text: &str, part: &str) -> Self {
        let (before, after) = text.split_at(text.find(part).unwrap_or(text.len()));
        Self { before: before.to_owned(), after: after.to_owned() }
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.before, self.after)
    }

    /// Characters before the cursor.
    #[must_use]
    pub fn cursor(&self) -> usize {
        self.before.chars().count()
    }

    /// Puts a character at the cursor. Control characters are none.
    pub fn insert(&mut self, c: char) {
        if !c.is_control() && self.before.len() + self.after.len() + c.len_utf8() <= LONGEST {
            self.before.push(c);
        }
    }

    /// Takes away the character before the cursor.
    pub fn delete(&mut self) {
        self.before.pop();
    }

    /// Takes away a part that stands right behind the cursor.
    pub fn take(&mut self, part: &str) {
        if let Some(rest) = self.after.strip_prefix(part) {
            self.after = rest.to_owned();
        }
    }

    /// Takes away all before the cursor.
    pub fn clear(&mut self) {
        self.before.clear();
    }

    /// Moves the cursor by one character.
    pub fn left(&mut self) {
        if let Some(c) = self.before.pop() {
            self.after.insert(0, c);
        }
    }

    /// Moves the cursor by one character.
    pub fn right(&mut self) {
        if !self.after.is_empty() {
            self.before.push(self.after.remove(0));
        }
    }

    /// Moves the cursor to the first character.
    pub fn home(&mut self) {
        self.after = self.text();
        self.before.clear();
    }

    /// Moves the cursor behind the last character.
    pub fn end(&mut self) {
        self.before = self.text();
        self.after.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_go_where_the_cursor_is() {
        let mut line = Line::of("déf");
        line.home();
        line.insert('a');
        line.right();
        line.delete();
        line.insert('\n');
        assert_eq!((line.text().as_str(), line.cursor()), ("aéf", 1));
        line.end();
        line.left();
        line.clear();
        assert_eq!(line.text(), "f");
    }

    #[test]
    fn a_part_can_be_typed_over() {
        let mut line = Line::before("a <x> b <x>", "<x>");
        assert_eq!(line.cursor(), 2);
        line.take("<x>");
        line.insert('c');
        line.take("<x>");
        assert_eq!(line.text(), "a c b <x>");
        assert_eq!(Line::before("abc", "<x>").cursor(), 3);
    }
}
