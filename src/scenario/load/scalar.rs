//! Plain scalars by the core schema of YAML 1.2: `yes`, `no`, `on` and `off` are text.

use super::node::Value;

/// What a scalar without quotes says.
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let radix = |digits: &str, radix| i128::from_str_radix(digits, radix).ok().map(Value::Int);
    if let Some(hex) = text.strip_prefix("0x") {
        return hex.chars().all(|c| c.is_ascii_hexdigit()).then(|| radix(hex, 16))?;
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return octal.chars().all(|c| c.is_digit(8)).then(|| radix(octal, 8))?;
    }
    if !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()) {
        return radix(text, 10);
    }
    let floaty = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    floaty.then(|| text.parse().ok().map(Value::Float))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_schema() {
        assert_eq!(resolve("no"), Value::Text("no".into()));
        assert_eq!(resolve("128"), Value::Int(128));
        assert_eq!(resolve("-1"), Value::Int(-1));
        assert_eq!(resolve("0x1f"), Value::Int(31));
        assert_eq!(resolve("1.5"), Value::Float(1.5));
        assert_eq!(resolve("1e3"), Value::Float(1000.0));
        assert_eq!(resolve("1.2.3"), Value::Text("1.2.3".into()));
        assert_eq!(resolve("."), Value::Text(".".into()));
        assert_eq!(resolve("5s"), Value::Text("5s".into()));
        assert_eq!(resolve("~"), Value::Null);
    }
}
