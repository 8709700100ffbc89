//! Numbers for people: with few digits, and with their unit.

use crate::probes::Unit;

/// So many of the unit's, and their word, largest first.
const BINARY: [(f64, &str); 4] =
    [((1_u32 << 30) as f64, "GiB"), ((1_u32 << 20) as f64, "MiB"), (1024.0, "KiB"), (1.0, "B")];

/// A number with its unit: `1.5 ms`, `64 MiB`, `1 line`.
pub(super) fn quantity(number: f64, unit: Option<Unit>) -> String {
    range(number, number, unit)
}

/// Two numbers with one unit, or one where they are the same to whoever reads them: `0 to 3.4 MiB`.
pub(super) fn range(least: f64, most: f64, unit: Option<Unit>) -> String {
    let (one, word) = scaled(least.abs().max(most.abs()), unit);
    let (least, most) = (figure(least / one), figure(most / one));
    if least == most { format!("{most}{word}") } else { format!("{least} to {most}{word}") }
}

/// What a number as large as this is written in, and the word behind it.
fn scaled(largest: f64, unit: Option<Unit>) -> (f64, String) {
    let binary = || BINARY.into_iter().find(|(one, _)| *one <= largest).unwrap_or(BINARY[3]);
    match unit {
        None => (1.0, String::new()),
        Some(Unit::Bytes) => (binary().0, format!(" {}", binary().1)),
        Some(Unit::BytesPerSecond) => (binary().0, format!(" {}/s", binary().1)),
        Some(unit) => {
            let (one, many) = unit.words();
            (1.0, format!(" {}", if figure(largest) == "1" { one } else { many }))
        }
    }
}

/// A number with three digits that say something: `0.42`, `27.7`, `104 857 600`.
fn figure(value: f64) -> String {
    let digits = match value.abs() {
        0.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    if digits > 0 {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let mut grouped = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && digit.is_ascii_digit() && (text.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped.replace("-\u{202f}", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let all = [0.0, 0.421, 4.0, 27.65, 105.13, 104_857_600.0, -123_456.0].map(figure);
        let space = |text: &str| text.replace(' ', "\u{202f}");
        let expected = ["0", "0.42", "4", "27.6", "105", "104 857 600", "-123 456"];
        assert_eq!(all.to_vec(), expected.map(space));
    }

    #[test]
    fn a_number_has_its_unit_and_two_have_one() {
        let cases = [
            (quantity(1.25, Some(Unit::Milliseconds)), "1.25 ms"),
            (quantity(1.0, Some(Unit::Lines)), "1 line"),
            (quantity(0.0, Some(Unit::Entries)), "0 entries"),
            (quantity(7.0, None), "7"),
            (quantity(f64::from(64 << 20), Some(Unit::Bytes)), "64 MiB"),
            (quantity(1023.0, Some(Unit::Bytes)), "1\u{202f}023 B"),
            (quantity(-2048.0, Some(Unit::BytesPerSecond)), "-2 KiB/s"),
            (range(0.0, f64::from(3 << 20), Some(Unit::Bytes)), "0 to 3 MiB"),
            (range(-2048.0, 1024.0, Some(Unit::BytesPerSecond)), "-2 to 1 KiB/s"),
            (range(0.0, 1.0, Some(Unit::Records)), "0 to 1 record"),
            (range(2.001, 2.002, None), "2"),
        ];
        for (said, wanted) in cases {
            assert_eq!(said, wanted);
        }
    }
}
