//! Sound and picture of one publication, as its packets came from real programs and as they might.

use super::{PPS, Packet, SPS, assert_gapless, frame, packet};
use crate::CodecKind;
use crate::frames::{Assembler, Frame, Lead, Opening};

const PICTURE: usize = 0;
const SOUND: usize = 1;
/// For so long the first packets are only looked at, as the packaging thread does it.
const OPENING_US: i64 = 300_000;

/// A packet of either track: which, of what media time, when it came and when it is said to have been captured.
#[derive(Debug, Clone, Copy)]
struct Sent {
    track: usize,
    media_us: i64,
    arrival_us: i64,
    wallclock_us: i64,
}

/// `seconds` of pictures at 25 Hz and sound in packets of 20 ms, which come when `arrival_us` says.
fn sent(seconds: i64, arrival_us: impl Fn(usize, i64) -> i64) -> Vec<Sent> {
    let times = |track: usize, step_us: i64| {
        (0..seconds * 1_000_000 / step_us).map(move |index| (track, index * step_us))
    };
    let mut all: Vec<Sent> = times(PICTURE, 40_000)
        .chain(times(SOUND, 20_000))
        .map(|(track, media_us)| Sent {
            track,
            media_us,
            arrival_us: arrival_us(track, media_us),
            wallclock_us: arrival_us(track, media_us),
        })
        .collect();
    all.sort_by_key(|one| one.arrival_us);
    all
}

/// FFmpeg with `-re`: 600 ms at once, and everything afterwards as much ahead.
fn burst(_: usize, media_us: i64) -> i64 {
    (media_us - 600_000).max(media_us / 20)
}

/// What came out of it: pictures and sounds.
struct Played {
    pictures: Vec<Frame>,
    sounds: Vec<Frame>,
    /// Of each sound packet that was sent: its media time and where it is played.
    heard: Vec<(i64, i64)>,
    seen: Vec<(i64, i64)>,
}

fn play(sent: &[Sent]) -> Played {
    let packets: Vec<(usize, Packet)> = sent
        .iter()
        .map(|one| {
            let step_us = if one.track == SOUND { 20_000 } else { 40_000 };
            let index = (one.media_us / step_us) as u64;
            let mut packet = if one.track == SOUND {
                let ticks = one.media_us * 48 / 1_000;
                let data = [0xfc, 1, (one.media_us / 20_000) as u8];
                packet(index, 77 + ticks as u32, one.arrival_us, &data)
            } else {
                let data: Vec<u8> =
                    [&[0x78, 0, 5], SPS, &[0, 3], PPS, &[0, 3, 0x65, 0x88, 1]].concat();
                let ticks = one.media_us * 90 / 1_000;
                frame(index, 5 + ticks as u32, one.arrival_us, &[data]).remove(0)
            };
            packet.wallclock_us = one.wallclock_us;
            (one.track, packet)
        })
        .collect();
    let mut openings: Vec<Option<Opening>> = vec![None; 2];
    let begun_us = packets[0].1.arrival_us;
    for (track, packet) in &packets {
        if packet.arrival_us - begun_us <= OPENING_US {
            let rate = if *track == SOUND { 48_000 } else { 90_000 };
            openings[*track]
                .get_or_insert_with(|| {
                    Opening::new(rate, packet.sequence, packet.timestamp, packet.wallclock_us)
                })
                .add(packet.sequence, packet.timestamp, packet.wallclock_us);
        }
    }
    let (mut lead, anchors) = Lead::begin(&openings);
    let mut tracks = [
        Assembler::new(CodecKind::H264),
        Assembler::new(CodecKind::Opus),
    ];
    let mut frames = [Vec::new(), Vec::new()];
    for (track, anchor) in tracks.iter_mut().zip(anchors) {
        if let Some(anchor) = anchor {
            track.begin(anchor);
        }
    }
    for (track, packet) in packets {
        lead.note(track, tracks[track].ahead(&packet));
        tracks[track].push(packet, lead.us(), &mut frames[track]);
    }
    for (track, frames) in tracks.iter_mut().zip(&mut frames) {
        track.finish(lead.us(), frames);
    }
    let [pictures, sounds] = frames;
    let mut in_order = sent.to_vec();
    in_order.sort_by_key(|one| one.media_us);
    let at = |track: usize| in_order.iter().filter(move |one| one.track == track);
    let of_sounds = sounds.iter().filter(|sound| sound.data.len() == 3);
    Played {
        heard: at(SOUND)
            .zip(of_sounds)
            .map(|(one, sound)| (one.media_us, sound.pts * 1_000 / 48))
            .collect(),
        seen: at(PICTURE)
            .zip(&pictures)
            .map(|(one, picture)| (one.media_us, picture.pts * 1_000 / 90))
            .collect(),
        pictures,
        sounds,
    }
}

/// Everything that was sent is there, and from `from_us` on sound and picture of one moment are played at one moment.
fn assert_in_step(name: &str, sent: &[Sent], from_us: i64) {
    let played = play(sent);
    let count = |track: usize| sent.iter().filter(|one| one.track == track).count();
    assert_eq!(played.pictures.len(), count(PICTURE), "{name}");
    assert_eq!(played.heard.len(), count(SOUND), "{name}");
    assert_gapless(&played.sounds);
    for &(media_us, seen_us) in &played.seen {
        let Some(&(_, heard_us)) = played.heard.iter().find(|(heard, _)| *heard == media_us) else {
            continue;
        };
        let skew_ms = (heard_us - seen_us) / 1_000;
        assert!(
            media_us < from_us || skew_ms.abs() <= 40,
            "{name}: {skew_ms} ms apart at {media_us} us"
        );
    }
}

#[test]
fn a_burst_of_both_is_in_step_from_the_first_picture_on() {
    assert_in_step("FFmpeg, both paced", &sent(8, burst), 0);
}

#[test]
fn sound_of_which_the_burst_is_missing_is_in_step() {
    // As it came: pictures from the beginning, sound from 640 ms on, 94 ms after the first picture.
    let all = sent(8, burst);
    let late = all
        .into_iter()
        .filter(|one| one.track == PICTURE || one.media_us >= 640_000)
        .collect::<Vec<_>>();
    assert_in_step("FFmpeg, sound not kept", &late, 0);
}

#[test]
fn a_file_that_is_sent_as_fast_as_can_be_is_in_step_and_whole() {
    assert_in_step("thirty times", &sent(20, |_, media_us| media_us / 30), 0);
    assert_in_step("twice", &sent(20, |_, media_us| media_us / 2), 0);
    let slowly = |_: usize, media_us: i64| burst(0, media_us) - (media_us / 20).min(500_000);
    assert_in_step("catching up by a twentieth", &sent(20, slowly), 0);
}

#[test]
fn sound_a_tenth_of_a_second_behind_in_a_burst_is_in_step() {
    let behind = |track: usize, media_us: i64| burst(track, media_us) + 15_000 * track as i64;
    assert_in_step("interleaved unevenly", &sent(8, behind), 0);
}

#[test]
fn a_first_picture_that_took_long_is_in_step() {
    // A keyframe on a narrow line: 280 ms, with the next pictures behind it.
    let narrow = |track: usize, media_us: i64| {
        if track == PICTURE {
            media_us.max(280_000)
        } else {
            media_us
        }
    };
    assert_in_step("a slow keyframe", &sent(8, narrow), 0);
}

#[test]
fn reports_that_come_late_for_each_track_are_followed() {
    // Pictures come 60 ms after they were taken, sound 20 ms; the reports say so after 0.6 s and 2.6 s.
    let mut all = sent(20, |track, media_us| {
        media_us + if track == PICTURE { 60_000 } else { 20_000 }
    });
    for one in &mut all {
        let since_us = if one.track == PICTURE {
            600_000
        } else {
            2_600_000
        };
        if one.arrival_us > since_us {
            one.wallclock_us = one.media_us;
        }
    }
    assert_in_step("reports late", &all, 0);
}

#[test]
fn reports_of_one_track_alone_move_it_no_further_than_they_say() {
    let mut all = sent(20, |_, media_us| media_us + 35_000);
    for one in &mut all {
        if one.track == PICTURE && one.arrival_us > 600_000 {
            one.wallclock_us = one.media_us;
        }
    }
    assert_in_step("reports of the picture only", &all, 0);
}

#[test]
fn jitter_of_fifty_milliseconds_moves_nothing() {
    let mut random = fastrand::Rng::with_seed(11);
    let jitter: Vec<i64> = (0..2_000).map(|_| random.i64(0..50_000)).collect();
    let late = |track: usize, media_us: i64| {
        let index = (media_us / 20_000) as usize + track * 1_000;
        media_us + jitter[index]
    };
    assert_in_step("jitter", &sent(15, late), 0);
}

#[test]
fn a_network_that_stalls_for_a_second_leaves_them_in_step() {
    let stall = |_: usize, media_us: i64| {
        if (4_000_000..5_000_000).contains(&media_us) {
            5_000_000
        } else {
            media_us
        }
    };
    assert_in_step("stall", &sent(12, stall), 0);
}
