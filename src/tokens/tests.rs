//! Tokens that are good, and every way in which one can be wrong.

use conference::{Grant, ParticipantRole};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::auth::Keys;
use crate::config::SpaceConfig;

const KEY: [u8; KEY_LEN] = [7; KEY_LEN];
const NOW: u64 = 1_795_370_400;
const SECRET: &str = "the-secret-of-the-operator";

fn tokens() -> Tokens {
    Tokens::new(&KEY, SECRET)
}

fn claims(space: &str, role: ParticipantRole) -> Claims {
    Claims::new(space.parse().unwrap(), role, Duration::from_secs(3600), NOW)
}

/// What a good token for `demo` says.
fn payload() -> Value {
    json!({ "space": "demo", "role": "performer", "name": "Ada", "sub": "ada@example.org",
        "exp": NOW + 60, "iat": NOW, "jti": "1" })
}

fn signed(header: &Header, payload: &Value, key: &[u8]) -> String {
    jsonwebtoken::encode(header, payload, &EncodingKey::from_secret(key)).unwrap()
}

/// Signs `payload()` with `claim` replaced, or removed.
fn with(claim: &str, value: Option<Value>) -> String {
    let mut payload = payload();
    let object = payload.as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(claim.to_owned(), value),
        None => object.remove(claim),
    };
    signed(&Header::default(), &payload, &KEY)
}

fn denied(token: &str) -> Denied {
    tokens()
        .verify_at("demo", token, NOW)
        .expect_err("must be denied")
}

fn base64(text: &str) -> String {
    data_encoding::BASE64URL_NOPAD.encode(text.as_bytes())
}

#[test]
fn what_was_minted_is_read_again() {
    let minted = claims("demo", ParticipantRole::Moderator)
        .with_name(Some("Ada Lovelace, \u{1f3ad}".into()))
        .and_then(|claims| claims.with_subject(Some("ada@example.org".into())))
        .unwrap();
    let token = tokens().mint(&minted);
    assert_eq!(tokens().verify_at("demo", &token, NOW), Ok(minted));
    let plain = claims("demo", ParticipantRole::Viewer);
    let token = tokens().mint(&plain);
    assert_eq!(tokens().verify_at("demo", &token, NOW), Ok(plain));
}

#[test]
fn a_token_lives_until_five_seconds_after_its_end() {
    let token = tokens().mint(&claims("demo", ParticipantRole::Viewer));
    let at = |now: u64| tokens().verify_at("demo", &token, now).map(|_| ());
    assert_eq!(at(NOW + 3600), Ok(()));
    assert_eq!(at(NOW + 3605), Ok(()));
    assert_eq!(at(NOW + 3606), Err(Denied::Expired));
    assert_eq!(at(u64::MAX), Err(Denied::Expired));
    assert_eq!(at(0), Ok(()), "a clock that is behind shuts nobody out");
}

#[test]
fn each_claim_has_to_be_there_and_to_make_sense() {
    assert!(
        tokens()
            .verify_at("demo", &with("jti", Some(json!("2"))), NOW)
            .is_ok()
    );
    for claim in ["space", "role", "exp", "iat", "jti"] {
        assert_eq!(denied(&with(claim, None)), Denied::Invalid, "no {claim}");
        for value in [Value::Null, json!(true), json!([]), json!({}), json!(-1)] {
            let token = with(claim, Some(value.clone()));
            assert_eq!(denied(&token), Denied::Invalid, "{claim}: {value}");
        }
    }
    let cases = [
        ("space", json!("")),
        ("space", json!("a b")),
        ("space", json!("..")),
        ("space", json!("whip")),
        ("space", json!("**")),
        ("space", json!(["demo"])),
        ("role", json!("Moderator")),
        ("role", json!("owner")),
        ("role", json!("")),
        ("name", json!(1)),
        ("name", json!({ "first": "Ada" })),
        ("name", json!("")),
        ("name", json!("two\nlines")),
        ("name", json!(" Ada")),
        ("name", json!("A\u{202e}da")),
        ("name", json!("\u{feff}Ada")),
        ("name", json!("n".repeat(65))),
        ("sub", json!(7)),
        ("sub", json!("a b")),
        ("sub", json!("caf\u{e9}")),
        ("exp", json!("tomorrow")),
        ("exp", json!(1e300)),
        ("exp", json!(NOW as f64 + 0.5)),
        ("iat", json!("now")),
        ("open", json!("false")),
        ("open", json!(1)),
        ("open", Value::Null),
    ];
    for (claim, value) in cases {
        let token = with(claim, Some(value.clone()));
        assert_eq!(denied(&token), Denied::Invalid, "{claim}: {value}");
    }
    for claim in ["name", "sub", "nbf", "aud", "iss", "future"] {
        let token = with(claim, None);
        assert!(
            tokens().verify_at("demo", &token, NOW).is_ok(),
            "{claim} may be absent"
        );
    }
    assert_eq!(denied(&with("exp", Some(json!(0)))), Denied::Expired);
    let token = with("future", Some(json!({ "version": 2 })));
    assert!(
        tokens().verify_at("demo", &token, NOW).is_ok(),
        "unknown claims are ignored"
    );
}

#[test]
fn a_token_of_another_space_is_refused_and_one_for_all_is_good_everywhere() {
    for space in ["other", "Demo", "demo2", "dem"] {
        let token = tokens().mint(&claims(space, ParticipantRole::Viewer));
        assert_eq!(denied(&token), Denied::OtherSpace, "{space}");
    }
    let token = tokens().mint(&claims("*", ParticipantRole::Moderator));
    for space in ["demo", "residence", "*"] {
        let read = tokens().verify_at(space, &token, NOW).unwrap();
        assert_eq!(
            (read.space, read.role),
            (Scope::Every, ParticipantRole::Moderator)
        );
    }
}

#[test]
fn only_hs256_with_this_key_counts_whatever_the_header_says() {
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = signed(&Header::new(algorithm), &payload(), &KEY);
        assert_eq!(denied(&token), Denied::Invalid, "{algorithm:?}");
    }
    for key in [&[8; 32][..], &[7; 31], &[], &[7; 64]] {
        let token = signed(&Header::default(), &payload(), key);
        assert_eq!(denied(&token), Denied::Invalid, "{key:?}");
    }
    let good = signed(&Header::default(), &payload(), &KEY);
    let signature = good.rsplit('.').next().unwrap();
    for algorithm in [
        "none", "None", "NONE", "", "HS255", "RS256", "ES256", "EdDSA",
    ] {
        let head = base64(&json!({ "typ": "JWT", "alg": algorithm }).to_string());
        let body = base64(&payload().to_string());
        for tail in ["", signature] {
            let token = format!("{head}.{body}.{tail}");
            assert_eq!(denied(&token), Denied::Invalid, "{algorithm}");
        }
    }
    let critical = Header {
        crit: Some(vec!["exp".to_owned()]),
        ..Header::default()
    };
    assert_eq!(
        denied(&signed(&critical, &payload(), &KEY)),
        Denied::Invalid
    );
}

#[test]
fn no_changed_byte_of_a_token_goes_unnoticed() {
    let good = signed(&Header::default(), &payload(), &KEY);
    assert!(tokens().verify_at("demo", &good, NOW).is_ok());
    for index in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert_eq!(denied(&changed), Denied::Invalid, "byte {index}");
        assert_eq!(denied(&good[..index]), Denied::Invalid, "cut at {index}");
    }
    for changed in [
        format!("{good}="),
        format!("{good}."),
        format!(" {good}"),
        format!("{good}\n"),
        format!("Bearer {good}"),
        good.replace('.', ".."),
    ] {
        assert_eq!(denied(&changed), Denied::Invalid, "{changed:?}");
    }
}

#[test]
fn nonsense_and_huge_tokens_are_refused() {
    let deep = "[".repeat(300);
    for nonsense in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "\0",
        "\u{1f3ad}",
        &base64(&deep),
    ] {
        assert_eq!(denied(nonsense), Denied::Invalid, "{nonsense:?}");
        let nested = format!("{}.{}.x", base64(nonsense), base64(nonsense));
        assert_eq!(denied(&nested), Denied::Invalid, "{nonsense:?}");
    }
    let huge = with("filling", Some(json!("f".repeat(1000))));
    assert!(huge.len() > TOKEN_MAX);
    assert_eq!(
        denied(&huge),
        Denied::Invalid,
        "however good its signature is"
    );
    assert_eq!(denied(&"x".repeat(10_000_000)), Denied::Invalid);
}

#[test]
fn the_longest_token_that_can_be_made_can_be_presented() {
    let longest = claims(&"s".repeat(64), ParticipantRole::Participant)
        .with_name(Some("\u{1f3ad}".repeat(LABEL_MAX)))
        .and_then(|claims| claims.with_subject(Some("u".repeat(LABEL_MAX))))
        .unwrap();
    let token = tokens().mint(&longest);
    assert!(token.len() <= TOKEN_MAX, "{}", token.len());
    assert_eq!(
        tokens().verify_at(&"s".repeat(64), &token, NOW),
        Ok(longest)
    );
}

#[test]
fn the_operator_is_known_by_the_whole_secret_alone() {
    assert!(tokens().is_operator(Some(SECRET)));
    let longer = format!("{SECRET}x");
    let huge = SECRET.repeat(1000);
    let wrong = [
        None,
        Some(""),
        Some(&SECRET[1..]),
        Some(&SECRET[..5]),
        Some(&longer),
        Some(&huge),
    ];
    for wrong in wrong {
        assert!(!tokens().is_operator(wrong), "{wrong:?}");
    }
    assert!(!format!("{:?}", tokens()).contains(SECRET));
}

const LIFETIME: Duration = Duration::from_secs(3600);

/// A space `locked` with the key `open-sesame`; every other is open.
fn keys() -> Keys {
    let space = SpaceConfig {
        name: "locked".into(),
        key: Some("open-sesame".into()),
        private: false,
        whep_slate: false,
        streams: Vec::new(),
    };
    Keys::new(&[space], None).unwrap()
}

fn nobody(role: ParticipantRole) -> Grant {
    Grant {
        role,
        name: None,
        subject: None,
    }
}

fn check_grant(space: &str, token: Option<&str>, expected: Result<Grant, Denied>) {
    let granted = grant(&tokens(), &keys(), space, token);
    assert_eq!(granted, expected, "{space} {token:?}");
}

#[test]
fn without_a_token_only_an_open_space_lets_in_and_a_key_makes_a_performer() {
    use ParticipantRole::{Participant, Performer};
    check_grant("open", None, Ok(nobody(Participant)));
    check_grant("open", Some(""), Ok(nobody(Participant)));
    check_grant("open", Some("open-sesame"), Err(Denied::Invalid));
    check_grant("open", Some(SECRET), Err(Denied::Invalid));
    check_grant("locked", None, Err(Denied::Missing));
    check_grant("locked", Some(""), Err(Denied::Missing));
    check_grant("locked", Some("open-sesame"), Ok(nobody(Performer)));
    check_grant("locked", Some("open-sesam"), Err(Denied::Invalid));
    check_grant("locked", Some(SECRET), Err(Denied::Invalid));
    check_grant("locked", Some(&"x".repeat(100_000)), Err(Denied::Invalid));
}

#[test]
fn a_token_gives_its_role_name_and_subject_in_its_space_until_it_ends() {
    use ParticipantRole::{Moderator, Viewer};
    let now = clock::unix_seconds().unsigned_abs();
    let mint = |space: &str, role: ParticipantRole, now: u64| {
        let claims = Claims::new(space.parse().unwrap(), role, LIFETIME, now);
        let claims = claims.with_name(Some("Ada".into())).unwrap();
        tokens().mint(&claims.with_subject(Some("ada".into())).unwrap())
    };
    let ada = |role| {
        Ok(Grant {
            name: Some("Ada".into()),
            subject: Some("ada".into()),
            ..nobody(role)
        })
    };
    let check = |space: &str, token: String, expected| check_grant(space, Some(&token), expected);
    check("open", mint("open", Viewer, now), ada(Viewer));
    check("open", mint("*", Moderator, now), ada(Moderator));
    check("open", mint("locked", Viewer, now), Err(Denied::OtherSpace));
    check(
        "open",
        mint("open", Viewer, now - 7200),
        Err(Denied::Expired),
    );
    check("locked", mint("locked", Moderator, now), ada(Moderator));
    check(
        "locked",
        mint("open", Moderator, now),
        Err(Denied::OtherSpace),
    );
}

#[test]
fn what_nobody_was_asked_a_key_for_ends_when_the_space_has_one() {
    let now = clock::unix_seconds().unsigned_abs();
    for (space, expected) in [
        ("open", Ok(nobody(ParticipantRole::Participant))),
        ("locked", Err(Denied::Missing)),
    ] {
        let scope = space.parse().unwrap();
        let mut claims = Claims::new(scope, ParticipantRole::Participant, LIFETIME, now);
        claims.is_for_open_space = true;
        check_grant(space, Some(&tokens().mint(&claims)), expected);
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_presented_is_denied_without_a_panic(token in "(\\PC{0,40}\\.){0,4}\\PC{0,80}") {
        proptest::prop_assert_eq!(denied(&token), Denied::Invalid);
    }

    #[test]
    fn whatever_a_signed_token_says_is_read_or_denied(
        claim in "space|role|name|sub|exp|iat|jti|open",
        text in "\\PC{0,80}",
        number in proptest::prelude::any::<f64>(),
    ) {
        for value in [json!(text), json!(number), json!({ text.as_str(): number }), json!([text])] {
            let read = tokens().verify_at("demo", &with(&claim, Some(value)), NOW);
            if let Ok(claims) = read {
                proptest::prop_assert!(claims.space.includes("demo") && claims.expires + 5 >= NOW);
                proptest::prop_assert!(claims.name.as_deref().is_none_or(|name| check_name(name).is_ok()));
                proptest::prop_assert!(claims.subject.as_deref().is_none_or(|text| check_subject(text).is_ok()));
            }
        }
    }
}
