//! From a life's begin to its end, and what is kept of it.

use std::fs;
use std::sync::atomic::Ordering;

use super::*;

const LIFE: &str = "00c0ffee";
const WINDOW: Duration = Duration::from_secs(120);

#[test]
fn what_goes_in_comes_out_while_live_and_after_the_end() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..4);
    let live = desk.archive.reel(LIFE, "video").unwrap();
    assert!(live.whole);
    assert_eq!(live.info.bandwidth_average, 4000);
    assert_eq!(live.segments[1].to_hls(3).start, 180_000);
    let recording = desk.archive.recording(LIFE).unwrap();
    assert_eq!(recording.state, RecordingState::Recording);
    assert!(recording.kept && recording.keeping);
    assert_eq!(desk.archive.latest(&key("main")), None);

    desk.end(LIFE);
    let finished = desk.archive.reel(LIFE, "video").unwrap();
    assert_eq!(finished.segments, live.segments);
    assert_eq!(finished.info.codec, "avc1.64001f");
    assert_eq!(desk.numbers(LIFE, "video"), [1, 2, 3]);
    let latest = desk.archive.latest(&key("main")).unwrap();
    assert_eq!((&*latest.id, latest.duration_ms), (LIFE, 6000));
    assert_eq!(desk.archive.latest(&key("other")), None);
    assert_eq!(desk.archive.recordings("stage").len(), 1);
    assert_eq!(desk.archive.recordings("foyer"), []);
}

#[test]
fn where_keyframes_end_is_known_after_a_kill_and_not_of_a_segment_whose_line_is_lost() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    for (msn, keyframe_bytes) in [(1, 300), (2, 0), (3, 100)] {
        let segment = hls::Segment {
            keyframe_bytes,
            ..segment(msn, msn - 1, content(msn))
        };
        desk.segment(LIFE, "video", segment);
    }
    let check = |desk: &Desk, expected: [u32; 3], rates: (u64, u64)| {
        let reel = desk.archive.reel(LIFE, "video").unwrap();
        let known = reel.segments.iter().map(|one| one.keyframe_bytes);
        assert_eq!(known.collect::<Vec<_>>(), expected);
        let info = (reel.info.keyframe_peak, reel.info.keyframe_average);
        assert_eq!(info, rates);
        assert_eq!(desk.numbers(LIFE, "video"), [1, 2, 3]);
    };
    check(&desk, [300, 0, 100], (1200, 533));
    check(&desk.restart(), [300, 0, 100], (1200, 533));
    // As of a version that knew nothing of keyframes, and with a line that says too much.
    let index = desk.path(LIFE).join("index");
    let text = fs::read_to_string(&index).unwrap();
    let without = text.lines().filter(|line| !line.starts_with("keyframe "));
    let without: String = without.flat_map(|line| [line, "\n"]).collect();
    fs::write(&index, &without).unwrap();
    fs::remove_file(desk.path(LIFE).join("finished")).unwrap();
    check(&desk.restart(), [0, 0, 0], (0, 0));
    let (head, tail) = without.split_once("segment video 2").unwrap();
    let more = super::super::index::Line::Keyframe {
        rendition: "video".to_owned(),
        msn: 2,
        bytes: 1001,
    };
    fs::write(
        &index,
        format!("{head}{}segment video 2{tail}", more.encode()),
    )
    .unwrap();
    check(&desk.restart(), [0, 0, 0], (0, 0));
}

#[test]
fn moments_that_players_were_told_of_are_there_after_the_end_and_after_a_kill() {
    let range = |at: u64| hls::DateRange::moment(&at.to_string(), "cue", BEGIN_MS + at, &[]);
    let tell = |desk: &mut Desk, at| {
        let (life, range) = (LIFE.into(), range(at));
        desk.send(Entry::DateRange { life, range });
    };
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    tell(&mut desk, 100);
    desk.segments(LIFE, "video", 1..3);
    tell(&mut desk, 3000);
    desk.segments(LIFE, "video", 3..4);
    let killed = desk.restart();
    assert_eq!(killed.archive.dateranges(LIFE), [range(100), range(3000)]);
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..3);
    tell(&mut desk, 3500);
    desk.end(LIFE);
    assert_eq!(desk.archive.dateranges(LIFE), [range(3500)]);
    desk.keep(LIFE, false);
    desk.keep(LIFE, true);
    let again = desk.restart();
    assert_eq!(
        again.archive.dateranges(LIFE),
        [range(3500)],
        "written anew"
    );
    tell(&mut desk, 4000);
    assert_eq!(desk.archive.dateranges(LIFE).len(), 1, "it is over");
}

#[test]
fn more_moments_than_a_playlist_lists_push_out_the_oldest() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    for at in 0..10_100 {
        desk.send(Entry::DateRange {
            life: LIFE.into(),
            range: hls::DateRange::moment(&at.to_string(), "cue", BEGIN_MS + at, &[]),
        });
        if at % 1_000 == 0 {
            desk.segments(LIFE, "video", at / 1_000 + 1..at / 1_000 + 2);
        }
    }
    desk.end(LIFE);
    let all = desk.archive.dateranges(LIFE);
    assert_eq!(
        (all.len(), all[9_999].start_ms()),
        (10_000, BEGIN_MS + 10_099)
    );
    assert_eq!(desk.counters.cues_lost.load(Ordering::Relaxed), 100);
}

#[test]
fn what_is_learnt_of_a_rendition_before_its_first_segment_loses_no_initialisation() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.init(LIFE, "video", 0);
    let info = hls::RenditionInfo {
        frame_rate_milli: 59_940,
        ..info("video")
    };
    desk.send(Entry::Rendition {
        life: LIFE.into(),
        info,
    });
    desk.segments(LIFE, "video", 1..3);
    assert!(desk.archive.init(LIFE, "video", 0).is_some());
    desk.end(LIFE);
    assert!(desk.archive.init(LIFE, "video", 0).is_some());
    let reel = desk.archive.reel(LIFE, "video").unwrap();
    assert_eq!(
        (reel.info.frame_rate_milli, reel.info.init),
        (59_940, Some(0))
    );
}

#[test]
fn the_window_is_pruned_by_whole_chunks_and_its_thumbnails_with_it() {
    let mut desk = Desk::new(|settings| {
        settings.dvr_window = WINDOW;
        settings.chunk = Duration::from_secs(20);
    });
    desk.begin(LIFE, false);
    for msn in 1..=200 {
        desk.segments(LIFE, "video", msn..msn + 1);
        if msn % 5 == 0 {
            desk.thumbnail(LIFE, msn * SEGMENT_S);
        }
        desk.tidy_after(Duration::from_secs(2));
        let numbers = desk.numbers(LIFE, "video");
        let seconds = numbers.len() as u64 * SEGMENT_S;
        assert_eq!(*numbers.last().unwrap(), msn);
        assert!(
            seconds >= WINDOW.as_secs().min(msn * SEGMENT_S),
            "{seconds} s at {msn}"
        );
        assert!(seconds <= WINDOW.as_secs() + 22, "{seconds} s at {msn}");
        assert_eq!(desk.archive.reel(LIFE, "video").unwrap().whole, msn < 71);
    }
    let thumbnails = desk.archive.recording(LIFE).unwrap().thumbnails.len();
    assert!((12..=15).contains(&thumbnails), "{thumbnails}");
    let count = |ending: &str| {
        let files = fs::read_dir(desk.path(LIFE)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(ending)).count()
    };
    assert!((6..=8).contains(&count(".m4s")), "{} chunks", count(".m4s"));
    // The newest stands for a moment of which there is no segment yet.
    assert_eq!(count(".jpg"), thumbnails + 1);
    assert_eq!(desk.archive.segment(LIFE, "video", 1), None);
}

#[test]
fn what_was_kept_stays_and_the_rest_goes_some_minutes_after_the_end() {
    let mut desk = Desk::new(|settings| settings.dvr_window = WINDOW);
    desk.begin(LIFE, false);
    desk.segments(LIFE, "video", 1..11);
    desk.keep(LIFE, true);
    desk.segments(LIFE, "video", 11..21);
    desk.keep(LIFE, false);
    desk.segments(LIFE, "video", 21..200);
    desk.tidy_after(Duration::from_secs(5));
    let numbers = desk.numbers(LIFE, "video");
    assert_eq!(numbers[..10], [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    let recording = desk.archive.recording(LIFE).unwrap();
    assert_eq!((recording.kept, recording.keeping), (true, false));
    assert_eq!((recording.duration_ms, recording.bytes), (20_000, 10_000));
    assert_eq!(recording.started_ms, BEGIN_MS + 20_000);

    desk.end(LIFE);
    desk.tidy_after(Duration::from_secs(300));
    assert!(
        desk.numbers(LIFE, "video").len() > 100,
        "who is behind sees the rest"
    );
    desk.tidy_after(Duration::from_secs(301));
    for desk in [&desk, &desk.restart()] {
        assert_eq!(desk.numbers(LIFE, "video"), (11..21).collect::<Vec<u64>>());
        assert_eq!(desk.archive.bytes(), 10_000 + "init video 0".len() as u64);
    }
}

#[test]
fn without_a_window_only_what_is_kept_is_written() {
    let mut desk = Desk::new(|settings| settings.dvr_window = Duration::ZERO);
    desk.begin(LIFE, false);
    desk.segments(LIFE, "video", 1..11);
    assert!(!desk.path(LIFE).exists());
    desk.keep(LIFE, true);
    desk.segments(LIFE, "video", 11..13);
    desk.keep(LIFE, false);
    desk.segments(LIFE, "video", 13..16);
    desk.end(LIFE);
    for desk in [&desk, &desk.restart()] {
        assert_eq!(desk.numbers(LIFE, "video"), [11, 12]);
        let init = desk.archive.init(LIFE, "video", 0).unwrap();
        assert_eq!(init.read().unwrap(), "init video 0");
    }
    desk.begin("0000beef", false);
    desk.segments("0000beef", "video", 1..11);
    desk.end("0000beef");
    assert_eq!(desk.archive.recording("0000beef"), None);
}

#[test]
fn after_the_end_a_window_can_be_kept_and_a_recording_given_up() {
    let mut desk = Desk::new(|settings| settings.keep_max = Some(Duration::from_secs(86_400)));
    for (life, keep) in [(LIFE, false), ("0000beef", true), ("0000dead", true)] {
        desk.begin(life, keep);
        desk.segments(life, "video", 1..11);
        desk.end(life);
    }
    desk.keep(LIFE, true);
    desk.keep("0000beef", false);
    desk.tidy_after(Duration::from_secs(700));
    let ids = |desk: &Desk| -> Vec<String> {
        let recordings = desk.archive.recordings("stage");
        let mut ids: Vec<_> = recordings.iter().map(|one| one.id.to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&desk), ["0000dead", LIFE]);
    assert_eq!(ids(&desk.restart()), ["0000dead", LIFE]);
    assert!(desk.archive.recording(LIFE).unwrap().kept);
    assert!(!desk.path("0000beef").exists());
    desk.tidy_after(Duration::from_secs(86_400));
    assert_eq!(ids(&desk), Vec::<String>::new(), "kept for a day");
    assert!(!desk.settings.directory.join("stage").exists());
}

#[test]
fn a_hole_is_a_discontinuity_and_numbers_that_go_back_are_nothing() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..3);
    desk.segments(LIFE, "video", 5..7);
    desk.segments(LIFE, "video", 2..6);
    let reel = desk.archive.reel(LIFE, "video").unwrap();
    let seen: Vec<(u64, bool)> = reel
        .segments
        .iter()
        .map(|one| (one.msn, one.discontinuity))
        .collect();
    assert_eq!(seen, [(1, false), (2, false), (5, true), (6, false)]);
    assert!(!reel.whole);
}

#[test]
fn whoever_reads_while_a_recording_is_deleted_is_told_and_nobody_panics() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..4);
    assert_eq!(desk.writer.delete(LIFE), Err(Refusal::Live));
    assert_eq!(desk.writer.delete("0000beef"), Err(Refusal::Unknown));
    desk.end(LIFE);
    let location = desk.archive.segment(LIFE, "video", 2).unwrap();
    let open = fs::File::open(&location.path).unwrap();
    assert_eq!(desk.writer.delete(LIFE), Ok(()));
    assert_eq!(
        open.metadata().unwrap().len(),
        3000,
        "who has it open reads on"
    );
    let error = location.read().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(desk.archive.recording(LIFE), None);
    assert!(desk.archive.reels(LIFE).is_none());
    assert_eq!(desk.archive.bytes(), 0);
    assert_eq!(desk.restart().archive.recordings("stage"), []);
}

#[test]
fn hostile_and_unknown_names_are_dropped() {
    let mut desk = Desk::new(|_| {});
    for (stream, life) in [
        ("../x", LIFE),
        ("main", "../../xx"),
        ("..", LIFE),
        ("main", ""),
    ] {
        desk.send(Entry::Begin {
            key: key(stream),
            life: life.into(),
            origin_ms: BEGIN_MS,
            keep: true,
        });
        desk.init(life, "video", 0);
        desk.segments(life, "video", 1..3);
    }
    desk.begin(LIFE, true);
    for rendition in ["../video", "", "video/..", "a b"] {
        desk.init(LIFE, rendition, 0);
        desk.segments(LIFE, rendition, 1..3);
    }
    desk.segments(LIFE, "unknown", 1..3);
    desk.segments("0000beef", "video", 1..3);
    for number in 0..100 {
        desk.init(LIFE, &format!("video{number}"), 0);
    }
    desk.segments(LIFE, "video", 1..3);
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 3..4);
    assert_eq!(desk.numbers(LIFE, "video"), [1, 2, 3]);
    assert_eq!(desk.archive.reels(LIFE).unwrap().len(), 16);
    assert_eq!(desk.archive.recordings("stage").len(), 1);
    let spaces = fs::read_dir(&desk.settings.directory).unwrap().count();
    assert_eq!(
        (spaces, fs::read_dir(desk.directory.path()).unwrap().count()),
        (1, 1)
    );
    assert!(desk.archive.segment("../../xx", "video", 1).is_none());
    assert!(desk.archive.init(LIFE, "../video", 0).is_none());
}

#[test]
fn a_change_of_format_is_there_before_its_first_segment() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..3);
    desk.init(LIFE, "video", 1);
    desk.send(Entry::Rendition {
        life: LIFE.into(),
        info: hls::RenditionInfo {
            frame_rate_milli: 59_940,
            ..info("video")
        },
    });
    let after = hls::Segment {
        init: 1,
        ..segment(3, 2, content(3))
    };
    desk.segment(LIFE, "video", after);
    desk.end(LIFE);
    let reel = desk.restart().archive.reel(LIFE, "video").unwrap();
    assert_eq!(reel.info.frame_rate_milli, 59_940);
    assert_eq!(
        reel.segments.iter().map(|one| one.init).collect::<Vec<_>>(),
        [0, 0, 1]
    );
    let init = desk.archive.init(LIFE, "video", 1).unwrap();
    assert_eq!(init.read().unwrap(), "init video 1");
}

#[test]
fn the_index_of_a_camera_that_is_always_live_does_not_grow_for_ever() {
    let mut desk = Desk::new(|settings| {
        settings.dvr_window = WINDOW;
        settings.chunk = Duration::from_secs(20);
    });
    desk.begin(LIFE, false);
    for from in (1..15_000).step_by(100) {
        desk.segments(LIFE, "video", from..from + 100);
        desk.tidy_after(Duration::from_secs(200));
    }
    let lines = fs::read_to_string(desk.path(LIFE).join("index")).unwrap();
    assert!(lines.lines().count() < 6000, "{}", lines.lines().count());
    let numbers = desk.numbers(LIFE, "video");
    assert_eq!(desk.restart().numbers(LIFE, "video"), numbers);
}

#[test]
fn a_hole_in_one_rendition_is_a_discontinuity_in_all_and_the_playlist_goes_on_after_it() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.init(LIFE, "audio", 0);
    desk.init(LIFE, "aac", 0);
    desk.segments(LIFE, "video", 1..4);
    desk.segments(LIFE, "audio", 1..30);
    desk.segments(LIFE, "video", 6..10);
    // Where two lack something at the same time, that is one hole.
    desk.segments(LIFE, "video", 15..30);
    desk.segments(LIFE, "aac", 8..12);
    desk.segments(LIFE, "aac", 14..30);
    desk.end(LIFE);
    let reels = desk.archive.reels(LIFE).unwrap();
    let check = |place: usize, begin: u64, marked: &[u64], count: usize| {
        let reel: &Reel = &reels[place];
        let cuts = reel.segments.iter().filter(|one| one.discontinuity);
        assert_eq!(cuts.map(|one| one.msn).collect::<Vec<_>>(), marked);
        assert_eq!(reel.segments[0].discontinuity_sequence, begin);
        assert_eq!(reel.segments.last().unwrap().discontinuity_sequence, 2);

        let mut timeline = hls::Timeline::new(hls::Settings::default(), LIFE, &reel.info.name);
        for entry in &reel.segments {
            timeline.apply_segment(&entry.to_hls(0));
        }
        timeline.end();
        let text = timeline.render(hls::View::Vod, &[]);
        let playlist = m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap();
        assert_eq!(playlist.segments.len(), count);
        let cuts = playlist.segments.iter().filter(|one| one.discontinuity);
        assert_eq!(cuts.count(), marked.len());
        assert_eq!(playlist.discontinuity_sequence, begin);
        assert!(playlist.segments.last().unwrap().uri.ends_with("-29.m4s"));
    };
    check(0, 0, &[6, 15], 22);
    check(1, 0, &[6, 15], 29);
    check(2, 1, &[15], 20);
}

#[test]
fn a_slate_can_be_gone_back_to_but_is_not_kept() {
    let mut desk = Desk::new(|settings| settings.dvr_window = WINDOW);
    let aside = |desk: &mut Desk, aside| {
        let life = LIFE.into();
        desk.send(Entry::Aside { life, aside });
    };
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..4);
    aside(&mut desk, true);
    desk.segments(LIFE, "video", 4..7);
    let recording = desk.archive.recording(LIFE).unwrap();
    assert!(recording.keeping, "the performance is");
    assert!(desk.archive.is_keeping(LIFE));
    assert_eq!(recording.duration_ms, 6000, "the slate is no part of it");
    aside(&mut desk, false);
    desk.segments(LIFE, "video", 7..9);
    aside(&mut desk, true);
    desk.segments(LIFE, "video", 9..11);
    assert_eq!(desk.numbers(LIFE, "video"), (1..11).collect::<Vec<_>>());
    desk.end(LIFE);
    assert_eq!(desk.archive.recording(LIFE).unwrap().duration_ms, 10_000);
    desk.tidy_after(Duration::from_secs(601));
    assert_eq!(desk.numbers(LIFE, "video"), [1, 2, 3, 7, 8]);
}

#[test]
fn a_moderator_may_change_their_mind_during_a_slate() {
    let mut desk = Desk::new(|settings| settings.dvr_window = WINDOW);
    desk.begin(LIFE, false);
    desk.segments(LIFE, "video", 1..3);
    let (life, aside) = (Arc::from(LIFE), true);
    desk.send(Entry::Aside { life, aside });
    desk.keep(LIFE, true);
    desk.segments(LIFE, "video", 3..5);
    let recording = desk.archive.recording(LIFE).unwrap();
    assert!(recording.keeping && !recording.kept);
    let (life, aside) = (Arc::from(LIFE), false);
    desk.send(Entry::Aside { life, aside });
    desk.segments(LIFE, "video", 5..7);
    desk.end(LIFE);
    desk.tidy_after(Duration::from_secs(601));
    assert_eq!(desk.numbers(LIFE, "video"), [5, 6]);
}
