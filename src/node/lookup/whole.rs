//! Is a word that may be `NAME@ROOT` the name of something? Invariant: a name comes first. Ends with one
//! lookup.

use std::sync::Arc;

use super::lookup;
use crate::base::{Name, RootPrefix};
use crate::node::context::Context;

/// `NAME@ROOT` as one name, when anything is called so, here as `mine` says or elsewhere. Names may
/// end like that: a name comes first, and only what nobody has is read as a name and a root.
pub(in crate::node) fn whole_name(
    ctx: &Arc<Context>,
    (name, root): (&Name, &RootPrefix),
    mine: &dyn Fn(&Name) -> bool,
    stop: &dyn Fn() -> bool,
) -> Option<Name> {
    let whole = Name::parse(&format!("{}@{}", name.as_str(), root.as_str())).ok()?;
    let is_elsewhere = || {
        let found = lookup(ctx, &whole, stop);
        // Who has it may be out of reach.
        !found.hits.is_empty() || !found.unreachable.is_empty()
    };
    (mine(&whole) || is_elsewhere()).then_some(whole)
}
