//! The sets that are being fetched now, so that an owner who knocks finds the fetch he is missed in.
//!
//! Invariant: an entry lives no longer than its fetch; nothing here keeps one alive.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::set::Fetch;
use crate::base::PeerInfo;
use crate::io::clock;
use crate::logic::batch::set_key;
use crate::logic::ledger::SetKey;

/// All of them.
#[derive(Default)]
pub(in crate::node) struct Fetching(Mutex<BTreeMap<SetKey, Weak<Fetch>>>);

impl Fetching {
    /// A fetch begins.
    pub(super) fn begin(&self, fetch: &Arc<Fetch>) {
        let mut all = self.0.lock();
        all.retain(|_, fetch| fetch.strong_count() > 0);
        all.insert(set_key(&fetch.set), Arc::downgrade(fetch));
    }

    /// An owner of `set` knocks: he is dialled at once. Tells whether the set is being fetched.
    pub(in crate::node) fn knocked(&self, set: &SetKey, owner: PeerInfo) -> bool {
        let fetch = self.0.lock().get(set).and_then(Weak::upgrade);
        let Some(fetch) = fetch.filter(|fetch| fetch.is_going_on()) else { return false };
        fetch.state.lock().owners.returned(clock::now(), owner);
        fetch.changed.notify_all();
        true
    }
}
