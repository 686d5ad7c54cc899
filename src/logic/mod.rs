//! logic

pub mod attempts;
pub mod batch;
pub mod items;
pub mod shares;
pub mod upload;
