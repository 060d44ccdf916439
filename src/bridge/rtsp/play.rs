//! A playing camera's packets to the venue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use payload::h264;
use payload::h264::camera::{Assembler, Frame, Packet};
use retina::client::PacketItem;
use retina::rtp::ReceivedPacket;
use sfu::{Codec, CodecKind};
use transcode::{Input, OpusPacket, Transcoder, Unit};

use super::aac::Units;
use super::session::{self, ConnectError, Connected, Sound};
use super::sound::SoundKind;
use super::stage::Stage;
use super::url::RedactedUrl;
use super::worker::Worker;
use crate::clock;

/// Without a key frame for this long, a camera that sends is lost, too: nobody could see it.
const KEY_FRAME_MAX: Duration = Duration::from_secs(60);
/// G.711 packets up to this size, 40 ms, are passed through as they are; larger ones are cut into pieces of 20 ms.
const G711_MAX: usize = 320;
const G711_PIECE: usize = 160;
/// Places of the tracks in the publication.
const VIDEO: usize = 0;
const SOUND: usize = 1;

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// Somebody else publishes the stream.
    TakenOver,
    /// The server stops.
    Stopping,
    /// The camera is gone; the text says how.
    Lost(String),
    /// Nothing came for so long.
    Silent(Duration),
    /// It does not play.
    Unusable(ConnectError),
}

/// The sound track's way.
enum Path {
    None,
    G711,
    Opus,
    Aac(Units, Box<Worker>),
    /// A packet is a unit.
    Plain(Box<Worker>),
}

struct Player<'a> {
    stage: &'a mut Stage,
    /// Places of the tracks in the camera's description.
    video_stream: usize,
    sound_stream: Option<usize>,
    assembler: Assembler,
    video_clock_rate: u32,
    sound_codec: Option<Codec>,
    sound_clock_rate: u32,
    path: Path,
    /// Whether the next sound packet begins anew, which the marker says (RFC 3551 section 4.1).
    sound_starts: bool,
    /// Packets that the camera sent and that did not arrive.
    lost_packets: u64,
    key_frame_at: Instant,
}

/// Plays until the camera or the stream is lost.
pub(super) async fn play(mut connected: Connected, url: &RedactedUrl, stage: &mut Stage) -> Ended {
    let mut heard_at = clock::now();
    let mut silence_max = stage.start_max();
    let mut player = Player::begin(&mut connected, url, stage, heard_at);
    let ended = loop {
        let done = tokio::select! {
            item = connected.session.next() => match item {
                Some(Ok(PacketItem::Rtp(packet))) => {
                    heard_at = clock::now();
                    silence_max = player.stage.silence_max();
                    player.take(packet, heard_at).await
                }
                // Sender reports and whatever the library adds one day.
                Some(Ok(_)) => Ok(()),
                Some(Err(error)) => Err(Ended::Lost(session::explain(url, &error).to_string())),
                None => Err(Ended::Lost("the camera ended the session".to_owned())),
            },
            opus = player.path.next() => player.take_transcoded(opus, clock::now()),
            () = tokio::time::sleep_until((heard_at + silence_max).into()) => Err(Ended::Silent(silence_max)),
        };
        if let Err(ended) = done {
            break ended;
        }
    };
    player.report();
    ended
}

/// The way of a sound track, what viewers get of it, and the clock rate of what comes out at its end.
fn prepare(sound: Option<Sound>, url: &RedactedUrl) -> (Path, Option<Codec>, u32) {
    let Some(sound) = sound else {
        return (Path::None, None, 0);
    };
    let input = match &sound.kind {
        SoundKind::G711(_) => {
            return (Path::G711, Some(sound.kind.codec(false)), sound.clock_rate);
        }
        SoundKind::Opus { .. } => {
            return (Path::Opus, Some(sound.kind.codec(false)), sound.clock_rate);
        }
        SoundKind::Aac { asc } => Input::Aac(asc),
        SoundKind::G722 => Input::G722,
        SoundKind::L16 { channels } => Input::L16 {
            rate: sound.clock_rate,
            channels: *channels,
        },
    };
    match Transcoder::new(input, sound.clock_rate) {
        Ok(transcoder) => {
            let codec = sound.kind.codec(transcoder.is_stereo());
            let worker = Box::new(Worker::spawn(transcoder, url));
            let path = match &sound.kind {
                SoundKind::Aac { .. } => Path::Aac(Units::default(), worker),
                _ => Path::Plain(worker),
            };
            (path, Some(codec), codec.kind.clock_rate())
        }
        Err(error) => {
            tracing::warn!(camera = %url, %error, "a camera's sound is left out");
            (Path::None, None, 0)
        }
    }
}

impl Path {
    /// The next packet of a transcoder; never, without one.
    async fn next(&mut self) -> Option<OpusPacket> {
        match self {
            Self::Aac(_, worker) | Self::Plain(worker) => worker.next().await,
            _ => std::future::pending().await,
        }
    }
}

impl<'a> Player<'a> {
    /// Begins a session on the stage's time line.
    fn begin(
        connected: &mut Connected,
        url: &RedactedUrl,
        stage: &'a mut Stage,
        now: Instant,
    ) -> Self {
        let sound = connected.sound.take();
        let sound_stream = sound.as_ref().map(|sound| sound.stream);
        let (path, sound_codec, sound_clock_rate) = prepare(sound, url);
        let sound_kind = sound_codec.map(|codec| codec.kind);
        let kinds = std::iter::once(CodecKind::H264).chain(sound_kind);
        let rates: Vec<u32> = kinds.map(CodecKind::clock_rate).collect();
        stage.timeline.begin(now, &rates);
        tracing::info!(
            space = %stage.key.space, stream = %stage.key.stream, camera = %url,
            transport = ?connected.transport, sound = sound_kind.map(CodecKind::name), "camera connected"
        );
        Self {
            stage,
            video_stream: connected.video,
            sound_stream,
            assembler: Assembler::new(connected.parameter_sets.drain(..)),
            video_clock_rate: connected.video_clock_rate,
            sound_codec,
            sound_clock_rate,
            path,
            sound_starts: true,
            lost_packets: 0,
            key_frame_at: now,
        }
    }

    async fn take(&mut self, packet: ReceivedPacket, now: Instant) -> Result<(), Ended> {
        self.lost_packets += u64::from(packet.loss());
        match packet.stream_id() {
            stream if stream == self.video_stream => self.take_video(packet, now).await,
            stream if Some(stream) == self.sound_stream => self.take_sound(packet, now),
            _ => Ok(()),
        }
    }

    async fn take_video(&mut self, packet: ReceivedPacket, now: Instant) -> Result<(), Ended> {
        let packet = Packet {
            elapsed: packet.timestamp().elapsed(),
            marker: packet.mark(),
            lost: packet.loss() > 0,
            payload: packet.into_payload_bytes(),
        };
        for frame in self.assembler.push(&packet) {
            self.send_frame(frame, now).await?;
        }
        if now.saturating_duration_since(self.key_frame_at) > KEY_FRAME_MAX {
            return Err(Ended::Lost(format!(
                "no whole key frame for {} s",
                KEY_FRAME_MAX.as_secs()
            )));
        }
        Ok(())
    }

    async fn send_frame(&mut self, frame: Frame, now: Instant) -> Result<(), Ended> {
        if frame.profile.is_some() {
            self.key_frame_at = now;
            let video = Codec {
                kind: CodecKind::H264,
                h264_profile: frame.profile,
                stereo: false,
            };
            let tracks: Vec<Codec> = std::iter::once(video).chain(self.sound_codec).collect();
            self.stage.publish(&tracks).await?;
        }
        let timestamp =
            self.stage
                .timeline
                .timestamp(VIDEO, frame.elapsed, self.video_clock_rate, now);
        let payloads = h264::packetise(frame.nals);
        let last = payloads.len().saturating_sub(1);
        for (index, payload) in payloads.into_iter().enumerate() {
            self.stage.send(VIDEO, timestamp, index == last, payload)?;
        }
        Ok(())
    }

    fn take_sound(&mut self, packet: ReceivedPacket, now: Instant) -> Result<(), Ended> {
        let lost = packet.loss() > 0;
        self.sound_starts |= lost;
        let elapsed = packet.timestamp().elapsed();
        let payload = packet.into_payload_bytes();
        match &mut self.path {
            Path::None => Ok(()),
            Path::Aac(units, worker) => {
                for unit in units.push(elapsed, lost, &payload) {
                    worker.push(unit);
                }
                Ok(())
            }
            Path::Plain(worker) => {
                worker.push(Unit {
                    elapsed: Some(elapsed),
                    data: payload,
                });
                Ok(())
            }
            Path::Opus => self.send_sound(elapsed, &payload, now),
            Path::G711 => {
                for (offset, piece) in g711_pieces(&payload) {
                    self.send_sound(elapsed.saturating_add(offset), &piece, now)?;
                }
                Ok(())
            }
        }
    }

    /// `None` when the thread ended, which said why; the picture goes on.
    fn take_transcoded(&mut self, opus: Option<OpusPacket>, now: Instant) -> Result<(), Ended> {
        let Some(opus) = opus else {
            self.path = Path::None;
            return Ok(());
        };
        self.sound_starts |= opus.starts;
        self.send_sound_shared(opus.elapsed, opus.payload, now)
    }

    fn send_sound(&mut self, elapsed: i64, payload: &Bytes, now: Instant) -> Result<(), Ended> {
        if payload.is_empty() || payload.len() > sfu::PAYLOAD_MAX {
            return Ok(());
        }
        self.send_sound_shared(elapsed, Arc::from(&payload[..]), now)
    }

    fn send_sound_shared(
        &mut self,
        elapsed: i64,
        payload: Arc<[u8]>,
        now: Instant,
    ) -> Result<(), Ended> {
        // Sound before the first picture would be a publication without its profile.
        if !self.stage.is_published() {
            return Ok(());
        }
        let timestamp = self
            .stage
            .timeline
            .timestamp(SOUND, elapsed, self.sound_clock_rate, now);
        let marker = std::mem::take(&mut self.sound_starts);
        self.stage.send(SOUND, timestamp, marker, payload)
    }

    /// What was dropped, when the session ends.
    fn report(&self) {
        let dropped = self.assembler.dropped();
        let (malformed_units, late_units) = match &self.path {
            Path::Aac(units, worker) => (units.malformed(), worker.overflows()),
            Path::Plain(worker) => (0, worker.overflows()),
            _ => (0, 0),
        };
        tracing::debug!(
            space = %self.stage.key.space, stream = %self.stage.key.stream,
            lost_packets = self.lost_packets, damaged_frames = dropped.damaged,
            frames_without_reference = dropped.without_reference, malformed_units, late_units, "session ended"
        );
    }
}

/// Pieces of a G.711 packet with their distance from its beginning in samples, which are bytes.
fn g711_pieces(payload: &Bytes) -> impl Iterator<Item = (i64, Bytes)> {
    let piece = if payload.len() <= G711_MAX {
        G711_MAX
    } else {
        G711_PIECE
    };
    let payload = payload.clone();
    (0..payload.len()).step_by(piece).map(move |from| {
        (
            from as i64,
            payload.slice(from..payload.len().min(from + piece)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(length: usize, expected: &[(i64, usize)]) {
        let payload: Bytes = vec![0xd5; length].into();
        let pieces: Vec<_> = g711_pieces(&payload)
            .map(|(offset, piece)| (offset, piece.len()))
            .collect();
        assert_eq!(pieces, expected, "{length} bytes");
    }

    #[test]
    fn long_g711_packets_are_cut_into_pieces_of_twenty_milliseconds() {
        check(0, &[]);
        check(160, &[(0, 160)]);
        check(320, &[(0, 320)]);
        check(321, &[(0, 160), (160, 160), (320, 1)]);
        check(
            1_024,
            &[
                (0, 160),
                (160, 160),
                (320, 160),
                (480, 160),
                (640, 160),
                (800, 160),
                (960, 64),
            ],
        );
    }
}
