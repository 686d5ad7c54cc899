//! Stand-in until the link room's clock is merged.
#![allow(missing_docs)]
use crate::base::Time;

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Time {
    static ORIGIN: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    Time::from_origin(ORIGIN.elapsed())
}

pub fn wall_hms() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

pub fn random_u64() -> u64 {
    getrandom::u64().unwrap_or(0)
}
