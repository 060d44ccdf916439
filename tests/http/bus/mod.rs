//! The message bus as its clients meet it: WebSockets against a whole server.

mod crowd;
mod door;
mod peer;
mod root;
mod spaces;
