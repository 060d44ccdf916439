//! The words of the media side in those of the signalling, and the other way round.

use std::time::Duration;

use conference::{Priority, Quality, Refusal, SlotState};

use crate::media::Refused;

/// When somebody may try again who found the venue full.
const FULL_RETRY: Duration = Duration::from_secs(5);

pub(super) fn refusal(refused: Refused) -> Refusal {
    let full = |what: &str| Refusal::Full {
        what: what.to_owned(),
        retry_after: FULL_RETRY,
    };
    match refused {
        Refused::Malformed(why) => Refusal::Malformed(why),
        Refused::NotAcceptable(why) => Refusal::NotAcceptable(why),
        Refused::UnknownResource | Refused::NothingLive => Refusal::Gone,
        Refused::Taken => Refusal::Taken,
        Refused::Full(what) => full(what),
        Refused::Stopping => full("the venue is closing"),
    }
}

pub(super) fn priority(priority: Priority) -> sfu::Priority {
    match priority {
        Priority::Low => sfu::Priority::Low,
        Priority::Normal => sfu::Priority::Normal,
        Priority::High => sfu::Priority::High,
        Priority::Pinned => sfu::Priority::Pinned,
    }
}

pub(super) fn quality(quality: sfu::Quality) -> Quality {
    match quality {
        sfu::Quality::Poor => Quality::Poor,
        sfu::Quality::Fair => Quality::Fair,
        sfu::Quality::Good => Quality::Good,
    }
}

pub(super) fn slot_state(state: sfu::SlotState) -> SlotState {
    match state {
        sfu::SlotState::Live => SlotState::Live,
        sfu::SlotState::Paused => SlotState::Paused,
        sfu::SlotState::Unsupported => SlotState::Unsupported,
    }
}

/// Why a peer is gone, for the log.
pub(super) fn reason(reason: &sfu::CloseReason) -> String {
    use sfu::CloseReason;
    match reason {
        CloseReason::Asked => "it was closed".to_owned(),
        CloseReason::Remote => "the client closed it".to_owned(),
        CloseReason::NeverConnected => "it never connected".to_owned(),
        CloseReason::Lost => "nothing was heard of the client for 30 s".to_owned(),
        CloseReason::TakenOver => "another one took its stream".to_owned(),
        CloseReason::Failed(why) => format!("the transport failed: {why}"),
        CloseReason::Panicked(why) => format!("a defect: {why}"),
    }
}
