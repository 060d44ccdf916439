//! One peer connection on a socket of its own.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use anyhow::{Context, Result};
use mio::net::UdpSocket;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::source::Packet;

pub(crate) struct Peer {
    rtc: Rtc,
    pub(crate) socket: UdpSocket,
    address: SocketAddr,
    pending: Option<SdpPendingOffer>,
    mid: Option<Mid>,
    sequence: u64,
    pub(crate) deadline: Instant,
    pub(crate) connected: bool,
    pub(crate) key_wanted: bool,
    /// RTP packets that came in.
    pub(crate) received: u64,
}

impl Peer {
    pub(crate) fn new(ip: IpAddr, now: Instant) -> Result<Self> {
        let socket =
            UdpSocket::bind(SocketAddr::new(ip, 0)).context("binding a client's socket")?;
        let address = socket.local_addr()?;
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_vp8(true)
            .set_rtp_mode(true)
            .build(now);
        let candidate = Candidate::host(address, "udp")?;
        rtc.add_local_candidate(candidate);
        Ok(Self {
            rtc,
            socket,
            address,
            pending: None,
            mid: None,
            sequence: 1,
            deadline: now,
            connected: false,
            key_wanted: false,
            received: 0,
        })
    }

    /// Offers one video section.
    pub(crate) fn offer(&mut self, direction: Direction) -> Result<String> {
        let mut api = self.rtc.sdp_api();
        self.mid =
            Some(api.add_media(MediaKind::Video, direction, Some("load".into()), None, None));
        let (offer, pending) = api.apply().context("nothing to offer")?;
        self.pending = Some(pending);
        Ok(offer.to_sdp_string())
    }

    pub(crate) fn answered(&mut self, answer: &str) -> Result<()> {
        let pending = self.pending.take().context("nothing was offered")?;
        let answer = SdpAnswer::from_sdp_string(answer)?;
        self.rtc.sdp_api().accept_answer(pending, answer)?;
        Ok(())
    }

    pub(crate) fn answer(&mut self, offer: &str) -> Result<String> {
        let offer = SdpOffer::from_sdp_string(offer)?;
        Ok(self.rtc.sdp_api().accept_offer(offer)?.to_sdp_string())
    }

    /// Takes what is on the socket. Returns whether there was anything.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let mut any = false;
        loop {
            let (length, source) = match self.socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(any),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error.into()),
            };
            any = true;
            let Ok(receive) = Receive::new(Protocol::Udp, source, self.address, &buffer[..length])
            else {
                continue;
            };
            self.rtc
                .handle_input(Input::Receive(Instant::now(), receive))?;
            self.drain()?;
        }
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, packets: Vec<Packet>, now: Instant) -> Result<u64> {
        let Some(mid) = self.mid else { return Ok(0) };
        let media = self.rtc.media(mid).context("the section is gone")?;
        let pt = *media.remote_pts().first().context("no payload type")?;
        let count = packets.len() as u64;
        let mut api = self.rtc.direct_api();
        let stream = api
            .stream_tx_by_mid(mid, None)
            .context("no sending stream")?;
        for packet in packets {
            let write = RtpWrite::new(
                pt,
                self.sequence.into(),
                packet.timestamp,
                now,
                packet.payload,
            );
            stream.write_rtp(write.marker(packet.marker).nackable(true));
            self.sequence += 1;
        }
        self.tick(now)?;
        Ok(count)
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Result<()> {
        self.rtc.handle_input(Input::Timeout(now))?;
        self.drain()
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
                        .send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(_)) => self.received += 1,
                Output::Event(Event::KeyframeRequest(_)) => self.key_wanted = true,
                Output::Event(_) => {}
            }
        }
    }
}
