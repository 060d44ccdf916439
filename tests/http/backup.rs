//! Backups: who may stand by, where, and what is to be seen of it.

use proscenium::config::StreamConfig;
use proscenium::media::StreamKey;
use str0m::media::Direction;

use crate::connected::{Client, run};
use crate::offers;
use crate::server::{SDP, Server};

fn stream(name: &str, backup: Option<&str>) -> StreamConfig {
    StreamConfig {
        name: name.into(),
        rtsp: None,
        record: None,
        backup: backup.map(Into::into),
    }
}

/// What the directory says of `main` in a space.
fn backup(server: &Server, space: &str) -> Option<proscenium::media::Backup> {
    let streams = server.media.directory().space(space);
    let main = streams.iter().find(|one| &*one.stream == "main");
    main.and_then(|one| one.backup)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_stands_by_has_the_stage_and_gives_it_back() {
    use proscenium::media::Backup;
    let server = Server::start().await;
    let begin =
        async |path| Client::begin_with(&server, path, Direction::SendOnly, "open-sesame").await;
    let key = StreamKey {
        space: "locked".into(),
        stream: "main".into(),
    };
    let is_live = || server.media.directory().is_live(&key);
    let reported = async || server.get("/api/spaces/locked").await.body;
    let (mut main, main_session) = begin("/whip/locked").await;
    run(&mut [&mut main], "live", |_| is_live()).await;
    assert!(!reported().await.contains("backup"));
    let (mut spare, spare_session) = begin("/whip/locked?backup").await;
    assert!(
        spare_session.location.starts_with("/whip/locked/main/"),
        "{}",
        spare_session.location
    );
    run(&mut [&mut main, &mut spare], "a backup", |_| {
        backup(&server, "locked") == Some(Backup::StandsBy)
    })
    .await;
    assert!(reported().await.contains("\"backup\":\"standby\""));
    // The first one does not send while it is not stepped.
    run(&mut [&mut spare], "a take-over", |_| {
        assert!(is_live(), "no moment without a show");
        backup(&server, "locked") == Some(Backup::OnAir)
    })
    .await;
    assert!(reported().await.contains("\"backup\":\"on_air\""));
    server.expect_sessions(2).await;
    run(&mut [&mut main, &mut spare], "the stage back", |_| {
        assert!(is_live(), "no moment without a show");
        backup(&server, "locked") == Some(Backup::StandsBy)
    })
    .await;
    let delete = async |location: &str| server.ask("DELETE", location).send().await.status;
    assert_eq!(delete(&main_session.location).await, 200);
    run(&mut [&mut spare], "another take-over", |_| {
        assert!(is_live(), "no moment without a show");
        backup(&server, "locked") == Some(Backup::OnAir)
    })
    .await;
    assert_eq!(server.count("backups_off"), 1);
    assert_eq!(server.count("backups_on"), 2);
    assert_eq!(delete(&spare_session.location).await, 200);
    assert!(!is_live());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_under_the_name_of_a_backup_stands_by() {
    let server = Server::start_with(|config| {
        config.spaces[0].streams = vec![stream("main", Some("b")), stream("b", None)];
    })
    .await;
    let post = async |path: &str, bearer: &str| {
        let request = server.ask("POST", path).body(SDP, offers::OBS);
        request.header("authorization", bearer).send().await
    };
    let key = "Bearer open-sesame";
    post("/whip/locked/b", "Bearer wrong-key")
        .await
        .check_problem(401, "not the key");
    let main = post("/whip/locked", key).await;
    assert_eq!(main.status, 201);
    let spare = post("/whip/locked/b", key).await;
    assert_eq!(spare.status, 201);
    let location = spare.header("location").to_owned();
    assert!(location.starts_with("/whip/locked/main/"), "{location}");
    // It is no stream of its own.
    let answer = server.post("/whep/locked/b", offers::AIORTC_RECEIVE).await;
    answer.check_problem(409, "nothing is live here yet");
    assert_eq!(server.ask("DELETE", location).send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_space_without_key_nobody_stands_by() {
    let server = Server::start().await;
    let post = async |path: &str, bearer: Option<&str>| {
        let request = server.ask("POST", path).body(SDP, offers::OBS);
        match bearer {
            Some(bearer) => request.header("authorization", bearer).send().await,
            None => request.send().await,
        }
    };
    assert_eq!(post("/whip/demo", Some("Bearer mine")).await.status, 201);
    for stranger in 0..100 {
        let bearer = format!("Bearer stranger-{stranger}");
        let answer = post("/whip/demo?backup", Some(&bearer)).await;
        answer.check_problem(403, "give the space a key");
    }
    for bearer in [None, Some("Bearer mine")] {
        let answer = post("/whip/demo?backup", bearer).await;
        answer.check_problem(403, "give the space a key");
    }
    server.expect_sessions(1).await;
}
