//! The HTTP side as its clients meet it: a whole server in this process, on a port of its own, and real requests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backup;
mod bus;
mod client;
mod connected;
mod extensions;
mod hls;
mod hostile;
mod letter;
mod limits;
mod offers;
mod openvidu;
mod operations;
mod pages;
mod rtc;
mod server;
mod session;
mod slate;
mod tokens;
mod whep;
mod whip;
