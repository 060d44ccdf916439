//! When there is no room: on the disk, under the quota, in the queue.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A disk with room for so many bytes.
fn small_disk(bytes: u64) -> (Arc<AtomicU64>, impl FnOnce(&mut Settings)) {
    let room = Arc::new(AtomicU64::new(bytes));
    let of_disk = Arc::clone(&room);
    let change = |settings: &mut Settings| {
        settings.disk.room = Some(of_disk);
        settings.chunk = Duration::from_secs(10);
    };
    (room, change)
}

#[test]
fn on_a_full_disk_recording_stops_and_what_was_complete_stays_playable() {
    for bytes in (9_000..10_200).step_by(61) {
        let (room, change) = small_disk(bytes);
        let mut desk = Desk::new(change);
        desk.begin("00c0ffee", true);
        desk.segments("00c0ffee", "video", 1..21);
        let there = desk.numbers("00c0ffee", "video");
        assert!((6..=9).contains(&there.len()), "{there:?}");
        assert_eq!(desk.archive.trouble(), Some(Trouble::DiskFull));
        let recording = desk.archive.recording("00c0ffee").unwrap();
        assert_eq!(recording.state, RecordingState::Stopped);
        assert_eq!(recording.lost, 20 - there.len() as u64);
        // Killed right now, with the disk still full.
        assert_eq!(
            desk.restart().numbers("00c0ffee", "video"),
            there,
            "{bytes}"
        );

        room.fetch_add(100_000, Ordering::Relaxed);
        // A summary is small: it may have fitted.
        let _ = std::fs::remove_file(desk.path("00c0ffee").join("finished"));
        desk.segments("00c0ffee", "video", 21..23);
        assert_eq!(
            desk.numbers("00c0ffee", "video"),
            there,
            "not tried again at once"
        );
        desk.now_ms += 10_000;
        desk.segments("00c0ffee", "video", 23..25);
        let now = desk.numbers("00c0ffee", "video");
        assert_eq!(now, [&there[..], &[23, 24]].concat());
        assert_eq!(desk.archive.trouble(), None);
        let reel = desk.archive.reel("00c0ffee", "video").unwrap();
        assert!(reel.segments[there.len()].discontinuity);
        desk.end("00c0ffee");
        assert_eq!(desk.restart().numbers("00c0ffee", "video"), now);
    }
}

#[test]
fn the_oldest_windows_make_room_for_recordings() {
    let (_, change) = small_disk(50_000);
    let mut desk = Desk::new(change);
    desk.begin("0000beef", false);
    desk.segments("0000beef", "video", 1..11);
    desk.end("0000beef");
    desk.now_ms += 20_000;
    desk.begin("0000dead", false);
    desk.segments("0000dead", "video", 11..21);
    desk.begin("00c0ffee", true);
    desk.segments("00c0ffee", "video", 21..60);
    assert_eq!(
        desk.archive.recording("0000beef"),
        None,
        "ended first, went first"
    );
    assert_eq!(
        desk.numbers("00c0ffee", "video"),
        (21..60).collect::<Vec<u64>>()
    );
    let window = desk.numbers("0000dead", "video");
    assert!(
        window.len() < 10 && window.last() == Some(&20),
        "{window:?}"
    );
    assert_eq!(desk.archive.trouble(), None);
    assert_eq!(desk.restart().numbers("0000dead", "video"), window);
}

#[test]
fn a_quota_shortens_windows_but_never_recordings() {
    let mut desk = Desk::new(|settings| {
        settings.quota_bytes = Some(30_500);
        settings.chunk = Duration::from_secs(10);
    });
    desk.begin("0000dead", false);
    desk.segments("0000dead", "video", 1..101);
    let window = desk.numbers("0000dead", "video");
    assert!((25..=30).contains(&window.len()), "{window:?}");
    assert_eq!(window.last(), Some(&100));
    desk.begin("00c0ffee", true);
    desk.segments("00c0ffee", "video", 101..111);
    assert_eq!(desk.numbers("00c0ffee", "video").len(), 10);
    desk.end("0000dead");
    desk.segments("00c0ffee", "video", 111..201);
    assert_eq!(desk.archive.recording("0000dead"), None);
    assert_eq!(desk.numbers("00c0ffee", "video").len(), 30);
    assert_eq!(desk.archive.trouble(), Some(Trouble::Quota));
    assert!(desk.archive.bytes() <= 30_500);
    desk.end("00c0ffee");
    assert_eq!(desk.archive.trouble(), None, "nobody records any more");
    assert_eq!(desk.restart().numbers("00c0ffee", "video").len(), 30);
}

#[test]
fn the_rest_of_a_partly_kept_recording_makes_room_even_on_a_disk_without_any() {
    let (_, change) = small_disk(40_000);
    let mut desk = Desk::new(change);
    desk.begin("0000dead", false);
    desk.segments("0000dead", "video", 1..31);
    desk.keep("0000dead", true);
    desk.segments("0000dead", "video", 31..33);
    desk.end("0000dead");
    desk.begin("00c0ffee", true);
    desk.segments("00c0ffee", "video", 101..121);
    assert_eq!(desk.numbers("00c0ffee", "video").len(), 20);
    assert_eq!(desk.numbers("0000dead", "video"), [31, 32]);
    assert_eq!(desk.archive.trouble(), None);
}

fn begin(recorder: &Recorder) {
    let sent = recorder.try_send(Entry::Begin {
        key: key("main"),
        life: "00c0ffee".into(),
        origin_ms: BEGIN_MS,
        keep: true,
    });
    assert!(sent);
    assert!(recorder.try_send(Entry::Init {
        life: "00c0ffee".into(),
        info: info("video"),
        number: 0,
        bytes: Bytes::from_static(b"init"),
    }));
}

fn send(recorder: &Recorder, msn: u64, bytes: Bytes) -> bool {
    recorder.try_send(Entry::Segment {
        life: "00c0ffee".into(),
        rendition: "video".into(),
        segment: Arc::new(segment(msn, msn, bytes)),
    })
}

#[test]
fn the_thread_writes_what_waits_before_it_ends_and_takes_commands() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::new(&Config {
        data_dir: directory.path().to_path_buf(),
        ..Config::default()
    });
    let recorder = Recorder::start(settings.clone()).unwrap();
    begin(&recorder);
    for msn in 1..51 {
        assert!(send(&recorder, msn, content(msn)));
    }
    assert_eq!(recorder.archive().delete("00c0ffee"), Err(Refusal::Live));
    assert_eq!(
        recorder.archive().keep("0000beef", true),
        Err(Refusal::Unknown)
    );
    assert!(recorder.finish(Duration::from_secs(30)));
    assert_eq!(recorder.counters().segments.load(Ordering::Relaxed), 50);
    assert!(
        !send(&recorder, 51, content(51)),
        "nobody takes it any more"
    );

    let recorder = Recorder::start(settings).unwrap();
    let recording = recorder.archive().recording("00c0ffee").unwrap();
    assert_eq!((recording.duration_ms, recording.kept), (100_000, true));
    assert_eq!(recorder.archive().keep("00c0ffee", false), Ok(()));
    assert!(!recorder.archive().recording("00c0ffee").unwrap().kept);
    assert_eq!(recorder.archive().delete("00c0ffee"), Ok(()));
    assert_eq!(recorder.archive().delete("00c0ffee"), Err(Refusal::Unknown));
    assert!(recorder.finish(Duration::from_secs(30)));
}

#[test]
fn a_full_queue_refuses_media_counts_it_and_still_takes_what_matters() {
    let (queue, messages) = Queue::new();
    let media = |bytes: Bytes| {
        Message::Entry(Entry::Thumbnail {
            life: "00c0ffee".into(),
            at_s: 0,
            jpeg: bytes,
        })
    };
    let end = || {
        Message::Entry(Entry::End {
            life: "00c0ffee".into(),
        })
    };
    let large = Bytes::from(vec![0; QUEUE_BYTES_MAX as usize / 4]);
    let taken = (0..10)
        .filter(|_| queue.try_send(media(large.clone())))
        .count();
    assert_eq!(taken, 4, "bytes count");
    assert!(queue.try_send(end()));
    drop((queue, messages));

    let (queue, messages) = Queue::new();
    let small = Bytes::from_static(b"x");
    let taken = (0..QUEUE_MAX)
        .filter(|_| queue.try_send(media(small.clone())))
        .count();
    assert!(taken < QUEUE_MAX, "entries count");
    assert!(
        (taken..QUEUE_MAX).all(|_| queue.try_send(end())),
        "the reserve is not for media"
    );
    assert!(!queue.try_send(end()));
    assert_eq!(messages.try_iter().count(), QUEUE_MAX);
}
