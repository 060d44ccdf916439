//! Conferences: participants, each with one peer connection, and the streams that they publish.
//!
//! Every method puts its command into the media thread's queue before it returns, so that commands are carried out in the order of the
//! calls; those with an answer return a future for it.

use std::sync::Arc;

use sfu::{Command, PeerId, Priority, Reply, RoomId, StreamId, VIDEO_SLOTS_MAX, Want, WorkerId};

use venue::{FeedShape, Refused, StreamKey};

use super::{Handle, Waiting};
use crate::media::data::{self, DataChannels};
use crate::media::mailbox::Mailbox;

/// A picture that a participant wants; where it comes from is found out here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Which stream.
    pub stream: StreamId,
    /// The highest layer that its size deserves; 0 is the lowest.
    pub layer_max: u8,
    /// What comes first when not everything fits.
    pub priority: Priority,
    /// Detail before frame rate.
    pub is_detail: bool,
}

/// What a participant's stream consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// The `mid` of the section that carries its sound.
    pub audio: Option<String>,
    /// The `mid` of the section that carries its pictures.
    pub video: Option<String>,
    /// Heard however quiet it is.
    pub is_music: bool,
}

impl Handle {
    /// A new conference, in which the `loudest_max` loudest are heard; its events come into the mailbox.
    pub fn new_room(&self, loudest_max: usize) -> (RoomId, Arc<Mailbox>) {
        self.0.directory.open_room(loudest_max)
    }

    /// Ends a conference; whoever is still in it gets a good-bye.
    pub fn end_room(&self, room: RoomId) {
        for peer in self.0.directory.ask(|venue| venue.room_members(room)) {
            self.close_peer(peer);
        }
        self.settle(room);
        let loudest_max = 1;
        for worker in self.change(|venue, _| venue.end_room(room)) {
            let command = Command::SetRoom {
                room,
                streams: Vec::new(),
                loudest_max,
                reports: false,
            };
            self.tell(worker, command);
        }
        self.0.directory.drop_mailbox(room);
    }

    /// A new participant's first offer: its peer, its data channels, and a future that gives the SDP answer. If it is refused the
    /// participant does not exist.
    ///
    /// # Errors
    /// `Full` or `Stopping` at once; `Malformed`, `NotAcceptable` or `Full` by the future.
    pub fn join(
        &self,
        room: RoomId,
        offer: String,
    ) -> Result<
        (
            PeerId,
            DataChannels,
            impl Future<Output = Result<String, Refused>> + use<>,
        ),
        Refused,
    > {
        if self.is_stopping() {
            return Err(Refused::Stopping);
        }
        let loads = self.loads();
        let (peer, worker) = self.change(|venue, _| venue.seat_participant(room, &loads))?;
        let command = |request| Command::Join {
            request,
            peer,
            room,
            offer,
        };
        let link = &self.0.links[usize::from(worker.0)];
        let (feed, channels) = data::connect(peer, link.data());
        let attached = self.send(worker, super::Message::Attach(peer, feed));
        let waiting = match attached.and_then(|()| self.begin(worker, command)) {
            Ok(waiting) => waiting,
            Err(refused) => {
                self.unseat(peer);
                return Err(refused);
            }
        };
        let handle = self.clone();
        let answer = async move {
            let answer = waiting.reply().await.and_then(sdp);
            if answer.is_err() {
                // Also when the answer comes too late: nobody waits for that peer any more.
                handle.tell(worker, Command::Close { peer });
                handle.unseat(peer);
            }
            answer
        };
        Ok((peer, channels, answer))
    }

    /// A participant's later offer; the future gives the SDP answer.
    ///
    /// # Errors
    /// `UnknownResource`, `Full` or `Stopping` at once; `Malformed` or `NotAcceptable` by the future, and all goes on as it was.
    pub fn reoffer(
        &self,
        peer: PeerId,
        offer: String,
    ) -> Result<impl Future<Output = Result<String, Refused>> + use<>, Refused> {
        let waiting = self.begin_for(peer, |request| Command::Reoffer {
            request,
            peer,
            offer,
        })?;
        Ok(async { waiting.reply().await.and_then(sdp) })
    }

    /// Makes an offer so that a participant has this many slots; the future gives `None` when it has them already.
    ///
    /// # Errors
    /// As [`Self::reoffer`], and by the future when an earlier offer waits for its answer.
    pub fn add_slots(
        &self,
        peer: PeerId,
        audio: usize,
        video: usize,
    ) -> Result<impl Future<Output = Result<Option<String>, Refused>> + use<>, Refused> {
        let waiting = self.begin_for(peer, |request| Command::AddSlots {
            request,
            peer,
            audio,
            video,
        })?;
        Ok(async {
            match waiting.reply().await? {
                Reply::Done => Ok(None),
                reply => sdp(reply).map(Some),
            }
        })
    }

    /// The answer to [`Self::add_slots`].
    ///
    /// # Errors
    /// As [`Self::reoffer`].
    pub fn answer_peer(
        &self,
        peer: PeerId,
        answer: String,
    ) -> Result<impl Future<Output = Result<(), Refused>> + use<>, Refused> {
        let waiting = self.begin_for(peer, |request| Command::Answer {
            request,
            peer,
            answer,
        })?;
        Ok(async { waiting.reply().await.map(drop) })
    }

    /// Trickled candidates, `candidate:...`; those of no use are ignored.
    ///
    /// # Errors
    /// `UnknownResource`, `Full` or `Stopping`.
    pub fn candidates_of(&self, peer: PeerId, candidates: Vec<String>) -> Result<(), Refused> {
        let waiting = self.begin_for(peer, |request| Command::AddCandidates {
            request,
            peer,
            candidates,
        });
        waiting.map(drop)
    }

    /// A name for a stream that a participant is going to publish; unique among all streams.
    pub fn fresh_stream(&self) -> StreamId {
        self.change(|venue, _| venue.fresh_stream())
    }

    /// A participant publishes `stream`, or something of it changes.
    ///
    /// # Errors
    /// `UnknownResource`, `Full`, `Stopping`, or `Taken` when the stream is another participant's.
    pub fn publish_feed(&self, peer: PeerId, stream: StreamId, feed: Feed) -> Result<(), Refused> {
        let shape = FeedShape {
            has_audio: feed.audio.is_some(),
            is_music: feed.is_music,
        };
        let worker = self.change(|venue, _| venue.enter_feed(peer, stream, shape))?;
        let Feed { audio, video, .. } = feed;
        let command = Command::Publish {
            peer,
            stream,
            audio,
            video,
        };
        self.try_tell(worker, command)
    }

    /// A participant's stream ends, and its name is free.
    ///
    /// # Errors
    /// `UnknownResource`, `Full` or `Stopping`.
    pub fn unpublish_feed(&self, peer: PeerId, stream: StreamId) -> Result<(), Refused> {
        let worker = self.0.directory.ask(|venue| venue.participant(peer))?;
        self.change(|venue, at| venue.end_feed(at, stream));
        self.try_tell(worker, Command::Unpublish { peer, stream })
    }

    /// Drops what a participant's stream brings.
    ///
    /// # Errors
    /// `UnknownResource`, `Full` or `Stopping`.
    pub fn mute_feed(
        &self,
        peer: PeerId,
        stream: StreamId,
        audio: bool,
        video: bool,
    ) -> Result<(), Refused> {
        self.tell_peer(
            peer,
            Command::Mute {
                peer,
                stream,
                audio,
                video,
            },
        )
    }

    /// Which pictures a participant is shown: the whole list, most important first. Streams that are over are left out.
    ///
    /// # Errors
    /// `UnknownResource`, `Full` or `Stopping`.
    pub fn watch(&self, peer: PeerId, wishes: &[Wish]) -> Result<(), Refused> {
        let want = |wish: &Wish| {
            Some(Want {
                stream: wish.stream,
                origin: (self.0.directory).ask(|venue| venue.feed_origin(wish.stream))?,
                layer_max: wish.layer_max,
                priority: wish.priority,
                is_detail: wish.is_detail,
            })
        };
        let wants = wishes
            .iter()
            .filter_map(want)
            .take(VIDEO_SLOTS_MAX)
            .collect();
        self.tell_peer(peer, Command::Watch { peer, wants })
    }

    /// Whose sound a participant does not want: the whole list.
    ///
    /// # Errors
    /// `UnknownResource`, `Full` or `Stopping`.
    pub fn silence(&self, peer: PeerId, streams: Vec<StreamId>) -> Result<(), Refused> {
        self.tell_peer(peer, Command::Silence { peer, streams })
    }

    /// Says good-bye to a participant and ends its streams. Nothing when it is gone already.
    pub fn close_peer(&self, peer: PeerId) {
        let Some(worker) = self.change(|venue, at| venue.begin_leaving(at, peer)) else {
            return;
        };
        self.tell(worker, Command::Close { peer });
    }

    /// Makes a participant's stream visible as the stream `key` of its space (WHEP, the API), or takes that back.
    ///
    /// # Errors
    /// `UnknownResource` when the stream is over, `Taken` when somebody publishes under that name, `Full`.
    pub fn name_stream(&self, stream: StreamId, key: Option<StreamKey>) -> Result<(), Refused> {
        self.change(|venue, at| venue.name_feed(at, stream, key))
    }

    /// Whether [`Self::settle`] has something to tell.
    pub fn is_unsettled(&self, room: RoomId) -> bool {
        self.0.directory.ask(|venue| venue.is_unsettled(room))
    }

    /// Tells the media threads who is heard in a conference, if that changed. To be called after each batch of changes.
    /// Returns `false` when one of them could not be told: call again a little later.
    pub fn settle(&self, room: RoomId) -> bool {
        let mut is_told = true;
        for state in self.change(|venue, _| venue.settle(room)) {
            let command = Command::SetRoom {
                room,
                streams: state.streams,
                loudest_max: state.loudest_max,
                reports: state.reports,
            };
            is_told &= self.try_tell(state.worker, command).is_ok();
        }
        if !is_told {
            self.change(|venue, _| venue.unsettle(room));
        }
        is_told
    }

    fn begin_for(
        &self,
        peer: PeerId,
        command: impl FnOnce(sfu::RequestId) -> Command,
    ) -> Result<Waiting, Refused> {
        let worker = self.0.directory.ask(|venue| venue.participant(peer))?;
        self.begin(worker, command)
    }

    fn tell_peer(&self, peer: PeerId, command: Command) -> Result<(), Refused> {
        let worker = self.0.directory.ask(|venue| venue.participant(peer))?;
        self.try_tell(worker, command)
    }

    fn try_tell(&self, worker: WorkerId, command: Command) -> Result<(), Refused> {
        self.send(worker, super::Message::Command(command, None))
    }

    fn unseat(&self, peer: PeerId) {
        self.change(|venue, at| venue.unseat(at, peer));
    }
}

fn sdp(reply: Reply) -> Result<String, Refused> {
    match reply {
        Reply::Sdp(sdp) => Ok(sdp),
        _ => Err(Refused::UnknownResource),
    }
}
