//! Whole conferences as text: clients on one side, media on the other, the state machine between.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod absence;
mod closing;
mod document;
mod glare;
mod golden;
mod house;
mod joining;
mod limits;
mod media;
mod moderation;
mod presence;
mod random;
mod stage;
