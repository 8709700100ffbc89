//! Durations, sizes, percentages, rates and modes as users write them.
//!
//! Every type reads from one string form, prints back to it, and says what it accepts when it
//! refuses. Pure: no clock.

use std::{borrow::Cow, fmt, str::FromStr, time};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a value with a unit was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {wanted}\n\nhint: {hint}")]
pub struct UnitError {
    /// The text as written.
    pub given: String,
    /// What was expected, with its article: `a duration`.
    pub wanted: &'static str,
    /// Examples of what is accepted.
    pub hint: &'static str,
}

/// Gives a type with `FromStr` and `Display` its serde and JSON-schema forms.
macro_rules! text_unit {
    ($type:ident, $wanted:literal, $hint:literal, $pattern:literal) => {
        impl $type {
            fn refuse(given: &str) -> UnitError {
                UnitError { given: given.to_owned(), wanted: $wanted, hint: $hint }
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $hint })
            }
        }
    };
}

/// A span of time; written `250ms`, `5s`, `2m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(pub time::Duration);

text_unit!(
    Duration,
    "a duration",
    "write a number and a unit: `250ms`, `5s`, `2m` or `1h`",
    r"^[0-9]+(\.[0-9]+)?(us|ms|s|m|h|d)$|^\$\{.*\}$"
);

impl Duration {
    /// Milliseconds as a duration.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(time::Duration::from_millis(millis))
    }

    /// Seconds as a duration.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(time::Duration::from_secs(secs))
    }
}

/// Microseconds per unit, longest suffix first so that `ms` is not read as `s`.
const TIME_UNITS: [(&str, f64); 6] =
    [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 60e6), ("h", 3_600e6), ("d", 86_400e6)];

impl FromStr for Duration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split_unit(text);
        let value: f64 = number.parse().map_err(|_| Self::refuse(text))?;
        let (_, micros) = TIME_UNITS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| Self::refuse(text))?;
        let seconds = value * micros / 1e6;
        // a year: longer is a typing error, and would overflow deadlines
        if !(0.0..=366.0 * 86_400.0).contains(&seconds) {
            return Err(Self::refuse(text));
        }
        Ok(Self(time::Duration::from_secs_f64(seconds)))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let text = match micros {
            m if m % 60_000_000 == 0 && m > 0 => format!("{}m", m / 60_000_000),
            m if m % 1_000_000 == 0 => format!("{}s", m / 1_000_000),
            m if m % 1_000 == 0 => format!("{}ms", m / 1_000),
            m => format!("{m}us"),
        };
        f.pad(&text)
    }
}

/// A number of bytes; written `64MiB`, `512KiB`, `4096B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(pub u64);

text_unit!(
    Size,
    "a size",
    "write a number and a unit: `64MiB`, `512KiB`, `1GiB` or `4096B`",
    r"^[0-9]+(\.[0-9]+)? ?(B|[KMGT]i?B)$|^\$\{.*\}$"
);

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (_, unit) = split_unit(text);
        if unit.is_empty() {
            return Err(Self::refuse(text));
        }
        let size: bytesize::ByteSize = text.parse().map_err(|_| Self::refuse(text))?;
        Ok(Self(size.as_u64()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STEPS: [(&str, u64); 4] =
            [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let exact = STEPS.into_iter().find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit));
        match exact {
            Some((name, unit)) => f.pad(&format!("{}{name}", self.0 / unit)),
            None => f.pad(&format!("{}B", self.0)),
        }
    }
}

/// A share of a whole, 0 to 100; written `85%`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Percent(pub f64);

text_unit!(
    Percent,
    "a percentage",
    "write a number from 0 to 100 and a percent sign: `85%`",
    r"^[0-9]+(\.[0-9]+)?%$|^\$\{.*\}$"
);

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.strip_suffix('%')
            .and_then(|number| number.trim().parse().ok())
            .filter(|value| (0.0..=100.0).contains(value))
            .map(Self)
            .ok_or_else(|| Self::refuse(text))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}%", self.0))
    }
}

/// Operations per second; written `100/s` or `30/m`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Rate(pub f64);

text_unit!(
    Rate,
    "a rate",
    "write a number per second or minute: `100/s`, `30/m`",
    r"^[0-9]+(\.[0-9]+)?/(s|m)$|^\$\{.*\}$"
);

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = text.split_once('/').ok_or_else(|| Self::refuse(text))?;
        let seconds = match unit {
            "s" => 1.0,
            "m" => 60.0,
            _ => return Err(Self::refuse(text)),
        };
        let value: f64 = number.trim().parse().map_err(|_| Self::refuse(text))?;
        let per_second = value / seconds;
        if !(per_second > 0.0 && per_second <= 100_000.0) {
            return Err(Self::refuse(text));
        }
        Ok(Self(per_second))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/s", self.0))
    }
}

/// File permission bits; written as an octal string, `"0640"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mode(pub u32);

text_unit!(
    Mode,
    "a file mode",
    "write the permission bits in octal, in quotes: `\"0640\"`",
    r"^0?[0-7]{3,4}$|^\$\{.*\}$"
);

impl FromStr for Mode {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|bits| *bits <= 0o7777 && text.len() >= 3)
            .map(Self)
            .ok_or_else(|| Self::refuse(text))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04o}", self.0))
    }
}

/// A shift in time, in whole seconds, either way; written `+1h`, `-10m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shift(pub i64);

text_unit!(
    Shift,
    "a shift in time",
    "write a sign and whole seconds or more, up to a year: `+1h`, `-10m`",
    r"^[+-][0-9]+(\.[0-9]+)?(s|m|h|d)$|^\$\{.*\}$"
);

impl FromStr for Shift {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || Self::refuse(text);
        let (sign, span) = text
            .strip_prefix('+')
            .map(|span| (1, span))
            .or_else(|| text.strip_prefix('-').map(|span| (-1, span)))
            .ok_or_else(refuse)?;
        let span = span.parse::<Duration>().map_err(|_| refuse())?.0;
        let seconds = i64::try_from(span.as_secs()).map_err(|_| refuse())?;
        if seconds == 0 || span.subsec_nanos() != 0 {
            return Err(refuse());
        }
        Ok(Self(sign * seconds))
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        f.pad(&format!("{sign}{}", Duration::from_secs(self.0.unsigned_abs())))
    }
}

/// Splits `5s` into `5` and `s`.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// Whether a text has the form of an `SELinux` label: user, role and type, and perhaps a level.
#[must_use]
pub fn is_selinux_label(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    text.split(':').count() >= 3 && text.split(':').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip() {
        for text in ["250ms", "5s", "2m", "10us"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        assert_eq!("1.5s".parse::<Duration>().unwrap(), Duration::from_millis(1500));
    }

    #[test]
    fn shifts_have_a_sign_and_whole_seconds() {
        for (text, seconds) in [("+2m", 120), ("-90s", -90)] {
            let shift: Shift = text.parse().unwrap();
            assert_eq!((shift.0, shift.to_string()), (seconds, text.to_owned()));
        }
        for wrong in ["1h", "+0s", "-250ms", "+1.5s", "+-1s", "+400d", "+"] {
            assert!(wrong.parse::<Shift>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bare_numbers_are_refused() {
        assert!("5".parse::<Duration>().is_err());
        assert!("64".parse::<Size>().is_err());
        assert!("-1s".parse::<Duration>().is_err());
        assert!("500y".parse::<Duration>().is_err());
    }

    #[test]
    fn sizes_round_trip() {
        assert_eq!("64MiB".parse::<Size>().unwrap(), Size(64 << 20));
        assert_eq!(Size(64 << 20).to_string(), "64MiB");
        assert_eq!(Size(1000).to_string(), "1000B");
    }

    #[test]
    fn rates_percentages_and_modes() {
        assert_eq!("30/m".parse::<Rate>().unwrap(), Rate(0.5));
        assert!("0/s".parse::<Rate>().is_err());
        assert_eq!("85%".parse::<Percent>().unwrap(), Percent(85.0));
        assert!("101%".parse::<Percent>().is_err());
        assert_eq!("0640".parse::<Mode>().unwrap(), Mode(0o640));
        assert!("0999".parse::<Mode>().is_err());
    }
}
