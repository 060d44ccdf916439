//! Everything that members are told without having asked.

use std::collections::BTreeSet;

use super::io::ConnectionId;
use super::member::MemberKey;
use super::protocol::{
    IceServers, Kind, Limits, MediaState, ParticipantQuality, ServerMessage, Slot, Speaker,
    VERSION, Welcome,
};
use super::session::{AUDIO_SLOTS_MAX, VIDEO_SLOTS_MAX};
use super::state::{Conference, Moment};

impl Conference {
    /// The first message to a member that has just come in or back.
    pub(super) fn welcome(&mut self, key: MemberKey, connection: ConnectionId, media: MediaState) {
        let Some(member) = self.members.get(&key) else {
            return;
        };
        let ice_servers = self.config.ice_servers.iter().map(|server| IceServers {
            urls: vec![server.url.clone()],
            username: server.username.clone(),
            credential: server.credential.clone(),
        });
        let welcome = Welcome {
            version: VERSION,
            server: self.config.server.clone(),
            id: member.id.clone(),
            resume: member.resume.clone(),
            media,
            role: member.role,
            permissions: member.permissions(self.space.stage_only),
            space: self.space.clone(),
            participants: (self.members.values())
                .map(super::member::Member::to_message)
                .collect(),
            ice_servers: ice_servers.collect(),
            limits: Limits {
                audio_slots: AUDIO_SLOTS_MAX,
                video_slots: VIDEO_SLOTS_MAX,
                participants: self.config.participants_max,
                loudest: self.config.loudest_max,
            },
        };
        if let Some(entered) = self.connections.get_mut(&connection) {
            entered.seen = self.presence.count();
        }
        self.send(connection, &ServerMessage::Welcome(Box::new(welcome)));
    }

    /// What a welcome does not say: how things are, to somebody who was not told of the changes.
    pub(super) fn tell_everything(&mut self, key: MemberKey, connection: ConnectionId) {
        let participants: Vec<_> = (self.members.values())
            .map(|member| ParticipantQuality {
                id: member.id.clone(),
                quality: member.quality_told,
            })
            .collect();
        self.send(connection, &ServerMessage::Quality { participants });
        if !self.speakers.0.is_empty() || self.speakers.1.is_some() {
            let speakers = self.speakers_message();
            self.send(connection, &speakers);
        }
        let Some(member) = self.members.get(&key) else {
            return;
        };
        let layers: Vec<_> = (member.feeds.iter())
            .filter_map(|(source, feed)| Some((*source, feed.watched.clone()?)))
            .collect();
        let offer = (member.session.as_ref())
            .and_then(|session| session.outstanding())
            .map(|(id, sdp)| (id, sdp.to_owned()));
        if member
            .session
            .as_ref()
            .is_some_and(|session| session.is_open)
        {
            self.stale_slots.push(key);
        }
        for (source, active) in layers {
            self.send(connection, &ServerMessage::Layers { source, active });
        }
        if let Some((id, sdp)) = offer {
            self.send(connection, &ServerMessage::Offer { id, sdp });
        }
        self.ask_slots(key);
    }

    /// Tells what has to be told by now. Nothing names a participant of whom its receiver has not heard.
    pub(super) fn tell(&mut self, at: Moment) {
        if self.presence.due(at.now).is_some_and(|due| due <= at.now) {
            self.tell_presence();
            self.presence.flushed(at.now);
            self.tell_quality();
            self.are_wants_stale = true;
        }
        // Whoever could not be watched before its connection was open can be now.
        if std::mem::take(&mut self.are_wants_stale) {
            let everybody: Vec<_> = self.members.keys().copied().collect();
            for key in everybody {
                self.order_wants(key);
            }
        }
        if self.presence.has_joined() {
            return;
        }
        if std::mem::take(&mut self.are_speakers_stale) {
            let speakers = self.speakers_message();
            self.broadcast(&speakers);
        }
        let stale: BTreeSet<_> = std::mem::take(&mut self.stale_slots).into_iter().collect();
        for key in stale {
            let slots = self.slots(key);
            self.send_to_member(key, &ServerMessage::Slots { slots });
        }
    }

    /// One text for everybody, and one each for those who were welcomed since the last one.
    fn tell_presence(&mut self) {
        let joined = (self.connections.iter())
            .filter(|(_, connection)| connection.member().is_some())
            .map(|(id, connection)| (*id, connection.seen));
        let (common, others): (Vec<_>, Vec<_>) =
            joined.partition(|(_, seen)| self.presence.is_common(*seen));
        if let Some(message) = self.presence.message(0, &self.members) {
            self.send_to(common.into_iter().map(|(id, _)| id).collect(), &message);
        }
        for (connection, seen) in others {
            if let Some(message) = self.presence.message(seen, &self.members) {
                self.send(connection, &message);
            }
        }
    }

    fn tell_quality(&mut self) {
        let mut participants = Vec::new();
        for member in self.members.values_mut() {
            let quality = member.quality_word();
            if quality != member.quality_told {
                member.quality_told = quality;
                let id = member.id.clone();
                participants.push(ParticipantQuality { id, quality });
            }
        }
        if !participants.is_empty() {
            self.broadcast(&ServerMessage::Quality { participants });
        }
    }

    fn speakers_message(&self) -> ServerMessage {
        let owner = |feed| {
            let (key, _) = self.feeds.get(feed)?;
            Some(self.members.get(key)?.id.clone())
        };
        let (active, dominant) = &self.speakers;
        let mut speakers: Vec<Speaker> = Vec::new();
        for (feed, level) in active {
            // A screen's sound and the microphone are one voice; the louder one comes first.
            if let Some(id) = owner(feed)
                && speakers.iter().all(|speaker| speaker.id != id)
            {
                speakers.push(Speaker { id, level: *level });
            }
        }
        ServerMessage::Speakers {
            dominant: dominant.as_ref().and_then(owner),
            active: speakers,
        }
    }

    fn slots(&self, key: MemberKey) -> Vec<Slot> {
        let session = (self.members.get(&key)).and_then(|member| member.session.as_ref());
        let slots = session.map_or(&[][..], |session| &session.slots);
        (slots.iter())
            .filter_map(|slot| {
                let (owner, source) = self.feeds.get(&slot.feed)?;
                Some(Slot {
                    mid: slot.mid.clone(),
                    kind: if slot.is_audio {
                        Kind::Audio
                    } else {
                        Kind::Video
                    },
                    id: self.members.get(owner)?.id.clone(),
                    source: *source,
                    state: slot.state,
                })
            })
            .collect()
    }
}
