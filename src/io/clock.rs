//! The clocks and the dice: the only place where time and chance come from.
//!
//! Invariant: decisions use [`now`], which is monotonic; the wall clock is for people and for the
//! modification times of files, never for a decision. Nothing here fails.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::base::{Modified, Time};

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Monotonic time since the first call in this process.
#[expect(clippy::disallowed_methods, reason = "the home of the monotonic clock")]
pub fn now() -> Time {
    let origin = *ORIGIN.get_or_init(Instant::now);
    Time::from_origin(origin.elapsed())
}

/// The wall clock, as files are stamped with it.
#[expect(clippy::disallowed_methods, reason = "the home of the wall clock")]
pub fn unix_now() -> Modified {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => {
            let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            Modified { secs, nanos: since.subsec_nanos() }
        }
        // A clock before 1970 is broken; whole seconds are enough to say so.
        Err(before) => {
            let secs = i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX);
            Modified { secs: -secs, nanos: 0 }
        }
    }
}

/// The local time of day for people, `HH:MM:SS`.
pub fn wall_hms() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

/// The local date and time for people.
pub fn wall_date() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// The local date for people, `YYYY-MM-DD`.
pub fn wall_day() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d").to_string()
}

/// A number nobody can guess, for jitter and for telling one process from the next. Keys are drawn
/// elsewhere (`io::link`), where a failure of the system's generator is an error.
pub fn random_u64() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        let t = now().since(Time::ZERO).as_nanos() as u64;
        (t ^ u64::from(std::process::id())).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_backwards_and_people_see_a_time_of_day() {
        let (a, b) = (now(), now());
        assert!(b >= a);
        assert!(unix_now().secs > 1_600_000_000, "the wall clock counts from 1970");
        let hms = wall_hms();
        assert_eq!(hms.len(), 8, "{hms}");
        assert_eq!(hms.matches(':').count(), 2, "{hms}");
        let date = wall_date();
        assert!(date.starts_with("20") && date.matches('-').count() >= 2, "{date}");
        assert_eq!(wall_day().matches('-').count(), 2, "{}", wall_day());
        assert_ne!(random_u64(), random_u64());
    }
}
