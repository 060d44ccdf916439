//! HLS goes on over a restart of the server: the same life at the same addresses, and no number twice.

use std::collections::BTreeMap;

use crate::process::{Server, data_dir, eventually};

const RENDITIONS: [&str; 3] = ["video", "audio", "aac"];

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |parts| parts.1)
}

/// The playlist of a rendition of the demo, once `enough` holds.
fn playlist(server: &Server, rendition: &str, enough: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    eventually(&format!("a playlist of {rendition} as wanted"), || {
        text = body(&server.get(&format!("/hls/demo/main/{rendition}.m3u8"))).to_owned();
        text.starts_with("#EXTM3U") && enough(&text)
    });
    text
}

/// The complete segments of a playlist by their numbers: their names, or nothing where one is lost.
fn segments(text: &str) -> BTreeMap<u64, Option<String>> {
    let first = tag(text, "#EXT-X-MEDIA-SEQUENCE:");
    let names = text
        .lines()
        .filter(|line| line.ends_with(".m4s") && !line.starts_with('#'));
    let lost: Vec<&str> = text
        .split("#EXT-X-GAP\n")
        .skip(1)
        .filter_map(|rest| rest.lines().find(|line| line.ends_with(".m4s")))
        .collect();
    let name = |name: &str| (!lost.contains(&name)).then(|| name.to_owned());
    (first..).zip(names.map(name)).collect()
}

fn tag(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap()
}

/// Dates as text: they sort as they are.
fn dates(text: &str) -> Vec<&str> {
    let dates = text
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
    dates.collect()
}

fn complete(least: usize) -> impl Fn(&str) -> bool {
    move |text| text.matches("#EXTINF").count() >= least
}

/// What every playlist of one life must have in common with a later one.
fn check_continuation(server: &Server, before: &str, after: &str) {
    let (old, new) = (segments(before), segments(after));
    for (msn, name) in &old {
        if let Some(again) = new.get(msn) {
            assert_eq!(
                name, again,
                "number {msn} is something else now\n{before}\n{after}"
            );
        }
    }
    let last = *old.keys().last().unwrap();
    assert!(new.contains_key(&last), "what was there still is\n{after}");
    assert!(
        new.keys().last().unwrap() > &(last + 1),
        "numbers go on\n{after}"
    );
    for constant in [
        "#EXT-X-TARGETDURATION:",
        "#EXT-X-PART-INF:",
        "#EXT-X-SERVER-CONTROL:",
    ] {
        let line = |text: &str| {
            text.lines()
                .find(|line| line.starts_with(constant))
                .map(str::to_owned)
        };
        assert_eq!(line(before), line(after));
    }
    let breaks = after.matches("#EXT-X-DISCONTINUITY\n").count();
    assert!(breaks >= 1, "the restart is a discontinuity\n{after}");
    let dated = dates(after);
    assert!(dated.is_sorted(), "dates go on: {dated:?}");
    for name in new.values().flatten() {
        let answer = server.get(&format!("/hls/demo/main/{name}"));
        let said = answer.lines().next().unwrap_or_default();
        assert!(said.starts_with("HTTP/1.1 200"), "{name} is listed: {said}");
    }
}

fn check(stop: impl FnOnce(&mut Server), is_clean: bool) {
    let directory = data_dir();
    let mut server = Server::start_demo(directory.path());
    let before = RENDITIONS.map(|name| playlist(&server, name, complete(3)));
    let master = server.get("/live/demo.m3u8");
    assert!(master.contains("#EXT-X-STREAM-INF"), "{master}");
    stop(&mut server);
    let server = Server::start_demo(directory.path());
    // At once, before anybody performs.
    let again = server.get("/live/demo.m3u8");
    assert!(
        again.starts_with("HTTP/1.1 200") && again.contains("#EXT-X-STREAM-INF"),
        "{again}"
    );
    for (name, before) in RENDITIONS.iter().zip(&before) {
        let most = segments(before).len() + 5;
        let after = playlist(&server, name, complete(most));
        check_continuation(&server, before, &after);
        assert_eq!(after.contains("#EXT-X-GAP"), !is_clean, "{after}");
        assert!(!after.contains("#EXT-X-ENDLIST"));
    }
    let metrics = server.get("/metrics");
    assert!(
        metrics.contains("proscenium_hls_resumed_total 1"),
        "{metrics}"
    );
}

#[test]
fn hls_goes_on_after_sigterm_with_the_next_number() {
    check(
        |server| {
            server.terminate();
            assert_eq!(server.wait(), Some(0));
        },
        true,
    );
}

#[test]
fn hls_goes_on_after_a_kill_behind_numbers_that_may_have_been_used() {
    check(Server::kill, false);
}

#[test]
fn whoever_asks_while_nobody_performs_after_a_restart_gets_a_slate() {
    let directory = data_dir();
    let mut server = Server::start_demo(directory.path());
    playlist(&server, "video", complete(3));
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    let server = Server::start_on(directory.path());
    let first = playlist(&server, "video", complete(1));
    let more = segments(&first).len() + 2;
    playlist(&server, "video", complete(more));
    let space = server.get("/api/spaces/demo");
    assert!(!space.contains("\"live\":true"), "nobody performs: {space}");
}

#[test]
fn sound_that_nobody_asked_for_before_a_kill_is_made_after_it() {
    let directory = data_dir();
    let mut server = Server::start_demo(directory.path());
    playlist(&server, "video", complete(3));
    server.kill();
    let server = Server::start_demo(directory.path());
    let after = playlist(&server, "aac", complete(8));
    let lost = segments(&after)
        .values()
        .filter(|name| name.is_none())
        .count();
    assert!(lost > 0, "{after}");
    for name in segments(&after).values().flatten() {
        let answer = server.get(&format!("/hls/demo/main/{name}"));
        let said = answer.lines().next().unwrap_or_default();
        assert!(said.starts_with("HTTP/1.1 200"), "{name} is listed: {said}");
    }
}

/// The files whose first fragment a playlist of keyframes names, and how long that is.
fn keyframes(text: &str) -> Vec<(String, u64)> {
    let entries = text.split("#EXT-X-BYTERANGE:").skip(1);
    let named = entries.map(|entry| {
        let (length, rest) = entry.split_once("@0\n").unwrap();
        let name = rest.lines().find(|line| !line.starts_with('#'));
        (name.unwrap().to_owned(), length.parse().unwrap())
    });
    named.collect()
}

/// Everything that can be gone back to, once there are so many keyframes of it.
fn all_keyframes(server: &Server, least: usize) -> (String, Vec<(String, u64)>) {
    let mut text = String::new();
    eventually(&format!("{least} keyframes"), || {
        text = body(&server.get("/hls/demo/main/video.m3u8?keyframes&dvr")).to_owned();
        keyframes(&text).len() >= least
    });
    let found = keyframes(&text);
    assert!(text.contains("#EXT-X-I-FRAMES-ONLY\n"), "{text}");
    (text, found)
}

fn check_keyframes(stop: impl FnOnce(&mut Server), is_clean: bool) {
    let directory = data_dir();
    let mut server = Server::start_demo(directory.path());
    let (before, old) = all_keyframes(&server, 3);
    stop(&mut server);
    let server = Server::start_demo(directory.path());
    let (after, new) = all_keyframes(&server, old.len() + 3);
    let again: Vec<_> = new.iter().filter(|one| old.contains(one)).collect();
    // What was not on disk yet is lost with a kill, and no other keyframe has its name.
    let lost = old.len() - again.len();
    assert!(lost == 0 || !is_clean && lost <= 2, "{before}\n{after}");
    assert!(again.into_iter().eq(&new[..old.len() - lost]), "{after}");
    let mut names: Vec<_> = new.iter().map(|(name, _)| name).collect();
    names.dedup();
    assert_eq!(names.len(), new.len(), "{after}");
    let restart = after.find("#EXT-X-DISCONTINUITY\n").unwrap();
    let last = after.find(&new[old.len() - lost - 1].0).unwrap();
    assert!(
        restart > last,
        "the restart is behind what was there\n{after}"
    );
    for (name, length) in new {
        for begin in [4, length + 4] {
            let request = format!(
                "GET /hls/demo/main/{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes={begin}-{}\r\n\r\n",
                begin + 3
            );
            let answer = server.connect().exchange(&request);
            let end = format!("bytes */{length}");
            if begin > length && answer.starts_with("HTTP/1.1 416") && answer.contains(&end) {
                // The stop cut the segment off behind its keyframe.
                continue;
            }
            assert!(answer.starts_with("HTTP/1.1 206"), "{name}: {answer}");
            assert_eq!(body(&answer), "moof", "{name} at {begin}");
        }
    }
}

#[test]
fn the_keyframes_of_all_that_can_be_gone_back_to_are_there_after_sigterm() {
    check_keyframes(
        |server| {
            server.terminate();
            assert_eq!(server.wait(), Some(0));
        },
        true,
    );
}

#[test]
fn the_keyframes_of_all_that_can_be_gone_back_to_are_there_after_a_kill() {
    check_keyframes(Server::kill, false);
}
