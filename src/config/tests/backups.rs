//! Streams that stand in for other streams.

use super::*;

/// A space with these streams.
fn space(streams: &str) -> String {
    format!("[[space]]\nname = \"hall\"\nstream = [{streams}]")
}

#[test]
fn a_stream_may_have_another_one_of_its_space_as_its_backup() {
    let config = serve(
        &[],
        &[],
        &space("{name = \"main\", backup = \"b\"}, {name = \"b\"}, {name = \"side\"}"),
    );
    assert_eq!(config.spaces[0].streams[0].backup.as_deref(), Some("b"));
    assert_eq!(config.backup_of("hall", "b"), Some("main"));
    for (space, stream) in [("hall", "main"), ("hall", "side"), ("foyer", "b")] {
        assert_eq!(config.backup_of(space, stream), None, "{space}/{stream}");
    }
}

#[test]
fn a_camera_may_be_a_backup_and_may_have_one() {
    let config = serve(
        &[],
        &[],
        &space(
            "{name = \"b\", rtsp = \"rtsp://h/2\"}, {name = \"main\", backup = \"b\", rtsp = \"rtsp://h/1\", record = true}",
        ),
    );
    assert_eq!(config.backup_of("hall", "b"), Some("main"));
}

#[test]
fn backups_that_make_no_sense_are_refused() {
    let check = |streams: &str, expected: &[&str]| {
        check_refused(&[], &[], &space(streams), expected);
    };
    check(
        "{name = \"a\", backup = \"b\"}",
        &[
            "`b`, the backup of stream `a`",
            "no stream of its space",
            "name = \"b\"",
        ],
    );
    check(
        "{name = \"a\", backup = \"a\"}",
        &["line 3", "`a` cannot be its own backup"],
    );
    check(
        "{name = \"a\", backup = \"b\"}, {name = \"b\", backup = \"a\"}",
        &["`b`, the backup of stream `a`, has a backup itself (`a`)"],
    );
    check(
        "{name = \"a\", backup = \"b\"}, {name = \"b\", backup = \"c\"}, {name = \"c\"}",
        &["has a backup itself (`c`)", "a backup none"],
    );
    check(
        "{name = \"a\", backup = \"c\"}, {name = \"b\", backup = \"c\"}, {name = \"c\"}",
        &["`c` is the backup of stream `a` already", "stream `b`"],
    );
    check(
        "{name = \"a\", backup = \"b\"}, {name = \"b\", record = true}",
        &["`b` is the backup of stream `a`", "`record`"],
    );
    check("{name = \"a\", backup = 1}", &["in quotes"]);
    check("{name = \"a\", backup = \"b c\"}", &["b c", "letters"]);
}
