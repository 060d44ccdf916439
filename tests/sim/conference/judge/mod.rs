//! What was wrong with a conference that ran, and whose fault it was.

mod pictures;
mod sound;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub use pictures::Pictures;
pub use sound::Sound;

use super::venue::{Step, Venue};
use crate::client::Client;
use crate::link::Loss;

/// How long a changed link may disturb.
pub const SETTLING: Duration = Duration::from_secs(3);

/// After its connection somebody's bandwidth is not known yet.
const ARRIVING: Duration = Duration::from_secs(8);

/// The first few of many, to be printed.
pub fn few<T>(many: &[T]) -> &[T] {
    &many[..many.len().min(5)]
}

/// Whether somebody's link, or what is known of it, is unsettled at this time.
fn is_unsettled(steps: &[Step], at: Instant, who: usize, client: &Client) -> bool {
    let arrives = client.connected_at.is_none_or(|up| at < up + ARRIVING);
    let changes = steps
        .iter()
        .any(|step| step.client == who && (step.at..step.at + SETTLING).contains(&at));
    arrives || changes
}

/// What a path lost, by SSRC and sequence number.
fn losses(losses: &[Loss]) -> BTreeMap<(u32, u16), Loss> {
    losses
        .iter()
        .map(|loss| ((loss.ssrc, loss.sequence), *loss))
        .collect()
}

impl Venue {
    /// Judges all sound.
    pub fn judge_sound(&self) -> Sound {
        sound::judge(self)
    }

    /// Judges all pictures.
    pub fn judge_pictures(&self) -> Pictures {
        pictures::judge(self)
    }
}
