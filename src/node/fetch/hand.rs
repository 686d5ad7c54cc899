//! How a lane hands over what it has received: it is kept while the next run arrives.
//!
//! ```text
//! reader   receive n | receive n+1         | receive n+2
//! keeper             | verify, write n, ACK | verify, write n+1, ACK
//! ```
//!
//! So that the socket does not wait for the disk, the only lane of a set has a second buffer and a thread
//! for keeping, as long as there is [`Spare`] memory for it. Where several lanes are at work they do that
//! for each other: there a reader keeps what it received itself, between two runs, which costs less
//! memory and less of the processors' caches.
//!
//! Invariant: what a lane has received is kept before the lane ends, and before it heeds a STALE, which
//! is the owner's excuse for what it sent. Ends with its reader, or when keeping fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::base::Range;
use crate::io::link::LinkError;
use crate::io::threads;

/// Second buffers of all sets together, bytes: four of the usual largest chunks.
const SPARE_MAX: usize = 16 * 1024 * 1024;

/// What lanes may take for second buffers.
pub(in crate::node) struct Spare(AtomicUsize);

impl Default for Spare {
    fn default() -> Spare {
        Spare(AtomicUsize::new(SPARE_MAX))
    }
}

impl Spare {
    /// `bytes`, until the loan is dropped; `None` when there is not so much.
    fn take(&self, bytes: usize) -> Option<Loan<'_>> {
        let rest = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).ok()?;
        Some(Loan { from: self, bytes })
    }
}

struct Loan<'a> {
    from: &'a Spare,
    bytes: usize,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.from.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// A run as it arrived: the first bytes of a buffer.
type Run = (Range, Vec<u8>);

/// Where a lane's reader gets the buffer for a run from, and where it leaves what it received. `K` keeps
/// a run.
pub(super) struct Hand<'scope, 'env, K> {
    scope: &'scope Scope<'scope, 'env>,
    spare: &'scope Spare,
    /// Bytes of the longest run.
    longest: usize,
    /// Of the keeper's own thread.
    name: String,
    keep: K,
    /// Buffers that nobody uses.
    idle: Vec<Vec<u8>>,
    /// Buffers that the keeper's own thread has.
    lent: usize,
    other: Other,
}

/// The keeper's own thread.
enum Other {
    /// There was no need of it.
    NotYet,
    /// Full buffers go there, used ones come back.
    Running { full: Sender<Run>, used: Receiver<Vec<u8>> },
    /// There is no memory for it, or no thread.
    Never,
}

impl<'scope, 'env, K> Hand<'scope, 'env, K>
where
    K: Fn(Range, &[u8]) -> Result<(), LinkError> + Clone + Send + 'scope,
{
    /// For runs of at most `longest` bytes. No memory is taken yet; a thread called `name`, if there is
    /// need of one, ends with `scope`.
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'env>,
        name: String,
        (spare, longest): (&'scope Spare, usize),
        keep: K,
    ) -> Self {
        let idle = vec![Vec::new()];
        Hand { scope, spare, longest, name, keep, idle, lent: 0, other: Other::NotYet }
    }

    /// A buffer of at least `len` bytes for the next run; waits until one has been kept.
    ///
    /// # Errors
    /// Keeping failed.
    pub(super) fn buffer(&mut self, len: usize) -> Result<Vec<u8>, LinkError> {
        if self.idle.is_empty() {
            self.take_back()?;
        }
        let mut buffer = self.idle.pop().unwrap_or_default();
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        Ok(buffer)
    }

    /// Has the run `items`, with which `buffer` begins, kept: if the lane is `alone` by another thread.
    ///
    /// # Errors
    /// Keeping failed.
    pub(super) fn keep(
        &mut self,
        items: Range,
        buffer: Vec<u8>,
        alone: bool,
    ) -> Result<(), LinkError> {
        if alone && matches!(self.other, Other::NotYet) {
            self.start();
        }
        if alone && let Other::Running { full, .. } = &self.other {
            self.lent += 1;
            return full.send((items, buffer)).map_err(|_| LinkError::Closed);
        }
        let kept = (self.keep)(items, &buffer);
        self.idle.push(buffer);
        kept
    }

    /// Nobody wants what is in `buffer`.
    pub(super) fn discard(&mut self, buffer: Vec<u8>) {
        self.idle.push(buffer);
    }

    /// Waits until all that was received is kept: what the owner says next is about it.
    ///
    /// # Errors
    /// Keeping failed.
    pub(super) fn settle(&mut self) -> Result<(), LinkError> {
        while self.lent > 0 {
            self.take_back()?;
        }
        Ok(())
    }

    fn take_back(&mut self) -> Result<(), LinkError> {
        if let Other::Running { used, .. } = &self.other {
            self.idle.push(used.recv().map_err(|_| LinkError::Closed)?);
            self.lent -= 1;
        }
        Ok(())
    }

    /// Starts the keeper's thread, if there is memory for a second buffer.
    fn start(&mut self) {
        self.other = Other::Never;
        let Some(loan) = self.spare.take(self.longest) else { return };
        let (full, runs) = bounded::<Run>(1);
        let (back, used) = bounded(2);
        let keep = self.keep.clone();
        let work = move || {
            let _loan = loan;
            for (items, buffer) in runs {
                if keep(items, &buffer).is_err() {
                    return;
                }
                // There is room for both buffers; the reader may have ended.
                back.try_send(buffer).ok();
            }
        };
        match threads::spawn_scoped(self.scope, self.name.clone(), work) {
            Ok(_) => {
                self.idle.push(Vec::new());
                self.other = Other::Running { full, used };
            }
            Err(e) => log::warn!(target: "fetch", "{e}; one thread less"),
        }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    /// Hands over `runs` runs as a lane that is `alone`, of which the one called `bad` cannot be kept.
    fn hand_over(runs: u32, alone: bool, bad: u32) -> (Result<(), LinkError>, Vec<u32>) {
        let (spare, kept) = (Spare::default(), Mutex::new(Vec::new()));
        let keep = |items: Range, bytes: &[u8]| {
            assert!(bytes[..4] == items.first.to_le_bytes(), "a buffer was used too soon");
            kept.lock().push(items.first);
            if items.first == bad { Err(LinkError::Closed) } else { Ok(()) }
        };
        let end = std::thread::scope(|scope| {
            let mut hand = Hand::new(scope, "keeper".into(), (&spare, 4), &keep);
            for n in 0..runs {
                let mut buffer = hand.buffer(4)?;
                buffer.copy_from_slice(&n.to_le_bytes());
                hand.keep(Range::one(n), buffer, alone)?;
                if n == runs / 2 {
                    hand.settle()?;
                    assert_eq!(kept.lock().last(), Some(&n), "settled before it was kept");
                    assert_eq!((hand.lent, hand.idle.len()), (0, if alone { 2 } else { 1 }));
                }
            }
            Ok(())
        });
        (end, kept.into_inner())
    }

    #[test]
    fn everything_is_kept_in_order_by_whichever_thread() {
        for alone in [true, false] {
            let (end, kept) = hand_over(1000, alone, u32::MAX);
            assert!(end.is_ok() && kept.iter().copied().eq(0..1000), "alone {alone}: {kept:?}");
        }
    }

    #[test]
    fn a_failure_to_keep_ends_the_reader_too() {
        for alone in [true, false] {
            let (end, kept) = hand_over(1000, alone, 7);
            assert!(matches!(end, Err(LinkError::Closed)), "alone {alone}");
            assert!(kept.iter().copied().eq(0..=7), "alone {alone}: {kept:?}");
        }
    }

    #[test]
    fn second_buffers_are_lent_up_to_the_bound_and_come_back() {
        let spare = Spare::default();
        let most = spare.take(SPARE_MAX - 1);
        assert!(most.is_some());
        assert!(spare.take(2).is_none(), "more than there is");
        let last = spare.take(1);
        assert!(last.is_some() && spare.take(1).is_none());
        drop(most);
        assert!(spare.take(SPARE_MAX).is_none() && spare.take(SPARE_MAX - 1).is_some());
        drop(last);
        assert!(spare.take(SPARE_MAX).is_some(), "all of it is there again");
    }

    #[test]
    fn without_spare_memory_the_reader_keeps_by_itself() {
        let spare = Spare::default();
        let all = spare.take(SPARE_MAX);
        std::thread::scope(|scope| {
            let mut hand =
                Hand::new(scope, "keeper".into(), (&spare, 4), |_: Range, _: &[u8]| Ok(()));
            let buffer = hand.buffer(4).unwrap();
            hand.keep(Range::one(0), buffer, true).unwrap();
            assert_eq!((hand.lent, hand.idle.len()), (0, 1));
        });
        drop(all);
    }
}
