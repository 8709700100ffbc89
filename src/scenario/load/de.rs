//! A serde deserializer over the positioned tree: every error knows its node.
//!
//! The innermost node that was being read when an error arose is the one that is blamed, so types
//! with reading code of their own get exact positions without knowing of them.

use std::fmt;

use serde::{
    Deserialize,
    de::{self, DeserializeSeed, Expected, Unexpected, Visitor},
    forward_to_deserialize_any,
};

use super::{
    node::{Entry, Node, Span, Value},
    problem::Problem,
};
use crate::diagnostic::{listed, suggest};

/// Reads a type from a node; the label names the node in messages.
///
/// # Errors
/// The first problem.
pub(crate) fn read<'de, T: Deserialize<'de>>(
    node: &'de Node,
    label: Option<(&'de str, Span)>,
) -> Result<T, Problem> {
    T::deserialize(De { node, label }).map_err(|error| error.into_problem(node))
}

/// Why a node was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The text, or what was wanted.
    what: What,
    problem: Option<Box<Problem>>,
}

#[derive(Debug)]
enum What {
    /// A whole sentence.
    Says(String),
    /// The value is of another type than this.
    Wants(String),
    /// A key is missing.
    Misses(String),
    /// A key too many, and those that are known.
    Unknown(String, Vec<&'static str>),
}

impl Refused {
    fn new(what: What) -> Self {
        Self { what, problem: None }
    }

    /// Blames a node, unless one further in was blamed already.
    fn blame(mut self, de: De<'_>) -> Self {
        if self.problem.is_none() {
            self.problem = Some(Box::new(self.sentence(de)));
        }
        self
    }

    fn sentence(&self, de: De<'_>) -> Problem {
        let here = de.label.map(|(name, _)| format!("`{name}`"));
        let subject = here.clone().unwrap_or_else(|| "this".into());
        let text = match &self.what {
            What::Says(text) => text.clone(),
            What::Wants(wanted) => format!("{subject} wants {wanted}, not {}", de.node.words()),
            What::Misses(key) => format!("{subject} has no `{key}`\n\nhint: add `{key}: …`"),
            What::Unknown(key, known) => {
                let place = here.map(|name| format!(" in {name}")).unwrap_or_default();
                let hint = suggest(key, known.iter().copied()).unwrap_or_default();
                let (span, text) = match de.node.entry(key) {
                    Some(entry) => (entry.key_span, format!("unknown key `{key}`{place}")),
                    None => (de.span(), format!("`{key}` is not known here")),
                };
                return Problem::at(span, format!("{text}\n\nhint: {hint}"))
                    .with_origins(&de.node.origins);
            }
        };
        Problem::at(de.span(), text).with_origins(&de.node.origins)
    }

    fn into_problem(self, node: &Node) -> Problem {
        let root = De { node, label: None };
        *self.blame(root).problem.expect("blamed just now")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Says(text) => f.write_str(text),
            What::Wants(wanted) => write!(f, "{wanted} is wanted"),
            What::Misses(key) => write!(f, "`{key}` is missing"),
            What::Unknown(key, known) => {
                write!(f, "`{key}` is not one of {}", listed(known.iter().copied()))
            }
        }
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(What::Says(text.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(What::Wants(in_our_words(&wanted.to_string())))
    }

    fn invalid_value(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(What::Wants(in_our_words(&wanted.to_string())))
    }

    fn invalid_length(_: usize, wanted: &dyn Expected) -> Self {
        Self::new(What::Wants(in_our_words(&wanted.to_string())))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::Unknown(variant.to_owned(), known.to_vec()))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::Unknown(field.to_owned(), known.to_vec()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(What::Misses(field.to_owned()))
    }
}

/// What serde's own types say they expect, in words that a user knows.
fn in_our_words(wanted: &str) -> String {
    match wanted {
        "a string" | "a borrowed string" | "string" | "a Cow" => "text".into(),
        "a boolean" => "`true` or `false`".into(),
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number, not negative".into(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a sequence" => "a list".into(),
        "a map" => "a map".into(),
        other if other.starts_with("struct ") => "a map".into(),
        other => other.to_owned(),
    }
}

/// A node being read.
#[derive(Clone, Copy)]
struct De<'a> {
    node: &'a Node,
    /// The key it stands under.
    label: Option<(&'a str, Span)>,
}

impl De<'_> {
    /// Where to point: at a scalar itself, at the key of a map or list.
    fn span(&self) -> Span {
        match self.label {
            Some((_, key)) if !self.node.is_scalar() => key,
            _ => self.node.span,
        }
    }
}

impl<'de> de::Deserializer<'de> for De<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let result = match &self.node.value {
            Value::Null | Value::Hole => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Int(int) => match (u64::try_from(*int), i64::try_from(*int)) {
                (Ok(int), _) => visitor.visit_u64(int),
                (_, Ok(int)) => visitor.visit_i64(int),
                _ => Err(Refused::new(What::Wants("a number of at most 64 bits".into()))),
            },
            Value::Float(float) => visitor.visit_f64(*float),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items(items.iter(), self.label)),
            Value::Map(entries) => visitor.visit_map(Entries { rest: entries.iter(), value: None }),
        };
        result.map_err(|error| error.blame(self))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let result = match &self.node.value {
            Value::Text(_) => {
                visitor.visit_enum(Tagged { tag: &self.node.raw, at: self, value: None })
            }
            Value::Map(entries) => match entries.as_slice() {
                [entry] => {
                    visitor.visit_enum(Tagged { tag: &entry.key, at: self, value: Some(entry) })
                }
                _ => Err(Refused::new(What::Wants(format!(
                    "one of {}",
                    listed(variants.iter().copied())
                )))),
            },
            _ => Err(Refused::new(What::Wants(format!(
                "one of {}",
                listed(variants.iter().copied())
            )))),
        };
        result.map_err(|error| error.blame(self))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        // a number that a variable put where text is wanted is meant as text
        let number = matches!(self.node.value, Value::Int(_) | Value::Float(_) | Value::Bool(_));
        if number && self.node.is_substituted() {
            return visitor
                .visit_borrowed_str(&self.node.raw)
                .map_err(|error: Refused| error.blame(self));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self).map_err(|error| error.blame(self))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

struct Items<'a>(std::slice::Iter<'a, Node>, Option<(&'a str, Span)>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        let Some(node) = self.0.next() else { return Ok(None) };
        let label = self.1.map(|(name, _)| (name, node.span));
        let de = De { node, label };
        // types that parse a text fail after it was handed out
        seed.deserialize(de).map(Some).map_err(|error| error.blame(de))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(entry);
        let key = de::value::BorrowedStrDeserializer::new(&entry.key);
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let entry = self.value.take().expect("serde asks for the key first");
        let de = De { node: &entry.value, label: Some((&entry.key, entry.key_span)) };
        seed.deserialize(de).map_err(|error| error.blame(de))
    }
}

struct Tagged<'a> {
    tag: &'a str,
    at: De<'a>,
    value: Option<&'a Entry>,
}

impl<'de> de::EnumAccess<'de> for Tagged<'de> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        let tag = de::value::BorrowedStrDeserializer::<Refused>::new(self.tag);
        Ok((seed.deserialize(tag)?, self))
    }
}

impl<'de> Tagged<'de> {
    fn content(&self) -> Result<De<'de>, Refused> {
        match self.value {
            Some(entry) => Ok(De { node: &entry.value, label: Some((&entry.key, entry.key_span)) }),
            None => Err(Refused::new(What::Says(format!(
                "`{0}` needs parameters\n\nhint: write `{0}: {{ … }}`",
                self.tag
            )))
            .blame(self.at)),
        }
    }
}

impl<'de> de::VariantAccess<'de> for Tagged<'de> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(Refused::new(What::Says(format!(
                "`{0}` takes no parameters\n\nhint: write `{0}` alone",
                self.tag
            )))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        let de = self.content()?;
        seed.deserialize(de).map_err(|error| error.blame(de))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        de::Deserializer::deserialize_any(self.content()?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        de::Deserializer::deserialize_any(self.content()?, visitor)
    }
}
