//! What the functions cost that every byte, message or name goes through: `cargo bench --bench hot`,
//! with a part of a name behind `--` for some of them only.
//!
//! They are no tests: they show by how much a change made one of these slower or faster on the
//! machine at hand. `bench/` measures whole programs beside others.

mod bytes;
mod messages;
mod names;
mod picking;
mod records;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bytes::all(&mut criterion);
    records::all(&mut criterion);
    messages::all(&mut criterion);
    picking::all(&mut criterion);
    names::all(&mut criterion);
    criterion.final_summary();
}
