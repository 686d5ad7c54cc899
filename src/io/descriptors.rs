//! How many files and connections this process may have open.
//!
//! Invariant: only the soft limit changes, never the hard one, and it never falls. It stays as it
//! was found where the system says no.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than any listener here takes; beyond, some systems make tables for each.
const DESCRIPTORS_MAX: u64 = 65_536;

/// Takes as many as the hard limit gives: shells give 1,024, which is a connection for each of so
/// many nodes.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(DESCRIPTORS_MAX, |hard| hard.min(DESCRIPTORS_MAX));
    if limit.current.is_none_or(|soft| soft >= most) {
        return;
    }
    let raised = Rlimit { current: Some(most), maximum: limit.maximum };
    if let Err(e) = setrlimit(Resource::Nofile, raised) {
        log::warn!("could not raise the limit of open files to {most}: {e}; see ulimit -n");
    }
}
