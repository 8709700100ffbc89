//! Scalars and lists as a scenario writes them, so that they read back as they were. Pure.

/// A text, in quotes where it needs them; variables in it stand for themselves.
pub(super) fn text(text: &str) -> String {
    let escaped = text.replace("${", "$${");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
    let is_word = escaped.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && escaped.chars().all(plain)
        && !["true", "false", "null"].contains(&escaped.to_lowercase().as_str());
    // JSON's quoting is YAML's
    if is_word { escaped } else { serde_json::Value::String(escaped).to_string() }
}

/// A list on one line.
pub(super) fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| text(word)).collect();
    format!("[{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_word_is_quoted() {
        assert_eq!(text("/data"), "/data");
        assert_eq!(text("8080"), "\"8080\"");
        assert_eq!(text("true"), "\"true\"");
        assert_eq!(text("a: b\n"), "\"a: b\\n\"");
        assert_eq!(text("${X}"), "\"$${X}\"");
        assert_eq!(list(&["a".into(), "-c".into()]), "[a, \"-c\"]");
    }
}
