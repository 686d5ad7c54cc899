//! Looks at the machine and the network for `logic::doctor`, which judges what is seen.
//!
//! ```text
//! place     disk, clock, limits, key files    looked at, nothing changed
//! doors     ports and addresses               ports are taken for a moment
//! calls     trackers and nodes                dialled, each on a thread of its own, all by one deadline
//! ```
//!
//! Invariant: nothing here fails; what cannot be seen is a fact as well. Whatever is counted has a bound, and
//! whatever is waited for a deadline.

mod calls;
mod doors;
mod place;
#[cfg(test)]
mod tests;

pub use calls::{Answer, Calls, Pending};
pub use doors::{addresses, free_ports};
pub use place::{Started, clock_and_limits, disk, key_file};
