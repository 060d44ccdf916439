//! One subscriber.

use std::sync::Arc;
use std::time::{Duration, Instant};

use allowance::Allowance;

use super::io::{Permissions, PositionForm};
use super::settings::Settings;

/// Refused messages, less those that were taken, after which a client is closed.
pub(super) const REFUSED_MAX: u32 = 1000;
/// How often a client is told that it is too fast.
pub(super) const TELL_RATE_EVERY: Duration = Duration::from_millis(250);
/// Positions of one client per second: three times what the fastest clock ticks. More change nothing.
const MOVES: u32 = 180;

/// Channels in slow mode where a client's last CHAT is remembered.
pub(super) const SPOKE_MAX: usize = 64;

/// One subscriber.
#[derive(Debug)]
pub(super) struct Client {
    /// Never used again.
    pub(super) serial: u64,
    /// `None` for who hears everything.
    pub(super) space: Option<Arc<str>>,
    pub(super) positions: PositionForm,
    pub(super) permissions: Permissions,
    pub(super) address: Arc<str>,
    /// `None`: no limit.
    pub(super) messages: Option<Allowance>,
    pub(super) moves: Allowance,
    pub(super) refused: u32,
    pub(super) told_rate: Option<Instant>,
    /// It was closed; nothing of it counts any more.
    pub(super) is_closing: bool,
    /// Whom it moved last: where it is in its space.
    pub(super) me: Option<Arc<str>>,
    /// When it last got all positions.
    pub(super) whole_at: Instant,
    /// Its last CHAT in each channel in slow mode, the oldest first.
    pub(super) spoke: Vec<(Arc<str>, Instant)>,
}

impl Client {
    pub(super) fn new(
        serial: u64,
        permissions: Permissions,
        address: Arc<str>,
        settings: &Settings,
        now: Instant,
    ) -> Self {
        let allowance =
            |rate: u32, burst: u32| Allowance::new(burst, Duration::from_secs(1) / rate, now);
        Self {
            serial,
            space: None,
            positions: PositionForm::None,
            permissions,
            address,
            messages: (settings.client_rate > 0)
                .then(|| allowance(settings.client_rate, settings.client_burst)),
            moves: allowance(MOVES, MOVES),
            refused: 0,
            told_rate: None,
            is_closing: false,
            me: None,
            whole_at: now,
            spoke: Vec::new(),
        }
    }
}
