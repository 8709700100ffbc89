//! The Prometheus text exposition format, as far as a probe needs it: samples by name and labels.
//! Pure.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::collections::BTreeMap;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// Every sample of a page, in its order.
///
/// # Errors
/// The first line that is none, by its number from 1.
pub(super) fn parse(page: &str) -> Result<Vec<Series>, String> {
    let mut found = Vec::new();
    for (at, line) in page.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        found.push(series(line).ok_or_else(|| format!("line {} is no sample: `{line}`", at + 1))?);
    }
    Ok(found)
}

fn series(line: &str) -> Option<Series> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    // a timestamp may follow
    let value = rest.split_whitespace().next()?.parse().ok()?;
    (!name.is_empty()).then(|| Series { name: name.to_owned(), labels, value })
}

/// What stands between the braces, and what follows them.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquote(quoted)?;
        labels.insert(name.trim().to_owned(), value);
        rest = after;
    }
}

/// A value up to its closing quote, and what follows that.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_with_and_without_labels_and_timestamps() {
        let page = "# HELP a b\n# TYPE a counter\na 3\n\nb{x=\"1\", y=\"two\",} 4.5e3 1700000000\nc{} +Inf";
        let found = parse(page).unwrap();
        let values: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.value)).collect();
        assert_eq!(values, [("a", 3.0), ("b", 4500.0), ("c", f64::INFINITY)]);
        assert_eq!(found[1].labels["y"], "two");
        assert!(found[2].labels.is_empty());
    }

    #[test]
    fn a_quoted_value_may_hold_anything() {
        let found = parse(r#"a{path="C:\\x\"}\n",b=""} 1"#).unwrap();
        assert_eq!(found[0].labels["path"], "C:\\x\"}\n");
        assert_eq!(found[0].labels["b"], "");
    }

    #[test]
    fn what_is_no_sample_is_named_by_its_line() {
        for bad in ["a", "a x", "{x=\"1\"} 1", "a{x=1} 1", "a{x=\"1\" 1", "<html>"] {
            let error = parse(&format!("ok 1\n{bad}")).unwrap_err();
            assert!(error.starts_with("line 2 is no sample"), "{bad}: {error}");
        }
    }
}
