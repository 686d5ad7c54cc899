//! A file's identity: the BLAKE3 hash of its bytes, what `b3sum` prints.

use serde::{Deserialize, Deserializer, Serialize};

use super::hex::hex_newtype;

/// The BLAKE3 hash of a whole file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Root([u8; 32]);

hex_newtype!(Root);

impl Root {
    /// The root of `bytes`, all of them in memory. Files on disk go through a manifest.
    pub fn of(bytes: &[u8]) -> Root {
        Root(*blake3::hash(bytes).as_bytes())
    }
}

/// Fewest digits that name a root; what parvi shows of one where it is short.
pub const ROOT_DIGITS_MIN: usize = 8;

/// The first digits of a root, eight or more: how a person tells files of one name apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RootPrefix(String);

impl RootPrefix {
    /// Splits `NAME@DIGITS`; what does not end so is a name.
    pub fn split(text: &str) -> (&str, Option<RootPrefix>) {
        let split = text.rsplit_once('@').and_then(|(name, digits)| {
            // As roots are shown; so the word can be put together again as it was.
            let is_shown = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
            let prefix = digits.parse().ok().filter(|_| is_shown)?;
            Some((name, Some(prefix)))
        });
        split.unwrap_or((text, None))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `root` begins so.
    pub fn fits(&self, root: &Root) -> bool {
        root.to_string().starts_with(&self.0)
    }

    /// The least and the greatest root that begin so.
    pub fn bounds(&self) -> (Root, Root) {
        let filled = |digit: &str| {
            let text = self.0.clone() + &digit.repeat(64 - self.0.len());
            // It has 64 digits: checked when it was made.
            text.parse().unwrap_or(Root([0; 32]))
        };
        (filled("0"), filled("f"))
    }
}

/// Why a text is not the beginning of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the beginning of a root has {ROOT_DIGITS_MIN} to 64 hex digits (0-9, a-f)")]
pub struct RootPrefixError;

impl std::str::FromStr for RootPrefix {
    type Err = RootPrefixError;
    fn from_str(text: &str) -> Result<RootPrefix, RootPrefixError> {
        let fits = (ROOT_DIGITS_MIN..=64).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(RootPrefixError);
        }
        Ok(RootPrefix(text.to_ascii_lowercase()))
    }
}

impl<'de> Deserialize<'de> for RootPrefix {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<RootPrefix, D::Error> {
        super::text::deserialize_checked(d, str::parse)
    }
}

impl std::fmt::Display for RootPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_behind_a_name_is_told_from_an_at_sign_in_a_name() {
        let of = |text| {
            let (name, root) = RootPrefix::split(text);
            (name, root.map(|root: RootPrefix| root.to_string()))
        };
        assert_eq!(of("a/b@0123abcd"), ("a/b", Some("0123abcd".into())));
        assert_eq!(of("@0123abcd"), ("", Some("0123abcd".into())));
        assert_eq!(of("a@01234567@89abcdef"), ("a@01234567", Some("89abcdef".into())));
        for name in ["photo@2x", "a@0123abc", "a@0123abcg", "a@0123ABCD", "ann@example.org", "a"] {
            assert_eq!(of(name), (name, None));
        }
        assert_eq!(RootPrefix::split(&format!("a@{}", "0".repeat(65))).1, None);
    }

    #[test]
    fn a_prefix_fits_what_lies_within_its_bounds_and_nothing_else() {
        let prefix: RootPrefix = "0123abcd".parse().unwrap();
        let (least, most) = prefix.bounds();
        assert!(prefix.fits(&least) && prefix.fits(&most) && least < most);
        let mut other = *most.as_bytes();
        other[3] = 0xce;
        assert!(!prefix.fits(&Root::from_bytes(other)));
    }
}
