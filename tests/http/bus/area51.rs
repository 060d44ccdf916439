//! Faces of the audience.

use conference::ParticipantRole;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::server::Server;

const PATH: &str = "/area51/_upload.php";

/// As the old page does: JSON that says it is plain text.
async fn upload(server: &Server, uuid: &str, feed: &str, data: &str) -> Answer {
    let body = json!({ "uuid": uuid, "feed": feed, "imgScaled": url(data), "imgFull": url(data), "more": 1 });
    let ask = server
        .ask("POST", PATH)
        .header("origin", "https://live.example.org");
    ask.body("text/plain;charset=UTF-8", body.to_string())
        .send()
        .await
}

fn url(data: &str) -> String {
    format!("data:image/jpeg;base64,{data}")
}

fn faces(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let value: Value = serde_json::from_str(&answer.body).unwrap();
    let images = value["images"].as_array().unwrap().iter();
    images
        .map(|image| image["imgData"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_uploads_a_face_gets_the_newest_of_everybody_in_the_feed() {
    let server = Server::start().await;
    let first = upload(&server, "b", "stage", "BB").await;
    assert_eq!(
        first.body,
        r#"{"images":[{"imgData":"data:image/jpeg;base64,BB"}]}"#
    );
    assert_eq!(
        first.header("access-control-allow-origin"),
        "https://live.example.org"
    );
    upload(&server, "z", "other", "ZZ").await;
    upload(&server, "a", "stage", "AA").await;
    let last = upload(&server, "b", "stage", "B2").await;
    assert_eq!(faces(&last), [url("AA"), url("B2")]);
    assert_eq!(
        faces(&upload(&server, "z", "other", "Z2").await),
        [url("Z2")]
    );
    let bare = json!({ "uuid": "c", "feed": "third", "imgScaled": url("CC") }).to_string();
    let bare = server.ask("POST", PATH).bare_body(bare).send().await;
    assert_eq!(faces(&bare), [url("CC")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_face_is_refused_in_words() {
    let server = Server::start().await;
    let check = async |body: String, status, words: &str| {
        let ask = server.ask("POST", PATH).body("application/json", body);
        ask.send().await.check_problem(status, words);
    };
    let face = |uuid: &str, data: &str| {
        json!({ "uuid": uuid, "feed": "stage", "imgScaled": data }).to_string()
    };
    check("[object Object]".into(), 400, "the body cannot be used").await;
    check("{}".into(), 400, "missing field `uuid`").await;
    check(
        face("a", "data:text/html;base64,AAAA"),
        422,
        "imgScaled is no picture",
    )
    .await;
    check(
        face("a", "data:image/png;base64,<script>"),
        422,
        "imgScaled is no picture",
    )
    .await;
    check(face("", &url("AA")), 422, "uuid has 0 bytes").await;
    check(
        face(&"u".repeat(129), &url("AA")),
        422,
        "uuid has 129 bytes",
    )
    .await;
    check(
        face("a", &url(&"A".repeat(70_000))),
        413,
        "send a smaller picture",
    )
    .await;
    check(
        face("a", &url(&"A".repeat(2 << 20))),
        413,
        "longer than 1048576 bytes",
    )
    .await;
    assert_eq!(server.get(PATH).await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn faces_of_a_private_space_need_a_token() {
    let server = Server::start_with(|config| config.spaces[0].private = true).await;
    let refused = upload(&server, "a", "locked", "AA").await;
    refused.check_problem(401, "space locked is private");
    let token = server.token("locked", ParticipantRole::Viewer);
    let body = json!({ "uuid": "a", "feed": "locked", "imgScaled": url("AA") }).to_string();
    let ask = server
        .ask("POST", PATH)
        .header("authorization", &format!("Bearer {token}"));
    assert_eq!(faces(&ask.bare_body(body).send().await), [url("AA")]);
}
