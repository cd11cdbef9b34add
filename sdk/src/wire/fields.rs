//! A frame's fields, in either encoding: a map with text keys. A key this side does not know is
//! passed over and counted.
//!
//! `serde_ignored` does the same, and copies every key to the heap for a path we do not need.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::frame::{
    Ack, Bind, BindAnswer, Error, Frame, Goodbye, Hello, Push, Report, Revoke, Unbind, VendorToken, Welcome,
};

/// The fields of a Ping or a Pong: none yet.
#[derive(Deserialize)]
struct Nothing {}

/// Reads the fields of a frame of type `kind` (`None` for a type whose name is unknown). A type
/// this side does not know counts as one, whatever it holds.
pub(super) fn read<'de, D>(kind: u64, from: D, unknown: &mut u32) -> Result<Option<Frame>, D::Error>
where
    D: Deserializer<'de>,
{
    let from = Fields { inner: from, unknown };
    Ok(Some(match kind {
        1 => Frame::Hello(Hello::deserialize(from)?),
        2 => Frame::Welcome(Welcome::deserialize(from)?),
        3 => Frame::Push(Push::deserialize(from)?),
        4 => Frame::Ack(Ack::deserialize(from)?),
        5 => Frame::Report(Report::deserialize(from)?),
        6 => Frame::Revoke(Revoke::deserialize(from)?),
        7 => Frame::Bind(Bind::deserialize(from)?),
        8 => Frame::Unbind(Unbind::deserialize(from)?),
        9 => Frame::VendorToken(VendorToken::deserialize(from)?),
        10 => Frame::Answer(BindAnswer::deserialize(from)?),
        11 => Nothing::deserialize(from).map(|Nothing {}| Frame::Ping)?,
        12 => Nothing::deserialize(from).map(|Nothing {}| Frame::Pong)?,
        13 => Frame::Goodbye(Goodbye::deserialize(from)?),
        14 => Frame::Error(Error::deserialize(from)?),
        _ => {
            IgnoredAny::deserialize(from.inner)?;
            *from.unknown += 1;
            return Ok(None);
        }
    }))
}

/// Shows a derived `Deserialize` the map, and only a map: not the array that rmp-serde would also
/// take, nor numbers in place of names, neither of which docs/wire.md allows.
struct Fields<'a, D> {
    inner: D,
    unknown: &'a mut u32,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Fields<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Counting { inner: visitor, known, unknown: self.unknown })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A visitor of the map, and then the map itself, that looks at each key as it passes.
struct Counting<'a, T> {
    inner: T,
    known: &'static [&'static str],
    unknown: &'a mut u32,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Counting<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Counting { inner: map, known: self.known, unknown: self.unknown })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Counting<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(Key(key)) = self.inner.next_key()? else { return Ok(None) };
        if !self.known.contains(&key.as_ref()) && key != super::json::TYPE {
            *self.unknown += 1;
        }
        match key {
            Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some),
            Cow::Owned(key) => seed.deserialize(StrDeserializer::new(&key)).map(Some),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// A text key, borrowed from the bytes unless it was written with escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
