//! What the tracker's process has taken, as the kernel counts it. Ends with each reading.

use std::time::Duration;

use crate::Failure;

/// The kernel's ticks a second; the same on every Linux that parvi runs on.
const TICKS: u64 = 100;
const PAGE: u64 = 4_096;

/// Memory in use, bytes.
pub(crate) fn resident(pid: u32) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages = text.split(' ').nth(1).ok_or("statm has no second word")?;
    Ok(pages.parse::<u64>()? * PAGE)
}

/// Processor time up to now.
pub(crate) fn cpu(pid: u32) -> Result<Duration, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may have spaces; what follows it has none.
    let rest = text.rsplit(')').next().ok_or("stat has no name")?;
    let mut words = rest.split_whitespace().skip(11);
    let mut next = || words.next().ok_or("stat is too short");
    let ticks = next()?.parse::<u64>()? + next()?.parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS))
}
