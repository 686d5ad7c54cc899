//! Lists and texts with a bound in their type.
//!
//! Invariant: no more than the bound is ever decoded, and memory is reserved for what has arrived,
//! not for what was announced. serde's own `Vec` reserves up to 1 MiB on a stranger's word.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Room reserved before the first element has been decoded, bytes.
const RESERVE_MAX: usize = 4 * 1024;

/// At most `MAX` elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// The first `MAX` of `items`. What is cut off is the caller's to page.
    pub fn of(mut items: Vec<T>) -> Self {
        items.truncate(MAX);
        List(items)
    }

    /// The elements.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<T, const MAX: usize> std::ops::Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visit<T, const MAX: usize>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Visit<T, MAX> {
            type Value = List<T, MAX>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "at most {MAX} elements")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let announced = seq.size_hint().unwrap_or(0);
                if announced > MAX {
                    return Err(A::Error::custom(format_args!("{announced} elements, not {MAX}")));
                }
                let fits = RESERVE_MAX / size_of::<T>().max(1);
                let mut items = Vec::with_capacity(announced.min(fits));
                while let Some(item) = seq.next_element()? {
                    if items.len() == MAX {
                        return Err(A::Error::custom(format_args!("more than {MAX} elements")));
                    }
                    items.push(item);
                }
                Ok(List(items))
            }
        }
        d.deserialize_seq(Visit(std::marker::PhantomData))
    }
}

/// A sentence for a person, at most `MAX` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// `text`, cut at a character's edge if it is too long.
    pub fn of(text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(MAX));
        Text(text)
    }

    /// The words as they came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words, safe to show: control characters escaped, since a stranger wrote them.
    pub fn shown(&self) -> String {
        crate::base::name::printable(&self.0).into_owned()
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::base::text::deserialize_checked(d, |text| {
            if text.len() > MAX {
                return Err(format!("{} bytes of text, not {MAX}", text.len()));
            }
            Ok(Text(text.to_owned()))
        })
    }
}
