//! `proscenium token` and `proscenium secret` beside a running server, and what a restart keeps.

use std::fs;

use crate::process::{Server, carry_out, carry_out_with, data_dir, eventually, offer};

const HEAD: &str = "HTTP/1.1 ";

/// The status of asking for a token of `space` for a viewer.
fn ask_for_token(server: &Server, secret: &str) -> String {
    let body = r#"{"space":"stage","role":"viewer"}"#;
    let length = body.len();
    let request = format!(
        "POST /api/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {secret}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let answer = server.connect().exchange(&request);
    assert!(answer.starts_with(HEAD), "{answer}");
    answer[HEAD.len()..][..3].to_owned()
}

fn printed_secret(data_dir: &str) -> String {
    let ended = carry_out(&["secret", "--data-dir", data_dir]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    ended.stdout.trim().to_owned()
}

fn claims(token: &str) -> serde_json::Value {
    let payload = token.split('.').nth(1).unwrap();
    let bytes = data_encoding::BASE64URL_NOPAD.decode(payload.as_bytes());
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

#[test]
fn the_secret_is_printed_when_it_is_made_and_on_request_and_opens_the_api() {
    let mut server = Server::start("serve", &[]);
    let line = server.stdout_until("operator secret, made now: ");
    let secret = printed_secret(server.data_dir());
    assert!(secret.len() == 32 && line.contains(&secret), "{line}");
    assert_eq!(ask_for_token(&server, &secret), "200");
    assert_eq!(ask_for_token(&server, &secret[1..]), "401");
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    let log = server.log();
    assert!(!log.contains(&secret), "{log}");
}

#[test]
fn a_secret_that_is_chosen_counts_alone_and_is_not_printed_at_start() {
    let chosen = "chosen-by-the-operator";
    let mut server = Server::start("serve", &["--secret", chosen]);
    assert_eq!(ask_for_token(&server, chosen), "200");
    // The store has another one, from a time when none was chosen.
    let kept = printed_secret(server.data_dir());
    assert_ne!(kept, chosen);
    assert_eq!(ask_for_token(&server, &kept), "401");
    let arguments = ["secret", "--data-dir", server.data_dir()];
    let printed = carry_out_with(&arguments, &[("PROSCENIUM_SECRET", chosen)]);
    assert_eq!(printed.stdout.trim(), chosen);
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    assert!(!server.log().contains(chosen));
}

#[test]
fn a_restart_keeps_the_secret_and_the_key_of_tokens() {
    let directory = data_dir();
    let path = directory.path().to_str().unwrap();
    let arguments = ["token", "stage", "--data-dir", path];
    let before = carry_out(&arguments).stdout;
    let secret = printed_secret(path);
    for _ in 0..2 {
        let mut server = Server::start_on(directory.path());
        assert_eq!(ask_for_token(&server, &secret), "200");
        server.terminate();
        assert_eq!(server.wait(), Some(0));
        let text = server.stdout();
        assert!(!text.contains("operator secret"), "{text}");
    }
    assert_eq!(printed_secret(path), secret);
    let store = proscenium::store::Store::open(directory.path()).unwrap();
    let key = store.token_key().unwrap();
    let tokens = proscenium::tokens::Tokens::new(&key, &secret);
    let read = tokens.verify("stage", before.lines().next().unwrap());
    assert!(read.is_ok(), "{read:?}");
}

#[test]
fn a_token_is_made_while_the_server_runs_with_the_address_to_give_away() {
    let server = Server::start("serve", &[]);
    let path = server.data_dir();
    let made = carry_out(&[
        "token",
        "stage",
        "--role",
        "performer",
        "--name",
        "Ada",
        "--expires",
        "2d",
        "--data-dir",
        path,
    ]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let lines: Vec<_> = made.stdout.lines().collect();
    let [token, address] = lines[..] else {
        panic!("{}", made.stdout)
    };
    assert_eq!(address, format!("/stage/meet#token={token}"));
    let said = claims(token);
    assert_eq!(said["space"], "stage");
    assert_eq!(said["role"], "performer");
    assert_eq!(said["name"], "Ada");
    let lifetime = said["exp"].as_u64().unwrap() - said["iat"].as_u64().unwrap();
    assert_eq!(lifetime, 2 * 86_400);
    let every = carry_out(&["token", "*", "--data-dir", path]);
    let token = every.stdout.lines().next().unwrap();
    let said = claims(token);
    assert_eq!(
        (&said["space"], &said["role"]),
        (&"*".into(), &"participant".into())
    );
    assert!(
        every.stdout.contains("/SPACE/meet#token="),
        "{}",
        every.stdout
    );
}

#[test]
fn tokens_that_cannot_be_made_are_refused_with_the_flag_and_what_would_do() {
    let directory = data_dir();
    let path = directory.path().to_str().unwrap();
    let check = |arguments: &[&str], expected: &[&str]| {
        let ended = carry_out(&[&["token"], arguments, &["--data-dir", path]].concat());
        ended.check_error(expected);
        assert_eq!(ended.stdout, "");
    };
    check(&["whip"], &["whip", "another word"]);
    check(&["a b"], &["a b", "letters"]);
    check(&[], &["SPACE"]);
    check(&["stage", "--role", "king"], &["--role", "moderator"]);
    check(&["stage", "--name", ""], &["--name"]);
    check(
        &["stage", "--name", "two\nlines"],
        &["--name", "line break"],
    );
    check(&["stage", "--expires", "forever"], &["--expires", "8h"]);
    check(&["stage", "--expires", "0s"], &["--expires", "one second"]);
    check(&["stage", "--expires", "400d"], &["--expires", "366 days"]);
    let left: Vec<_> = fs::read_dir(path).unwrap().collect();
    assert!(left.is_empty(), "nothing was made: {left:?}");
}

#[test]
fn a_secret_that_is_too_short_is_refused_before_anything_starts() {
    let directory = data_dir();
    let path = directory.path().to_str().unwrap();
    let ended = carry_out_with(
        &["serve", "--data-dir", path],
        &[("PROSCENIUM_SECRET", "hunter2")],
    );
    ended.check_error(&["PROSCENIUM_SECRET", "at least 16"]);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_renewed_secret_ends_the_old_one_and_every_token_within_seconds() {
    let server = Server::start("serve", &[]);
    let path = server.data_dir();
    let old = printed_secret(path);
    let token = carry_out(&["token", "stage", "--role", "performer", "--data-dir", path]).stdout;
    let token = token.lines().next().unwrap();
    // Only in a space with a key does a token matter to WHIP.
    carry_out(&["key", "add", "stage", "--data-dir", path]);
    let publish = |bearer: &str| server.post("/whip/stage", &offer(), Some(bearer));
    eventually("the key is asked for", || {
        publish("no-token").starts_with("HTTP/1.1 401")
    });
    let accepted = publish(token);
    assert!(accepted.starts_with("HTTP/1.1 201"), "{accepted}");

    let renewed = carry_out(&["secret", "--renew", "--data-dir", path]).stdout;
    assert_eq!(printed_secret(path), renewed.trim());
    eventually("the old secret has ended", || {
        ask_for_token(&server, &old) == "401"
    });
    assert_eq!(ask_for_token(&server, renewed.trim()), "200");
    assert!(publish(token).starts_with("HTTP/1.1 401"));
}
