//! One participant: sections as a browser has them, sound and pictures as asked for, and an ear for everything.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedSender;

use super::signalling::Signalling;
use super::{Part, Report, Totals};
use crate::source::{Packet, Source};
use crate::{Options, authority};

const SPACE: &str = "load";
const SLOTS: usize = 3;
const SOUND_EVERY: Duration = Duration::from_millis(20);

/// An idle connection is looked after this often: it is a load, not a subject.
const TICK: Duration = Duration::from_millis(5);

/// What a participant needs to know.
pub(super) struct Settings {
    host: String,
    bind: IpAddr,
    part: Part,
    source: Option<Source>,
}

impl Settings {
    pub(super) fn new(options: &Options, part: Part) -> Result<Self> {
        let source = part
            .sends_video
            .then(|| Source::new(options.rate, options.burst, options.size));
        Ok(Self {
            host: authority(&options.url)?.to_owned(),
            bind: options.bind,
            part,
            source,
        })
    }
}

struct Participant {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    microphone: Mid,
    camera: Mid,
    pending: Option<SdpPendingOffer>,
    source: Option<Source>,
    part: Part,
    /// Next sequence numbers: sound, pictures.
    sequence: (u64, u64),
    next_sound: Instant,
    deadline: Instant,
    knocked: Instant,
    is_connected: bool,
    has_heard: bool,
    totals: Arc<Totals>,
    reports: UnboundedSender<Report>,
}

/// Joins and stays until the process ends.
pub(super) async fn run(
    settings: Settings,
    totals: Arc<Totals>,
    reports: UnboundedSender<Report>,
) -> Result<()> {
    let knocked = Instant::now();
    let (mut participant, offer) = Participant::new(&settings, knocked, totals, reports).await?;
    participant.source = settings.source;
    let number = participant.part.number;
    let mut signalling = Signalling::open(&settings.host, SPACE).await?;
    let feed = json!({
        "source": "camera",
        "audio": participant.part.sends_audio.then(|| participant.microphone.to_string()),
        "video": participant.part.sends_video.then(|| participant.camera.to_string()),
        "layers": [{ "rid": "", "width": 640, "height": 360 }],
        "muted": { "audio": false, "video": false }, "music": false,
    });
    let is_silent = !participant.part.sends_audio && !participant.part.sends_video;
    let feeds = if is_silent { vec![] } else { vec![feed] };
    signalling.join(number, &offer, &feeds).await?;
    let mut buffer = vec![0; 2000];
    loop {
        let wake = participant.wake();
        tokio::select! {
            message = signalling.next() => {
                for reply in participant.on_message(&message?)? {
                    signalling.send(reply).await?;
                }
            }
            ready = participant.socket.readable() => {
                ready?;
                participant.receive(&mut buffer)?;
            }
            () = tokio::time::sleep_until(wake.into()) => participant.tick()?,
        }
    }
}

impl Participant {
    async fn new(
        settings: &Settings,
        knocked: Instant,
        totals: Arc<Totals>,
        reports: UnboundedSender<Report>,
    ) -> Result<(Self, String)> {
        let socket = UdpSocket::bind(SocketAddr::new(settings.bind, 0)).await?;
        let address = socket.local_addr()?;
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_rtp_mode(true)
            .build(knocked);
        rtc.add_local_candidate(Candidate::host(address, "udp")?);
        let mut api = rtc.sdp_api();
        let mut add = |kind, direction| api.add_media(kind, direction, None, None, None);
        let microphone = add(MediaKind::Audio, Direction::SendOnly);
        let camera = add(MediaKind::Video, Direction::SendOnly);
        add(MediaKind::Video, Direction::SendOnly);
        add(MediaKind::Audio, Direction::SendOnly);
        for kind in [MediaKind::Audio, MediaKind::Video] {
            for _ in 0..SLOTS {
                add(kind, Direction::RecvOnly);
            }
        }
        let (offer, pending) = api.apply().context("nothing to offer")?;
        let participant = Self {
            rtc,
            socket,
            address,
            microphone,
            camera,
            pending: Some(pending),
            source: None,
            part: settings.part.clone(),
            sequence: (1, 1),
            next_sound: knocked,
            deadline: knocked,
            knocked,
            is_connected: false,
            has_heard: false,
            totals,
            reports,
        };
        Ok((participant, offer.to_sdp_string()))
    }

    /// When something is to be sent or done next.
    fn wake(&self) -> Instant {
        let mut wake = self.deadline.max(Instant::now() + TICK);
        if self.is_connected {
            if self.part.sends_audio {
                wake = wake.min(self.next_sound);
            }
            if let Some(frame) = self.source.as_ref().and_then(Source::deadline) {
                wake = wake.min(frame);
            }
        }
        wake
    }

    /// What to answer to a message of the venue.
    fn on_message(&mut self, message: &Value) -> Result<Vec<Value>> {
        let sdp = || message["sdp"].as_str().context("no sdp");
        match message["type"].as_str() {
            Some("answer") => {
                let pending = self.pending.take().context("nothing was offered")?;
                let answer = SdpAnswer::from_sdp_string(sdp()?)?;
                self.rtc.sdp_api().accept_answer(pending, answer)?;
                self.drain()?;
            }
            Some("offer") => {
                let offer = SdpOffer::from_sdp_string(sdp()?)?;
                let answer = self.rtc.sdp_api().accept_offer(offer)?.to_sdp_string();
                self.drain()?;
                return Ok(vec![
                    json!({ "type": "answer", "id": message["id"], "sdp": answer }),
                ]);
            }
            Some("error") => bail!("{}: {}", message["code"], message["message"]),
            _ => {}
        }
        Ok(Vec::new())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        while let Ok((length, source)) = self.socket.try_recv_from(buffer) {
            let payload = &buffer[..length];
            if let Ok(receive) = Receive::new(Protocol::Udp, source, self.address, payload) {
                self.rtc
                    .handle_input(Input::Receive(Instant::now(), receive))?;
                self.drain()?;
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.is_connected {
            if self.part.sends_audio && now >= self.next_sound {
                self.next_sound = (self.next_sound + SOUND_EVERY).max(now - SOUND_EVERY);
                self.send_sound(now)?;
            }
            let frame = self.source.as_mut().map(|source| source.frame(now));
            if let Some(frame) = frame.filter(|frame| !frame.is_empty()) {
                self.send_frame(now, frame)?;
            }
        }
        self.rtc.handle_input(Input::Timeout(now))?;
        self.drain()
    }

    /// Speech of 32 kbit/s; everybody but the first eight whispers.
    fn send_sound(&mut self, now: Instant) -> Result<()> {
        let level = if self.part.number < 8 { -30 } else { -90 };
        let packet = Packet {
            payload: Arc::from([0x5a; 80].as_slice()),
            timestamp: (self.sequence.0 * 960) as u32,
            marker: false,
        };
        let (mid, sequence) = (self.microphone, self.sequence.0);
        self.sequence.0 += 1;
        let extensions = ExtensionValues {
            audio_level: Some(level),
            voice_activity: Some(level > -60),
            ..ExtensionValues::default()
        };
        self.write(mid, sequence, now, packet, extensions)
    }

    fn send_frame(&mut self, now: Instant, frame: Vec<Packet>) -> Result<()> {
        for packet in frame {
            let (mid, sequence) = (self.camera, self.sequence.1);
            self.sequence.1 += 1;
            self.write(mid, sequence, now, packet, ExtensionValues::default())?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        mid: Mid,
        sequence: u64,
        now: Instant,
        packet: Packet,
        extensions: ExtensionValues,
    ) -> Result<()> {
        let media = self.rtc.media(mid).context("the section is gone")?;
        let pt = *media.remote_pts().first().context("no payload type")?;
        let mut api = self.rtc.direct_api();
        let stream = api
            .stream_tx_by_mid(mid, None)
            .context("no sending stream")?;
        let write = RtpWrite::new(pt, sequence.into(), packet.timestamp, now, packet.payload);
        stream.write_rtp(write.marker(packet.marker).ext_vals(extensions));
        self.totals.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.deadline = at;
                    return Ok(());
                }
                // A full socket buffer is loss, as on a real network.
                Output::Transmit(transmit) => {
                    let _ = self
                        .socket
                        .try_send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(event) => self.on_event(&event)?,
            }
        }
    }

    fn on_event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Connected => {
                self.is_connected = true;
                self.next_sound = Instant::now();
                let _ = self.reports.send(Report::Joined(self.knocked.elapsed()));
            }
            Event::RtpPacket(_) => {
                self.totals.received.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut self.has_heard, true) {
                    let _ = self.reports.send(Report::Heard(self.knocked.elapsed()));
                }
            }
            Event::KeyframeRequest(_) => {
                if let Some(source) = self.source.as_mut() {
                    source.want_key_frame();
                }
            }
            Event::IceConnectionStateChange(state) if state.is_disconnected() => {
                bail!("the connection was lost")
            }
            _ => {}
        }
        Ok(())
    }
}
