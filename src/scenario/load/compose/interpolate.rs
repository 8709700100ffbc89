//! `${NAME}` in values of a Compose file, by Compose's own rules. Pure.

/// What a name stands for; none where nothing gives it a value.
pub(super) type Lookup<'a> = &'a mut dyn FnMut(&str) -> Option<String>;

/// Variables inside the defaults of each other.
const MAX_DEPTH: usize = 8;

/// The text with every variable put in.
///
/// # Errors
/// What is wrong with the text, or which name has no value.
pub(super) fn interpolate(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    within(text, lookup, MAX_DEPTH)
}

fn within(text: &str, lookup: Lookup<'_>, depth: usize) -> Result<String, String> {
    if depth == 0 {
        return Err(format!("more than {MAX_DEPTH} variables inside each other"));
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = closing(after).ok_or("`${` is never closed\n\nhint: add the `}`")?;
            out.push_str(&braced(&after[..end], lookup, depth)?);
            rest = &after[end + 1..];
        } else {
            let end = name_end(rest);
            if end == 0 {
                return Err(
                    "a `$` stands alone\n\nhint: write `$$` for the character itself".into()
                );
            }
            out.push_str(&lookup(&rest[..end]).ok_or_else(|| unset(&rest[..end]))?);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the brace that is open ends.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

fn name_end(text: &str) -> usize {
    let is_in = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c| !is_in(c)).unwrap_or(text.len())
}

/// `NAME`, `NAME:-default`, `NAME-default`, `NAME:?why`, `NAME?why`, `NAME:+other`, `NAME+other`.
fn braced(inside: &str, lookup: Lookup<'_>, depth: usize) -> Result<String, String> {
    let (name, operator) = inside.split_at(name_end(inside));
    if name.is_empty() {
        return Err(format!("`${{{inside}}}` names no variable"));
    }
    let found = lookup(name);
    let (colon, operator) = match operator.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, operator),
    };
    let given = found.filter(|value| !(colon && value.is_empty()));
    let mut signs = operator.chars();
    match (signs.next(), given) {
        (None, Some(value)) if !colon => Ok(value),
        (None, None) if !colon => Err(unset(name)),
        (Some('-'), Some(value)) | (Some('?'), Some(value)) => Ok(value),
        (Some('-'), None) | (Some('+'), Some(_)) => within(signs.as_str(), lookup, depth - 1),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => Err(format!("{}: {}", no_value(name), signs.as_str()) + &advice(name)),
        _ => Err(format!(
            "`${{{inside}}}` is not a variable\n\nhint: Compose knows `${{NAME}}`, `:-`, `:?` and `:+`"
        )),
    }
}

fn no_value(name: &str) -> String {
    format!("`${{{name}}}` has no value")
}

fn unset(name: &str) -> String {
    no_value(name) + &advice(name)
}

fn advice(name: &str) -> String {
    format!(
        "\n\nhint: declare it in the scenario: `vars: {{ {name}: … }}`, or `{name}: \"${{env:{name}}}\"` for the environment's"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Result<String, String> {
        interpolate(text, &mut |name| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn every_form_of_compose_is_known() {
        for (text, expected) in [
            ("x${A}y$A z", "xaya z"),
            ("$$A $${A}", "$A ${A}"),
            ("${B:-b}", "b"),
            ("${B-b}", "b"),
            ("${EMPTY:-b}", "b"),
            ("${EMPTY-b}", ""),
            ("${A:+other}", "other"),
            ("${B:+other}", ""),
            ("${B:-${C:-${A}}}", "a"),
            ("${A:?why}", "a"),
        ] {
            assert_eq!(put(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_named() {
        assert!(put("${B}").unwrap_err().starts_with("`${B}` has no value\n\nhint: declare it"));
        assert!(put("${B:?give it}").unwrap_err().starts_with("`${B}` has no value: give it"));
        for text in ["${A", "$ ", "${}", "${A!b}", "${A:}"] {
            assert!(put(text).is_err(), "{text}");
        }
    }
}
