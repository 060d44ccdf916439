//! Somebody in a conference: what it sends, what it receives, what it was told.

use std::time::{Duration, Instant};

use sfu::{RoomId, SlotState, StreamId};
use str0m::Rtc;
use str0m::change::SdpApi;
use str0m::channel::ChannelId;
use str0m::media::{Direction, MediaKind, Mid, Rid, Simulcast, SimulcastLayer};
use str0m::rtp::RtpPacket;

use super::camera::{Camera, RIDS};
use super::microphone::Microphone;
use super::room::Plan;
use super::slot::Slot;
use crate::receiver::Format;

/// Slots for each kind in the first offer.
const FIRST_SLOTS: usize = 3;

/// Between two looks at what is missing.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Which of a participant's feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Camera,
    Screen,
}

#[derive(Debug)]
pub struct Participant {
    pub room: RoomId,
    /// Microphone and screen sound.
    pub microphones: [Microphone; 2],
    /// Camera and screen.
    pub cameras: [Camera; 2],
    pub slots: Vec<Slot>,
    /// What it wants to see.
    pub plan: Plan,
    /// Its data channels, in the order in which they were asked for.
    pub channels: Vec<ChannelId>,
    pub opened: Vec<ChannelId>,
    pub closed: Vec<ChannelId>,
    /// What came over them, with when.
    pub heard: Vec<(Instant, ChannelId, Vec<u8>)>,
    /// Each message about slots, with its time.
    pub told: Vec<(Instant, Vec<sfu::Slot>)>,
    started: Option<Instant>,
    next_look: Option<Instant>,
}

impl Participant {
    /// The sections of the first offer.
    pub fn offer(base: Instant, room: RoomId, api: &mut SdpApi<'_>) -> Self {
        let mut add = |kind, direction, simulcast| {
            api.add_media(kind, direction, Some("self".into()), None, simulcast)
        };
        let simulcast = Simulcast {
            send: RIDS.iter().map(|rid| SimulcastLayer::new(rid)).collect(),
            recv: Vec::new(),
        };
        let microphone = add(MediaKind::Audio, Direction::SendOnly, None);
        let camera = add(MediaKind::Video, Direction::SendOnly, Some(simulcast));
        let screen = add(MediaKind::Video, Direction::SendOnly, None);
        let screen_sound = add(MediaKind::Audio, Direction::SendOnly, None);
        let mut slots = Vec::new();
        for kind in [MediaKind::Audio, MediaKind::Video] {
            for _ in 0..FIRST_SLOTS {
                let mid = add(kind, Direction::RecvOnly, None);
                slots.push(Slot::new(mid, kind.is_audio()));
            }
        }
        Self {
            room,
            microphones: [microphone, screen_sound].map(|mid| Microphone::new(base, mid)),
            cameras: [(camera, true), (screen, false)]
                .map(|(mid, has_rids)| Camera::new(base, mid, has_rids)),
            slots,
            plan: Plan::default(),
            channels: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            heard: Vec::new(),
            told: Vec::new(),
            started: None,
            next_look: None,
        }
    }

    pub fn microphone(&mut self, source: Source) -> &mut Microphone {
        &mut self.microphones[source as usize]
    }

    pub fn camera(&mut self, source: Source) -> &mut Camera {
        &mut self.cameras[source as usize]
    }

    /// A section that the server offered.
    pub fn add_slot(&mut self, mid: Mid, is_audio: bool) {
        let is_own = self.microphones.iter().any(|one| one.mid == mid)
            || self.cameras.iter().any(|one| one.mid == mid);
        if !is_own && self.slots.iter().all(|slot| slot.mid != mid) {
            self.slots.push(Slot::new(mid, is_audio));
        }
    }

    /// The server's map of the slots.
    pub fn on_slots(&mut self, now: Instant, told: Vec<sfu::Slot>) {
        for slot in &mut self.slots {
            slot.carries = told
                .iter()
                .find(|one| *slot.mid == *one.mid)
                .map(|one| (one.stream, one.state));
        }
        for one in &told {
            let known = self.slots.iter().find(|slot| *slot.mid == *one.mid);
            if known.is_none_or(|slot| slot.is_audio != one.is_audio) {
                panic!("a slot that this participant does not have: {one:?}");
            }
        }
        self.told.push((now, told));
    }

    pub fn on_packet(&mut self, now: Instant, rtc: &mut Rtc, packet: &RtpPacket, format: Format) {
        let ssrc = *packet.header.ssrc;
        let known = self.slots.iter().position(|slot| slot.ssrc == Some(ssrc));
        let at = known.or_else(|| {
            let mid = rtc.direct_api().stream_rx(&ssrc.into())?.mid();
            self.slots.iter().position(|slot| slot.mid == mid)
        });
        let slot = &mut self.slots[at.expect("media comes in slots only")];
        slot.ssrc.get_or_insert(ssrc);
        slot.on_packet(now, packet, format);
        self.next_look.get_or_insert(now + LOOK_INTERVAL);
    }

    pub fn on_keyframe_request(&mut self, mid: Mid, rid: Option<Rid>) {
        for camera in &mut self.cameras {
            if camera.mid == mid {
                camera.on_keyframe_request(rid);
            }
        }
    }

    pub fn is_started(&self) -> bool {
        self.started.is_some()
    }

    pub fn start(&mut self, now: Instant, rtc: &mut Rtc) {
        self.started = Some(now);
        for microphone in &mut self.microphones {
            microphone.start(now, rtc);
        }
        for camera in &mut self.cameras {
            camera.start(now, rtc);
        }
    }

    /// Writes one thing that is due; returns whether there was one.
    pub fn write(&mut self, now: Instant, rtc: &mut Rtc) -> bool {
        self.microphones.iter_mut().any(|one| one.write(now, rtc))
            || self.cameras.iter_mut().any(|one| one.write(now, rtc))
    }

    pub fn next(&self) -> Option<Instant> {
        let sound = self.microphones.iter().filter_map(Microphone::next);
        let pictures = self.cameras.iter().filter_map(Camera::next);
        sound.chain(pictures).chain(self.next_look).min()
    }

    /// Lets time pass; returns the slots for which a keyframe is wanted.
    pub fn look(&mut self, now: Instant) -> Vec<Mid> {
        if self.next_look.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.next_look = Some(now + LOOK_INTERVAL);
        let slots = self.slots.iter_mut();
        slots
            .filter_map(|slot| slot.look(now).then_some(slot.mid))
            .collect()
    }

    /// The slot that carries this stream's picture, and its state.
    pub fn picture_of(&self, stream: StreamId) -> Option<(&Slot, SlotState)> {
        let slots = self.slots.iter().filter(|slot| !slot.is_audio);
        slots
            .filter_map(|slot| Some((slot, slot.carries?)))
            .find_map(|(slot, (of, state))| (of == stream).then_some((slot, state)))
    }

    /// Everything that was wrong.
    pub fn violations(&self) -> impl Iterator<Item = &String> {
        self.slots
            .iter()
            .flat_map(|slot| slot.violations.iter().chain(&slot.picture.violations))
    }
}
