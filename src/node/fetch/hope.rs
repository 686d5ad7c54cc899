//! Whether what is missing of a set may still come, and what those who fetch it from us are told of that.
//!
//! Invariant: hope comes from who shares the set and from what others have of it; where nobody is known who
//! shares it, from those who were not asked yet, and for a download that goes on, from who may come. Those
//! who fetch it too are believed to have more later as long as they say so, and say so only while they
//! have such hope themselves: so nobody waits for those who wait for him. Ends with the fetch.

use std::time::Duration;

use super::set::{Fetch, Handle, State};
use crate::base::Time;
use crate::logic::shares::OwnerKey;

/// How long it has been missed.
#[derive(Debug, Default)]
pub(super) struct Hope {
    /// Since when items are missing that nobody has who can be reached.
    gone_since: Option<Time>,
    /// The same, if those who fetch the set too have no more later.
    alone_since: Option<Time>,
    /// Those who fetch it from us were told that.
    despaired: bool,
}

impl State {
    /// Since when what is missing is gone: every owner was asked and says it has none of it.
    pub(super) fn gone_for(&mut self, now: Time) -> Duration {
        let hope = self.may_come(|state, key| !state.shares.is_useless(key));
        since(&mut self.hope.gone_since, now, hope)
    }

    /// Whether those who fetch the set from us are to hear now that there will be no more here, since
    /// for `patience` only others who fetch it might have had some.
    pub(super) fn despairs(&mut self, now: Time, patience: Duration) -> bool {
        let hope = self.may_come(|state, key| state.shares.is_source(key));
        let despairs = since(&mut self.hope.alone_since, now, hope) > patience;
        let before = std::mem::replace(&mut self.hope.despaired, despairs);
        despairs && !before
    }

    /// Whether more may come to us than from others who fetch the set.
    pub(super) fn hopes(&self) -> bool {
        !self.hope.despaired
    }

    fn may_come(&self, is_useful: impl Fn(&State, OwnerKey) -> bool) -> bool {
        let mut connected = self.lanes.iter().filter(|(_, lane)| Handle::is_connected(lane));
        self.owners.awaits_answer()
            || connected.any(|(key, _)| is_useful(self, *key))
            || self.shares.unowned().is_empty()
    }
}

impl Fetch {
    /// Says that there will be no more here than there is.
    pub(super) fn despair(&self) {
        let mut kept = self.shared();
        self.state.lock().shares.verified().iter().for_each(|item| {
            kept.insert(item);
        });
        self.swarm.withdrawn(&kept);
    }
}

/// How long there has been no hope.
fn since(began: &mut Option<Time>, now: Time, hope: bool) -> Duration {
    if hope {
        *began = None;
        return Duration::ZERO;
    }
    now.since(*began.get_or_insert(now))
}
