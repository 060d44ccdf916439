//! What operators write, and what comes of it. The process environment is never touched.

use std::io::Write as _;

use clap::Parser as _;

use super::*;

mod backups;
mod messages;
mod slates;

/// Loads with these flags, variables and file, as `serve` or `demo` would.
fn try_load(
    command: &str,
    flags: &[&str],
    variables: &[(&str, &str)],
    file: &str,
) -> Result<Config, String> {
    let mut toml = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    toml.write_all(file.as_bytes()).unwrap();
    let path = toml.path().to_str().unwrap();
    let line = ["proscenium", command, "--config", path];
    let cli = Cli::try_parse_from(line.iter().chain(flags)).map_err(|error| error.to_string())?;
    let (settings, demo) = match cli.command {
        Command::Serve(settings) => (*settings, false),
        Command::Demo(settings) => (*settings, true),
        other => panic!("not a server: {other:?}"),
    };
    let pairs = variables
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    load(settings, &pairs.collect(), demo)
        .map_err(|error| error.to_string().replace(path, "proscenium.toml"))
}

fn serve(flags: &[&str], variables: &[(&str, &str)], file: &str) -> Config {
    try_load("serve", flags, variables, file).unwrap()
}

fn check_refused(flags: &[&str], variables: &[(&str, &str)], file: &str, expected: &[&str]) {
    let error = try_load("serve", flags, variables, file).expect_err("must be refused");
    for part in expected {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

#[test]
fn nothing_needs_to_be_said() {
    let served = serve(&[], &[], "");
    assert_eq!(served.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(
        (served.rtc_port, served.demo, served.log_json),
        (7900, false, false)
    );
    assert_eq!(served.data_dir.to_str(), Some("proscenium-data"));
    assert!(served.media_threads >= 1 && served.public_ip.is_empty() && served.warnings.is_empty());
    let demo = try_load("demo", &[], &[], "").unwrap();
    assert_eq!(demo.listen.to_string(), "127.0.0.1:8080");
    assert!(demo.demo);
    assert_eq!(
        demo.data_dir, served.data_dir,
        "so that `key add demo` reaches the demo"
    );
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let port = |flags: &[&str], variables: &[(&str, &str)], file: &str| {
        serve(flags, variables, file).rtc_port
    };
    let (flag, variable, file) = (
        ["--rtc-port", "7001"],
        [("PROSCENIUM_RTC_PORT", "7002")],
        "rtc_port = 7003",
    );
    assert_eq!(port(&flag, &variable, file), 7001);
    assert_eq!(port(&[], &variable, file), 7002);
    assert_eq!(port(&[], &[], file), 7003);
    assert_eq!(
        port(&[], &[("PROSCENIUM_RTC_PORT", "")], file),
        7003,
        "an empty variable is none"
    );
    assert_eq!(
        port(&[], &[], "rtc-port = \"7004\""),
        7004,
        "either spelling"
    );
}

/// Every setting with a value that is not its default.
fn cases<'a>(web: &'a str, words: &'a str) -> [(&'a str, &'a str); 36] {
    [
        ("listen", "[::1]:9000"),
        ("rtc-port", "8000"),
        ("public-ip", "203.0.113.7,2001:db8::7"),
        ("trusted-proxy", "10.0.0.1,10.0.0.2"),
        ("data-dir", "/srv/venue"),
        ("media-threads", "3"),
        ("web-dir", web),
        ("log", "json"),
        ("log-level", "warn,sfu=debug"),
        ("publishers-max", "7"),
        ("viewers-max", "70"),
        ("connections-max", "700"),
        ("participants-max", "60"),
        ("space-participants-max", "6"),
        ("loudest", "16"),
        ("secret", "chosen-by-the-operator"),
        ("drain-seconds", "9"),
        ("hls", "off"),
        ("hls-part-ms", "500"),
        ("webrtc-seats", "0"),
        ("dvr-window-minutes", "0"),
        ("record", "on"),
        ("recordings-quota-gb", "0"),
        ("recordings-keep-days", "30"),
        ("message-clients-max", "9"),
        ("message-rate", "5"),
        ("position-hz", "60"),
        ("position-radius", "2.5"),
        ("words", words),
        ("messages-max-mb", "0"),
        ("messages-keep-days", "30"),
        ("osc", "127.0.0.1:7400"),
        ("osc-peer", "127.0.0.1,127.0.0.1:9000"),
        ("osc-space", "residence,foyer"),
        ("webhook", "https://example.org/hook"),
        ("webhook-secret", "chosen-by-the-operator"),
    ]
}

#[test]
fn every_setting_has_the_same_name_and_meaning_in_all_three_places() {
    let directory = tempfile::tempdir().unwrap();
    let web = directory.path().to_str().unwrap();
    let list = directory.path().join("words.txt");
    std::fs::write(&list, "Unwort\n").unwrap();
    let words = list.to_str().unwrap();
    let cases = cases(web, words);
    // What does nothing without another setting.
    let with = |name: &str| match name {
        "osc-peer" | "osc-space" => "osc = \"127.0.0.1:0\"\n",
        "webhook-secret" => "webhook = \"http://127.0.0.1/\"\n",
        _ => "",
    };
    for (name, value) in cases {
        let by_flag = serve(&[&format!("--{name}={value}")], &[], with(name));
        let variable = format!("PROSCENIUM_{}", name.to_uppercase().replace('-', "_"));
        let by_variable = serve(&[], &[(&variable, value)], with(name));
        let by_file = serve(
            &[],
            &[],
            &format!("{}{} = \"{value}\"", with(name), name.replace('-', "_")),
        );
        let seen = |config: Config| {
            format!(
                "{:?}",
                Config {
                    file: None,
                    ..config
                }
            )
        };
        let [by_flag, by_variable, by_file] = [by_flag, by_variable, by_file].map(seen);
        assert_eq!(by_flag, by_variable, "{name}");
        assert_eq!(by_flag, by_file, "{name}");
        assert_ne!(
            by_flag,
            seen(serve(&[], &[], with(name))),
            "{name} changes nothing"
        );
    }
    let known = resolve::names();
    let untested: Vec<_> = known
        .iter()
        .filter(|name| !cases.iter().any(|(case, _)| case == name))
        .collect();
    assert_eq!(untested, ["config"]);
}

#[test]
fn several_public_addresses_can_be_given_in_every_way() {
    let expected: Vec<IpAddr> = vec![
        "203.0.113.7".parse().unwrap(),
        "203.0.113.8".parse().unwrap(),
    ];
    let repeated = serve(
        &["--public-ip", "203.0.113.7", "--public-ip=203.0.113.8"],
        &[],
        "",
    );
    assert_eq!(repeated.public_ip, expected);
    let array = serve(&[], &[], "public_ip = [\"203.0.113.7\", \"203.0.113.8\"]");
    assert_eq!(array.public_ip, expected);
}

#[test]
fn a_bad_value_is_named_with_its_place_and_with_what_would_do() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("listen", "8080", &["127.0.0.1:8080"]),
        ("listen", "localhost:70000", &["from 0 to 65535"]),
        ("rtc-port", "65536", &["from 0 to 65535"]),
        ("trusted-proxy", "proxy", &["10.0.0.1"]),
        ("rtc-port", "http", &["from 0 to 65535"]),
        ("public-ip", "venue.example.org", &["203.0.113.7"]),
        ("public-ip", "0.0.0.0", &["outside world"]),
        ("media-threads", "65", &["from 1 to 64"]),
        ("log", "xml", &["text, json"]),
        ("log-level", "sfu=loud", &["info,sfu=debug"]),
        ("viewers-max", "-1", &["from 1 to"]),
        ("connections-max", "3", &["from 16 to"]),
        ("participants-max", "0", &["from 1 to"]),
        ("space-participants-max", "all", &["from 1 to"]),
        ("loudest", "17", &["from 1 to 16"]),
        ("loudest", "0", &["from 1 to 16"]),
        ("drain-seconds", "61", &["from 0 to 60"]),
        ("hls", "perhaps", &["neither on nor off"]),
        ("hls-part-ms", "199", &["from 200 to 1000"]),
        ("hls-part-ms", "1001", &["from 200 to 1000"]),
        ("webrtc-seats", "few", &["from 0 to"]),
        ("dvr-window-minutes", "10081", &["from 0 to 10080"]),
        ("record", "1", &["neither on nor off"]),
        ("recordings-quota-gb", "1.5", &["from 0 to"]),
        ("recordings-keep-days", "-1", &["from 0 to"]),
        ("message-clients-max", "0", &["from 1 to"]),
        ("message-rate", "0", &["from 1 to 10000"]),
        ("position-hz", "0", &["from 1 to 60"]),
        ("position-hz", "61", &["from 1 to 60"]),
        ("position-radius", "-1", &["from 0 to"]),
        ("position-radius", "NaN", &["from 0 to"]),
        ("position-radius", "far", &["from 0 to"]),
        ("messages-max-mb", "all", &["from 0 to"]),
        ("messages-keep-days", "1.5", &["from 0 to"]),
        ("osc", "7400", &["127.0.0.1:7400"]),
        ("osc", "localhost:70000", &["from 0 to 65535"]),
        ("osc-peer", "stage-left:9000", &["192.0.2.5:9000"]),
        ("osc-peer", "0.0.0.0:9000", &["one machine"]),
        ("osc-peer", "192.0.2.5:0", &["one machine"]),
        ("osc-space", "a b", &["name of a space"]),
        ("webhook", "example.org/hook", &["https://example.org/hook"]),
        (
            "webhook",
            "ftp://example.org/",
            &["https://example.org/hook"],
        ),
        ("webhook", "https://me:it@example.org/", &["user name"]),
    ];
    for (name, value, advice) in cases {
        let flag = format!("--{name}={value}");
        check_refused(&[&flag], &[], "", &[&format!("--{name}"), value, advice[0]]);
        let variable = format!("PROSCENIUM_{}", name.to_uppercase().replace('-', "_"));
        check_refused(
            &[],
            &[(&variable, value)],
            "",
            &[&variable, value, advice[0]],
        );
        let key = name.replace('-', "_");
        let file = format!("\n{key} = \"{value}\"");
        check_refused(
            &[],
            &[],
            &file,
            &["proscenium.toml, line 2", &key, value, advice[0]],
        );
    }
}

#[test]
fn a_secret_that_cannot_be_used_is_refused_without_being_repeated() {
    let long = "s".repeat(257);
    let cases: &[(&str, &str)] = &[
        ("fifteen-letters", "at least 16"),
        (&long, "at most 256"),
        ("has spaces in the middle", "letters, digits"),
        ("schlüssel-der-bühne", "letters, digits"),
    ];
    for (secret, advice) in cases {
        let variables = [("PROSCENIUM_SECRET", *secret)];
        let file = format!("secret = \"{secret}\"");
        for (variables, file) in [(variables.as_slice(), ""), (&[], file.as_str())] {
            check_refused(&[], variables, file, &["(secret)", advice]);
            let error = try_load("serve", &[], variables, file).unwrap_err();
            assert!(!error.contains(secret), "{error}");
        }
    }
    let config = serve(&[], &[], "secret = \"sixteen-or-more.~\"");
    let secret = config.secret.as_ref().map(Secret::reveal);
    assert_eq!(secret, Some("sixteen-or-more.~"));
    assert!(!format!("{config:?}").contains("sixteen"));
}

#[test]
fn the_nearest_known_name_is_suggested_for_an_unknown_one() {
    check_refused(&["--rtc-prot=1"], &[], "", &["--rtc-prot", "--rtc-port"]);
    check_refused(
        &[],
        &[],
        "listen = \"[::]:80\"\nrtc_prot = 1",
        &["line 2", "`rtc_prot`", "did you mean `rtc_port`?"],
    );
    check_refused(
        &[],
        &[],
        "[[spaces]]\nname = \"a\"",
        &["line 1", "`spaces`", "`space`"],
    );
    check_refused(
        &[],
        &[],
        "zzz = 1",
        &["`zzz`", "known are", "rtc_port", "space"],
    );
    check_refused(&[], &[], "config = \"other.toml\"", &["`config`"]);
    let space = "[[space]]\nname = \"a\"\nkeys = \"12345678\"";
    check_refused(&[], &[], space, &["line 3", "`keys` in [[space]]", "`key`"]);
    let stream = "[[space]]\nname = \"a\"\n[[space.stream]]\nname = \"b\"\nrtps = \"x\"";
    check_refused(
        &[],
        &[],
        stream,
        &["line 5", "`rtps` in [[space.stream]]", "`rtsp`"],
    );
    let warned = serve(
        &[],
        &[
            ("PROSCENIUM_RTC_PROT", "1"),
            ("PROSCENIUM_SERVICE_HOST", "10.0.0.1"),
        ],
        "",
    );
    assert!(
        warned.warnings[0].contains("PROSCENIUM_RTC_PORT"),
        "{:?}",
        warned.warnings
    );
}

#[test]
fn a_file_that_cannot_be_read_or_is_no_toml_says_so() {
    let missing = ["proscenium", "serve", "--config", "/nonexistent/venue.toml"];
    let Command::Serve(settings) = Cli::try_parse_from(missing).unwrap().command else {
        panic!()
    };
    let error = load(*settings, &Environment::new(), false)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/nonexistent/venue.toml") && error.contains("--config"),
        "{error}"
    );
    check_refused(&[], &[], "\n\nlisten = ", &["proscenium.toml, line 3"]);
    check_refused(
        &[],
        &[],
        "rtc_port = true",
        &["line 1", "`rtc_port` is boolean"],
    );
    check_refused(&[], &[], "rtc_port = 0x1f", &["`rtc_port`", "decimal"]);
    check_refused(
        &[],
        &[],
        "[space]\nname = \"a\"",
        &["[[space]]", "double brackets"],
    );
}

#[test]
fn spaces_streams_and_ice_servers_come_from_the_file() {
    let file = "
        [[space]]
        name = \"residence\"
        key = \"a-secret-key\"
        [[space.stream]]
        name = \"balcony\"
        rtsp = \"rtsp://user:pass@192.0.2.5:554/1\"
        [[space]]
        name = \"foyer\"
        [[ice_server]]
        url = \"turn:turn.example.org:3478?transport=udp\"
        username = \"venue\"
        credential = \"pass\"
    ";
    let config = serve(&[], &[], file);
    assert_eq!(config.spaces.len(), 2);
    assert_eq!(config.spaces[0].key.as_deref(), Some("a-secret-key"));
    let balcony = &config.spaces[0].streams[0];
    assert_eq!(balcony.name, "balcony");
    assert_eq!(
        balcony.rtsp.as_deref(),
        Some("rtsp://user:pass@192.0.2.5:554/1")
    );
    assert_eq!(config.ice_servers[0].username.as_deref(), Some("venue"));
    let printed = format!("{config:?}");
    assert!(
        !printed.contains("a-secret-key") && !printed.contains("pass"),
        "{printed}"
    );
}

#[test]
fn a_stream_is_recorded_as_its_own_entry_says_or_else_as_all_are() {
    let streams = "
        [[space]]
        name = \"residence\"
        [[space.stream]]
        name = \"main\"
        record = true
        [[space.stream]]
        name = \"rehearsal\"
        record = false
        [[space.stream]]
        name = \"balcony\"
    ";
    let check = |all: &str, expected: [bool; 5]| {
        let config = serve(&[], &[], &format!("{all}\n{streams}"));
        let seen = ["main", "rehearsal", "balcony", "other"]
            .map(|stream| config.is_recorded("residence", stream));
        assert_eq!(seen, expected[..4], "{all}");
        assert_eq!(config.is_recorded("foyer", "main"), expected[4], "{all}");
    };
    check("", [true, false, false, false, false]);
    check("record = false", [true, false, false, false, false]);
    check("record = true", [true, false, true, true, true]);
    check("record = \"on\"", [true, false, true, true, true]);
}

#[test]
fn switches_take_the_words_of_toml_and_zero_means_no_limit() {
    let config = serve(
        &[],
        &[],
        "hls = false\nrecordings_quota_gb = 0\nrecordings_keep_days = 0",
    );
    assert!(!config.hls.enabled);
    assert_eq!(config.recordings.quota_bytes, None);
    assert_eq!(config.recordings.keep_max, None);
    let config = serve(
        &["--recordings-quota-gb=2", "--recordings-keep-days=3"],
        &[],
        "",
    );
    assert_eq!(config.recordings.quota_bytes, Some(2_000_000_000));
    let days = config.recordings.keep_max.map(|age| age.as_secs() / 86_400);
    assert_eq!(days, Some(3));
    assert_eq!(serve(&["--viewers-max=7"], &[], "").hls.webrtc_seats, 7);
}

#[test]
fn tables_that_make_no_sense_are_refused_and_secrets_are_not_repeated() {
    let space = |rest: &str| format!("[[space]]\nname = \"a\"\n{rest}");
    let cases: &[(&str, &[&str])] = &[
        (
            "[[space]]\nkey = \"12345678\"",
            &["line 1", "without a name"],
        ),
        (
            "[[space]]\nname = \"whip\"",
            &["line 2", "whip", "choose another word"],
        ),
        ("[[space]]\nname = \"a b\"", &["line 2", "letters"]),
        (
            &space("[[space]]\nname = \"a\""),
            &["line 3", "`a` is there twice"],
        ),
        (&space("key = \"x\""), &["line 3", "at least 8"]),
        (&space("key = 12345678"), &["line 3", "`key`", "in quotes"]),
        (
            &space("[[space.stream]]\nrtsp = \"rtsp://a/\""),
            &["line 3", "without a name"],
        ),
        (
            &space("stream = [{name = \"b\"}, {name = \"b\"}]"),
            &["`b` is there twice"],
        ),
        (
            &space("stream = [{name = \"b\", rtsp = \"rtsps://u:hush@h/\"}]"),
            &["rtsp://"],
        ),
        (
            &space("stream = [{name = \"b\", rtsp = \"rtsp://u:hush@/x\"}]"),
            &["no host"],
        ),
        (
            &space("stream = [{name = \"b\", record = \"yes\"}]"),
            &["`record`", "true or false"],
        ),
        ("[[ice_server]]\nusername = \"a\"", &["without a url"]),
        ("[[ice_server]]\nurl = \"http://a\"", &["http://a", "stun:"]),
        (
            "[[ice_server]]\nurl = \"turn:a\"",
            &["turn:a", "username and credential"],
        ),
        (
            "[[ice_server]]\nurl = \"stun:a>; rel=x\"",
            &["visible ASCII"],
        ),
    ];
    for (file, expected) in cases {
        check_refused(&[], &[], file, expected);
        let error = try_load("serve", &[], &[], file).unwrap_err();
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn a_thousand_spaces_can_be_named_and_one_more_cannot() {
    let file = |count: usize| -> String {
        (0..count)
            .map(|number| format!("[[space]]\nname = \"space-{number}\"\n"))
            .collect()
    };
    assert_eq!(serve(&[], &[], &file(1000)).spaces.len(), 1000);
    check_refused(
        &[],
        &[],
        &file(1001),
        &["1001 of [[space]]", "1000 is the most"],
    );
}

#[test]
fn settings_that_contradict_one_another_are_refused() {
    check_refused(
        &["--rtc-port=65534", "--media-threads=3"],
        &[],
        "",
        &["65534 to 65536", "lower --rtc-port"],
    );
    check_refused(
        &["--listen=[::]:7901", "--media-threads=2"],
        &[],
        "",
        &["port 7901", "7900 to 7901"],
    );
    check_refused(
        &["--web-dir=/nonexistent/pages"],
        &[],
        "",
        &["--web-dir /nonexistent/pages", "built-in"],
    );
}

#[test]
fn rust_log_counts_when_no_log_level_is_given() {
    let rust_log = ("RUST_LOG", "trace");
    assert_eq!(serve(&[], &[rust_log], "").log_filter, "trace");
    assert_eq!(
        serve(&["--log-level=warn"], &[rust_log], "").log_filter,
        "warn"
    );
    assert_eq!(
        serve(&[], &[rust_log], "log_level = \"error\"").log_filter,
        "error"
    );
}

#[test]
fn there_is_room_for_two_connections_a_page_unless_said_otherwise() {
    let check = |flags: &[&str], expected: usize| {
        let config = serve(flags, &[], "");
        assert_eq!(config.limits.connections_max, expected, "{flags:?}");
    };
    check(&[], Limits::default().connections_max);
    check(&["--viewers-max=800"], 8600);
    let few = ["--viewers-max=800", "--participants-max=200"];
    check(&few, 7000);
    check(&[few[0], few[1], "--message-clients-max=50"], 2050);
    let one = ["--viewers-max=1", "--participants-max=1"];
    check(&[one[0], one[1], "--message-clients-max=1"], 1000);
    check(&["--connections-max=20"], 20);
}

#[test]
fn the_example_file_can_be_used_as_it_is_and_shows_every_setting() {
    let example = include_str!("../../proscenium.example.toml");
    assert!(try_load("serve", &[], &[], example).is_ok());
    let uncommented: String = example
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line)))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let words = directory.path().join("words.txt");
    std::fs::write(&words, "").unwrap();
    let uncommented = uncommented
        .replace("/srv/venue/pages", directory.path().to_str().unwrap())
        .replace("/srv/venue/words.txt", words.to_str().unwrap());
    let config = serve(&[], &[], &uncommented);
    assert!(!config.spaces.is_empty() && !config.ice_servers.is_empty());
    assert!(config.osc.is_some() && !config.webhooks.is_empty());
    for name in resolve::names().iter().filter(|name| *name != "config") {
        assert!(
            uncommented.contains(&format!("\n{} = ", name.replace('-', "_"))),
            "{name} is not shown"
        );
    }
}
