//! Sessions that really connect: a WebRTC client publishes over loopback, another one listens.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

use crate::server::{SDP, SDPFRAG, Server, Session, attribute};

const PACE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);

/// A WebRTC client with one audio section.
pub(crate) struct Client {
    rtc: Rtc,
    socket: UdpSocket,
    mid: Mid,
    pending: Option<SdpPendingOffer>,
    sends: bool,
    sent: u64,
    sent_at: Instant,
    received: usize,
    ice: IceConnectionState,
    ice_changes: Vec<IceConnectionState>,
}

impl Client {
    /// The client and its offer.
    fn new(direction: Direction) -> (Self, String) {
        let now = Instant::now();
        let mut rtc = Rtc::builder().build(now);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let host = Candidate::host(socket.local_addr().unwrap(), "udp").unwrap();
        rtc.add_local_candidate(host).unwrap();
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Audio, direction, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let client = Self {
            rtc,
            socket,
            mid,
            pending: Some(pending),
            sends: direction == Direction::SendOnly,
            sent: 0,
            sent_at: now,
            received: 0,
            ice: IceConnectionState::New,
            ice_changes: Vec::new(),
        };
        (client, offer.to_sdp_string())
    }

    /// A client whose offer `path` has accepted.
    pub(crate) async fn begin(
        server: &Server,
        path: &str,
        direction: Direction,
    ) -> (Self, Session) {
        Self::begin_with(server, path, direction, "").await
    }

    /// The same with a key.
    pub(crate) async fn begin_with(
        server: &Server,
        path: &str,
        direction: Direction,
        key: &str,
    ) -> (Self, Session) {
        let (mut client, offer) = Self::new(direction);
        let request = server.ask("POST", path).body(SDP, offer);
        let authorization = format!("Bearer {key}");
        let answer = request.header("authorization", &authorization).send().await;
        assert_eq!(answer.status, 201, "{answer:?}");
        client.take(&answer.body);
        (client, Session::of(answer))
    }

    /// Packets that came.
    pub(crate) fn received(&self) -> usize {
        self.received
    }

    fn take(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        let pending = self.pending.take().unwrap();
        self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }

    fn step(&mut self) {
        let mut buffer = [0; 2000];
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            let destination = self.socket.local_addr().unwrap();
            let received =
                Receive::new(Protocol::Udp, source, destination, &buffer[..length]).unwrap();
            self.input(Input::Receive(Instant::now(), received));
        }
        let now = Instant::now();
        self.input(Input::Timeout(now));
        let may_send = self.sends && self.rtc.is_connected() && now - self.sent_at >= PACE;
        if may_send && let Some(writer) = self.rtc.writer(self.mid) {
            let opus = writer.payload_params().next().unwrap().pt();
            let time = MediaTime::new(self.sent * 960, Frequency::FORTY_EIGHT_KHZ);
            writer
                .write(opus, now, time, vec![0xfc, 0xff, 0xfe])
                .unwrap();
            self.sent += 1;
            self.sent_at = now;
            self.drain();
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.rtc.handle_input(input).unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(packet) => {
                    let _ = self.socket.send_to(&packet.contents, packet.destination);
                }
                Output::Event(Event::MediaData(_)) => self.received += 1,
                Output::Event(Event::IceConnectionStateChange(state)) => {
                    self.ice = state;
                    self.ice_changes.push(state);
                }
                Output::Event(_) => {}
            }
        }
    }
}

/// Lets clients live until `done`.
pub(crate) async fn run(
    clients: &mut [&mut Client],
    what: &str,
    done: impl Fn(&[&mut Client]) -> bool,
) {
    let end = Instant::now() + PATIENCE;
    while !done(clients) {
        assert!(
            Instant::now() < end,
            "{what} did not happen: {:?}",
            clients[0].ice_changes
        );
        for client in &mut *clients {
            client.step();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_by_whip_is_heard_by_whep() {
    let server = Server::start().await;
    let (mut performer, performance) =
        Client::begin(&server, "/whip/demo", Direction::SendOnly).await;
    let key = proscenium::media::StreamKey {
        space: "demo".into(),
        stream: "main".into(),
    };
    run(&mut [&mut performer], "live", |_| {
        server.media.directory().is_live(&key)
    })
    .await;
    let (mut viewer, view) = Client::begin(&server, "/whep/demo", Direction::RecvOnly).await;
    run(&mut [&mut viewer, &mut performer], "sound", |clients| {
        clients[0].received > 50
    })
    .await;
    assert_eq!(
        server.ask("DELETE", &view.location).send().await.status,
        200
    );
    assert_eq!(
        server
            .ask("DELETE", &performance.location)
            .send()
            .await
            .status,
        200
    );
    server.expect_sessions(0).await;
    assert!(server.media.directory().space("demo").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_performer_goes_on_after_an_ice_restart() {
    let server = Server::start().await;
    let (mut performer, session) = Client::begin(&server, "/whip/demo", Direction::SendOnly).await;
    run(&mut [&mut performer], "a connection", |clients| {
        clients[0].sent > 20
    })
    .await;

    let mut api = performer.rtc.sdp_api();
    let fresh = api.ice_restart(true);
    let (_, pending) = api.apply().unwrap();
    performer.pending = Some(pending);
    let body = format!(
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{}\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
        performer.mid, fresh.ufrag, fresh.pass
    );
    let request = server
        .ask("PATCH", &session.location)
        .header("if-match", "*");
    let restarted = request.body(SDPFRAG, body).send().await;
    assert_eq!(restarted.status, 200, "{restarted:?}");
    let mut answer = session.answer.body.clone();
    for name in ["ice-ufrag", "ice-pwd"] {
        let old = attribute(&session.answer.body, name).unwrap();
        answer = answer.replace(old, attribute(&restarted.body, name).unwrap());
    }
    performer.take(&answer);
    performer.ice_changes.clear();

    let received = || -> u64 {
        let at = proscenium::media::METRICS
            .iter()
            .position(|metric| metric.name == "packets_received")
            .unwrap();
        server
            .media
            .counters()
            .iter()
            .map(|counters| counters.values()[at])
            .sum()
    };
    let before = received();
    run(
        &mut [&mut performer],
        "a new connection and more sound",
        |clients| {
            matches!(
                clients[0].ice,
                IceConnectionState::Connected | IceConnectionState::Completed
            ) && received() > before + 50
        },
    )
    .await;
    assert_eq!(
        server.ask("DELETE", &session.location).send().await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_offer_that_is_answered_connects() {
    let server = Server::start().await;
    let (mut performer, _) = Client::begin(&server, "/whip/demo", Direction::SendOnly).await;
    let key = proscenium::media::StreamKey {
        space: "demo".into(),
        stream: "main".into(),
    };
    run(&mut [&mut performer], "live", |_| {
        server.media.directory().is_live(&key)
    })
    .await;

    let (mut viewer, unacceptable) = Client::new(Direction::SendOnly);
    let countered = server.post("/whep/demo", unacceptable).await;
    assert_eq!(countered.status, 406, "{countered:?}");
    // A browser rolls its own offer back before it answers the other one.
    (viewer.pending, viewer.sends) = (None, false);
    let offer = str0m::change::SdpOffer::from_sdp_string(&countered.body).unwrap();
    let answer = viewer
        .rtc
        .sdp_api()
        .accept_offer(offer)
        .unwrap()
        .to_sdp_string();
    let patched = server
        .ask("PATCH", countered.header("location"))
        .body(SDP, answer)
        .send()
        .await;
    assert_eq!(patched.status, 204, "{patched:?}");
    run(&mut [&mut viewer, &mut performer], "sound", |clients| {
        clients[0].received > 50
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_its_connection_first_still_deletes_its_session() {
    let server = Server::start().await;
    let (mut performer, session) = Client::begin(&server, "/whip/demo", Direction::SendOnly).await;
    run(&mut [&mut performer], "a connection", |clients| {
        clients[0].sent > 20
    })
    .await;
    performer.rtc.close().unwrap();
    performer.step();
    server.expect_sessions(0).await;
    let ask = async |method| server.ask(method, &session.location).send().await;
    ask("GET").await.check_problem(404, "no such session");
    assert_eq!(ask("DELETE").await.status, 200);
    ask("DELETE").await.check_problem(404, "no such session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_is_replaced_when_the_next_one_sends_and_learns_it() {
    let server = Server::start().await;
    let begin = async || {
        Client::begin_with(&server, "/whip/locked", Direction::SendOnly, "open-sesame").await
    };
    let key = proscenium::media::StreamKey {
        space: "locked".into(),
        stream: "main".into(),
    };
    let status = async |method, session: &Session| {
        let request = server
            .ask(method, &session.location)
            .header("if-match", "*");
        let body = "a=end-of-candidates\r\n";
        request.body(SDPFRAG, body).send().await
    };
    let (mut first, first_session) = begin().await;
    run(&mut [&mut first], "live", |_| {
        server.media.directory().is_live(&key)
    })
    .await;
    let (mut second, second_session) = begin().await;
    // It has not connected: the show goes on, and both sessions are there.
    let sent = first.sent;
    run(&mut [&mut first], "more sound", |clients| {
        clients[0].sent > sent + 30
    })
    .await;
    server.expect_sessions(2).await;
    assert_eq!(status("GET", &first_session).await.status, 204);
    run(&mut [&mut second, &mut first], "a take-over", |_| {
        assert!(
            server.media.directory().is_live(&key),
            "no moment without a show"
        );
        server.media.directory().totals().1 == 1
    })
    .await;
    for method in ["GET", "PATCH", "DELETE", "DELETE"] {
        let answer = status(method, &first_session).await;
        answer.check_problem(410, "another publisher has taken this stream over");
    }
    assert_eq!(status("DELETE", &second_session).await.status, 200);
    assert_eq!(server.count("takeovers"), 1);
}
