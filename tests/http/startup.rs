//! Starting and stopping the real binary: what it refuses, what it prints, how it ends.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "bus/crash.rs"]
mod crash;
mod process;
mod restart;
mod token_command;

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use process::{Server, carry_out, data_dir, eventually, offer};

#[test]
fn an_unknown_option_is_named_with_the_nearest_known_one() {
    let ended = carry_out(&["serve", "--rtc-prot", "7900"]);
    assert_eq!(ended.code, Some(2));
    ended.check_error(&["--rtc-prot", "--rtc-port"]);
}

#[test]
fn a_bad_value_is_named_with_what_would_do() {
    let ended = carry_out(&["serve", "--listen", "everywhere"]);
    ended.check_error(&["everywhere", "--listen", "127.0.0.1:8080"]);
}

#[test]
fn a_bad_file_is_named_with_its_line() {
    let directory = data_dir();
    let file = directory.path().join("venue.toml");
    let path = file.to_str().unwrap();
    for (text, expected) in [
        ("listen = \"127.0.0.1:0\"\nlisten = ", "line 2"),
        (
            "\n\nrtc_prot = 1",
            "line 3: unknown key `rtc_prot`; did you mean `rtc_port`?",
        ),
        (
            "rtc_port = 70000",
            "line 1: rtc_port: `70000` is not a port",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let ended = carry_out(&["serve", "--config", path]);
        assert_eq!(ended.code, Some(1));
        ended.check_error(&[path, expected]);
    }
    let ended = carry_out(&["serve", "--config", "/nonexistent/venue.toml"]);
    ended.check_error(&["/nonexistent/venue.toml", "--config"]);
}

#[test]
fn a_variable_counts_and_a_bad_one_is_named() {
    let ended = process::carry_out_with(&["serve"], &[("PROSCENIUM_RTC_PORT", "http")]);
    ended.check_error(&["PROSCENIUM_RTC_PORT", "`http`", "from 0 to 65535"]);
}

#[test]
fn an_http_port_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = data_dir();
    let data_dir = directory.path().to_str().unwrap();
    let ended = carry_out(&[
        "serve",
        "--listen",
        &address,
        "--rtc-port=0",
        "--data-dir",
        data_dir,
    ]);
    assert_eq!(ended.code, Some(1));
    ended.check_error(&[&address, "in use by another program", "--listen"]);
    assert!(!ended.stdout.contains("listening"), "{}", ended.stdout);
}

#[test]
fn a_media_port_in_use_is_named_with_its_flag() {
    let taken = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let directory = data_dir();
    let data_dir = directory.path().to_str().unwrap();
    let arguments = [
        "serve",
        "--listen=127.0.0.1:0",
        "--media-threads=1",
        "--rtc-port",
        &port,
        "--data-dir",
    ];
    let ended = carry_out(&[&arguments[..], &[data_dir]].concat());
    assert_eq!(ended.code, Some(1));
    ended.check_error(&[
        &format!("udp port {port}"),
        "in use by another program",
        "--rtc-port",
    ]);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named_with_its_flag() {
    let directory = data_dir();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let path = file.to_str().unwrap();
    for command in [
        &["serve", "--listen=127.0.0.1:0", "--rtc-port=0"][..],
        &["key", "list"],
    ] {
        let ended = carry_out(&[command, &["--data-dir", path]].concat());
        assert_eq!(ended.code, Some(1));
        ended.check_error(&[path, "--data-dir"]);
    }
}

#[test]
fn a_damaged_database_is_named_with_what_to_do() {
    let directory = data_dir();
    fs::write(directory.path().join("proscenium.db"), vec![b'x'; 10_000]).unwrap();
    let path = directory.path().to_str().unwrap();
    let ended = carry_out(&[
        "serve",
        "--listen=127.0.0.1:0",
        "--rtc-port=0",
        "--data-dir",
        path,
    ]);
    ended.check_error(&["proscenium.db is damaged", "backup"]);
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let first = Server::start("serve", &[]);
    let path = first.data_dir();
    let ended = carry_out(&[
        "serve",
        "--listen=127.0.0.1:0",
        "--rtc-port=0",
        "--data-dir",
        path,
    ]);
    assert_eq!(ended.code, Some(1));
    let process = format!("process {}", first.id());
    ended.check_error(&[path, "another server", &process, "--data-dir"]);
    assert!(
        first.get("/readyz").starts_with("HTTP/1.1 200"),
        "the first one goes on"
    );
}

#[test]
fn a_key_added_while_the_server_runs_is_asked_for_within_seconds() {
    let server = Server::start("serve", &[]);
    let post = |bearer: Option<&str>| server.post("/whip/stage", &offer(), bearer);
    let added = carry_out(&["key", "add", "stage", "--data-dir", server.data_dir()]);
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let key = added.stdout.trim();
    assert_eq!(key.len(), 32);

    eventually("the key is asked for", || {
        post(None).starts_with("HTTP/1.1 401")
    });
    assert!(post(Some("not-the-key-of-stage")).starts_with("HTTP/1.1 401"));
    let accepted = post(Some(key));
    assert!(accepted.starts_with("HTTP/1.1 201"), "{accepted}");

    let listed = carry_out(&["key", "list", "--data-dir", server.data_dir()]);
    assert!(listed.stdout.starts_with("stage\t2"), "{}", listed.stdout);
    assert!(!listed.stdout.contains(key));
    let removed = carry_out(&["key", "remove", "stage", "--data-dir", server.data_dir()]);
    assert_eq!(removed.stdout, "1 key of stage is removed\n");
    let again = carry_out(&["key", "remove", "stage", "--data-dir", server.data_dir()]);
    again.check_error(&["`stage` has no stored key", "key list"]);
    eventually("the space is open", || {
        !post(None).starts_with("HTTP/1.1 401")
    });
}

#[test]
fn keys_for_impossible_names_and_impossible_keys_are_refused() {
    let directory = data_dir();
    let path = directory.path().to_str().unwrap();
    carry_out(&["key", "add", "whip", "--data-dir", path]).check_error(&["`whip`", "another word"]);
    let ended = carry_out(&["key", "add", "stage", "--key", "short", "--data-dir", path]);
    ended.check_error(&["--key", "at least 8"]);
    let chosen = carry_out(&[
        "key",
        "add",
        "stage",
        "--key",
        "chosen-key",
        "--data-dir",
        path,
    ]);
    assert_eq!(chosen.stdout, "chosen-key\n");
}

#[test]
fn health_says_whether_a_server_answers() {
    let mut server = Server::start("serve", &[]);
    let listen = server.address().to_owned();
    let asked = carry_out(&["health", "--listen", &listen]);
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    let asked = carry_out(&["health", "--listen", &listen]);
    assert_eq!(asked.code, Some(1));
    asked.check_error(&[&listen, "--listen"]);
}

#[test]
fn the_demo_prints_pages_that_can_be_opened_and_is_live_by_then() {
    let mut server = Server::start("demo", &[]);
    let text = server.stdout_until("Ctrl-C");
    let port = server.address().rsplit(':').next().unwrap();
    for path in ["/demo", "/my-stage/perform", "/my-stage"] {
        assert!(
            text.contains(&format!("http://localhost:{port}{path} ")),
            "{text}"
        );
        let answer = server.get(path);
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("<html"),
            "{answer}"
        );
    }
    let space = server.get("/api/spaces/demo");
    assert!(
        space.contains("\"live\":true") && space.contains("\"H264\""),
        "{space}"
    );
    server.terminate();
    assert_eq!(server.wait(), Some(0));
}

/// Warnings and errors, but for the one about this machine's limit of open files.
fn complaints(log: &str) -> Vec<&str> {
    (log.lines())
        .filter(|line| line.contains("ERROR") || line.contains("WARN"))
        .filter(|line| !line.contains("the limit of open files is below"))
        .collect()
}

#[test]
fn sigterm_refuses_newcomers_ends_event_streams_and_exits_with_0() {
    let mut server = Server::start("serve", &[]);
    let accepted = server.post("/whip/stage", &offer(), None);
    assert!(accepted.starts_with("HTTP/1.1 201"), "{accepted}");
    let mut waiting = server.connect();
    let mut events = server.events("stage");
    assert!(events.read_until("event: space"));

    server.terminate();
    assert!(!events.read_until("never sent"), "the event stream ends");
    // The connection was there before: it hears a clear no, or its end, but never a yes.
    let answer = waiting.exchange("GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 503"),
        "{answer}"
    );
    assert_eq!(server.wait(), Some(0));
    let log = server.log();
    assert!(
        log.contains("ready: candidates carry") && log.contains("127.0.0.1:"),
        "{log}"
    );
    assert!(
        log.contains(server.data_dir()) && log.contains("stopped"),
        "{log}"
    );
    assert_eq!(complaints(&log), Vec::<&str>::new(), "{log}");
}

#[test]
fn a_session_that_is_up_when_the_server_stops_does_not_outlast_the_limit() {
    let mut server = Server::start("serve", &["--drain-seconds=1"]);
    for stream in ["a", "b", "c"] {
        let accepted = server.post(&format!("/whip/stage/{stream}"), &offer(), None);
        assert!(accepted.starts_with("HTTP/1.1 201"), "{accepted}");
    }
    server.terminate();
    assert_eq!(server.wait_for(Duration::from_secs(10)), Some(0));
}

#[test]
fn a_participant_hears_that_the_server_stops() {
    let mut server = Server::start("serve", &[]);
    let mut participant = server.participant("stage");
    assert!(participant.read_until("HTTP/1.1 101"));
    server.terminate();
    assert!(participant.read_until("the server stops"));
    assert_eq!(server.wait(), Some(0));
    let log = server.log();
    assert_eq!(complaints(&log), Vec::<&str>::new(), "{log}");
}

#[test]
fn settings_of_a_file_reach_the_server() {
    let directory = data_dir();
    let file = directory.path().join("venue.toml");
    let text = "log = \"json\"\n[[space]]\nname = \"stage\"\nkey = \"the-key-in-the-file\"\n";
    fs::write(&file, text).unwrap();
    let mut server = Server::start("serve", &["--config", file.to_str().unwrap()]);
    assert!(
        server
            .post("/whip/stage", &offer(), None)
            .starts_with("HTTP/1.1 401")
    );
    let accepted = server.post("/whip/stage", &offer(), Some("the-key-in-the-file"));
    assert!(accepted.starts_with("HTTP/1.1 201"), "{accepted}");
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    let log = server.log();
    assert!(!log.contains("the-key-in-the-file"));
    for line in log.lines() {
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    }
}

#[test]
fn a_refusal_is_logged_once_with_its_reason_and_its_client() {
    let mut server = Server::start("serve", &[]);
    let refused = |body: &str| {
        let length = body.len();
        let request = format!(
            "POST /whip/refused HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: Stage-Sender/7\r\n\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        server.connect().exchange(&request)
    };
    for _ in 0..3 {
        assert!(refused("no offer at all").contains("400 Bad Request"));
    }
    assert!(refused("").contains("400 Bad Request"));
    let log = server.log();
    let told = |reason: &str| {
        let mut lines = log.lines().filter(|line| line.contains(reason));
        let line = lines.next().unwrap_or_default();
        for part in [
            "refused",
            "/whip/refused",
            "400",
            "Stage-Sender/7",
            "127.0.0.x",
        ] {
            assert!(line.contains(part), "no {part} in {line:?}: {log}");
        }
        assert_eq!(lines.next(), None, "{log}");
    };
    told("the body does not begin with v=0");
    told("the body is empty");
}
