//! `share` and `unshare`: a person adds files and folders elsewhere, and withholds names.
//!
//! Invariant: a change is on the disk before it counts, and once `unshare` has returned nothing
//! under that name is opened for a peer any more.

use std::path::Path;

use super::shares::{Shares, Target};
use super::walk::is_gone;
use super::{Index, IndexError};
use crate::base::Name;
use crate::base::name::PRIVATE_FOLDER;

/// The data directory's folders that are indexed.
const OWN_FOLDERS: [&str; 3] = ["shared", "downloaded", "replicated"];

impl Index {
    /// Shares the file or folder at `path`, wherever it is, under its own last component; links in
    /// the path are resolved now. What lies in the data directory is shared anyway: there, this
    /// takes back what `unshare` said.
    ///
    /// # Errors
    /// Missing; not a file or folder; parvi's own; a name that is taken or cannot be one.
    pub fn share(&self, path: &Path) -> Result<Name, IndexError> {
        let path = path.canonicalize().map_err(|e| IndexError::io("share", path, e))?;
        let name = match path.strip_prefix(&self.data) {
            Ok(inside) => self.share_inside(&path, inside)?,
            Err(_) => self.share_outside(&path)?,
        };
        self.look_anew();
        Ok(name)
    }

    /// Stops sharing what `name` stands for: a path that was shared, or a file or folder in one of
    /// the folders, which stays where it is and is withheld from now on.
    ///
    /// # Errors
    /// Nothing of that name is shared; `shares.toml` cannot be written.
    pub fn unshare(&self, name: &Name) -> Result<(), IndexError> {
        let mut shares = self.shares.lock();
        let mut wanted = shares.clone();
        let was_path = wanted.share.remove(name).is_some();
        if was_path {
            // What has the name in one of the folders would answer for it from now on.
            wanted.withheld.extend(self.is_in_folders(name).then(|| name.clone()));
        } else {
            let known = !self.find(name, None).0.is_empty();
            if !known && self.data.join("shared").join(name.as_path()).symlink_metadata().is_err() {
                return Err(IndexError::NotShared { name: name.clone() });
            }
            wanted.withheld.insert(name.clone());
        }
        self.keep(&mut shares, wanted)?;
        let mut state = self.state.lock();
        if let Some(id) = state.share_id(name).filter(|_| was_path) {
            state.remove_folder(id);
        }
        if shares.withheld.contains(name) {
            state.withhold(name);
        }
        drop(state);
        drop(shares);
        self.rescan();
        self.tell();
        Ok(())
    }

    /// Whether something in the data directory's folders has the name, or may have it.
    fn is_in_folders(&self, name: &Name) -> bool {
        let meta = |folder| self.data.join(folder).join(name.as_path()).symlink_metadata();
        OWN_FOLDERS.iter().any(|folder| !meta(folder).is_err_and(|error| is_gone(&error)))
    }

    fn share_inside(&self, path: &Path, inside: &Path) -> Result<Name, IndexError> {
        let mut parts = inside.components();
        let folder = parts.next().map(std::path::Component::as_os_str);
        if !OWN_FOLDERS.iter().any(|our| folder.is_some_and(|f| f == *our)) {
            let why = "it is parvi's own; put files into shared/";
            return Err(IndexError::NotShareable { path: path.to_owned(), why });
        }
        if parts.as_path().as_os_str().is_empty() {
            let why = "all of it is shared already";
            return Err(IndexError::NotShareable { path: path.to_owned(), why });
        }
        let name = name_of(parts.as_path(), path)?;
        self.lift(&name)?;
        Ok(name)
    }

    fn share_outside(&self, path: &Path) -> Result<Name, IndexError> {
        let meta = path.metadata().map_err(|e| IndexError::io("share", path, e))?;
        let why = match path.file_name() {
            _ if !meta.is_file() && !meta.is_dir() => "it is neither a file nor a folder",
            None => "it has no name",
            Some(_) if path.components().any(|part| part.as_os_str() == PRIVATE_FOLDER) => {
                "it is a parvi's own"
            }
            Some(_) => "",
        };
        if !why.is_empty() {
            return Err(IndexError::NotShareable { path: path.to_owned(), why });
        }
        let name = name_of(Path::new(path.file_name().unwrap_or_default()), path)?;
        let mut shares = self.shares.lock();
        let in_shared = self.data.join("shared").join(name.as_path());
        let taken = shares.share.get(&name).map(|target| target.path().to_owned());
        match taken.or_else(|| in_shared.symlink_metadata().is_ok().then_some(in_shared)) {
            Some(same) if same == path => return Ok(name),
            Some(other) => return Err(IndexError::Clash { name, path: other }),
            None => {}
        }
        let mut wanted = shares.clone();
        let path = path.to_owned();
        let target = if meta.is_dir() { Target::Folder(path) } else { Target::File(path) };
        wanted.share.insert(name.clone(), target.clone());
        wanted.withheld.retain(|w| !w.answers(&name));
        self.keep(&mut shares, wanted)?;
        let mut state = self.state.lock();
        state.withheld.clone_from(&shares.withheld);
        state.add_share(target.place(&name));
        Ok(name)
    }

    /// Takes back that `name`, or anything below it, is withheld.
    fn lift(&self, name: &Name) -> Result<(), IndexError> {
        let mut shares = self.shares.lock();
        if let Some(above) = shares.withheld.iter().find(|w| name.is_below(w)) {
            return Err(IndexError::Withheld { above: above.clone() });
        }
        let mut wanted = shares.clone();
        wanted.withheld.retain(|w| !w.answers(name));
        self.keep(&mut shares, wanted)?;
        self.state.lock().withheld.clone_from(&shares.withheld);
        Ok(())
    }

    /// Makes `wanted` durable, then true.
    fn keep(&self, shares: &mut Shares, wanted: Shares) -> Result<(), IndexError> {
        if *shares != wanted {
            wanted
                .save(&self.shares_path)
                .map_err(|e| IndexError::io("write", &self.shares_path, e))?;
            *shares = wanted;
        }
        Ok(())
    }
}

fn name_of(relative: &Path, path: &Path) -> Result<Name, IndexError> {
    Name::from_path(relative).map_err(|source| IndexError::Name { path: path.to_owned(), source })
}
