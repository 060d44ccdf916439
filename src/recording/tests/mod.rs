//! What the recorder promises, on real files; the time is told.

mod crash;
mod file;
mod lives;
mod restart;
mod room;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::archive::{Archive, Shared};
use super::entry::{Entry, Settings};
use super::mend;
use super::queue::{Message, Queue};
use super::writer::Writer;
use super::*;
use crate::config::Config;
use crate::media::StreamKey;

/// When the tests begin, in ms since 1970.
const BEGIN_MS: u64 = 1_700_000_000_000;

/// How long a segment is here.
const SEGMENT_S: u64 = 2;

/// A recorder without its thread.
struct Desk {
    directory: Arc<TempDir>,
    settings: Settings,
    writer: Writer,
    counters: Arc<Counters>,
    archive: Archive,
    now_ms: u64,
}

impl Desk {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let mut settings = Settings::new(&Config {
            data_dir: directory.path().to_path_buf(),
            ..Config::default()
        });
        change(&mut settings);
        Self::open(directory, settings, BEGIN_MS)
    }

    fn open(directory: Arc<TempDir>, settings: Settings, now_ms: u64) -> Self {
        std::fs::create_dir_all(&settings.directory).unwrap();
        let shared = Arc::new(Shared::default());
        mend::survey(&settings, now_ms, &shared).unwrap();
        let counters = Arc::new(Counters::default());
        let writer = Writer::new(settings.clone(), Arc::clone(&shared), Arc::clone(&counters));
        let (queue, _) = Queue::new();
        Self {
            directory,
            settings,
            writer,
            counters,
            archive: Archive { shared, queue },
            now_ms,
        }
    }

    /// The process was killed, and starts again.
    fn restart(&self) -> Self {
        let directory = Arc::clone(&self.directory);
        Self::open(directory, self.settings.clone(), self.now_ms)
    }

    fn send(&mut self, entry: Entry) {
        self.writer.handle(Message::Entry(entry), self.now_ms);
    }

    fn begin(&mut self, life: &str, keep: bool) {
        self.send(Entry::Begin {
            key: key("main"),
            life: life.into(),
            origin_ms: self.now_ms,
            keep,
        });
        self.init(life, "video", 0);
    }

    fn init(&mut self, life: &str, rendition: &str, number: u32) {
        self.send(Entry::Init {
            life: life.into(),
            info: info(rendition),
            number,
            bytes: Bytes::from(format!("init {rendition} {number}")),
        });
    }

    /// Segments `from..to` of 2 s and 1000 bytes.
    fn segments(&mut self, life: &str, rendition: &str, numbers: std::ops::Range<u64>) {
        for msn in numbers {
            let segment = segment(msn, msn - 1, content(msn));
            self.segment(life, rendition, segment);
        }
    }

    fn segment(&mut self, life: &str, rendition: &str, segment: hls::Segment) {
        self.send(Entry::Segment {
            life: life.into(),
            rendition: rendition.into(),
            segment: Arc::new(segment),
        });
    }

    fn thumbnail(&mut self, life: &str, at_s: u64) {
        self.send(Entry::Thumbnail {
            life: life.into(),
            at_s,
            jpeg: Bytes::from_static(b"a picture"),
        });
    }

    fn end(&mut self, life: &str) {
        self.send(Entry::End { life: life.into() });
    }

    fn keep(&mut self, life: &str, keep: bool) {
        self.send(Entry::Keep {
            life: life.into(),
            keep,
        });
    }

    fn tidy_after(&mut self, time: Duration) {
        self.now_ms += time.as_millis() as u64;
        self.writer.tidy(self.now_ms);
    }

    /// Numbers of the segments of a rendition, each of which can be read and is what it was.
    fn numbers(&self, life: &str, rendition: &str) -> Vec<u64> {
        let Some(reel) = self.archive.reel(life, rendition) else {
            return Vec::new();
        };
        let numbers: Vec<u64> = reel.segments.iter().map(|entry| entry.msn).collect();
        for msn in &numbers {
            let location = self.archive.segment(life, rendition, *msn).unwrap();
            assert_eq!(location.read().unwrap(), content(*msn), "segment {msn}");
        }
        numbers
    }

    fn path(&self, life: &str) -> PathBuf {
        self.settings.directory.join("stage/main").join(life)
    }
}

fn key(stream: &str) -> StreamKey {
    StreamKey {
        space: "stage".into(),
        stream: stream.into(),
    }
}

fn info(rendition: &str) -> hls::RenditionInfo {
    let kind = match rendition {
        "audio" => hls::CodecKind::Opus,
        "aac" => hls::CodecKind::Aac,
        _ => hls::CodecKind::H264,
    };
    hls::RenditionInfo {
        name: rendition.to_owned(),
        kind,
        codec: "avc1.64001f".to_owned(),
        width: 1280,
        height: 720,
        frame_rate_milli: 30_000,
        bandwidth_peak: 0,
        bandwidth_average: 0,
        keyframe_peak: 0,
        keyframe_average: 0,
        channels: 0,
        may_have_captions: true,
        init: None,
        active: true,
    }
}

/// What is in a segment.
fn content(msn: u64) -> Bytes {
    let bytes = (0..1000_u64).map(|place| (place * 7 + msn) as u8);
    bytes.collect::<Vec<u8>>().into()
}

/// The segment `msn` that begins `place` segments after the life's begin.
fn segment(msn: u64, place: u64, bytes: Bytes) -> hls::Segment {
    hls::Segment {
        rendition: 0,
        msn,
        start: (place * SEGMENT_S * 90_000) as i64,
        duration: SEGMENT_S * 90_000,
        timescale: 90_000,
        init: 0,
        discontinuity: false,
        discontinuity_sequence: 0,
        independent: true,
        date_ms: BEGIN_MS + place * SEGMENT_S * 1000,
        bytes,
        parts: 4,
        keyframe_bytes: 0,
        is_last: false,
    }
}
