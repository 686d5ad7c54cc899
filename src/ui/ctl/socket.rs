//! Where the socket lies, for paths of any length.
//!
//! A Unix socket's address holds 107 bytes of path. A longer one is named through the open folder:
//! `/proc/self/fd/N/ctl.sock`. Invariant: the socket is never visible with a mode wider than 0600:
//! it is bound under another name, narrowed, then renamed, which also replaces a dead one.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::base::name::PRIVATE_FOLDER;

/// Longest path that fits the address, bytes.
const ADDRESS_BYTES_MAX: usize = 107;
const NAME: &str = "ctl.sock";
const NAME_NEW: &str = "ctl.sock.new";

/// A folder held open while a socket in it is named.
struct Folder {
    path: PathBuf,
    handle: File,
}

impl Folder {
    fn open(data: &Path) -> io::Result<Folder> {
        let path = data.join(PRIVATE_FOLDER);
        Ok(Folder { handle: File::open(&path)?, path })
    }

    /// A path to `name` in this folder that fits a socket address.
    fn address(&self, name: &str) -> PathBuf {
        let plain = self.path.join(name);
        if plain.as_os_str().len() <= ADDRESS_BYTES_MAX {
            return plain;
        }
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.handle.as_raw_fd()))
    }
}

/// Where the socket of `data` lies.
pub(super) fn path(data: &Path) -> PathBuf {
    data.join(PRIVATE_FOLDER).join(NAME)
}

/// Binds the socket of `data`. The caller holds the data directory's lock, so one that lies there
/// already is dead.
pub(super) fn bind(data: &Path) -> io::Result<UnixListener> {
    std::fs::create_dir_all(data.join(PRIVATE_FOLDER))?;
    let folder = Folder::open(data)?;
    let fresh = folder.path.join(NAME_NEW);
    remove(&fresh)?;
    let listener = UnixListener::bind(folder.address(NAME_NEW))?;
    std::fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, path(data))?;
    Ok(listener)
}

/// Connects to the daemon that runs on `data`.
pub(super) fn connect(data: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(Folder::open(data)?.address(NAME))
}

/// Takes the socket away, so that nobody waits for a daemon that leaves.
pub(super) fn unlink(data: &Path) -> io::Result<()> {
    remove(&path(data))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_path_too_long_for_an_address_works_and_a_dead_socket_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("d".repeat(120)).join("e".repeat(120));
        drop(bind(&data).unwrap());
        let listener = bind(&data).unwrap();
        let mode = std::fs::metadata(path(&data)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "others could connect");

        connect(&data).unwrap().write_all(b"hello").unwrap();
        let mut heard = String::new();
        listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "hello");

        unlink(&data).unwrap();
        assert_eq!(connect(&data).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
