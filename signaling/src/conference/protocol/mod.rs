//! The JSON messages of `/rtc/{space}`, version 1. `docs/PROTOCOL.md` explains them to whoever writes a client.

/// Version of the protocol that this crate speaks.
pub const VERSION: u32 = 1;
/// Longest text message that is read, in bytes: an offer with 60 sections has about 120 kB.
pub const TEXT_MAX: usize = 512 * 1024;

/// Codes with which a WebSocket is closed.
pub mod close {
    /// The client left.
    pub const LEFT: u16 = 1000;
    /// The server stops.
    pub const STOPPING: u16 = 1001;
    /// Never joined, too fast, or too much that could not be read.
    pub const POLICY: u16 = 1008;
    /// No room; an error `full` came first.
    pub const FULL: u16 = 1013;
    /// The same identity joined again.
    pub const REPLACED: u16 = 4001;
    /// A moderator removed the participant.
    pub const REMOVED: u16 = 4003;
    /// The token gives nothing; an error said why.
    pub const TOKEN: u16 = 4004;
}
