//! Decoding a checked type from a text without a copy of the text before the check.
//!
//! serde's own `String` and `Cow` reserve the announced length first, up to a whole frame on a
//! stranger's word; a borrowed text is held against what has arrived.

use std::fmt::Display;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Reads a text and makes a `T` of it by `check`.
///
/// # Errors
/// No text, or what `check` says of it.
pub(crate) fn deserialize_checked<'de, D, T, E, F>(d: D, check: F) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    F: FnOnce(&str) -> Result<T, E>,
    E: Display,
{
    struct Visit<F>(F);
    impl<T, E: Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Visit<F> {
        type Value = T;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text")
        }
        fn visit_str<X: Error>(self, text: &str) -> Result<T, X> {
            (self.0)(text).map_err(X::custom)
        }
    }
    d.deserialize_str(Visit(check))
}
