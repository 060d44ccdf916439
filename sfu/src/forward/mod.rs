//! From one source's packets to one viewer's continuous stream: sequence numbers, timestamps and codec counters go on
//! without a jump whatever the source does (layer switch, take-over, late join).

mod dependency;
mod forwarder;
mod gop;
mod keyframe;
mod layers;
mod rate;
mod select;
mod sequence;
#[cfg(test)]
mod shapes;
mod timeline;
mod vp8;

pub(crate) use forwarder::{Forwarder, Outgoing, REPLAY_TICK};
pub(crate) use gop::{GopCache, Pushed};
pub(crate) use keyframe::KeyframeRequests;
pub(crate) use rate::RateMeter;
pub(crate) use select::{LayerView, Selector};
