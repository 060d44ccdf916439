//! What playlists say, byte for byte, and when.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{CodecKind, DateRange, Part, RenditionInfo, Segment, Settings};

fn timeline() -> Timeline {
    let settings = Settings {
        part_target: Duration::from_millis(500),
        ..Settings::default()
    };
    Timeline::new(settings, "0badcafe", "video")
}

fn part(msn: u64, index: u32) -> Part {
    Part {
        rendition: 0,
        msn,
        index,
        duration: 45_000,
        timescale: 90_000,
        independent: index == 0,
        start: (msn as i64 - 1) * 180_000 + i64::from(index) * 45_000,
        date_ms: 1_000_000_000_000 + (msn - 1) * 2000 + u64::from(index) * 500,
        init: 0,
        discontinuity_sequence: 0,
        bytes: Bytes::new(),
    }
}

fn segment(msn: u64) -> Segment {
    Segment {
        rendition: 0,
        msn,
        start: (msn as i64 - 1) * 180_000,
        duration: 180_000,
        timescale: 90_000,
        init: 0,
        discontinuity: false,
        discontinuity_sequence: 0,
        independent: true,
        date_ms: 1_000_000_000_000 + (msn - 1) * 2000,
        bytes: Bytes::new(),
        parts: 4,
        keyframe_bytes: 1000,
        is_last: false,
    }
}

fn grow(timeline: &mut Timeline, segments: std::ops::RangeInclusive<u64>) {
    for msn in segments {
        (0..4).for_each(|index| timeline.apply_part(&part(msn, index)));
        timeline.apply_segment(&segment(msn));
    }
}

#[test]
fn a_live_playlist_is_written_like_this() {
    let mut timeline = timeline();
    grow(&mut timeline, 1..=1);
    timeline.apply_part(&part(2, 0));
    let report = Report {
        name: String::from("audio"),
        msn: 2,
        part: 0,
    };
    let expected = "#EXTM3U
#EXT-X-VERSION:10
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=6.0,PART-HOLD-BACK=1.50003,CAN-SKIP-UNTIL=12.0,CAN-SKIP-DATERANGES=YES
#EXT-X-PART-INF:PART-TARGET=0.50001
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXT-X-MAP:URI=\"0badcafe-video-i0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2001-09-09T01:46:40.000Z
#EXT-X-PART:DURATION=0.50001,URI=\"0badcafe-video-1.0.i0.m4s\",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.50001,URI=\"0badcafe-video-1.1.i0.m4s\"
#EXT-X-PART:DURATION=0.50001,URI=\"0badcafe-video-1.2.i0.m4s\"
#EXT-X-PART:DURATION=0.50001,URI=\"0badcafe-video-1.3.i0.m4s\"
#EXTINF:2.00000,
0badcafe-video-1.m4s
#EXT-X-PROGRAM-DATE-TIME:2001-09-09T01:46:42.000Z
#EXT-X-PART:DURATION=0.50001,URI=\"0badcafe-video-2.0.i0.m4s\",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"0badcafe-video-2.1.i0.m4s\"
#EXT-X-RENDITION-REPORT:URI=\"audio.m3u8\",LAST-MSN=2,LAST-PART=0
";
    assert_eq!(timeline.render(View::Live, &[report]), expected);
}

#[test]
fn an_empty_playlist_hints_at_the_first_part() {
    let text = timeline().render(View::Live, &[]);
    assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:1\n"));
    assert!(text.ends_with("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"0badcafe-video-1.0.i0.m4s\"\n"));
}

#[test]
fn the_live_window_slides_and_the_rest_stays_for_the_dvr() {
    let mut timeline = timeline();
    grow(&mut timeline, 1..=100);
    assert_eq!(timeline.live_begin(), 81);
    let live = timeline.render(View::Live, &[]);
    assert!(live.contains("#EXT-X-MEDIA-SEQUENCE:81\n"));
    assert_eq!(live.matches("#EXT-X-MAP").count(), 1);
    assert_eq!(live.matches("#EXTINF").count(), 20);
    let dvr = timeline.render(View::Dvr, &[]);
    // What will be removed one day never says that it will not.
    assert!(!dvr.contains("PLAYLIST-TYPE"));
    assert_eq!(dvr.matches("#EXTINF").count(), 100);
    timeline.forget_before(50);
    let dvr = timeline.render(View::Dvr, &[]);
    assert!(dvr.contains("#EXT-X-MEDIA-SEQUENCE:50\n"));
    assert_eq!(dvr.matches("#EXTINF").count(), 51);
    assert_eq!(dvr.matches("#EXT-X-MAP").count(), 1);
    timeline.forget_before(1000);
    assert_eq!(timeline.render(View::Live, &[]), live);
}

#[test]
fn a_delta_update_skips_what_ends_six_target_durations_before_the_end() {
    let mut timeline = timeline();
    grow(&mut timeline, 1..=100);
    let delta = timeline.render(View::DvrDelta, &[]);
    assert!(delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=94\n#EXT-X-MAP:"));
    assert_eq!(delta.matches("#EXTINF").count(), 6);
    let live = timeline.render(View::LiveDelta, &[]);
    assert!(live.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=14\n"));
    assert_eq!(live.matches("#EXTINF").count(), 6);
}

#[test]
fn every_target_duration_has_a_window_that_delta_updates_and_late_parts_fit_in() {
    for seconds in [2, 3, 7, 10] {
        let mut timeline = timeline();
        timeline.set_target_duration(seconds);
        grow(&mut timeline, 1..=100);
        let live = timeline.render(View::Live, &[]);
        let control = format!(
            "HOLD-BACK={}.0,PART-HOLD-BACK=1.50003,CAN-SKIP-UNTIL={}.0,CAN-SKIP-DATERANGES=YES\n",
            3 * seconds,
            6 * seconds
        );
        assert!(
            live.contains(&format!("#EXT-X-TARGETDURATION:{seconds}\n")) && live.contains(&control)
        );
        // Parts are listed for three target durations, and served while their segments are in the window.
        let listed = live.matches("#EXT-X-PART:").count() as u32;
        let least = 2 * 3 * seconds;
        assert!((least..=least + 4).contains(&listed), "{seconds}: {listed}");
        assert!(
            live.matches("#EXTINF").count() as u32 >= 4 * seconds,
            "{seconds}"
        );
        assert!(
            timeline
                .render(View::LiveDelta, &[])
                .contains("#EXT-X-SKIP:")
        );
    }
}

#[test]
fn a_playlist_promises_keyframes_until_one_is_missing() {
    let mut timeline = timeline();
    grow(&mut timeline, 1..=3);
    let promises =
        |timeline: &Timeline, view| timeline.render(view, &[]).contains("INDEPENDENT-SEGMENTS");
    assert!(promises(&timeline, View::Live) && promises(&timeline, View::Dvr));
    let broken = Part {
        independent: false,
        ..part(4, 0)
    };
    timeline.apply_part(&broken);
    assert!(
        !promises(&timeline, View::Live),
        "as soon as its first part is there"
    );
    (1..4).for_each(|index| timeline.apply_part(&part(4, index)));
    timeline.apply_segment(&Segment {
        independent: false,
        ..segment(4)
    });
    grow(&mut timeline, 5..=60);
    assert!(!promises(&timeline, View::Live), "and for good");
    assert!(!promises(&timeline, View::Vod));
}

#[test]
fn the_keyframes_of_the_segments_are_a_playlist_of_their_own_with_the_same_numbers() {
    let mut timeline = timeline();
    assert!(!timeline.has_keyframes());
    grow(&mut timeline, 1..=30);
    timeline.apply_segment(&Segment {
        keyframe_bytes: 0,
        discontinuity: true,
        discontinuity_sequence: 1,
        init: 1,
        ..segment(31)
    });
    timeline.apply_gap(&segment(32));
    assert!(timeline.has_keyframes());
    let text = timeline.render(View::LiveKeyframes, &[]);
    assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-TARGETDURATION:2\n#EXT-X-I-FRAMES-ONLY\n#EXT-X-MEDIA-SEQUENCE:13\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-MAP:URI=\"0badcafe-video-i0.mp4\"\n"), "{text}");
    assert!(text.contains("#EXT-X-BYTERANGE:1000@0\n#EXTINF:2.00000,\n0badcafe-video-30.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"0badcafe-video-i1.mp4\"\n"), "{text}");
    assert!(
        text.contains("#EXT-X-GAP\n#EXTINF:2.00000,\n0badcafe-video-31.m4s\n"),
        "{text}"
    );
    assert!(
        text.ends_with("#EXT-X-GAP\n#EXTINF:2.00000,\n0badcafe-video-32.m4s\n"),
        "{text}"
    );
    let read = m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap();
    assert!(read.i_frames_only && read.segments.len() == 20);
    let ranges = |view| {
        let text = timeline.render(view, &[]);
        text.matches("#EXT-X-BYTERANGE:1000@0\n").count()
    };
    assert_eq!(ranges(View::DvrKeyframes), 30);
    let finished = timeline.render(View::VodKeyframes, &[]);
    assert!(
        finished.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"),
        "{finished}"
    );
    assert!(finished.ends_with("#EXT-X-ENDLIST\n"), "{finished}");
}

#[test]
fn a_part_with_another_initialisation_segment_is_not_the_one_that_was_hinted() {
    let mut timeline = timeline();
    grow(&mut timeline, 1..=3);
    let hint = |timeline: &Timeline| {
        let text = timeline.render(View::Live, &[]);
        let (_, line) = text
            .split_once("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"")
            .unwrap();
        line.split_once('"').unwrap().0.to_owned()
    };
    assert_eq!(hint(&timeline), "0badcafe-video-4.0.i0.m4s");
    timeline.apply_part(&Part {
        init: 1,
        discontinuity_sequence: 1,
        ..part(4, 0)
    });
    let text = timeline.render(View::Live, &[]);
    assert!(!text.contains("0badcafe-video-4.0.i0.m4s"), "{text}");
    assert!(
        text.contains("URI=\"0badcafe-video-4.0.i1.m4s\",INDEPENDENT=YES\n"),
        "{text}"
    );
    assert_eq!(hint(&timeline), "0badcafe-video-4.1.i1.m4s");
    // Who knows that the next part is behind a discontinuity hints nothing.
    timeline.apply_segment(&Segment {
        is_last: true,
        ..segment(4)
    });
    let text = timeline.render(View::Live, &[]);
    assert!(!text.contains("#EXT-X-PRELOAD-HINT"), "{text}");
}

#[test]
fn a_report_in_the_view_of_everything_stays_in_it() {
    let mut timeline = timeline();
    grow(&mut timeline, 1..=2);
    let report = || Report {
        name: String::from("audio"),
        msn: 2,
        part: 3,
    };
    for (view, line) in [
        (View::Live, "URI=\"audio.m3u8\",LAST-MSN=2"),
        (View::LiveDelta, "URI=\"audio.m3u8\",LAST-MSN=2"),
        (View::Dvr, "URI=\"audio.m3u8?dvr\",LAST-MSN=2"),
        (View::DvrDelta, "URI=\"audio.m3u8?dvr\",LAST-MSN=2"),
    ] {
        let text = timeline.render(view, &[report()]);
        assert!(text.contains(line), "{view:?}: {text}");
    }
}

#[test]
fn a_recording_is_finished_and_has_no_parts() {
    let mut timeline = Timeline::new(Settings::default(), "0badcafe", "video").with_prefix("../");
    (1..=3).for_each(|msn| timeline.apply_segment(&segment(msn)));
    timeline.end();
    let text = timeline.render(View::Vod, &[]);
    assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"));
    assert!(text.contains("\n../0badcafe-video-3.m4s\n#EXT-X-ENDLIST\n"));
    assert!(text.contains("#EXT-X-MAP:URI=\"../0badcafe-video-i0.mp4\"\n"));
    assert!(!text.contains("PART"));
}

#[test]
fn a_timeline_rebuilt_from_its_segments_says_the_same() {
    let mut live = timeline();
    let mut rebuilt = timeline();
    let of = |msn: u64| Segment {
        init: u32::from(msn > 5),
        discontinuity: msn == 3 || msn == 7,
        discontinuity_sequence: u64::from(msn >= 3) + u64::from(msn >= 7),
        ..segment(msn)
    };
    (1..=40).for_each(|msn| live.apply_segment(&of(msn)));
    live.forget_before(7);
    (7..=40).for_each(|msn| rebuilt.apply_segment(&of(msn)));
    assert_eq!(rebuilt.render(View::Vod, &[]), live.render(View::Vod, &[]));
}

#[test]
fn dateranges_are_in_every_playlist_that_reaches_back_to_them() {
    let mut timeline = timeline();
    grow(&mut timeline, 1..=100);
    let at = |msn: u64| DateRange::moment(&msn.to_string(), "cue", segment(msn).date_ms + 700, &[]);
    // The last one is in what is not packaged yet.
    let ranges = [2, 60, 90, 101].map(at);
    for range in ranges.iter().rev() {
        timeline.add_daterange(range.clone());
        timeline.add_daterange(range.clone());
    }
    let check = |timeline: &Timeline, view, expected: &[DateRange]| {
        let text = timeline.render(view, &[]);
        let lines = text
            .lines()
            .filter(|line| line.starts_with("#EXT-X-DATERANGE"));
        let expected = expected.iter().map(DateRange::line);
        assert_eq!(
            lines.collect::<Vec<_>>(),
            expected.collect::<Vec<_>>(),
            "{view:?}"
        );
        let read = m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap();
        let dates = read
            .segments
            .iter()
            .filter_map(|segment| segment.daterange.as_ref());
        assert!(dates.count() <= ranges.len());
    };
    check(&timeline, View::Live, &ranges[2..]);
    check(&timeline, View::LiveDelta, &ranges[2..]);
    check(&timeline, View::Dvr, &ranges);
    check(&timeline, View::DvrDelta, &ranges);
    check(&timeline, View::Vod, &ranges);
    timeline.forget_before(50);
    check(&timeline, View::Dvr, &ranges[1..]);
    timeline.end();
    check(&timeline, View::Vod, &ranges[1..]);
}

#[test]
fn a_delta_update_without_old_dateranges_has_the_new_ones_and_names_those_that_went() {
    let ids = |text: &str| -> Vec<String> {
        let lines = text.lines();
        let lines = lines.filter_map(|line| line.strip_prefix("#EXT-X-DATERANGE:ID=\""));
        let mut ids: Vec<String> = lines
            .map(|line| line.split('"').next().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    for (view, update) in [(View::Live, View::LiveNews), (View::Dvr, View::DvrNews)] {
        let mut timeline = timeline();
        let mut seen: Vec<Vec<String>> = Vec::new();
        let mut merges = 0;
        for msn in 1..=100 {
            grow(&mut timeline, msn..=msn);
            // One is said late.
            let place = if msn == 90 { 80 } else { msn };
            let date_ms = segment(place).date_ms + 700;
            timeline.add_daterange(DateRange::moment(&format!("at{msn}"), "cue", date_ms, &[]));
            timeline.forget_before(msn.saturating_sub(30));
            let (full, news) = (timeline.render(view, &[]), timeline.render(update, &[]));
            seen.push(ids(&full));
            let Some((_, removed)) = news.split_once("RECENTLY-REMOVED-DATERANGES=\"") else {
                assert_eq!(full, news, "nothing is skipped");
                continue;
            };
            // A player that has what there was six seconds ago puts it together.
            let before = &seen[seen.len() - 4];
            let removed: Vec<&str> = removed.split('"').next().unwrap().split('\t').collect();
            let still = before.iter().filter(|id| !removed.contains(&id.as_str()));
            let mut merged: Vec<String> = still.cloned().chain(ids(&news)).collect();
            merged.sort();
            merged.dedup();
            assert_eq!(merged, ids(&full), "{view:?} {msn}");
            merges += usize::from(ids(&news).len() < merged.len());
        }
        assert!(merges > 80, "{view:?}: {merges}");
    }
}

#[test]
fn every_daterange_of_what_is_listed_is_there() {
    let mut timeline = timeline();
    grow(&mut timeline, 1..=2);
    for at in 0..1000 {
        let range = DateRange::moment(&at.to_string(), "cue", segment(1).date_ms + at, &[]);
        timeline.add_daterange(range);
    }
    let count = |view| {
        timeline
            .render(view, &[])
            .matches("#EXT-X-DATERANGE")
            .count()
    };
    assert_eq!(
        (count(View::Live), count(View::Dvr), count(View::Vod)),
        (1000, 1000, 1000)
    );
    assert!(timeline.render(View::Live, &[]).contains("ID=\"999\""));
}

#[test]
fn requests_are_answered_held_or_refused() {
    let mut timeline = timeline();
    grow(&mut timeline, 1..=2);
    let check = |timeline: &Timeline, msn, part, hold| {
        assert_eq!(timeline.check_request(msn, part), hold, "{msn} {part:?}");
    };
    check(&timeline, 2, None, Hold::Ready);
    check(&timeline, 2, Some(3), Hold::Ready);
    check(&timeline, 2, Some(4), Hold::Wait); // part 0 of segment 3
    check(&timeline, 3, Some(0), Hold::Wait);
    check(&timeline, 3, None, Hold::Wait);
    check(&timeline, 4, Some(0), Hold::Wait);
    check(&timeline, 5, None, Hold::TooFar);
    // The advance part limit is six parts of half a second.
    let limit = Hold::WaitFor { msn: 3, part: 6 };
    check(&timeline, 3, Some(6), Hold::Wait);
    check(&timeline, 3, Some(7), limit);
    check(&timeline, 4, Some(49), limit);
    check(&timeline, 5, Some(49), Hold::TooFar);
    timeline.apply_part(&part(3, 0));
    check(&timeline, 2, Some(4), Hold::Ready);
    check(&timeline, 3, Some(0), Hold::Ready);
    check(&timeline, 3, Some(1), Hold::Wait);
    assert_eq!(timeline.next(), (3, 1));
    timeline.end();
    check(&timeline, 9, Some(9), Hold::Ready);
}

#[test]
fn other_settings_are_written_as_they_are() {
    let settings = Settings {
        part_target: Duration::from_millis(333),
        ..Settings::default()
    };
    let text = Timeline::new(settings, "0badcafe", "video").render(View::Live, &[]);
    assert!(text.contains("PART-HOLD-BACK=0.99903,"));
    assert!(text.contains("PART-TARGET=0.33301\n"));
}

fn info(name: &str, kind: CodecKind, codec: &str) -> RenditionInfo {
    let mut info = RenditionInfo::new(name.to_owned(), kind);
    info.codec = codec.to_owned();
    info.bandwidth_peak = 500_000;
    info.bandwidth_average = 400_000;
    if kind.is_video() {
        (info.width, info.height, info.frame_rate_milli) = (1280, 720, 29_970);
    } else {
        info.channels = 2;
    }
    info
}

#[test]
fn every_picture_goes_with_every_sound() {
    let low = info("video0", CodecKind::H264, "avc1.42c01e");
    let high = RenditionInfo {
        keyframe_peak: 150_000,
        keyframe_average: 90_000,
        ..info("video1", CodecKind::H264, "avc1.42c01f")
    };
    let opus = info("audio", CodecKind::Opus, "opus");
    let aac = info("aac", CodecKind::Aac, "mp4a.40.2");
    let unknown = info("video2", CodecKind::H264, "");
    let named = |info| Variant {
        info,
        label: "Sound",
    };
    let video = [named(&low), named(&high), named(&unknown)];
    let text = multivariant(&video, &[named(&opus), named(&aac)], "../hls/a/main/");
    let expected = "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"opus\",NAME=\"Sound\",LANGUAGE=\"und\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"../hls/a/main/audio.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"aac\",NAME=\"Sound\",LANGUAGE=\"und\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"../hls/a/main/aac.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=1000000,AVERAGE-BANDWIDTH=800000,CODECS=\"avc1.42c01e,opus\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"opus\",CLOSED-CAPTIONS=NONE
../hls/a/main/video0.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1000000,AVERAGE-BANDWIDTH=800000,CODECS=\"avc1.42c01f,opus\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"opus\",CLOSED-CAPTIONS=NONE
../hls/a/main/video1.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1000000,AVERAGE-BANDWIDTH=800000,CODECS=\"avc1.42c01e,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"aac\",CLOSED-CAPTIONS=NONE
../hls/a/main/video0.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1000000,AVERAGE-BANDWIDTH=800000,CODECS=\"avc1.42c01f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"aac\",CLOSED-CAPTIONS=NONE
../hls/a/main/video1.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=150000,AVERAGE-BANDWIDTH=90000,CODECS=\"avc1.42c01f\",RESOLUTION=1280x720,URI=\"../hls/a/main/video1.m3u8?keyframes\"
";
    assert_eq!(text, expected);
    let read = m3u8_rs::parse_master_playlist(text.as_bytes()).unwrap().1;
    assert_eq!((read.variants.len(), read.alternatives.len()), (5, 2));
}

#[test]
fn a_picture_or_a_sound_may_be_alone() {
    let picture = info("video", CodecKind::Vp9, "vp09.00.40.08");
    let sound = info("audio", CodecKind::Opus, "opus");
    let named = |info| Variant { info, label: "" };
    let text = multivariant(&[named(&picture)], &[], "");
    assert!(
        text.ends_with(
            "CODECS=\"vp09.00.40.08\",RESOLUTION=1280x720,FRAME-RATE=29.970,CLOSED-CAPTIONS=NONE\nvideo.m3u8\n"
        )
    );
    let text = multivariant(&[], &[named(&sound)], "");
    assert!(text.ends_with("CODECS=\"opus\"\naudio.m3u8\n"));
    let spoken = RenditionInfo {
        may_have_captions: true,
        ..info("video1", CodecKind::H264, "avc1.42c01e")
    };
    let text = multivariant(&[named(&picture), named(&spoken)], &[], "");
    assert_eq!(text.matches("EXT-X-STREAM-INF").count(), 2);
    assert!(!text.contains("CLOSED-CAPTIONS"), "{text}");
}

#[test]
fn two_hours_are_put_together_from_text_that_is_there() {
    let mut timeline = timeline();
    (1..=3_600).for_each(|msn| timeline.apply_segment(&segment(msn)));
    let text = timeline.render(View::Dvr, &[]);
    // No number is written anew: nearly all of the playlist is one piece of the history.
    let history = timeline.lines_without_parts(0, false);
    assert!(history.len() > text.len() * 95 / 100);
    assert!(text.capacity() < text.len() + 2048);
}
