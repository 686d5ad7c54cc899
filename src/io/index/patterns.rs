//! `.parviignore`: what a person leaves out of a folder she shares, written as in `.gitignore`.
//!
//! Invariant: the patterns of a file count all or not at all. One that cannot be read to its end,
//! or has a line that is no pattern, is an error, never a shorter list: what it means to hide
//! would be shared. Ends with the walk; a file is read anew at each.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::OFlags;

/// Patterns of what is not shared; one in any folder, for what is below it.
pub(super) const IGNORE_FILE: &str = ".parviignore";
/// Longest of them, bytes: nobody writes that many.
const BYTES_MAX: u64 = 1024 * 1024;

/// The patterns that hold in a folder: its own, then those of the folders above.
pub(super) struct Patterns {
    own: Gitignore,
    above: Option<Rc<Patterns>>,
}

impl Patterns {
    /// Reads the ignore file of `folder`, where `above` holds already.
    ///
    /// # Errors
    /// What open and read say; not a regular file; too long; not text; a line that is no pattern.
    pub(super) fn read(folder: &Path, above: Option<Rc<Patterns>>) -> io::Result<Patterns> {
        let text = read_text(&folder.join(IGNORE_FILE))?;
        let mut builder = GitignoreBuilder::new(folder);
        for line in text.trim_start_matches('\u{feff}').lines() {
            builder.add_line(None, line).map_err(io::Error::other)?;
        }
        Ok(Patterns { own: builder.build().map_err(io::Error::other)?, above })
    }

    /// Whether `path` is not shared; the innermost pattern that says something of it decides.
    pub(super) fn leave_out(&self, path: &Path, is_folder: bool) -> bool {
        match (self.own.matched(path, is_folder), &self.above) {
            (Match::None, Some(above)) => above.leave_out(path, is_folder),
            (decided, _) => decided.is_ignore(),
        }
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    // Opening a pipe must not wait for its writer.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if meta.len() > BYTES_MAX {
        return Err(io::Error::other(format!("longer than {BYTES_MAX} bytes")));
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}
