//! What is wanted of a value in a JSON body. Pure.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Bounds, subject::brief};

/// Exactly this value, or a number within bounds: `{ min: 1, max: 5 }` with one or both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Value", into = "Value")]
#[schemars(with = "Value")]
pub enum Wanted {
    /// The value itself.
    Exactly(Value),
    /// A number within them.
    Within(Bounds<f64>),
}

impl Wanted {
    /// Why what was found at a pointer is not it; none when it is.
    pub(super) fn violation(&self, pointer: &str, found: Option<&Value>) -> Option<String> {
        let Some(found) = found else { return Some(format!("`{pointer}` is not there")) };
        match self {
            Self::Exactly(wanted) if found == wanted => None,
            Self::Within(bounds) if found.is_number() => {
                bounds.violation(&format!("`{pointer}`"), found.as_f64()?)
            }
            _ => Some(format!("`{pointer}` is {}, not {self}", brief(&found.to_string()))),
        }
    }

    /// Complaints: nothing is asked, or nothing can satisfy it.
    pub(super) fn check(&self, pointer: &str) -> Option<String> {
        match self {
            Self::Exactly(_) => None,
            Self::Within(bounds) => bounds.check(pointer),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(value) => value.fmt(f),
            Self::Within(bounds) => bounds.fmt(f),
        }
    }
}

impl TryFrom<Value> for Wanted {
    type Error = serde_json::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let is_bound = |name: &String| ["min", "max"].contains(&name.as_str());
        match value.as_object() {
            Some(map) if !map.is_empty() && map.keys().all(is_bound) => {
                serde_json::from_value(value).map(Self::Within)
            }
            _ => Ok(Self::Exactly(value)),
        }
    }
}

impl From<Wanted> for Value {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Exactly(value) => value,
            // a map of numbers, or a number
            Wanted::Within(bounds) => serde_json::to_value(bounds).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn violation(wanted: Value, found: &Value) -> Option<String> {
        Wanted::try_from(wanted).unwrap().violation("/n", Some(found))
    }

    #[test]
    fn a_map_of_bounds_bounds_a_number_and_nothing_else() {
        assert_eq!(violation(json!({ "max": 5 }), &json!(5)), None);
        let over = violation(json!({ "max": 5 }), &json!(6));
        assert_eq!(over.unwrap(), "`/n` is 6, not at most 5");
        let text = violation(json!({ "min": 5 }), &json!("6"));
        assert_eq!(text.unwrap(), "`/n` is \"6\", not at least 5");
        assert!(Wanted::try_from(json!({ "min": "x" })).is_err());
    }

    #[test]
    fn any_other_value_is_wanted_as_it_is() {
        for value in [json!({}), json!({ "min": 1, "n": 2 }), json!([1]), json!(null), json!("a")] {
            assert_eq!(violation(value.clone(), &value), None);
        }
        let other = violation(json!({ "a": 1 }), &json!({ "a": 2 }));
        assert_eq!(other.unwrap(), "`/n` is {\"a\":2}, not {\"a\":1}");
        let none = Wanted::Exactly(json!(1)).violation("/n", None);
        assert_eq!(none.unwrap(), "`/n` is not there");
    }
}
