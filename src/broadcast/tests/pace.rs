//! Who publishes faster than it plays, as packets of FFmpeg come, and says when they were captured.

use bytes::Bytes;
use sfu::TapItem;

use super::*;
use crate::bridge::clip::AUDIO;
use crate::broadcast::OPUS;

const MS: Duration = Duration::from_millis(1);
/// Twice what a viewer notices, at most: pictures are moved by half of it so that parts are of a length.
const APART_MAX_MS: f64 = 40.0;

/// One packet of sound or one picture.
struct Sent {
    arrival: Duration,
    track: usize,
    media: Duration,
    payloads: Vec<Arc<[u8]>>,
}

impl Sent {
    fn is_at(&self, track: usize, media: Duration) -> bool {
        self.track == track && self.media == media
    }
}

impl Stage {
    /// Two rounds of the clip. What is of the time `media` comes `arrival(track, media)` after the beginning, but for what is lost.
    fn rush(
        &mut self,
        arrival: impl Fn(usize, Duration) -> Duration,
        is_lost: impl Fn(&Sent) -> bool,
    ) -> Vec<Sent> {
        self.publish(self.clip.tracks());
        let peer = self.publisher.expect("it publishes");
        let (begun, length) = (self.now, self.clip.duration);
        let rounds = (0..2).flat_map(|round| self.clip.items.iter().map(move |item| (round, item)));
        let mut sent: Vec<Sent> = rounds
            .map(|(round, item)| {
                let media = length * round + item.at;
                Sent {
                    arrival: arrival(item.track, media),
                    track: item.track,
                    media,
                    payloads: item.payloads.clone(),
                }
            })
            .collect();
        sent.sort_by_key(|one| one.arrival);
        let mut next = 0;
        while next < sent.len() {
            self.now += TICK;
            while let Some(one) = sent.get(next).filter(|one| begun + one.arrival <= self.now) {
                if is_lost(one) {
                    self.sequences[one.track] += one.payloads.len() as u64;
                } else {
                    self.send(peer, begun, one);
                }
                next += 1;
            }
            self.line.tick(self.now);
        }
        self.worker
            .handle(self.now, Input::Command(Command::Close { peer }));
        self.publisher = None;
        self.run(TICK);
        sent.sort_by_key(|one| one.media);
        sent
    }

    fn send(&mut self, peer: PeerId, begun: Instant, one: &Sent) {
        let arrival = begun + one.arrival;
        let rate = if one.track == VIDEO { 90_000 } else { 48_000 };
        let last = one.payloads.len() - 1;
        for (place, payload) in one.payloads.iter().enumerate() {
            let packet = SourcePacket {
                peer,
                track: one.track,
                sequence: self.sequences[one.track],
                timestamp: (one.media.as_micros() * rate / 1_000_000) as u32,
                marker: one.track == VIDEO && place == last,
                payload: payload.clone(),
            };
            self.sequences[one.track] += 1;
            let stream = STREAM;
            self.worker
                .handle(arrival, Input::Packet { stream, packet });
        }
        loop {
            match self.worker.poll(arrival) {
                Output::Timeout(_) => break,
                Output::Tap { mut item, .. } => {
                    if let TapItem::Packet { packet, .. } = &mut item {
                        let due = begun + one.media;
                        packet.wallclock = due.min(packet.arrival);
                        packet.ahead = due - packet.wallclock;
                    }
                    self.line.on_item(self.now, item);
                }
                _ => {}
            }
        }
    }

    /// The segments that were made of a track: when each sample begins, in ms, and what it is.
    fn made(&self, rendition: &str) -> Vec<Vec<(f64, Bytes)>> {
        let per_ms = if rendition == OPUS { 48.0 } else { 90.0 };
        let rendition = self.show().rendition(rendition).unwrap();
        let segments = (1..).map_while(|msn| rendition.segment(msn));
        let samples = segments.map(|segment| hls::sound_samples(&segment).unwrap());
        let of = |one: hls::SoundSample| (one.start as f64 / per_ms, one.data);
        samples
            .map(|all| all.into_iter().map(of).collect())
            .collect()
    }
}

/// All pictures and all sound are there once, in their time.
fn assert_whole(name: &str, arrival: impl Fn(usize, Duration) -> Duration) {
    let mut stage = Stage::new(11);
    let sent = stage.rush(arrival, |_| false);
    let (pictures, sounds) = (stage.made("video"), stage.made(OPUS));
    assert_eq!(pictures.len(), sounds.len(), "{name}");
    for (seen, heard) in pictures.iter().zip(&sounds) {
        let apart_ms = heard[0].0 - seen[0].0;
        assert!(
            (0.0..25.0).contains(&apart_ms),
            "{name}: cut {apart_ms} ms apart"
        );
    }
    for (track, rendition, made) in [(VIDEO, "video", pictures), (AUDIO, OPUS, sounds)] {
        let made = made.concat();
        let sent: Vec<&Sent> = sent.iter().filter(|one| one.track == track).collect();
        assert_eq!(made.len(), sent.len(), "{name}: {rendition}");
        for ((start_ms, data), one) in made.iter().zip(sent) {
            let apart_ms = start_ms - one.media.as_secs_f64() * 1000.0;
            assert!(
                apart_ms.abs() <= APART_MAX_MS / 2.0,
                "{name}: {rendition} of {:?} is {apart_ms} ms late",
                one.media
            );
            assert!(track == VIDEO || data[..] == one.payloads[0][..]);
        }
    }
    assert_eq!(stage.count("hls_sound_dropped_ms"), 0, "{name}");
    assert_eq!(stage.count("hls_sound_filled_ms"), 0, "{name}");
}

#[test]
fn a_file_that_is_sent_as_fast_as_can_be_is_whole_and_in_step() {
    // The first packet of all is one of sound.
    let after = |track: usize| {
        if track == VIDEO {
            2 * MS
        } else {
            Duration::ZERO
        }
    };
    for speed in [2, 10, 35, 100, 400] {
        assert_whole(&format!("{speed} times"), |track, media| {
            media / speed + after(track)
        });
    }
}

#[test]
fn sound_that_runs_ahead_of_a_slow_encoder_waits_for_its_pictures() {
    // Two seconds of sound in a tenth of one; pictures three times as fast as they play until they have caught up.
    let sound = |media: Duration| (media / 20).max((media + 100 * MS).saturating_sub(2 * S));
    assert_whole("a slow encoder", |track, media| {
        let at = sound(media);
        match track {
            VIDEO => at.max(110 * MS + media / 3),
            _ => at,
        }
    });
}

#[test]
fn nothing_is_filled_for_what_waits_in_a_burst_for_a_packet_that_is_lost() {
    // Ten times as fast as it plays: what is behind the hole is held for a quarter of a second, two and a half of its own.
    let lost = 4_000 * MS;
    let mut stage = Stage::new(12);
    let sent = stage.rush(|_, media| media / 10, |one| one.is_at(AUDIO, lost));
    let made = stage.made(OPUS).concat();
    let sounds = sent.iter().filter(|one| one.track == AUDIO);
    assert_eq!(made.len(), sounds.clone().count());
    for ((start_ms, data), one) in made.iter().zip(sounds) {
        let apart_ms = start_ms - one.media.as_secs_f64() * 1000.0;
        assert!(apart_ms.abs() <= 20.0, "{:?}: {apart_ms} ms", one.media);
        assert!(data[..] == one.payloads[0][..] || one.is_at(AUDIO, lost));
    }
}
