//! What moderators do to a space, and that it lasts.

use conference::ParticipantRole;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::visitor::Visitor;
use crate::client::Answer;
use crate::server::{OPERATOR_SECRET, Server};

const JSON: &str = "application/json";

/// A moderator of `stage`.
struct Moderator<'a> {
    server: &'a Server,
    bearer: String,
}

impl<'a> Moderator<'a> {
    fn new(server: &'a Server) -> Self {
        let token = server.token("stage", ParticipantRole::Moderator);
        let bearer = format!("Bearer {token}");
        Self { server, bearer }
    }

    async fn ask(&self, method: &'static str, path: &str, body: Option<Value>) -> Answer {
        let path = format!("/api/spaces/stage/{path}");
        let ask = self
            .server
            .ask(method, path)
            .header("authorization", &self.bearer);
        match body {
            Some(body) => ask.body(JSON, body.to_string()).send().await,
            None => ask.send().await,
        }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }
}

fn chat(user: &str, text: &str) -> String {
    json!({ "id": "abcdefghijklmnop", "type": "CHAT", "channel": "stage", "userId": user, "value": text }).to_string()
}

fn is_error(code: &str) -> impl Fn(&Value) -> bool {
    move |value| value["error"]["code"] == code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_message_is_gone_from_history_and_from_every_screen() {
    let server = Server::start().await;
    let moderator = Moderator::new(&server);
    let mut old = Visitor::come(&server, "/").await;
    let mut new = Visitor::come(&server, "/ws/stage").await;
    let said = new.say_and_hear(&chat("ada", "hello")).await;
    let seq = said["seq"].as_u64().unwrap();
    let path = format!("messages/{seq}");
    let deleted = moderator.ask("DELETE", &path, None).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.as_str()), (204, ""));
    let (_, told) = new.hear(|value| !value["deleted"].is_null()).await;
    assert_eq!(
        told["deleted"],
        json!({ "seq": seq, "id": "abcdefghijklmnop" })
    );
    let (_, told) = old.hear(|value| value["type"] == "DELETE").await;
    assert_eq!(told["channel"], "stage");
    assert_eq!(moderator.get("messages").await["messages"], json!([]));
    let again = moderator.ask("DELETE", &path, None).await;
    again.check_problem(404, &format!("space stage has no message {seq}"));
    let trail = moderator.get("audit").await;
    let line = &trail["audit"][0];
    assert_eq!(
        (&line["what"], &line["who"]),
        (&json!("delete"), &json!("mo@example.org"))
    );
    assert_eq!(line["detail"], format!("message {seq}"));
    assert_eq!(trail["audit"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_moderators_of_the_space_and_operators_decide() {
    let server = Server::start().await;
    let asks = [
        ("DELETE", "messages/1", None),
        ("PUT", "chat", Some(json!({ "slow_mode_s": 5 }))),
        ("POST", "bans", Some(json!({ "user": "eve", "seconds": 5 }))),
        ("GET", "bans", None),
        ("DELETE", "bans/1", None),
        ("GET", "audit", None),
    ];
    let bearers = [
        (None, 401),
        (Some("nonsense".to_owned()), 401),
        (Some(server.token("other", ParticipantRole::Moderator)), 401),
        (Some(server.token("stage", ParticipantRole::Performer)), 403),
    ];
    for (bearer, status) in &bearers {
        for (method, path, body) in &asks {
            let mut ask = server.ask(method, format!("/api/spaces/stage/{path}"));
            if let Some(bearer) = bearer {
                ask = ask.header("authorization", &format!("Bearer {bearer}"));
            }
            if let Some(body) = body {
                ask = ask.body(JSON, body.to_string());
            }
            ask.send().await.check_problem(*status, "only a moderator");
        }
    }
    server
        .ask("POST", "/api/reset")
        .send()
        .await
        .check_problem(401, "only an operator resets");
    let operator = Moderator {
        server: &server,
        bearer: format!("Bearer {OPERATOR_SECRET}"),
    };
    assert_eq!(operator.get("bans").await, json!({ "bans": [] }));
    assert_eq!(
        operator.get("audit").await,
        json!({ "audit": [], "next": null })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_mode_and_bans_outlive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let start = || Server::start_with(|config| config.data_dir = path.clone());
    let server = start().await;
    let moderator = Moderator::new(&server);
    let set = moderator
        .ask("PUT", "chat", Some(json!({ "slow_mode_s": 600 })))
        .await;
    assert_eq!(set.body, r#"{"slow_mode_s":600}"#);
    let ban = json!({ "user": "eve", "seconds": 600 });
    let made = moderator.ask("POST", "bans", Some(ban)).await;
    assert_eq!(made.status, 201, "{made:?}");
    drop(server);

    let server = start().await;
    let moderator = Moderator::new(&server);
    assert_eq!(moderator.get("chat").await, json!({ "slow_mode_s": 600 }));
    let bans = moderator.get("bans").await;
    assert_eq!(bans["bans"][0]["user"], "eve");
    assert_eq!(bans["bans"][0]["by"], "mo@example.org");
    let mut visitor = Visitor::come(&server, "/ws/stage").await;
    visitor.say(chat("eve", "let me in")).await;
    visitor.hear(is_error("banned")).await;
    visitor.say_and_hear(&chat("ada", "one")).await;
    visitor.say(chat("ada", "two")).await;
    visitor.hear(is_error("slow_mode")).await;

    let id = bans["bans"][0]["id"].as_u64().unwrap();
    let lifted = moderator.ask("DELETE", &format!("bans/{id}"), None).await;
    assert_eq!(lifted.status, 204);
    // On a connection of her own: slow mode counts connections, too.
    let mut eve = Visitor::come(&server, "/ws/stage").await;
    eve.say_and_hear(&chat("eve", "thank you")).await;
    let off = moderator
        .ask("PUT", "chat", Some(json!({ "slow_mode_s": 0 })))
        .await;
    assert_eq!(off.status, 200);
    visitor.say_and_hear(&chat("ada", "three")).await;
    let trail = moderator.get("audit").await;
    let what: Vec<_> = trail["audit"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["slow_mode", "lift_ban", "ban", "slow_mode"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sent_a_message_is_banned_by_user_and_by_address() {
    let server = Server::start().await;
    let moderator = Moderator::new(&server);
    let mut visitor = Visitor::come(&server, "/ws/stage").await;
    let said = visitor.say_and_hear(&chat("eve", "nonsense")).await;
    let ban = json!({ "seq": said["seq"], "seconds": 600 });
    let made = moderator.ask("POST", "bans", Some(ban)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made: Value = serde_json::from_str(&made.body).unwrap();
    assert_eq!(
        (&made["user"], &made["by_address"]),
        (&json!("eve"), &json!(true))
    );
    // From the same address under another name.
    visitor.say(chat("mallory", "nonsense")).await;
    visitor.hear(is_error("banned")).await;
    // Another space is not concerned.
    let mut elsewhere = Visitor::come(&server, "/ws/other").await;
    let there = r#"{"type":"CHAT","channel":"other","userId":"eve","value":"hello"}"#;
    elsewhere.say_and_hear(there).await;

    let ban = json!({ "user": "zoe", "seconds": 600 });
    assert_eq!(moderator.ask("POST", "bans", Some(ban)).await.status, 201);
    let lifted = moderator
        .ask("DELETE", &format!("bans/{}", made["id"]), None)
        .await;
    assert_eq!(lifted.status, 204);
    visitor.say_and_hear(&chat("mallory", "sorry")).await;
    visitor.say(chat("zoe", "nonsense")).await;
    visitor.hear(is_error("banned")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decided_is_refused_in_words() {
    let server = Server::start().await;
    let moderator = Moderator::new(&server);
    let check = async |method, path: &str, body: Value, status, words: &str| {
        let answer = moderator.ask(method, path, Some(body)).await;
        answer.check_problem(status, words);
    };
    check(
        "PUT",
        "chat",
        json!({ "slow_mode_s": 3601 }),
        422,
        "longer than an hour",
    )
    .await;
    check(
        "PUT",
        "chat",
        json!({ "slow_mode_s": -1 }),
        422,
        "cannot be used",
    )
    .await;
    check("PUT", "chat", json!({ "slow": 1 }), 422, "slow").await;
    check(
        "POST",
        "bans",
        json!({ "seconds": 5 }),
        422,
        "nobody is named",
    )
    .await;
    check(
        "POST",
        "bans",
        json!({ "user": "", "seconds": 5 }),
        422,
        "user: has 0 bytes",
    )
    .await;
    check(
        "POST",
        "bans",
        json!({ "user": "eve", "seconds": 0 }),
        422,
        "seconds: 0 is no time",
    )
    .await;
    check(
        "POST",
        "bans",
        json!({ "seq": 5, "seconds": 5 }),
        404,
        "not known who sent message 5",
    )
    .await;
    let lifted = moderator.ask("DELETE", "bans/77", None).await;
    lifted.check_problem(404, "no such ban");
    let deleted = moderator.ask("DELETE", "messages/x", None).await;
    deleted.check_problem(400, "seq: x is not a whole number");
    let trail = moderator.ask("GET", "audit?before=x", None).await;
    trail.check_problem(400, "the one parameter before");
    assert_eq!(moderator.get("audit").await["audit"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_forgets_messages_everywhere_and_leaves_a_trace() {
    let server = Server::start().await;
    let moderator = Moderator::new(&server);
    let mut visitor = Visitor::come(&server, "/ws/stage").await;
    visitor.say_and_hear(&chat("ada", "hello")).await;
    let reset = server
        .ask("POST", "/api/reset")
        .header("authorization", &format!("Bearer {OPERATOR_SECRET}"));
    assert_eq!(reset.send().await.status, 204);
    assert_eq!(moderator.get("messages").await["messages"], json!([]));
    let trail = server.history.audits("", u64::MAX, 9).await.unwrap();
    assert_eq!(
        (trail[0].what.as_str(), trail[0].who.as_str()),
        ("reset", "operator")
    );
    let next = visitor.say_and_hear(&chat("ada", "again")).await;
    assert!(next["seq"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_the_secret_where_only_moderators_look_has_a_limit() {
    let server = Server::start().await;
    let ask = async |path: &str, bearer: &str| {
        let ask = server.ask("GET", path);
        let ask = ask.header("authorization", &format!("Bearer {bearer}"));
        ask.send().await.status.as_u16()
    };
    let mut last = 0;
    for number in 0..2000 {
        let path = ["bans", "audit"][number % 2];
        last = ask(&format!("/api/spaces/stage/{path}"), "guess").await;
        if last != 401 {
            break;
        }
    }
    assert_eq!(last, 429);
    let path = "/api/spaces/stage/bans";
    // A right guess looks like a wrong one now; a token is none.
    let rights = (0..64).map(|_| ask(path, OPERATOR_SECRET));
    assert!(join_all(rights).await.contains(&429));
    let token = server.token("stage", ParticipantRole::Moderator);
    assert_eq!(ask(path, &token).await, 200);
}
