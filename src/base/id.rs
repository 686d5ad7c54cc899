//! A node's identity: its persistent X25519 public key, as proved in the Noise handshake.

use super::hex::hex_newtype;

/// The static public key of a node. Two nodes with one identity are one node to everybody else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 32]);

hex_newtype!(NodeId);
