//! Dates and decimal numbers as playlists write them.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// `EXT-X-PROGRAM-DATE-TIME` in UTC, from ms since 1970.
pub(crate) struct Date(pub(crate) u64);

impl Display for Date {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1000, self.0 % 1000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Years begin in March, so that the day that comes every four years is the last.
        let days = days + 719_468;
        let era = days / 146_097;
        let day = days % 146_097;
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, is_next_year) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        write!(
            f,
            "{:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
            era * 400 + year + is_next_year,
            second / 3600,
            second / 60 % 60,
            second % 60,
        )
    }
}

/// Ticks as seconds with five decimals, rounded to the nearest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seconds {
    pub(crate) ticks: u64,
    pub(crate) timescale: u32,
}

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scale = u128::from(self.timescale.max(1));
        let rounded = (u128::from(self.ticks) * 100_000 + scale / 2) / scale;
        write!(f, "{}.{:05}", rounded / 100_000, rounded % 100_000)
    }
}

/// The same of a part, which is a little longer there than it is: by more than nothing, and by a hundred-thousandth of a second at
/// most. Where the sum of all parts before it says that a part begins is then never earlier than the part before said, which
/// shaka-player 5 would take for another offset between the playlist and the media: it would reset the decoder between two keyframes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartSeconds(pub(crate) Seconds);

impl PartSeconds {
    /// By how much a part is written longer than it is, at most.
    pub(crate) const MORE_MAX: Duration = Duration::from_micros(10);
}

impl Display for PartSeconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scale = u128::from(self.0.timescale.max(1));
        let above = u128::from(self.0.ticks) * 100_000 / scale + 1;
        write!(f, "{}.{:05}", above / 100_000, above % 100_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_in_utc() {
        let check = |ms: u64, text: &str| assert_eq!(Date(ms).to_string(), text);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_123, "2000-02-29T00:00:00.123Z");
        check(1_709_251_199_999, "2024-02-29T23:59:59.999Z");
        check(1_735_689_600_000, "2025-01-01T00:00:00.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn seconds_have_five_decimals() {
        let check = |ticks, timescale, text: &str| {
            assert_eq!(Seconds { ticks, timescale }.to_string(), text);
        };
        check(45_000, 90_000, "0.50000");
        check(3_003, 90_000, "0.03337");
        check(959, 48_000, "0.01998");
        check(899_999, 90_000, "9.99999");
    }

    #[test]
    fn parts_are_written_longer_than_they_are() {
        let check = |ticks, timescale, text: &str| {
            let seconds = Seconds { ticks, timescale };
            assert_eq!(PartSeconds(seconds).to_string(), text);
        };
        check(18_000, 90_000, "0.20001");
        check(17_999, 90_000, "0.19999");
        check(9_216, 48_000, "0.19201");
        check(8_747, 44_100, "0.19835");
    }
}
