//! Fail points: named places between two steps where a test crashes the process or fails the step.
//!
//! Invariant: without the feature `failpoints` a place is the value `Ok(())` and nothing else; no
//! name, no list, no look at the environment is left in the program. With it, a place that nobody
//! asked for is `Ok(())` too. A crash is a SIGKILL of the process by itself: nothing is flushed,
//! nothing is dropped. Ends with the process.
//!
//! ```text
//! PARVI_FAILPOINTS=NAME@NTH=WHAT,…    WHAT is crash, or the error of the step: EIO, ENOSPC
//! PARVI_FAILPOINTS_HIT=FOLDER         gets an empty file NAME@NTH before the point does what it is asked
//! ```

#[cfg(feature = "failpoints")]
mod points;

#[cfg(feature = "failpoints")]
pub use points::{POINTS, Point};

/// A fail point: an `io::Result<()>`, to be given back as an error of the step that follows.
#[cfg(not(feature = "failpoints"))]
macro_rules! fail_point {
    ($name:literal) => {
        ::std::io::Result::<()>::Ok(())
    };
}
#[cfg(feature = "failpoints")]
macro_rules! fail_point {
    ($name:literal) => {
        $crate::io::failpoint::reached($name)
    };
}
pub(crate) use fail_point;

#[cfg(feature = "failpoints")]
pub(crate) use asked::reached;

/// What the environment asks for.
#[cfg(feature = "failpoints")]
mod asked {
    use std::env::{var, var_os};
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use rustix::io::Errno;
    use rustix::process::{Signal, getpid, kill_process};

    /// One place, and what happens when it is reached for the `nth` time.
    struct Order {
        name: String,
        nth: u64,
        /// Crash when there is none.
        error: Option<Errno>,
        reached: AtomicU64,
    }

    static ORDERS: LazyLock<Vec<Order>> = LazyLock::new(|| {
        let text = var("PARVI_FAILPOINTS").unwrap_or_default();
        text.split(',').filter_map(order).collect()
    });
    static HIT: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| var_os("PARVI_FAILPOINTS_HIT").map(PathBuf::from));

    /// A text that is no order asks for nothing: a test misses the file that tells of the hit.
    fn order(text: &str) -> Option<Order> {
        let (place, what) = text.split_once('=')?;
        let (name, nth) = place.split_once('@')?;
        let error = match what {
            "crash" => None,
            "EIO" => Some(Errno::IO),
            "ENOSPC" => Some(Errno::NOSPC),
            _ => return None,
        };
        let reached = AtomicU64::new(0);
        Some(Order { name: name.to_owned(), nth: nth.parse().ok()?, error, reached })
    }

    /// The process has come to the place `name`.
    pub(crate) fn reached(name: &str) -> io::Result<()> {
        for order in ORDERS.iter().filter(|order| order.name == name) {
            if order.reached.fetch_add(1, Relaxed) + 1 != order.nth {
                continue;
            }
            if let Some(folder) = &*HIT {
                mark(&folder.join(format!("{name}@{}", order.nth)));
            }
            match order.error {
                Some(errno) => return Err(errno.into()),
                None => crash(),
            }
        }
        Ok(())
    }

    fn mark(path: &Path) {
        if let Err(e) = std::fs::write(path, "") {
            log::error!("could not tell of a fail point in {}: {e}", path.display());
        }
    }

    /// Ends the process as `kill -9` does. This thread does not go on meanwhile.
    fn crash() -> ! {
        if let Err(e) = kill_process(getpid(), Signal::KILL) {
            log::error!("could not end this process: {e}");
        }
        loop {
            std::thread::park();
        }
    }
}
