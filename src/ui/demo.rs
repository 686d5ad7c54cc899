//! demo
use super::args::DemoArgs;
use crate::base::Fault;
pub(super) fn demo(_: &DemoArgs) -> Result<(), Fault> {
    Ok(())
}
