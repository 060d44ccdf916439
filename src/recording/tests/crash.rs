//! Whatever is cut off, what was complete is there.

use std::fs;

use super::*;

const LIFE: &str = "00c0ffee";

#[test]
fn after_a_cut_at_any_byte_of_the_index_every_segment_before_it_is_there() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..7);
    let index = desk.path(LIFE).join("index");
    let whole = fs::read(&index).unwrap();
    let chunk = fs::read(desk.path(LIFE).join("video-1.m4s")).unwrap();
    for len in (0..=whole.len()).rev() {
        let lines = whole[..len].split_inclusive(|byte| *byte == b'\n');
        let is_segment = |line: &&[u8]| line.starts_with(b"segment") && line.ends_with(b"\n");
        let complete = lines.filter(is_segment).count() as u64;
        fs::create_dir_all(desk.path(LIFE)).unwrap();
        fs::write(&index, &whole[..len]).unwrap();
        fs::write(desk.path(LIFE).join("video-1.m4s"), &chunk).unwrap();
        fs::write(desk.path(LIFE).join("video-i0.mp4"), b"init video 0").unwrap();
        let _ = fs::remove_file(desk.path(LIFE).join("finished"));
        let revived = desk.restart();
        let expected: Vec<u64> = (1..=complete).collect();
        assert_eq!(revived.numbers(LIFE, "video"), expected, "cut at {len}");
        if complete > 0 {
            let recording = revived.archive.recording(LIFE).unwrap();
            assert_eq!(recording.state, RecordingState::Finished);
            assert!(recording.kept, "cut at {len}");
            assert_eq!(recording.duration_ms, complete * SEGMENT_S * 1000);
            let chunk = fs::metadata(desk.path(LIFE).join("video-1.m4s")).unwrap();
            assert_eq!(chunk.len(), complete * 1000, "the torn tail is cut");
        } else {
            assert!(
                desk.path(LIFE).exists(),
                "media without an index are left alone"
            );
        }
    }
}

#[test]
fn after_a_cut_at_any_byte_of_the_media_every_segment_before_it_is_there() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..4);
    let (index, chunk) = (
        desk.path(LIFE).join("index"),
        desk.path(LIFE).join("video-1.m4s"),
    );
    let (lines, media) = (fs::read(&index).unwrap(), fs::read(&chunk).unwrap());
    for len in (1..=media.len()).rev().step_by(37).chain([1000, 999, 1]) {
        fs::create_dir_all(desk.path(LIFE)).unwrap();
        fs::write(&index, &lines).unwrap();
        fs::write(&chunk, &media[..len]).unwrap();
        fs::write(desk.path(LIFE).join("video-i0.mp4"), b"init video 0").unwrap();
        let _ = fs::remove_file(desk.path(LIFE).join("finished"));
        let revived = desk.restart();
        let expected: Vec<u64> = (1..=len as u64 / 1000).collect();
        assert_eq!(revived.numbers(LIFE, "video"), expected, "cut at {len}");
    }
}

#[test]
fn bytes_that_never_reached_the_disk_are_noticed() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..41);
    let path = desk.path(LIFE).join("video-1.m4s");
    let mut media = fs::read(&path).unwrap();
    // As some file systems leave it after a power cut: the length is there, the content is not.
    media[38_500..39_000].fill(0);
    fs::write(&path, media).unwrap();
    let revived = desk.restart();
    let expected: Vec<u64> = (1..=40).filter(|msn| *msn != 39).collect();
    assert_eq!(revived.numbers(LIFE, "video"), expected);
    let reel = revived.archive.reel(LIFE, "video").unwrap();
    assert!(reel.segments.last().unwrap().discontinuity);
    assert!(!reel.whole);
}

#[test]
fn a_restart_finishes_what_was_cut_off_and_a_second_one_changes_nothing() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.init(LIFE, "audio", 0);
    for msn in 1..200 {
        desk.segments(LIFE, "video", msn..msn + 1);
        desk.segments(LIFE, "audio", msn..msn + 1);
    }
    desk.thumbnail(LIFE, 10);
    fs::write(desk.path(LIFE).join("audio-900.m4s"), b"torn").unwrap();
    fs::write(desk.path(LIFE).join("index.tmp"), b"torn").unwrap();
    fs::write(desk.path(LIFE).join("notes.txt"), b"of the operator").unwrap();
    let first = desk.restart();
    let recording = first.archive.recording(LIFE).unwrap();
    assert_eq!(recording.duration_ms, 398_000);
    assert_eq!(recording.thumbnails[..], [10]);
    let all: Vec<u64> = (1..200).collect();
    let second = first.restart();
    for desk in [&first, &second] {
        assert_eq!(desk.numbers(LIFE, "video"), all);
        assert_eq!(desk.numbers(LIFE, "audio"), all);
        assert_eq!(desk.archive.recording(LIFE).as_ref(), Some(&recording));
        let init = desk.archive.init(LIFE, "audio", 0).unwrap();
        assert_eq!(init.read().unwrap(), "init audio 0");
        let thumbnail = desk.archive.thumbnail(LIFE, 10).unwrap();
        assert_eq!(thumbnail.read().unwrap(), "a picture");
    }
    assert!(!desk.path(LIFE).join("audio-900.m4s").exists());
    assert!(!desk.path(LIFE).join("index.tmp").exists());
    assert!(desk.path(LIFE).join("notes.txt").exists());
}

#[test]
fn a_damaged_line_costs_one_segment_and_a_damaged_summary_nothing() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..6);
    desk.end(LIFE);
    let index = desk.path(LIFE).join("index");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(
        &index,
        text.replacen("segment video 3 ", "segment video 4 ", 1),
    )
    .unwrap();
    fs::write(desk.path(LIFE).join("finished"), "nonsense\n").unwrap();
    let revived = desk.restart();
    assert_eq!(revived.numbers(LIFE, "video"), [1, 2, 4, 5]);
    assert!(revived.archive.recording(LIFE).unwrap().kept);
}

#[test]
fn a_deletion_that_was_cut_off_is_finished_and_foreign_files_are_left_alone() {
    let desk = Desk::new(|_| {});
    let root = &desk.settings.directory;
    for directory in [
        "stage/main/00c0ffee.deleted",
        "stage/main/photos",
        "a b/main/00c0ffee",
    ] {
        fs::create_dir_all(root.join(directory)).unwrap();
        fs::write(root.join(directory).join("index"), "x").unwrap();
    }
    fs::write(root.join("stage/main/00c0ffef"), "a file").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(
        root.join("stage/main/photos"),
        root.join("stage/main/00c0ffed"),
    )
    .unwrap();
    let revived = desk.restart();
    assert!(!root.join("stage/main/00c0ffee.deleted").exists());
    assert!(root.join("stage/main/photos/index").exists());
    assert!(root.join("a b/main/00c0ffee/index").exists());
    assert_eq!(revived.archive.recordings("stage"), []);
}

/// What the child of the next test does until it is killed.
#[test]
#[ignore = "run by the test after this one, as a process of its own"]
fn child_that_records_until_it_is_killed() {
    let Ok(directory) = std::env::var("RECORDING_TEST_DIRECTORY") else {
        return;
    };
    let settings = Settings::new(&Config {
        data_dir: directory.into(),
        ..Config::default()
    });
    let mut desk = Desk::open(Arc::new(tempfile::tempdir().unwrap()), settings, BEGIN_MS);
    desk.begin(LIFE, true);
    for msn in 1.. {
        desk.segments(LIFE, "video", msn..msn + 1);
        // Whoever waits at the other end knows now that this one is complete.
        eprintln!("complete {msn}");
    }
}

#[cfg(unix)]
#[test]
fn kill_9_loses_nothing_that_was_complete() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let desk = Desk::new(|_| {});
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--nocapture",
            "child_that_records_until_it_is_killed",
        ])
        .env("RECORDING_TEST_DIRECTORY", desk.directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut complete = 0;
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut count = |line: std::io::Result<String>| {
        let line = line.unwrap();
        // The kill may have torn the last one.
        let number = line.strip_prefix("complete ").and_then(|n| n.parse().ok());
        complete = number.map_or(complete, |number| complete.max(number));
        complete
    };
    for line in lines.by_ref() {
        if count(line) >= 300 {
            break;
        }
    }
    child.kill().unwrap();
    for line in lines {
        count(line);
    }
    child.wait().unwrap();
    assert!(complete >= 300, "only {complete}");
    let numbers = desk.restart().numbers(LIFE, "video");
    let all: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, all);
    assert!(
        numbers.len() as u64 >= complete,
        "{} of {complete}",
        numbers.len()
    );
}
