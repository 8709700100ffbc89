//! Tolerances: bounds on a number, and patterns on a text. Pure.

use std::{borrow::Cow, fmt, marker::PhantomData};

use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer as _, MapAccess, Visitor},
    ser::SerializeMap as _,
};

/// What is allowed of a number: `3` for exactly that, or `{ min: 1, max: 5 }` with one or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds<T> {
    /// Not less than this.
    pub min: Option<T>,
    /// Not more than this.
    pub max: Option<T>,
}

impl<T: PartialOrd + Copy + fmt::Display> Bounds<T> {
    /// Why the value is not allowed; none when it is.
    #[must_use]
    pub fn violation(&self, what: &str, value: T) -> Option<String> {
        let inside =
            self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max);
        (!inside).then(|| format!("{what} is {value}, not {self}"))
    }

    /// Complaints: nothing is asked, or nothing can satisfy it.
    pub(super) fn check(&self, name: &str) -> Option<String> {
        match (self.min, self.max) {
            (None, None) => Some(format!(
                "`{name}` bounds nothing, so it cannot fail\n\nhint: add `min` or `max`"
            )),
            (Some(min), Some(max)) if min > max => Some(format!(
                "`{name}` allows nothing: `min: {min}` is more than `max: {max}`\n\nhint: swap them"
            )),
            _ => None,
        }
    }
}

impl<T: PartialOrd + fmt::Display> fmt::Display for Bounds<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.min, &self.max) {
            (Some(min), Some(max)) if min == max => write!(f, "{min}"),
            (Some(min), Some(max)) => write!(f, "from {min} to {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "at most {max}"),
            (None, None) => f.write_str("anything"),
        }
    }
}

impl<T: PartialOrd + Serialize> Serialize for Bounds<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let (Some(min), Some(max)) = (&self.min, &self.max)
            && min == max
        {
            return min.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        for (name, bound) in [("min", &self.min), ("max", &self.max)] {
            if let Some(bound) = bound {
                map.serialize_entry(name, bound)?;
            }
        }
        map.end()
    }
}

/// Reads by hand instead of trying one form after the other, so that errors keep their position.
struct BoundsVisitor<T>(PhantomData<T>);

macro_rules! exact {
    ($($name:ident: $type:ty,)+) => {
        $(fn $name<E: de::Error>(self, value: $type) -> Result<Self::Value, E> {
            let value = T::deserialize(value.into_deserializer())?;
            Ok(Bounds { min: Some(value), max: Some(value) })
        })+
    };
}

impl<'de, T: Deserialize<'de> + Copy> Visitor<'de> for BoundsVisitor<T> {
    type Value = Bounds<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value for exactly that, or a map with `min` and `max`")
    }

    exact! { visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str, }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut bounds = Bounds { min: None, max: None };
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let slot = match &*key {
                "min" => &mut bounds.min,
                "max" => &mut bounds.max,
                other => return Err(de::Error::unknown_field(other, &["min", "max"])),
            };
            if slot.replace(map.next_value()?).is_some() {
                return Err(de::Error::custom(format!("`{key}` is given twice")));
            }
        }
        Ok(bounds)
    }
}

impl<'de, T: Deserialize<'de> + Copy> Deserialize<'de> for Bounds<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BoundsVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Bounds<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Bounds_of_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({
            "anyOf": [value, {
                "type": "object",
                "properties": { "min": value, "max": value },
                "additionalProperties": false,
                "minProperties": 1,
            }],
        })
    }
}

/// A regular expression, as the `regex` crate reads it; found anywhere in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pattern(String);

/// Bytes that a compiled pattern may take: generous for a test, and a bound for a hostile one.
const PATTERN_BYTES: usize = 1 << 20;

impl Pattern {
    /// The pattern ready for use; otherwise what is wrong with it, and where.
    pub(super) fn compile(&self) -> Result<Regex, String> {
        RegexBuilder::new(&self.0)
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES)
            .build()
            .map_err(|error| self.complaint(&error))
    }

    /// The complaint, when it is no regular expression.
    pub(super) fn check(&self) -> Option<String> {
        self.compile().err()
    }

    fn complaint(&self, error: &regex::Error) -> String {
        let text = match error {
            regex::Error::CompiledTooBig(limit) => {
                return format!(
                    "`{}` takes more than {limit} bytes compiled\n\nhint: bound its repetitions",
                    self.0
                );
            }
            other => other.to_string(),
        };
        let reason = text.lines().find_map(|line| line.strip_prefix("error: "));
        // the error shows the pattern indented by four, and a caret below the place
        let caret = text.lines().find(|line| line.trim_start().starts_with('^'));
        let column = caret.and_then(|line| line.find('^')).and_then(|at| at.checked_sub(3));
        let place = column.map(|column| format!(" at character {column}")).unwrap_or_default();
        format!(
            "`{}` is no regular expression{place}: {}\n\nhint: escape what is meant literally with \
             a backslash",
            self.0,
            reason.unwrap_or("it cannot be read")
        )
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Percent, Size};

    fn bounds<T: for<'a> Deserialize<'a> + Copy>(yaml: &str) -> Bounds<T> {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn a_bare_value_is_exact() {
        let exact: Bounds<u64> = bounds("3");
        assert_eq!(exact.violation("count", 3), None);
        assert_eq!(exact.violation("count", 4).unwrap(), "count is 4, not 3");
        let exact: Bounds<Size> = bounds("64MiB");
        assert_eq!(exact.min, Some(Size(64 << 20)));
        let exact: Bounds<f64> = bounds("3");
        assert_eq!(exact.max, Some(3.0));
        let exact: Bounds<f64> = bounds("0.5");
        assert_eq!(exact.max, Some(0.5));
    }

    #[test]
    fn bounds_are_inclusive_and_may_be_open() {
        let least: Bounds<u64> = bounds("{ min: 2 }");
        assert!(least.violation("n", 2).is_none() && least.violation("n", 1).is_some());
        let most: Bounds<Percent> = bounds("{ max: 85% }");
        assert!(most.violation("used", Percent(85.0)).is_none());
        let over = most.violation("used", Percent(85.5)).unwrap();
        assert_eq!(over, "used is 85.5%, not at most 85%");
        let both: Bounds<u64> = bounds("{ min: 1, max: 2 }");
        assert_eq!(both.to_string(), "from 1 to 2");
    }

    #[test]
    fn what_cannot_fail_or_cannot_hold_is_complained_of() {
        assert!(bounds::<u64>("{}").check("lost").unwrap().contains("bounds nothing"));
        assert!(bounds::<u64>("{ min: 2, max: 1 }").check("lost").is_some());
        assert!(bounds::<u64>("0").check("lost").is_none());
    }

    #[test]
    fn unknown_and_double_bounds_and_other_types_are_refused() {
        for yaml in ["{ least: 2 }", "[1]", "-1", "many", "{ min: x }"] {
            assert!(serde_saphyr::from_str::<Bounds<u64>>(yaml).is_err(), "{yaml}");
        }
        assert!(serde_saphyr::from_str::<Bounds<Size>>("64").is_err());
    }

    #[test]
    fn bounds_survive_a_round_trip() {
        for yaml in ["3", "{ min: 1 }", "{ min: 1, max: 4 }"] {
            let read: Bounds<u64> = bounds(yaml);
            let json = serde_json::to_value(read).unwrap();
            assert_eq!(serde_json::from_value::<Bounds<u64>>(json).unwrap(), read);
        }
    }

    #[test]
    fn a_bad_pattern_names_the_position() {
        let complaint = Pattern("ab(c".into()).check().unwrap();
        assert!(complaint.contains("at character 3"), "{complaint}");
        assert!(complaint.contains("unclosed group"), "{complaint}");
        assert!(Pattern("a{1000}{1000}{1000}".into()).check().unwrap().contains("bytes compiled"));
        assert_eq!(Pattern("ENOSPC|No space".into()).check(), None);
    }
}
