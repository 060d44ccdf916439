//! The slate of viewers over WebRTC: what a space that wants one does while nobody performs, and what others do.

use std::time::Duration;

use proscenium::media::StreamKey;
use str0m::media::Direction;

use crate::connected::{Client, run};
use crate::server::Server;

/// Longer than the server waits for who may be back at once.
const A_WHILE: Duration = Duration::from_millis(1500);

/// A performer and a viewer in the space `locked`, both connected, until the performer ends its session.
async fn left(server: &Server) -> Client {
    let begin =
        async |path| Client::begin_with(server, path, Direction::SendOnly, "open-sesame").await;
    let (mut performer, performance) = begin("/whip/locked").await;
    let key = StreamKey {
        space: "locked".into(),
        stream: "main".into(),
    };
    let is_live = || server.media.directory().is_live(&key);
    run(&mut [&mut performer], "live", |_| is_live()).await;
    let (mut viewer, _) = Client::begin(server, "/whep/locked", Direction::RecvOnly).await;
    run(&mut [&mut viewer, &mut performer], "sound", |clients| {
        clients[0].received() > 50
    })
    .await;
    assert!(!reported(server).await.contains("slate"));
    let request = server.ask("DELETE", &performance.location);
    assert_eq!(request.send().await.status, 200);
    assert!(!is_live());
    viewer
}

async fn reported(server: &Server) -> String {
    server.get("/api/spaces/locked").await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_of_a_space_with_a_slate_hear_silence_while_nobody_performs() {
    let server = Server::start_with(|config| config.spaces[0].whep_slate = true).await;
    let mut viewer = left(&server).await;
    let received = viewer.received();
    run(&mut [&mut viewer], "silence", |clients| {
        clients[0].received() > received + 50
    })
    .await;
    let told = reported(&server).await;
    assert!(told.contains("\"live\":false"), "{told}");
    assert!(told.contains("\"slate\":true"), "{told}");
    // To whoever comes nobody performs.
    let late = server
        .post("/whep/locked", crate::offers::AIORTC_RECEIVE)
        .await;
    late.check_problem(409, "nothing is live here yet");
    let metrics = server.get("/metrics").await.body;
    for name in ["whep_slates", "whep_slates_missed"] {
        // It has no picture.
        let line = format!("proscenium_{name}_total 0\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_of_a_space_without_one_hear_nothing() {
    let server = Server::start().await;
    let mut viewer = left(&server).await;
    let begun = std::time::Instant::now();
    // What was under way.
    run(&mut [&mut viewer], "a while", |_| begun.elapsed() > A_WHILE).await;
    let received = viewer.received();
    run(&mut [&mut viewer], "as long again", |_| {
        begun.elapsed() > 2 * A_WHILE
    })
    .await;
    assert_eq!(viewer.received(), received);
    let told = reported(&server).await;
    assert!(
        told.contains("\"live\":false") && !told.contains("slate"),
        "{told}"
    );
}
