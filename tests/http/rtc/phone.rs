//! The PeerConnection of somebody in a conference: str0m over loopback, driven by a task of its own.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

const PACE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Phone {
    inner: Arc<Mutex<Inner>>,
    driver: tokio::task::JoinHandle<()>,
    pub(crate) microphone: String,
    pub(crate) camera: String,
}

struct Inner {
    rtc: Rtc,
    socket: UdpSocket,
    microphone: Mid,
    camera: Mid,
    offer: String,
    pending: Option<SdpPendingOffer>,
    sent: u64,
    sent_at: Instant,
    received: BTreeMap<String, usize>,
}

impl Phone {
    /// With a microphone, a camera, and slots for three voices and three pictures.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let mut rtc = Rtc::builder().build(now);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let host = Candidate::host(socket.local_addr().unwrap(), "udp").unwrap();
        rtc.add_local_candidate(host).unwrap();
        let mut api = rtc.sdp_api();
        let mut add = |kind, direction| api.add_media(kind, direction, None, None, None);
        let microphone = add(MediaKind::Audio, Direction::SendOnly);
        let camera = add(MediaKind::Video, Direction::SendOnly);
        for kind in [MediaKind::Audio, MediaKind::Video] {
            for _ in 0..3 {
                add(kind, Direction::RecvOnly);
            }
        }
        let (offer, pending) = api.apply().unwrap();
        let inner = Arc::new(Mutex::new(Inner {
            rtc,
            socket,
            microphone,
            camera,
            offer: offer.to_sdp_string(),
            pending: Some(pending),
            sent: 0,
            sent_at: now,
            received: BTreeMap::new(),
        }));
        let driven = inner.clone();
        let driver = tokio::spawn(async move {
            loop {
                driven.lock().unwrap().step();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self {
            inner,
            driver,
            microphone: microphone.to_string(),
            camera: camera.to_string(),
        }
    }

    pub(crate) fn offer(&self) -> String {
        self.inner.lock().unwrap().offer.clone()
    }

    pub(crate) fn take_answer(&self, answer: &str) {
        let mut inner = self.inner.lock().unwrap();
        let pending = inner.pending.take().unwrap();
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        inner.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }

    /// The answer to an offer of the server.
    pub(crate) fn take_offer(&self, offer: &str) -> String {
        let mut inner = self.inner.lock().unwrap();
        let offer = SdpOffer::from_sdp_string(offer).unwrap();
        let answer = inner.rtc.sdp_api().accept_offer(offer).unwrap();
        answer.to_sdp_string()
    }

    /// A later offer with one more slot for a picture.
    pub(crate) fn offer_again(&self) -> String {
        let mut inner = self.inner.lock().unwrap();
        let mut api = inner.rtc.sdp_api();
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        inner.pending = Some(pending);
        offer.to_sdp_string()
    }

    /// Frames that came in a section.
    pub(crate) fn received(&self, mid: &str) -> usize {
        let inner = self.inner.lock().unwrap();
        inner.received.get(mid).copied().unwrap_or(0)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.inner.lock().unwrap().rtc.is_connected()
    }

    /// Ends the connection with a good-bye.
    pub(crate) fn hang_up(&self) {
        let mut inner = self.inner.lock().unwrap();
        inner.rtc.close().unwrap();
        inner.drain();
    }

    /// Waits for the good-bye.
    pub(crate) async fn ends(&self) {
        wait("a good-bye", || !self.inner.lock().unwrap().rtc.is_alive()).await;
    }

    pub(crate) async fn connected(&self) {
        wait("a connection", || self.is_connected()).await;
    }

    /// Waits for this many more frames in a section.
    pub(crate) async fn receives(&self, mid: &str, more: usize) {
        let enough = self.received(mid) + more;
        wait(&format!("frames in section {mid}"), || {
            self.received(mid) >= enough
        })
        .await;
    }

    /// Waits until nothing has come in these sections for 300 ms.
    pub(crate) async fn rests(&self, mids: &[&str]) {
        let end = Instant::now() + PATIENCE;
        let received = || mids.iter().map(|mid| self.received(mid)).sum::<usize>();
        loop {
            let before = received();
            tokio::time::sleep(Duration::from_millis(300)).await;
            if received() == before {
                return;
            }
            assert!(Instant::now() < end, "sections {mids:?} do not rest");
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Waits until `done`.
pub(crate) async fn wait(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Inner {
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
        if self.rtc.is_connected() && now - self.sent_at >= PACE {
            self.speak(now);
            self.show(now);
            self.sent += 1;
            self.sent_at = now;
            self.drain();
        }
    }

    fn speak(&mut self, now: Instant) {
        let Some(writer) = self.rtc.writer(self.microphone) else {
            return;
        };
        let is_opus = |codec| codec == Codec::Opus;
        let Some(opus) = writer
            .payload_params()
            .find(|params| is_opus(params.spec().codec))
            .map(|params| params.pt())
        else {
            return;
        };
        let time = MediaTime::new(self.sent * 960, Frequency::FORTY_EIGHT_KHZ);
        let frame = vec![0xfc, 0xff, 0xfe];
        let writer = writer.audio_level(-20, true);
        writer.write(opus, now, time, frame).unwrap();
    }

    /// Key frames only, of 16 by 16 pixels.
    fn show(&mut self, now: Instant) {
        let Some(writer) = self.rtc.writer(self.camera) else {
            return;
        };
        let Some(vp8) = writer
            .payload_params()
            .find(|params| params.spec().codec == Codec::Vp8)
            .map(|params| params.pt())
        else {
            return;
        };
        let time = MediaTime::new(self.sent * 1800, Frequency::NINETY_KHZ);
        let mut frame = vec![0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 16, 0, 16, 0];
        frame.resize(60, 0x55);
        writer.write(vp8, now, time, frame).unwrap();
    }

    fn input(&mut self, input: Input<'_>) {
        // What comes after the good-bye does not matter.
        if self.rtc.is_alive() {
            self.rtc.handle_input(input).unwrap();
        }
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => {
                    let _ = self
                        .socket
                        .send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(Event::MediaData(data)) => {
                    *self.received.entry(data.mid.to_string()).or_default() += 1;
                }
                Output::Event(_) => {}
            }
        }
    }
}
