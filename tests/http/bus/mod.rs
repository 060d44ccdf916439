//! The message bus as its clients meet it: WebSockets against a whole server.

mod area51;
mod crowd;
mod door;
mod history;
mod moderation;
mod peer;
mod root;
mod spaces;
mod visitor;
