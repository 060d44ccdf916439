//! Live streams for audiences of any size: from the media threads' taps to low-latency HLS that HTTP hands out.
//!
//! Two to four threads package all streams, each those of its share of the names: it reads its taps, assembles frames, feeds one
//! `hls::Packager` per stream and publishes what comes out. HTTP only looks at what is [`Published`]: a playlist is rendered once per part and shared by all viewers,
//! a part is one buffer from the packager to every socket. Nothing here can make a media thread wait: the taps are bounded
//! rings that drop and count.
//!
//! What this module deliberately does not do: forward packets (`sfu`), write files (`recording`), decode pictures on these
//! threads, or know HTTP.
//!
//! Budget: a stream of 4 Mbit/s costs about one percent of a core here, and two copies of each byte: frame to part, part to
//! segment.

mod cards;
mod counters;
mod follow;
mod line;
mod packaging;
mod picture;
mod plan;
mod presentation;
mod production;
mod published;
mod quality;
mod rendered;
mod rendition;
mod sizes;
mod slate;
mod sound;
mod stream;
#[cfg(test)]
mod tests;
mod thumbnails;

pub use counters::BroadcastCounters;
pub use follow::{Broadcast, Settings};
pub(crate) use plan::{AAC, OPUS};
pub use presentation::{Sound, multivariant};
pub use published::Published;
pub use quality::SoundTrouble;
pub use rendered::Rendered;
pub use rendition::{Held, Media, Rendition, Skip, WAITERS_MAX};
pub(crate) use sizes::Sizes;
pub use stream::Show;
