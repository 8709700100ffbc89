//! How an operation that hung comes back: done, or with an error by its name.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::errno::{self, ErrnoName};

const SUCCESS: &str = "success";

/// How it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Then {
    /// Done.
    #[default]
    Success,
    /// Not done, with this error.
    Fails(ErrnoName),
}

impl Then {
    /// The error; none where it is done.
    pub(super) fn errno(self) -> Option<ErrnoName> {
        match self {
            Self::Success => None,
            Self::Fails(errno) => Some(errno),
        }
    }
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => SUCCESS,
            Self::Fails(errno) => errno.as_str(),
        })
    }
}

impl Serialize for Then {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Then {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        match text.as_ref() {
            SUCCESS => Ok(Self::Success),
            name => name.parse().map(Self::Fails).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for Then {
    fn schema_name() -> Cow<'static, str> {
        "Then".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let known: Vec<_> = [SUCCESS].into_iter().chain(errno::names()).collect();
        json_schema!({
            // what `explain` says instead of all of them
            "title": "success | the name of an errno",
            "description": "`success`, or an errno by its name: `ESTALE`",
            "type": "string",
            "anyOf": [{ "enum": known }, { "pattern": r"^\$\{.*\}$" }],
        })
    }
}
