//! Conferences: participants who publish and receive over one connection, and the shell's part for them.

mod camera;
mod judge;
mod microphone;
mod participant;
mod room;
mod signal;
mod slot;
mod venue;
mod voice;

mod bad_networks;
mod data;
mod feeds;
mod hostile;
mod joining;
mod loudest;
mod negotiation;
mod reconnect;
mod replay;
mod slots;
mod steps;

pub use participant::Participant;
pub use room::Room;
pub use signal::Signal;
