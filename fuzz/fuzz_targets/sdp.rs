//! Any SDP as a publisher's offer, as a viewer's offer, as an answer to our own, and to the shell's check before that.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use sfu::{
    Certificate, Codec, CodecKind, Command, Input, Output, PeerId, Reply, RequestId, Role, StreamId, TakesOver, TrackInfo,
    Transport, Worker, WorkerConfig, WorkerId,
};

thread_local! {
    static CERTIFICATE: Certificate = Certificate::generate();
}

fuzz_target!(|data: &[u8]| {
    if let Ok(summary) = wish::sdp::inspect(data) {
        let _ = summary.check_publisher(&["opus", "H264", "VP8"]);
        let _ = summary.check_viewer();
    }
    // The shell refuses bodies that are not UTF-8.
    let Ok(sdp) = std::str::from_utf8(data) else {
        return;
    };
    let now = Instant::now();
    let mut worker = Worker::new(
        WorkerConfig {
            id: WorkerId(0),
            candidates: vec![
                (Transport::Udp, "192.0.2.9:7900".parse().unwrap()),
                (Transport::Tcp, "192.0.2.9:7900".parse().unwrap()),
            ],
            certificate: CERTIFICATE.with(Clone::clone),
            peers_max: 10,
            streams_max: 10,
        },
        now,
    );
    let stream = StreamId(1);
    for (number, role) in [(1, Role::Publisher), (2, Role::Viewer)] {
        let command = Command::Accept {
            request: RequestId(number),
            peer: PeerId(number),
            stream,
            role,
            offer: sdp.to_owned(),
            tracks: tracks(),
            origin: None,
            takes_over: TakesOver::Anybody,
        };
        run(&mut worker, now, command);
    }
    let offer = Command::Offer {
        request: RequestId(3),
        peer: PeerId(3),
        stream,
        tracks: tracks(),
        origin: None,
    };
    assert!(run(&mut worker, now, offer), "we cannot make an offer");
    let answer = Command::Answer {
        request: RequestId(4),
        peer: PeerId(3),
        answer: sdp.to_owned(),
    };
    run(&mut worker, now, answer);
});

fn tracks() -> Vec<TrackInfo> {
    let track = |kind, h264_profile| TrackInfo {
        codec: Codec {
            kind,
            h264_profile,
            stereo: false,
        },
        layers: vec![String::new()],
    };
    vec![track(CodecKind::Opus, None), track(CodecKind::H264, Some(0x42_e0_1f))]
}

/// Runs a command until nothing is left to do; whether it was answered with an SDP.
fn run(worker: &mut Worker, now: Instant, command: Command) -> bool {
    worker.handle(now, Input::Command(command));
    worker.handle(now, Input::Timeout);
    let mut replies = 0;
    let mut has_sdp = false;
    for _ in 0..10_000 {
        match worker.poll(now) {
            Output::Timeout(_) => {
                assert_eq!(replies, 1, "one reply for each command");
                return has_sdp;
            }
            Output::Reply { result, .. } => {
                replies += 1;
                has_sdp = matches!(result, Ok(Reply::Sdp(_)));
            }
            _ => {}
        }
    }
    panic!("no end of outputs");
}
