//! What can be said about the message bus, OSC and webhooks.

use super::*;

#[test]
fn without_a_word_the_bus_has_its_defaults_and_tells_nobody() {
    let config = serve(&[], &[], "");
    assert_eq!(config.messages, MessagesConfig::default());
    assert!(config.osc.is_none() && config.webhooks.is_empty());
}

#[test]
fn limits_of_messages_can_be_lifted_and_fractions_need_no_quotes() {
    let file =
        "messages_max_mb = 0\nmessages_keep_days = 2\nposition_radius = 2.5\nposition_hz = 30";
    let messages = serve(&[], &[], file).messages;
    assert_eq!(messages.kept_bytes_max, None);
    assert_eq!(
        messages.keep_max,
        Some(Duration::from_secs(2 * 24 * 60 * 60))
    );
    assert_eq!(
        (messages.position_radius, messages.position_hz),
        (Some(2.5), 30)
    );
    let whole = serve(&[], &[], "position_radius = 7").messages;
    assert_eq!(whole.position_radius, Some(7.0));
    let any = serve(&["--position-radius=0"], &[], "").messages;
    assert_eq!(any.position_radius, None);
    check_refused(&[], &[], "position_hz = 20.5", &["position_hz"]);
}

#[test]
fn refused_words_are_read_from_a_file_in_lower_case() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("words.txt");
    let flag = format!("--words={}", path.display());
    let check = |text: &str, expected: &[&str]| {
        std::fs::write(&path, text).unwrap();
        assert_eq!(serve(&[&flag], &[], "").messages.words, expected, "{text}");
    };
    check("", &[]);
    check(
        "\u{feff}Foul\r\n\n  two Words \nÄRGER",
        &["foul", "two words", "ärger"],
    );
    check(&"w\n".repeat(10_000), &["w"; 10_000]);
    std::fs::write(&path, "w\n".repeat(10_001)).unwrap();
    check_refused(&[&flag], &[], "", &["10001 words", "10000 are the most"]);
    std::fs::write(&path, "w".repeat(1_000_001)).unwrap();
    check_refused(&[&flag], &[], "", &["--words", "1000001 bytes"]);
    std::fs::write(&path, b"\xff\xfe").unwrap();
    check_refused(&[&flag], &[], "", &["--words", "cannot be read"]);
    let missing = ["--words=/nonexistent/words.txt"];
    check_refused(
        &missing,
        &[],
        "",
        &["/nonexistent/words.txt", "one word per line"],
    );
}

#[test]
fn osc_peers_and_spaces_come_with_an_address_to_listen_at() {
    let file = "osc = \"0.0.0.0:7400\"\nosc_peer = [\"192.0.2.5\", \"192.0.2.6:9000\"]\nosc_space = [\"residence\"]";
    let config = serve(&[], &[], file);
    let osc = config.osc.expect("osc is on");
    assert_eq!(osc.peers[0].port, None);
    assert_eq!(osc.peers[1].address.to_string(), "192.0.2.6");
    assert_eq!(osc.peers[1].port, Some(9000));
    assert_eq!(osc.spaces, ["residence"]);
    assert!(
        config.warnings[0].contains("not encrypted"),
        "{:?}",
        config.warnings
    );
    let quiet = serve(&["--osc=127.0.0.1:7400"], &[], "");
    assert!(quiet.warnings.is_empty() && quiet.osc.is_some());
    let idle = serve(
        &["--osc=127.0.0.1:7400", "--osc-peer=127.0.0.1:9000"],
        &[],
        "",
    );
    assert!(
        idle.warnings[0].contains("--osc-space"),
        "{:?}",
        idle.warnings
    );
}

#[test]
fn osc_that_cannot_work_is_refused() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["--osc-peer=127.0.0.1"], &["without --osc"]),
        (&["--osc-space=residence"], &["without --osc"]),
        (&["--osc=0.0.0.0:7400"], &["nobody may send", "--osc-peer"]),
        (
            &["--osc=127.0.0.1:7400", "--osc-peer=192.0.2.5:9000"],
            &["192.0.2.5", "this machine alone", "[::]:7400"],
        ),
        (
            &["--osc=192.0.2.1:7400", "--osc-peer=127.0.0.1:9000"],
            &["127.0.0.1", "this machine alone"],
        ),
        (
            &["--osc=0.0.0.0:7400", "--osc-peer=2001:db8::5"],
            &["2001:db8::5", "IPv6"],
        ),
    ];
    for (flags, expected) in cases {
        check_refused(flags, &[], "", expected);
    }
    let many = |count: usize, what: &str| {
        let of: Vec<_> = (0..count).map(|number| format!("{what}{number}")).collect();
        of.join(",")
    };
    let load = |peers: usize, spaces: usize| {
        let peers = format!("--osc-peer={}", many(peers, "10.0.0.1:4"));
        let spaces = format!("--osc-space={}", many(spaces, "space-"));
        try_load("serve", &["--osc=[::]:7400", &peers, &spaces], &[], "")
    };
    assert!(load(OSC_PEERS_MAX, OSC_SPACES_MAX).is_ok());
    let error = load(OSC_PEERS_MAX + 1, 1).unwrap_err();
    assert!(error.contains("33 of --osc-peer"), "{error}");
    let error = load(1, OSC_SPACES_MAX + 1).unwrap_err();
    assert!(error.contains("65 of --osc-space"), "{error}");
}

#[test]
fn webhooks_are_addresses_or_tables_and_a_common_secret_fills_gaps() {
    let file = "
        webhook_secret = \"the-common-secret\"
        [[webhook]]
        url = \"https://example.org/path-with-token\"
        events = [\"live\", \"ended\", \"live\"]
        secret = \"its-own-long-secret\"
        [[webhook]]
        url = \"http://127.0.0.1:9000/\"
    ";
    let config = serve(&[], &[], file);
    let [first, second] = config.webhooks.as_slice() else {
        panic!("{:?}", config.webhooks)
    };
    assert_eq!(first.events, [WebhookEvent::Live, WebhookEvent::Ended]);
    let secret = |webhook: &Webhook| {
        webhook
            .secret
            .as_ref()
            .map(|secret| secret.reveal().to_owned())
    };
    assert_eq!(secret(first).as_deref(), Some("its-own-long-secret"));
    assert_eq!(second.events, WebhookEvent::ALL);
    assert_eq!(secret(second).as_deref(), Some("the-common-secret"));
    let printed = format!("{config:?}");
    assert!(
        !printed.contains("token") && !printed.contains("its-own"),
        "{printed}"
    );
    let mixed = "webhook = [\"http://a/\", { url = \"http://b/\", events = [\"recorded\"] }]";
    let mixed = serve(&[], &[], mixed);
    assert_eq!(mixed.webhooks[1].events, [WebhookEvent::Recorded]);
    assert!(mixed.warnings[0].contains("--webhook-secret"));
    let flags = serve(&["--webhook=http://c/", "--webhook=http://d/"], &[], file);
    let hosts: Vec<_> = flags
        .webhooks
        .iter()
        .filter_map(|hook| hook.url.host_str())
        .collect();
    assert_eq!(hosts, ["c", "d"], "a flag wins over the file");
    let variables = [("PROSCENIUM_WEBHOOK", "http://e/ http://f/")];
    assert_eq!(serve(&[], &variables, "").webhooks.len(), 2);
}

#[test]
fn webhooks_that_make_no_sense_are_refused_and_their_secrets_not_repeated() {
    let cases: &[(&str, &[&str])] = &[
        (
            "[[webhook]]\nsecret = \"hush-hush-hush-hush\"",
            &["line 1", "without a url"],
        ),
        (
            "[[webhook]]\nurl = \"/hook\"",
            &["line 2", "/hook", "https://"],
        ),
        (
            "[[webhook]]\nurl = \"http://a/\"\nevents = [\"alive\"]",
            &["line 3", "`alive`", "live, ended"],
        ),
        (
            "[[webhook]]\nurl = \"http://a/\"\nevents = \"live\"",
            &["line 3", "array"],
        ),
        (
            "[[webhook]]\nurl = \"http://a/\"\nevents = []",
            &["line 3", "array"],
        ),
        (
            "[[webhook]]\nurl = \"http://a/\"\nsecret = \"hush\"",
            &["line 3", "at least 16"],
        ),
        (
            "[[webhook]]\nurl = \"http://a/\"\nevent = []",
            &["line 3", "`event` in [[webhook]]", "`events`"],
        ),
        ("webhook = 1", &["`webhook` is integer", "in quotes"]),
        ("webhook_secret = \"hush\"", &["(secret)", "at least 16"]),
    ];
    for (file, expected) in cases {
        check_refused(&[], &[], file, expected);
        let error = try_load("serve", &[], &[], file).unwrap_err();
        assert!(!error.contains("hush"), "{error}");
    }
    let many = |count: usize| format!("webhook = [{}]", "\"http://a/\",".repeat(count));
    assert_eq!(serve(&[], &[], &many(16)).webhooks.len(), WEBHOOKS_MAX);
    check_refused(&[], &[], &many(17), &["17 of --webhook", "16 is the most"]);
}
