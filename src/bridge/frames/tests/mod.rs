//! Assemblers as the bridge uses them, on virtual time.

mod clip;
mod g711;
#[path = "../../../../sfu/payload/src/frames/tests/stage.rs"]
mod stage;

use payload::CodecKind;
use payload::frames::{Assembler, Counters, Frame, Lead, Packet};

use super::assembler;

use stage::{Bench, PPS, SPS, assert_gapless, frame, packet, units};
