//! The traffic of each client in the field, replayed byte for byte. What each of them gets is compared with a golden file.

use std::path::Path;

use bus::FrameKind;

use crate::house::{Heard, House};

/// One frame that a client sends.
type Step = (u32, FrameKind, &'static str);

const TEXT: FrameKind = FrameKind::Text;
const BINARY: FrameKind = FrameKind::Binary;

/// Replays frames from clients on `/`, 10 ms apart, beside somebody on `/` and somebody in the space.
fn check(name: &str, steps: &[Step]) {
    let mut house = House::new();
    let senders: std::collections::BTreeSet<u32> =
        steps.iter().map(|(client, ..)| *client).collect();
    for client in &senders {
        house.root(*client);
    }
    house.root(90);
    house.space(91, "residence", None);
    for (client, frame, text) in steps {
        house.say_frame(*client, *frame, text.as_bytes());
        // Whatever a client sends, everybody on `/` gets these bytes in this kind of frame, once.
        for listener in senders.iter().chain(&[90]) {
            let heard = &house.clients[listener].heard;
            let same = Heard::Frame(*frame, text.as_bytes().to_vec().into());
            assert!(
                heard.contains(&same),
                "{name}: {listener} did not get {text}"
            );
        }
        house.pass(10);
    }
    for client in &senders {
        house.close(*client);
    }
    house.pass(1000);
    let mut lines = String::new();
    let listeners: Vec<u32> = senders.into_iter().chain([90, 91]).collect();
    for client in listeners {
        for heard in house.heard(client) {
            lines.push_str(&format!("{client} {}\n", line(&heard)));
        }
    }
    compare(name, &lines);
}

fn line(heard: &Heard) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match heard {
        Heard::Frame(FrameKind::Text, bytes) => format!("text {}", text(bytes)),
        Heard::Frame(FrameKind::Binary, bytes) => format!("binary {}", text(bytes)),
        Heard::Positions {
            bytes, is_whole, ..
        } => format!("positions {is_whole} {}", text(bytes)),
        Heard::Closed(code) => format!("closed {code}"),
    }
}

fn compare(name: &str, lines: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, lines).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (number, (line, expected)) in lines.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "{}:{}", path.display(), number + 1);
    }
    assert_eq!(lines.len(), expected.len(), "{}", path.display());
}

#[test]
fn max_sends_binary_frames_with_lower_case_keys() {
    check(
        "max",
        &[
            (
                1,
                BINARY,
                r#"{"id":"qwertyuiopasdfgh","datetime":"2022-03-01T18:00:00.000Z","type":"ANYTHING","channel":"residence","userid":"max8","username":"Max","value":0.503937}"#,
            ),
            (
                1,
                BINARY,
                r#"{"id":"qwertyuiopasdfgi","datetime":"2022-03-01T18:00:00.050Z","type":"CHAT","channel":"residence","userid":"max8","username":"Max","value":"from the patch"}"#,
            ),
            (
                1,
                BINARY,
                "{\n\t\"type\" : \"IMAGE\",\n\t\"channel\" : \"residence\",\n\t\"userid\" : \"max8\",\n\t\"value\" : \"data:image/jpeg;base64,/9j/4AAQ\"\n}\n",
            ),
        ],
    );
}

#[test]
fn p5_sends_pictures_and_chat() {
    check(
        "p5",
        &[
            (
                1,
                TEXT,
                r#"{"id":"abcdefghabcdefgh","datetime":"2022-03-01T18:00:01.123Z","type":"IMAGE","channel":"residence","userId":"p5user","userName":"p5","value":"data:image/png;base64,iVBORw0KGgo="}"#,
            ),
            (
                1,
                TEXT,
                r#"{"id":"abcdefghabcdefgi","datetime":"2022-03-01T18:00:02.123Z","type":"CHAT","channel":"residence","userId":"p5user","userName":"p5","value":"Tere \u00f5htust \ud83d\ude00"}"#,
            ),
            (
                1,
                TEXT,
                r#"{"id":"abcdefghabcdefgj","datetime":"2022-03-01T18:00:03.123Z","type":"IMAGE","channel":"residence","userId":"p5user","userName":"p5","value":"data:image/png;base64,iVBORw0KGg8="}"#,
            ),
        ],
    );
}

#[test]
fn tone_js_sends_numbers() {
    check(
        "tone",
        &[
            (
                1,
                TEXT,
                r#"{"id":"tonetonetonetone","datetime":"2021-11-20T12:00:00.000Z","type":"ANYTHING","channel":"residence","userId":"tone","userName":"Tone","value":440}"#,
            ),
            (
                1,
                TEXT,
                r#"{"id":"tonetonetonetonf","datetime":"2021-11-20T12:00:00.100Z","type":"ANYTHING","channel":"residence","userId":"tone","userName":"Tone","value":-0.25e1}"#,
            ),
        ],
    );
}

#[test]
fn python_has_one_id_for_ever_and_no_zone() {
    check(
        "python",
        &[
            (
                1,
                TEXT,
                r#"{"id": "constantconstant", "datetime": "2022-05-05T19:00:00.123456", "type": "IMAGE", "channel": "residence", "userId": "py", "userName": "Python", "value": "data:image/jpeg;base64,AAAA"}"#,
            ),
            (
                1,
                TEXT,
                r#"{"id": "constantconstant", "datetime": "2022-05-05T19:00:01.123456", "type": "CHAT", "channel": "residence", "userId": "py", "userName": "Python", "value": "\u00e4"}"#,
            ),
            (
                1,
                TEXT,
                r#"{"id": "constantconstant", "datetime": "2022-05-05T19:00:02", "type": "CHAT", "channel": "residence", "userId": "py", "userName": "Python", "value": "again", "store": true}"#,
            ),
        ],
    );
}

#[test]
fn the_page_joins_chats_likes_and_has_a_heart_that_is_no_json() {
    check(
        "page",
        &[
            (
                1,
                TEXT,
                r#"{"id":"aaaaaaaaaaaaaaaa","datetime":"2022-06-01T17:00:00.000Z","type":"CHANNEL_JOIN","channel":"residence","userId":"pageuser","userName":"Mari","value":{"userName":"Mari"}}"#,
            ),
            (
                1,
                TEXT,
                r#"{"id":"aaaaaaaaaaaaaaab","datetime":"2022-06-01T17:00:05.000Z","type":"CHAT","channel":"residence","userId":"pageuser","userName":"Mari","value":"hello"}"#,
            ),
            (
                2,
                TEXT,
                r#"{"id":"bbbbbbbbbbbbbbbb","datetime":"2022-06-01T17:00:06.000Z","type":"CHANNEL_JOIN","channel":"residence","userId":"other","userName":"Jaan","value":{"userName":"Jaan"}}"#,
            ),
            (
                2,
                TEXT,
                r#"{"id":"bbbbbbbbbbbbbbbc","datetime":"2022-06-01T17:00:07.000Z","type":"LIKE","channel":"residence","userId":"other","userName":"Jaan","value":"aaaaaaaaaaaaaaab"}"#,
            ),
            (2, TEXT, "[object Object]"),
            (
                1,
                TEXT,
                r#"{"id":"aaaaaaaaaaaaaaac","datetime":"2022-06-01T17:00:08.000Z","type":"HEART","channel":"residence","userId":"pageuser","userName":"Mari"}"#,
            ),
            (
                1,
                TEXT,
                r#"{"id":"aaaaaaaaaaaaaaad","datetime":"2022-06-01T17:00:09.000Z","type":"USER_UPDATE","userId":"pageuser","userName":"Mari","value":{"userName":"Mari-Liis"}}"#,
            ),
            (
                1,
                TEXT,
                r#"{"id":"aaaaaaaaaaaaaaae","datetime":"2022-06-01T17:00:10.000Z","type":"IMAGE_JOIN","channel":"residence","userId":"pageuser","userName":"Mari-Liis"}"#,
            ),
            (
                1,
                TEXT,
                r#"{"id":"aaaaaaaaaaaaaaaf","datetime":"2022-06-01T17:00:20.000Z","type":"CHANNEL_LEAVE","channel":"residence","userId":"pageuser","userName":"Mari-Liis"}"#,
            ),
        ],
    );
}

#[test]
fn the_foyer_sends_a_position_every_50_ms() {
    check(
        "foyer",
        &[
            (
                1,
                TEXT,
                r##"{"id":"ffffffffffffffff","datetime":"2022-07-01T17:00:00.000Z","type":"CHANNEL_JOIN","channel":"residence","userId":"walker","userName":"W","value":{"userName":"W"}}"##,
            ),
            (
                1,
                TEXT,
                r##"{"id":"fffffffffffffffg","datetime":"2022-07-01T17:00:00.050Z","type":"CHANNEL_USER_UPDATE","channel":"residence","userId":"walker","userName":"W","value":{"userColor":"#00ff88","userX":0.1,"userY":1.6,"userZ":-3,"userRotationX":0,"userRotationY":1.5707963267948966,"userRotationZ":0}}"##,
            ),
            (
                1,
                TEXT,
                r##"{"id":"fffffffffffffffh","datetime":"2022-07-01T17:00:00.100Z","type":"CHANNEL_USER_UPDATE","channel":"residence","userId":"walker","userName":"W","value":{"userColor":"#00ff88","userX":0.2,"userY":1.6,"userZ":-3,"userRotationX":0,"userRotationY":1.5707963267948966,"userRotationZ":0}}"##,
            ),
            (
                1,
                TEXT,
                r##"{"id":"fffffffffffffffi","datetime":"2022-07-01T17:00:00.150Z","type":"CHANNEL_USER_UPDATE","channel":"residence","userId":"walker","userName":"W","value":{"userColor":"#00ff88","userX":0.30000000000000004,"userY":1.6,"userZ":-3,"userRotationX":0,"userRotationY":1.5707963267948966,"userRotationZ":0}}"##,
            ),
        ],
    );
}
