//! The HTTP side as its clients meet it: a whole server in this process, on a port of its own, and real requests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(missing_docs, reason = "tests have no users")]

mod client;
mod hostile;
mod offers;
mod operations;
mod pages;
mod server;
mod whep;
mod whip;
