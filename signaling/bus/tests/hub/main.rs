//! The hub of the message bus with clients and a store whose every move a test makes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod house;
mod kept;
mod limits;
mod moderation;
mod positions;
mod presence;
mod random;
mod replay;
mod since;
mod spaces;
mod wire;
