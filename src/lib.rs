//! The shell of Proscenium: sockets, clock, tasks, files and HTTP around the pure crates of `sfu/`, `signaling/` and `hls/`.
//!
//! What it deliberately does not do: decide about packets (that is `sfu`), define names and bodies (that is
//! `venue` and `wish`), or read the process environment anywhere but in `main`.

pub mod auth;
pub mod bridge;
pub mod broadcast;
pub mod bus;
pub mod clock;
pub mod conference;
pub mod config;
pub mod http;
pub mod key_command;
pub mod logging;
pub mod media;
pub mod metrics;
pub mod notify;
pub mod open_files;
pub mod outlets;
pub mod probe;
pub mod recording;
pub mod run;
pub mod shutdown;
pub mod store;
pub mod token_command;
pub mod tokens;
