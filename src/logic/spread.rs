//! What one owner has handed out of a set, to all its requesters together.
//!
//! The late choice: when a place among the announced frees, the owner picks, of what that requester
//! wants, what it has handed out least often. So it sends nothing twice while it has something that
//! nobody else has, and with many requesters it sends little more than the set once: they have the
//! rest from each other. It does not wait for proof that others pass an item on, as super-seeding
//! does (BEP 16), which leaves the owner's line idle for a round trip an item. For an owner that is
//! still fetching the set itself the same rule spreads evenly what it has; which item is rarest in the
//! swarm (Cohen, "Incentives Build Robustness in BitTorrent", 2003) is then settled by the requesters:
//! each asks an owner only for what it will not have sooner from others (`shares`).
//!
//! Invariant: an item's count is how often it was announced and neither skipped, nor taken back, nor
//! lost with its connection. How it ends: with the last transfer of the set.

use super::upload::READY_MAX;

/// Up to so many requesters have runs announced ahead of their turns (`turns`). With more, whoever comes
/// first fills the line and the queue before it, and those who come a little later would have a tenth
/// of the line for half a second, and nothing to pass on until then.
pub const CROWD: u32 = 2;

/// Copies of each item that were handed out, and how many requesters there are.
#[derive(Debug, Default)]
pub struct Spread {
    copies: Vec<u16>,
    requesters: u32,
}

impl Spread {
    /// Nothing of a set of `count` items is handed out yet.
    pub fn new(count: u32) -> Spread {
        Spread { copies: vec![0; count as usize], requesters: 0 }
    }

    /// One more requester.
    pub fn join(&mut self) {
        self.requesters += 1;
    }

    /// One less.
    pub fn leave(&mut self) {
        self.requesters = self.requesters.saturating_sub(1);
    }

    /// Whether there is nobody to weigh one requester against.
    pub fn is_alone(&self) -> bool {
        self.requesters <= 1
    }

    /// How many runs are announced before they are sent: one who waits for its turn is not told what it
    /// gets, since that is chosen as late as can be.
    pub fn ahead(&self) -> usize {
        if self.requesters > CROWD { 1 } else { READY_MAX }
    }

    /// How often an item was handed out.
    pub fn copies(&self, item: u32) -> u16 {
        self.copies.get(item as usize).copied().unwrap_or(u16::MAX)
    }

    /// An item is announced to a requester.
    pub fn hand_out(&mut self, item: u32) {
        if let Some(copies) = self.copies.get_mut(item as usize) {
            *copies = copies.saturating_add(1);
        }
    }

    /// It will not arrive, or not be used.
    pub fn take_back(&mut self, item: u32) {
        if let Some(copies) = self.copies.get_mut(item as usize) {
            *copies = copies.saturating_sub(1);
        }
    }

    /// Of `wanted`, in the order of preference, the first that was handed out least often.
    pub fn rarest(&self, wanted: impl Iterator<Item = u32>) -> Option<u32> {
        let mut best = None;
        for item in wanted {
            match self.copies(item) {
                0 => return Some(item),
                copies if best.is_none_or(|(least, _)| copies < least) => {
                    best = Some((copies, item));
                }
                _ => {}
            }
        }
        best.map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_handed_out_least_goes_first_and_of_equals_the_preferred() {
        let mut spread = Spread::new(4);
        [0, 0, 1, 3].into_iter().for_each(|item| spread.hand_out(item));
        assert_eq!(spread.rarest([0, 1, 2, 3].into_iter()), Some(2));
        assert_eq!(spread.rarest([0, 3, 1].into_iter()), Some(3));
        spread.take_back(1);
        assert_eq!(spread.rarest([0, 3, 1].into_iter()), Some(1));
        assert_eq!(spread.rarest(std::iter::empty()), None);
        assert_eq!(spread.copies(9), u16::MAX, "no item of the set");
    }
}
