//! The keys: a node's own, which is its identity, and the swarm's, which is its password.
//!
//! Invariant: key bytes are wiped when dropped and never printed by accident (`Debug` hides them).
//! A key file is readable by its owner alone, and appears under its name whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};
use zeroize::Zeroizing;

use crate::base::NodeId;

/// Most bytes read of a key file: the digits and some white space.
const KEY_FILE_MAX: u64 = 256;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is none.
    #[error("a key is 64 hex digits; `parvi key` prints a new one")]
    Text,
    /// The file's text is none.
    #[error("{} holds no key of 64 hex digits", .0.display())]
    File(PathBuf),
    /// The file could not be read or written.
    #[error("could not {doing} the key file {}: {source}", .path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The system gave no random numbers.
    #[error("could not draw a key: {0}")]
    Random(getrandom::Error),
}

/// 32 secret bytes, wiped when dropped.
#[derive(Clone)]
struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    fn draw() -> Result<Secret, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(KeyError::Random)?;
        Ok(Secret(bytes))
    }

    /// Keys are written like identities: 64 hex digits.
    fn parse(text: &str) -> Result<Secret, KeyError> {
        let bytes = text.trim().parse::<NodeId>().map_err(|_| KeyError::Text)?;
        Ok(Secret(Zeroizing::new(*bytes.as_bytes())))
    }

    fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(NodeId::from_bytes(*self.0).to_string())
    }

    fn read(path: &Path) -> Result<Secret, KeyError> {
        let io = |source| KeyError::Io { doing: "read", path: path.into(), source };
        let meta = fs::metadata(path).map_err(io)?;
        if meta.len() > KEY_FILE_MAX {
            return Err(KeyError::File(path.into()));
        }
        if meta.permissions().mode() & 0o077 != 0 {
            log::warn!("others can read the key file {}: chmod 600 it", path.display());
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
        Secret::parse(&text).map_err(|_| KeyError::File(path.into()))
    }
}

/// A node's own secret key.
#[derive(Clone)]
pub struct StaticKey {
    secret: Secret,
    public: NodeId,
}

impl StaticKey {
    /// A new identity.
    ///
    /// # Errors
    /// The system gave no random numbers.
    pub fn generate() -> Result<StaticKey, KeyError> {
        Ok(StaticKey::of(Secret::draw()?))
    }

    /// The identity that everybody sees.
    pub fn public(&self) -> NodeId {
        self.public
    }

    /// The identity kept at `path`, or a new one that is kept there from now on.
    ///
    /// # Errors
    /// What is there cannot be read or is no key; or the new one could not be kept.
    pub fn load_or_create(path: &Path) -> Result<StaticKey, KeyError> {
        match Secret::read(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let key = StaticKey::generate()?;
                let io = |source| KeyError::Io { doing: "write", path: path.into(), source };
                match key.store(path) {
                    Ok(()) => Ok(key),
                    // Somebody else made one in this moment: that one counts.
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                        Ok(StaticKey::of(Secret::read(path)?))
                    }
                    Err(e) => Err(io(e)),
                }
            }
            read => Ok(StaticKey::of(read?)),
        }
    }

    /// The 32 secret bytes, for the handshake.
    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret.0
    }

    fn of(secret: Secret) -> StaticKey {
        let mut public = [0; 32];
        // The default resolver has Curve25519 by its very features; were it gone, the handshake
        // would fail to build as well.
        if let Some(mut dh) = DefaultResolver.resolve_dh(&DHChoice::Curve25519) {
            dh.set(&*secret.0);
            public.copy_from_slice(dh.pubkey());
        }
        StaticKey { secret, public: NodeId::from_bytes(public) }
    }

    fn store(&self, path: &Path) -> io::Result<()> {
        let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(dir)?;
        file.write_all(self.secret.to_hex().as_bytes())?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|e| e.error)?;
        fs::File::open(dir)?.sync_all()
    }
}

impl std::fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StaticKey(of {})", self.public.short())
    }
}

/// What all members of a closed swarm share.
#[derive(Clone)]
pub struct SwarmKey(Secret);

impl SwarmKey {
    /// A new one.
    ///
    /// # Errors
    /// The system gave no random numbers.
    pub fn generate() -> Result<SwarmKey, KeyError> {
        Ok(SwarmKey(Secret::draw()?))
    }

    /// The one in a file: 64 hex digits, white space around them is fine.
    ///
    /// # Errors
    /// The file cannot be read or holds no key.
    pub fn from_file(path: &Path) -> Result<SwarmKey, KeyError> {
        Ok(SwarmKey(Secret::read(path)?))
    }

    /// The 64 hex digits, for the one command that prints them.
    pub fn to_hex(&self) -> Zeroizing<String> {
        self.0.to_hex()
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl std::str::FromStr for SwarmKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<SwarmKey, KeyError> {
        Ok(SwarmKey(Secret::parse(text)?))
    }
}

impl std::fmt::Debug for SwarmKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SwarmKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_kept_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let made = StaticKey::load_or_create(&path).unwrap();
        assert_eq!(StaticKey::load_or_create(&path).unwrap().public(), made.public());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(made.public(), StaticKey::generate().unwrap().public());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something was left behind");
    }

    #[test]
    fn the_public_key_is_that_of_the_handshake() {
        let pair = snow::Builder::new(super::super::handshake::PATTERN_OPEN.parse().unwrap())
            .generate_keypair()
            .unwrap();
        let secret = Secret(Zeroizing::new(pair.private.try_into().unwrap()));
        assert_eq!(StaticKey::of(secret).public().as_bytes().as_slice(), pair.public);
    }

    #[test]
    fn a_damaged_key_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        for bad in ["", "00", &"x".repeat(64), &"0".repeat(5_000)] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(StaticKey::load_or_create(&path), Err(KeyError::File(_))), "{bad}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
    }

    #[test]
    fn swarm_keys_are_read_as_printed_and_hidden_in_logs() {
        let key = SwarmKey::generate().unwrap();
        let printed = key.to_hex();
        let read: SwarmKey = format!(" {}\n", *printed).parse().unwrap();
        assert_eq!(read.bytes(), key.bytes());
        assert!(!format!("{key:?}").contains(&printed[..8]));
        assert!("hunter2".parse::<SwarmKey>().is_err());
    }
}
