//! Publishers without WebRTC: cameras and the demo.

use std::time::Duration;

use sfu::{Codec, CodecKind, Command, Input, PeerId, SourcePacket, StreamId};

use crate::media::{Packetizer, Parameters, Picture, Video};
use crate::world::World;

/// An open source.
#[derive(Debug)]
pub struct Source {
    worker: usize,
    stream: StreamId,
    peer: PeerId,
    codec: Video,
    sequence: u64,
}

impl World {
    /// A camera takes the stream over, on the worker of its publisher or, without one, on `worker`.
    pub fn open_source(&mut self, worker: usize, stream: StreamId, codec: Video) -> Source {
        let peer = PeerId(self.next_id());
        let entry = self.directory.entry(stream).or_default();
        entry.origin = Some(worker);
        entry.publisher = Some(peer);
        let kind = match codec {
            Video::H264 => CodecKind::H264,
            Video::Vp8 => CodecKind::Vp8,
            Video::Vp9 => CodecKind::Vp9,
            Video::Av1 => CodecKind::Av1,
        };
        let track = Codec {
            kind,
            h264_profile: None,
            stereo: false,
        };
        self.tell(
            worker,
            Command::OpenSource {
                stream,
                peer,
                tracks: vec![track],
                is_backup: false,
            },
        );
        self.tell_origin(stream, Some(worker), Some(worker));
        Source {
            worker,
            stream,
            peer,
            codec,
            sequence: 70_000,
        }
    }

    /// Feeds a source with 30 pictures a second for a while.
    pub fn feed_source(
        &mut self,
        mut source: Source,
        publication: u16,
        duration: Duration,
    ) -> Source {
        let until = self.now + duration;
        let mut packetizer = Packetizer::new(source.codec, Parameters::Together, 7);
        for number in 0.. {
            if self.now >= until {
                break;
            }
            let picture = Picture {
                publication,
                layer: 0,
                key: number % 60 == 0,
                number,
                reference: number.saturating_sub(1),
                captured_us: u64::try_from(self.elapsed().as_micros()).unwrap(),
            };
            let payloads = packetizer.packetize(&picture, 4000);
            let last = payloads.len() - 1;
            for (at, payload) in payloads.into_iter().enumerate() {
                source.sequence += 1;
                let packet = SourcePacket {
                    peer: source.peer,
                    track: 0,
                    sequence: source.sequence,
                    timestamp: number.wrapping_mul(3000),
                    marker: at == last,
                    payload: payload.into(),
                };
                self.feed(
                    source.worker,
                    Input::Packet {
                        stream: source.stream,
                        packet,
                    },
                );
            }
            self.run(Duration::from_nanos(33_333_333));
        }
        source
    }
}
