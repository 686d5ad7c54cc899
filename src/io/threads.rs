//! Threads that are named, owned and joined, and the token that tells them to end.
//!
//! Invariant: no thread outlives the notice of its [`Group`]: it is running, or it has been joined,
//! or [`Group::join_all`] has named it as a straggler. A panic ends its own thread only, and is
//! logged under the thread's name.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{JoinHandle, Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::{Condvar, Mutex};

use super::clock;
use crate::base::Time;

/// Who waits for something to be received looks so often whether to stop.
const RECEIVE_SLICE: Duration = Duration::from_millis(50);

/// Tells any number of threads to end. Clones are the same token.
#[derive(Clone, Default)]
pub struct StopToken(Arc<(Mutex<bool>, Condvar)>);

impl StopToken {
    /// A token that has not been stopped.
    pub fn new() -> StopToken {
        StopToken::default()
    }

    /// Tells everybody, once and for ever.
    pub fn stop(&self) {
        let (stopped, changed) = &*self.0;
        *stopped.lock() = true;
        changed.notify_all();
    }

    /// Whether it is time to end.
    pub fn is_stopped(&self) -> bool {
        *self.0.0.lock()
    }

    /// Sleeps for `at_most`, or until stopped; returns whether it is time to end.
    pub fn wait(&self, at_most: Duration) -> bool {
        let (stopped, changed) = &*self.0;
        let mut stopped = stopped.lock();
        changed.wait_while_for(&mut stopped, |stopped| !*stopped, at_most);
        *stopped
    }

    /// Sleeps until stopped.
    pub fn wait_stopped(&self) {
        let (stopped, changed) = &*self.0;
        changed.wait_while(&mut stopped.lock(), |stopped| !*stopped);
    }
}

/// What comes next from `from`, at most until `deadline`, and no longer than until `stop` says so.
pub fn receive<T>(from: &Receiver<T>, deadline: Time, stop: &dyn Fn() -> bool) -> Option<T> {
    loop {
        let left = deadline.since(clock::now());
        match from.recv_timeout(left.min(RECEIVE_SLICE)) {
            Ok(what) => return Some(what),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) if left.is_zero() || stop() => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Runs `f` on a named thread that the scope joins at its end.
///
/// # Errors
/// The system has no thread to give.
pub fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: impl Into<String>,
    f: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    std::thread::Builder::new().name(name.into()).spawn_scoped(scope, f)
}

/// The threads of one room. Clones are the same group.
#[derive(Clone)]
pub struct Group(Arc<Inner>);

struct Inner {
    label: String,
    threads: Mutex<Threads>,
    ended: Condvar,
}

#[derive(Default)]
struct Threads {
    next: u64,
    running: BTreeMap<u64, (String, JoinHandle<()>)>,
    /// Ran to their end (or nearly: the last instructions of a thread are not ours) and can be
    /// joined without a wait worth the name.
    finished: Vec<u64>,
}

impl Threads {
    /// Joins what has finished; the handles are joined by the caller, outside the lock.
    fn reap(&mut self) -> Vec<(String, JoinHandle<()>)> {
        let finished = std::mem::take(&mut self.finished);
        finished.iter().filter_map(|id| self.running.remove(id)).collect()
    }
}

impl Group {
    /// An empty group; `label` stands before its threads' names in the log.
    pub fn new(label: impl Into<String>) -> Group {
        Group(Arc::new(Inner {
            label: label.into(),
            threads: Mutex::default(),
            ended: Condvar::new(),
        }))
    }

    /// Runs `f` on a thread of its own. Bounding the number of threads is the caller's part.
    ///
    /// # Errors
    /// The system has no thread to give.
    #[expect(clippy::disallowed_methods, reason = "the home of threads")]
    pub fn spawn(
        &self,
        name: impl Into<String>,
        f: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let name = name.into();
        let inner = Arc::clone(&self.0);
        let finished = self.0.threads.lock().reap();
        join(finished);
        let mut threads = self.0.threads.lock();
        let id = threads.next;
        threads.next += 1;
        // The new thread's first act that needs the lock is its last, so it is always listed here
        // before it can say that it has finished.
        let own_name = name.clone();
        let handle = std::thread::Builder::new().name(name.clone()).spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
                let why = panic_words(panic.as_ref());
                log::error!("thread {}/{own_name} panicked: {why}", inner.label);
            }
            inner.threads.lock().finished.push(id);
            inner.ended.notify_all();
        })?;
        threads.running.insert(id, (name, handle));
        Ok(())
    }

    /// How many threads have not come to their end.
    pub fn running(&self) -> usize {
        let threads = self.0.threads.lock();
        threads.running.len() - threads.finished.len()
    }

    /// Waits for all threads to end, for at most `within`; returns the names of those that run on.
    /// Called by a thread of the group itself, it names that thread among them.
    pub fn join_all(&self, within: Duration) -> Vec<String> {
        let mut threads = self.0.threads.lock();
        self.0.ended.wait_while_for(
            &mut threads,
            |threads| threads.finished.len() < threads.running.len(),
            within,
        );
        let finished = threads.reap();
        let left = threads.running.values().map(|(name, _)| name.clone()).collect();
        drop(threads);
        join(finished);
        left
    }
}

fn join(finished: Vec<(String, JoinHandle<()>)>) {
    for (name, handle) in finished {
        // The body catches its panics, so this is one while a thread's locals were torn down.
        if handle.join().is_err() {
            log::error!("thread {name} panicked at its end");
        }
    }
}

fn panic_words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn who_waits_to_receive_hears_a_stop_an_end_and_the_deadline() {
        let (send, from) = crossbeam_channel::unbounded();
        let (past, never) = (clock::now(), clock::now() + Duration::from_secs(86_400));
        assert_eq!(receive(&from, never, &|| true), None, "stopped");
        assert_eq!(receive(&from, past, &|| false), None, "too late");
        send.send(7).unwrap();
        assert_eq!(receive(&from, past, &|| true), Some(7), "what is there is received");
        drop(send);
        assert_eq!(receive(&from, never, &|| false), None, "nobody sends any more");
    }

    #[test]
    fn a_stop_wakes_every_sleeper() {
        let (group, stop) = (Group::new("sleepers"), StopToken::new());
        for i in 0..8 {
            let stop = stop.clone();
            group.spawn(format!("sleeper {i}"), move || assert!(stop.wait(LONG))).unwrap();
        }
        assert!(!stop.is_stopped());
        stop.stop();
        assert_eq!(group.join_all(LONG), Vec::<String>::new());
        assert!(stop.wait(Duration::ZERO));
    }

    #[test]
    fn stragglers_are_named_and_joined_later() {
        let (group, stop) = (Group::new("g"), StopToken::new());
        let token = stop.clone();
        group.spawn("slow one", move || token.wait_stopped()).unwrap();
        assert_eq!(group.join_all(Duration::from_millis(1)), ["slow one"]);
        stop.stop();
        assert!(group.join_all(LONG).is_empty());
    }

    #[test]
    fn a_panic_ends_its_thread_only_and_finished_threads_are_reaped() {
        let group = Group::new("g");
        group.spawn("clumsy", || panic!("dropped a plate")).unwrap();
        assert!(group.join_all(LONG).is_empty());
        for _ in 0..50 {
            group.spawn("short", || ()).unwrap();
            assert!(group.join_all(LONG).is_empty());
        }
        assert_eq!(group.running(), 0);
        assert!(group.0.threads.lock().running.is_empty());
    }
}
