//! A link that became narrow: what is on its way already is too much for it, and what the estimator believes is wrong for
//! seconds, at first too much and then too little.

use std::time::{Duration, Instant};

use crate::allocate::Rung;
use crate::peer::Peer;
use crate::seat::Seat;

/// Pictures that wait longer than this for their turn, on a link that loses or delays, are late for good.
const LATE: Duration = Duration::from_millis(300);

/// What waits this long is on its way.
const IN_TIME: Duration = Duration::from_millis(50);

/// A thumbnail: a first picture that costs no more is tried.
const TRIAL_BPS_MAX: u64 = 200_000;

/// The pacer knows at once that a link became narrow: pictures wait in it that were meant for the link as it was. Nothing is put
/// behind them until they have left, and none of them is sent twice. What follows is small, and in time.
pub(super) fn look_for_jam(now: Instant, peer: &mut Peer, seat: &mut Seat) {
    let limit = if seat.is_jammed { IN_TIME } else { LATE };
    let (rtc, legs) = (&mut peer.rtc, &peer.legs);
    let mut pictures = legs.iter().filter(|leg| !leg.is_audio);
    let is_late = pictures.any(|leg| rtc.waits(leg.mid, now) > limit);
    seat.is_jammed = is_late && (seat.is_jammed || seat.is_congested());
    if seat.is_jammed {
        for leg in legs.iter().filter(|leg| !leg.is_audio) {
            rtc.forget(leg.mid);
        }
    }
}

/// The rung that a picture gets of those that it has, where `choice` is what its share of the estimate allows.
///
/// After a link became narrow the estimate goes on falling for seconds, below what arrives: the first picture of a connection
/// without loss and delay is shown small, whatever the estimate.
pub(super) fn given(
    seat: &Seat,
    is_first: bool,
    rungs: &[Rung],
    choice: Option<usize>,
) -> Option<Rung> {
    if seat.is_jammed {
        return None;
    }
    let is_tried = is_first && seat.is_clean();
    let least = rungs
        .first()
        .filter(|rung| is_tried && rung.bps <= TRIAL_BPS_MAX);
    choice
        .and_then(|choice| rungs.get(choice))
        .or(least)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtc::Stats;

    fn rungs() -> Vec<Rung> {
        let rung = |layer, bps| Rung {
            layer,
            spatial: 0,
            temporal: 0,
            bps,
        };
        vec![rung(0, 120_000), rung(1, 400_000)]
    }

    fn seat_after(losses: &[f32]) -> Seat {
        let mut seat = Seat::default();
        for &loss in losses {
            let round_trip = Some(Duration::from_millis(20));
            seat.note(Stats { loss, round_trip });
        }
        seat
    }

    /// The layer that a picture without a share is given.
    fn check(losses: &[f32], is_first: bool, expected: Option<u8>) {
        let seat = seat_after(losses);
        let rung = given(&seat, is_first, &rungs(), None);
        assert_eq!(rung.map(|rung| rung.layer), expected, "{losses:?}");
    }

    #[test]
    fn only_the_first_picture_of_a_clean_connection_is_tried() {
        check(&[], true, None);
        check(&[0.0], true, None);
        check(&[0.0, 0.0], true, Some(0));
        check(&[0.0, 0.0], false, None);
        check(&[0.0, 0.0, 0.02], true, None);
        check(&[0.5, 0.0, 0.005], true, Some(0));
        let mut large = rungs();
        large.remove(0);
        assert_eq!(given(&seat_after(&[0.0, 0.0]), true, &large, None), None);
    }

    #[test]
    fn nothing_is_sent_into_a_jam_and_what_was_chosen_otherwise() {
        let mut seat = seat_after(&[0.0, 0.0]);
        assert_eq!(given(&seat, true, &rungs(), Some(1)), Some(rungs()[1]));
        seat.is_jammed = true;
        assert_eq!(given(&seat, true, &rungs(), Some(1)), None);
    }
}
