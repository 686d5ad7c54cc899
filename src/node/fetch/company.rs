//! Who fetches some of a download, too, as its sets have heard: known to the next sets from their
//! beginning, which would hear of them only by a search or when somebody says so again.
//!
//! Invariant: at most `COMPANY_MAX` are kept, each at the last address that was heard; who cannot be
//! reached goes. Ends with the download.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::base::{NodeId, PeerInfo};

/// As many as a set dials of those whom it has only heard of, and some.
const COMPANY_MAX: usize = 32;

/// Those who fetch some of a download.
#[derive(Debug, Default)]
pub(super) struct Company(Mutex<BTreeMap<NodeId, PeerInfo>>);

impl Company {
    /// These fetch a set of it. There is no room for everybody.
    pub(super) fn met(&self, peers: &[PeerInfo]) {
        let mut all = self.0.lock();
        for peer in peers {
            if all.len() < COMPANY_MAX || all.contains_key(&peer.id) {
                all.insert(peer.id, peer.clone());
            }
        }
    }

    /// It could not be reached.
    pub(super) fn left(&self, node: NodeId) {
        self.0.lock().remove(&node);
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<PeerInfo> {
        self.0.lock().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples::peer;

    #[test]
    fn those_who_are_met_are_known_where_they_were_met_last_until_they_cannot_be_reached() {
        let company = Company::default();
        company.met(&[peer(0), peer(1)]);
        let moved = PeerInfo { ip: [10, 9, 9, 9].into(), ..peer(0) };
        company.met(std::slice::from_ref(&moved));
        assert_eq!(company.all(), [moved, peer(1)]);
        company.left(peer(0).id);
        assert_eq!(company.all(), [peer(1)]);
        let id = |n: u8| NodeId::from_bytes([n; 32]);
        (10..200).for_each(|n| company.met(&[PeerInfo { id: id(n), ..peer(0) }]));
        assert_eq!(company.all().len(), COMPANY_MAX);
    }
}
