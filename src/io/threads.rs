//! Stand-in until the link room's threads are merged.
#![allow(missing_docs)]
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Clone, Default)]
pub struct StopToken(Arc<(Mutex<bool>, Condvar)>);

impl StopToken {
    pub fn new() -> StopToken {
        StopToken::default()
    }
    pub fn stop(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }
    pub fn is_stopped(&self) -> bool {
        *self.0.0.lock()
    }
    pub fn wait(&self, within: Duration) -> bool {
        let mut stopped = self.0.0.lock();
        if !*stopped {
            self.0.1.wait_for(&mut stopped, within);
        }
        *stopped
    }
}

#[derive(Clone)]
pub struct Group(Arc<Mutex<Vec<(String, JoinHandle<()>)>>>);

impl Group {
    pub fn new(_label: &str) -> Group {
        Group(Arc::default())
    }
    #[expect(clippy::disallowed_methods, reason = "this is the home of threads")]
    pub fn spawn(
        &self,
        name: impl Into<String>,
        f: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let name = name.into();
        let handle = std::thread::Builder::new().name(name.clone()).spawn(f)?;
        self.0.lock().push((name, handle));
        Ok(())
    }
    pub fn running(&self) -> usize {
        self.0.lock().iter().filter(|(_, h)| !h.is_finished()).count()
    }
    #[expect(clippy::disallowed_methods, reason = "stand-in")]
    pub fn join_all(&self, within: Duration) -> Vec<String> {
        let mut left = within;
        loop {
            self.0.lock().retain(|(_, h)| !h.is_finished());
            if self.0.lock().is_empty() || left.is_zero() {
                return self.0.lock().iter().map(|(n, _)| n.clone()).collect();
            }
            std::thread::sleep(Duration::from_millis(5));
            left = left.saturating_sub(Duration::from_millis(5));
        }
    }
}
