//! What spaces and streams may be called.
//!
//! This crate opens no socket, reads no clock and draws no random number: it judges names, wherever they come from.

#![warn(missing_docs)]

pub mod names;

pub use names::{NameError, SpaceName, StreamName};
