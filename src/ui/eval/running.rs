//! A swarm that runs already: what `run.sh` has started from the current folder.
//!
//! Its data directories are below `volumes/`, containers' too, and so are its control sockets. Asking those
//! directly is what `docker exec … parvi ctl` does, without the tenth of a second that starting a process in
//! a container takes.
//!
//! Invariant: of a node's folders only `shared/parvi-eval` and `downloaded/parvi-eval` are written and
//! removed, and only when they were missing before or a mark says that `parvi eval` has made them; a swarm
//! that would copy what is put into them is refused, so nothing of it stays elsewhere.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::orders::{FOLDER, File};
use super::store::cannot;
use super::swarm::{Ground, LISTED_TIME_MAX, Peer, Swarm, Traces, fill};
use crate::base::{Fault, FaultKind};
use crate::io::threads::StopToken;
use crate::ui::ask::quietly;

/// Where `run.sh` keeps data directories.
const VOLUMES: &str = "volumes";
/// In the folder of the shared files: it and the one of downloads are ours.
const MARK: &str = ".made-by-parvi-eval";
/// One that hangs is not waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// The swarm that `run.sh` has started from `folder`.
///
/// # Errors
/// `Network`: no tracker, or no two nodes, run there. `Exists`: a folder of theirs is in the way.
pub(super) fn ground(folder: &Path) -> Result<Ground, Fault> {
    let volumes = folder.join(VOLUMES);
    let tracker = volumes.join("tracker");
    let runs = |data: &Path| quietly(data, &["stats"], Some(ANSWER_TIME_MAX));
    let missing = |why: String| {
        let text = format!(
            "no swarm runs from {}: {why}; start one with \
             PARVI_REPLICAS_FOR='{}=1' ./run.sh -s 1 -n 4 -d",
            folder.display(),
            all_files()
        );
        Fault::new(FaultKind::Network, text)
    };
    runs(&tracker).map_err(|fault| missing(fault.text))?;
    let entries = std::fs::read_dir(&volumes).map_err(|e| missing(e.to_string()))?;
    let named =
        entries.flatten().filter_map(|e| Some((e.file_name().into_string().ok()?, e.path())));
    let mut nodes: Vec<_> =
        named.filter(|(name, data)| name != "tracker" && runs(data).is_ok()).collect();
    // node2 before node10.
    nodes.sort_by_key(|(name, _)| (name.len(), name.clone()));
    if nodes.len() < 2 {
        return Err(missing(format!("{} nodes are there, two are needed", nodes.len())));
    }
    nodes.iter().try_for_each(|(_, data)| look(data).map(|_| ()))?;
    Ok(Ground::Running { tracker, nodes })
}

/// Some of the nodes, sharing `files`.
///
/// # Errors
/// `Exists`: a folder of theirs is in the way. `Usage`: the tracker has copies made. A full disk, nodes
/// that do not announce; `Unfinished` when stopped.
pub(super) fn join(
    tracker: &Path,
    nodes: &[(String, PathBuf)],
    files: &[File],
    stop: &StopToken,
) -> Result<Swarm, Fault> {
    let mut claimed = Claimed(Vec::new());
    nodes.iter().try_for_each(|(_, data)| claimed.claim(data))?;
    let peers: Vec<Peer> = nodes.iter().map(|(name, data)| Peer::running(name, data)).collect();
    let shared: Vec<PathBuf> = nodes.iter().map(|(_, data)| data.join("shared")).collect();
    let tracker = Peer::running("tracker", tracker);
    let swarm = Swarm { peers, tracker, _traces: Traces::Claimed(claimed) };
    // Files of the cell before are removed, and soon not listed any more; the marks are.
    let mark = format!("{FOLDER}/{MARK}");
    let all = all_files();
    swarm.until("the nodes have not announced what they share", LISTED_TIME_MAX, stop, || {
        let rows = swarm.tracker.ask(&["files", &all])?;
        let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
        let [row] = rows else { return Ok(None) };
        let copies = row["copies"].as_u64().unwrap_or(0);
        Ok((row["name"] == mark.as_str() && copies >= nodes.len() as u64).then_some(()))
    })?;
    refuse_copies(&swarm.tracker, &mark)?;
    let before = swarm.listed()?;
    fill(&shared, files, stop)?;
    swarm.wait_listed(files, &before, stop)?;
    Ok(swarm)
}

/// A pattern of all files of an evaluation.
pub(super) fn all_files() -> String {
    format!("{FOLDER}/**")
}

/// # Errors
/// `Usage`, when the file called `mark` is to have copies: they would be measured along, and stay behind.
fn refuse_copies(tracker: &Peer, mark: &str) -> Result<(), Fault> {
    let rows = tracker.ask(&["why", mark])?;
    let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
    let wanted = rows.iter().filter_map(|row| row["wanted"].as_u64()).max().unwrap_or(0);
    if wanted == 1 {
        return Ok(());
    }
    let all = all_files();
    let text = format!(
        "the tracker has copies made of what is measured ({wanted} of each file), on the same lines; start it \
         with --replicas-for '{all}=1', or the swarm with PARVI_REPLICAS_FOR='{all}=1' ./run.sh"
    );
    Err(Fault::new(FaultKind::Usage, text))
}

/// Folders in nodes' data directories that this process has made, or the nodes below them.
pub(super) struct Claimed(Vec<PathBuf>);

impl Claimed {
    /// Makes the folder for shared files below `data`; what a killed evaluation has left there is removed
    /// before.
    fn claim(&mut self, data: &Path) -> Result<(), Fault> {
        let [shared, downloaded] = folders(data);
        if look(data)? {
            remove(&downloaded);
            remove(&shared);
        }
        std::fs::create_dir(&shared).map_err(|e| cannot("make", &shared, &e))?;
        self.0.extend([downloaded, shared.clone()]);
        let mark = shared.join(MARK);
        let words = "parvi eval has made this folder, and removes it with all in it\n";
        std::fs::write(&mark, words).map_err(|e| cannot("write", &mark, &e))
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.0.iter().for_each(|folder| remove(folder));
    }
}

fn folders(data: &Path) -> [PathBuf; 2] {
    ["shared", "downloaded"].map(|kind| data.join(kind).join(FOLDER))
}

/// Whether an earlier evaluation has left its folders below `data`; false when none are there.
///
/// # Errors
/// `Exists`: folders are there that no evaluation has made.
fn look(data: &Path) -> Result<bool, Fault> {
    let folders = folders(data);
    if folders[0].join(MARK).symlink_metadata().is_ok() {
        return Ok(true);
    }
    match folders.iter().find(|folder| folder.symlink_metadata().is_ok()) {
        None => Ok(false),
        Some(folder) => Err(Fault::new(
            FaultKind::Exists,
            format!(
                "{} is there, and parvi eval has not made it: move it away to measure this swarm",
                folder.display()
            ),
        )),
    }
}

fn remove(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            log::warn!("cannot remove {}: {e}", folder.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_folder_is_refused_and_stays_and_one_of_ours_is_taken_over_and_removed() {
        for kind in ["shared", "downloaded"] {
            let data = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(data.path().join("shared")).unwrap();
            let file = data.path().join(kind).join(FOLDER).join("mine.txt");
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "mine").unwrap();
            let mut claimed = Claimed(Vec::new());
            let fault = claimed.claim(data.path()).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Exists, "{fault}");
            drop(claimed);
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        }
        let data = tempfile::tempdir().unwrap();
        let [shared, downloaded] = folders(data.path());
        std::fs::create_dir(data.path().join("shared")).unwrap();
        let mut killed = Claimed(Vec::new());
        killed.claim(data.path()).unwrap();
        std::mem::forget(killed);
        std::fs::create_dir_all(downloaded.join("weak")).unwrap();
        std::fs::write(shared.join("left"), "").unwrap();
        let mut claimed = Claimed(Vec::new());
        claimed.claim(data.path()).unwrap();
        assert!(!shared.join("left").exists() && !downloaded.exists() && shared.exists());
        drop(claimed);
        assert!(!shared.exists() && data.path().join("shared").exists());
    }
}
