//! What a conference decides again and again: the shares of a participant's bandwidth, ten times a second for each, and who is heard,
//! with every packet of sound. `cargo bench -p sfu --bench conference`.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

#[expect(
    unused,
    unreachable_pub,
    reason = "private modules of the crate, here for their own sake"
)]
#[path = "../src"]
mod sfu {
    pub(crate) mod allocate;
    pub(crate) mod conference;
    pub(crate) mod id;
    pub(crate) mod speaker;
}

use std::time::{Duration, Instant};

use sfu::{allocate, conference, id, speaker};

use allocate::{Allocator, Request, Rung};
use conference::Priority;
use id::StreamId;
use speaker::Speakers;

/// Three layers of three temporal layers each, in bit/s.
const RUNGS_BPS: [u64; 9] = [
    60_000, 90_000, 150_000, 200_000, 300_000, 500_000, 600_000, 900_000, 1_500_000,
];

fn main() {
    allocations();
    packets();
}

/// 49 pictures of nine rungs.
fn allocations() {
    const TIMES: u32 = 1000;
    let mut rng = fastrand::Rng::with_seed(1);
    let classes = [
        Priority::Low,
        Priority::Normal,
        Priority::High,
        Priority::Pinned,
    ];
    let rungs: Vec<Rung> = (0..)
        .zip(RUNGS_BPS)
        .map(|(at, bps)| Rung {
            layer: at / 3,
            spatial: 0,
            temporal: at % 3,
            bps,
        })
        .collect();
    let requests: Vec<Request<'_>> = (0..49)
        .map(|key| Request {
            key,
            stream: StreamId(key as u64),
            rungs: &rungs,
            priority: classes[rng.usize(..4)],
            is_detail: false,
        })
        .collect();
    let mut allocator = Allocator::default();
    let mut into = Vec::new();
    let start = Instant::now();
    let mut now = start;
    for _ in 0..TIMES {
        now += Duration::from_millis(100);
        allocator.allocate(now, rng.u64(1_000_000..40_000_000), &requests, &mut into);
    }
    let each = start.elapsed() / TIMES;
    println!(
        "{} ns per allocation of 49 requests of nine rungs",
        each.as_nanos()
    );
}

/// 208 streams, eight of them music.
fn packets() {
    let mut rng = fastrand::Rng::with_seed(1);
    let streams: Vec<(StreamId, bool)> = (0..208).map(|at| (StreamId(at), at >= 200)).collect();
    let sounds: Vec<(StreamId, u8)> = (0..200_000)
        .map(|_| {
            let stream = StreamId(rng.u64(..208));
            (stream, if rng.u8(..10) == 0 { 30 } else { 75 })
        })
        .collect();
    let start = Instant::now();
    let mut now = start;
    let mut speakers = Speakers::new(8);
    speakers.set_streams(now, &streams, 8);
    let mut changes = 0;
    for chunk in sounds.chunks(200) {
        for (stream, level) in chunk {
            changes += usize::from(speakers.observe(now, *stream, Some((*level, true))));
        }
        now += Duration::from_millis(20);
    }
    let each = start.elapsed().as_nanos() / sounds.len() as u128;
    println!("{each} ns per packet of 208 streams, {changes} changes");
}
