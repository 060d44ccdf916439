//! One conference's side of the media: its room, and which peer and stream belong to which session and feed.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use conference::{ConnectionId, FeedId, News, Order, ParticipantRole, SessionId, SlotNews, Want};
use sfu::{Event, PeerId, RoomId, StreamId};

use super::data::{self, Speaker};
use super::registry::Shared;
use super::translate;
use crate::media::{self, Handle, Mailbox, Refused, StreamKey, Wish};

/// News that media threads have yet to make.
pub(super) type Later = Pin<Box<dyn Future<Output = News> + Send>>;

/// What came of an order.
pub(super) enum Outcome {
    /// Nothing is to be said about it.
    Done,
    /// Said at once.
    Now(News),
    /// Said later.
    Later(Later),
}

/// A feed that is published.
struct Published {
    stream: StreamId,
    session: SessionId,
}

pub(super) struct RoomMedia {
    shared: Arc<Shared>,
    handle: Handle,
    space: Arc<str>,
    room: RoomId,
    mailbox: Arc<Mailbox>,
    peers: BTreeMap<SessionId, PeerId>,
    sessions: BTreeMap<PeerId, SessionId>,
    feeds: BTreeMap<FeedId, Published>,
    streams: BTreeMap<StreamId, FeedId>,
    /// What each session was last ordered to be shown, and not to hear.
    wants: BTreeMap<SessionId, Vec<Want>>,
    silenced: BTreeMap<SessionId, Vec<FeedId>>,
    /// Sessions that want, or do not want, a feed of which the media threads have heard only now: a feed is published when its media is
    /// accepted, and may be wanted before.
    stale: BTreeSet<SessionId>,
}

impl RoomMedia {
    pub(super) fn new(shared: &Arc<Shared>, space: Arc<str>) -> Self {
        let handle = shared.media.clone();
        let (room, mailbox) = handle.new_room(shared.settings.loudest);
        Self {
            shared: shared.clone(),
            handle,
            space,
            room,
            mailbox,
            peers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            feeds: BTreeMap::new(),
            streams: BTreeMap::new(),
            wants: BTreeMap::new(),
            silenced: BTreeMap::new(),
            stale: BTreeSet::new(),
        }
    }

    pub(super) fn mailbox(&self) -> Arc<Mailbox> {
        self.mailbox.clone()
    }

    /// Whether something changed of the room that the media threads do not know.
    pub(super) fn is_unsettled(&self) -> bool {
        !self.stale.is_empty() || self.handle.is_unsettled(self.room)
    }

    /// Tells the media threads what changed of the room, as far as they can take it.
    pub(super) fn settle(&mut self) -> Vec<News> {
        self.handle.settle(self.room);
        let mut news = Vec::new();
        for session in std::mem::take(&mut self.stale) {
            for outcome in [self.watch(session), self.silence(session)] {
                if let Outcome::Now(ended) = outcome {
                    news.push(ended);
                }
            }
        }
        news
    }

    /// Carries out an order; `addresses` has the household of each connection.
    #[expect(clippy::too_many_lines, reason = "one arm for each order")]
    pub(super) fn order(
        &mut self,
        order: Order,
        addresses: &BTreeMap<ConnectionId, Arc<str>>,
    ) -> Outcome {
        match order {
            Order::Open {
                session,
                offer,
                participant,
                role,
                connection,
            } => {
                let speaker = Speaker {
                    space: self.space.clone(),
                    participant: participant.into(),
                    address: addresses.get(&connection).cloned().unwrap_or_default(),
                    is_moderator: role >= ParticipantRole::Moderator,
                };
                self.open(session, offer, speaker)
            }
            Order::Reoffer { session, id, offer } => self.reoffer(session, id, offer),
            Order::AddSlots {
                session,
                audio,
                video,
            } => self.add_slots(session, audio, video),
            Order::Answer { session, answer } => self.answer(session, answer),
            Order::Candidates {
                session,
                candidates,
            } => self.tell(session, |handle, peer| {
                handle.candidates_of(peer, candidates)
            }),
            Order::Publish {
                session,
                feed,
                audio,
                video,
                is_music,
            } => self.publish(
                session,
                feed,
                media::Feed {
                    audio,
                    video,
                    is_music,
                },
            ),
            Order::Unpublish { session, feed } => match self.forget_feed(feed) {
                Some(stream) => {
                    self.tell(session, |handle, peer| handle.unpublish_feed(peer, stream))
                }
                None => Outcome::Done,
            },
            Order::Mute {
                session,
                feed,
                audio,
                video,
            } => match self.stream(feed) {
                Some(stream) => self.tell(session, |handle, peer| {
                    handle.mute_feed(peer, stream, audio, video)
                }),
                None => Outcome::Done,
            },
            Order::Watch { session, wants } => {
                self.wants.insert(session, wants);
                self.watch(session)
            }
            Order::Silence { session, feeds } => {
                self.silenced.insert(session, feeds);
                self.silence(session)
            }
            Order::Close { session } => {
                if let Some(peer) = self.forget(session) {
                    self.handle.close_peer(peer);
                }
                Outcome::Done
            }
            Order::Name { feed, stream } => Outcome::Now(self.name(feed, stream)),
        }
    }

    /// What an event of a media thread means to the conference. `None` when it concerns what the conference has closed.
    pub(super) fn news(&mut self, event: Event) -> Option<News> {
        let session = |peer: PeerId| self.sessions.get(&peer).copied();
        let feed = |stream: StreamId| self.streams.get(&stream).copied();
        Some(match event {
            Event::Connected { peer } => News::Connected {
                session: session(peer)?,
            },
            Event::Closed { peer, reason } => {
                let session = session(peer)?;
                self.forget(session);
                News::Ended {
                    session,
                    reason: translate::reason(&reason),
                }
            }
            Event::Reachable { peer, reachable } => News::Reachable {
                session: session(peer)?,
                reachable,
            },
            Event::Slots { peer, slots } => News::Slots {
                session: session(peer)?,
                slots: slots
                    .into_iter()
                    .filter_map(|slot| {
                        Some(SlotNews {
                            mid: slot.mid,
                            is_audio: slot.is_audio,
                            feed: feed(slot.stream)?,
                            state: translate::slot_state(slot.state),
                        })
                    })
                    .collect(),
            },
            Event::SlotsWanted { peer, audio, video } => News::SlotsWanted {
                session: session(peer)?,
                audio,
                video,
            },
            Event::Speakers {
                active, dominant, ..
            } => News::Speakers {
                active: active
                    .iter()
                    .filter_map(|speaker| Some((feed(speaker.stream)?, speaker.level)))
                    .collect(),
                dominant: dominant.and_then(feed),
            },
            Event::Layers {
                stream, watched, ..
            } => News::Layers {
                feed: feed(stream)?,
                watched,
            },
            Event::Quality { peer, quality } => News::Quality {
                session: session(peer)?,
                quality: translate::quality(quality),
            },
            Event::TookOver { .. }
            | Event::StandsBy { .. }
            | Event::Live { .. }
            | Event::Silent { .. }
            | Event::Reordered { .. }
            | Event::Ended { .. } => return None,
        })
    }

    /// A refused session is over; to be told of every answer of a media thread before the conference is.
    pub(super) fn take_note(&mut self, news: &News) {
        if let News::Answered {
            session,
            id: 0,
            result: Err(_),
        } = news
        {
            self.forget(*session);
        }
    }

    fn open(&mut self, session: SessionId, offer: String, speaker: Speaker) -> Outcome {
        let answered = move |result: Result<String, Refused>| News::Answered {
            session,
            id: 0,
            result: result.map_err(translate::refusal),
        };
        match self.handle.join(self.room, offer) {
            Ok((peer, channels, answer)) => {
                // It ends with the peer.
                let bus = self.shared.bus.get().cloned();
                tokio::spawn(data::speak(channels, bus, speaker));
                self.peers.insert(session, peer);
                self.sessions.insert(peer, session);
                Outcome::Later(Box::pin(async move { answered(answer.await) }))
            }
            Err(refused) => Outcome::Now(answered(Err(refused))),
        }
    }

    fn reoffer(&self, session: SessionId, id: u64, offer: String) -> Outcome {
        let answer = self.ask(session, |handle, peer| handle.reoffer(peer, offer));
        later(answer, move |result| News::Answered {
            session,
            id,
            result: result.map_err(translate::refusal),
        })
    }

    fn add_slots(&self, session: SessionId, audio: usize, video: usize) -> Outcome {
        let offer = self.ask(session, |handle, peer| handle.add_slots(peer, audio, video));
        later(offer, move |result| News::Offered {
            session,
            result: result.map_err(translate::refusal),
        })
    }

    fn answer(&self, session: SessionId, answer: String) -> Outcome {
        let taken = self.ask(session, |handle, peer| handle.answer_peer(peer, answer));
        later(taken, move |result| News::AnswerTaken {
            session,
            result: result.map_err(translate::refusal),
        })
    }

    fn publish(&mut self, session: SessionId, feed: FeedId, shape: media::Feed) -> Outcome {
        let stream = self.stream_for(session, feed);
        for (other, wants) in &self.wants {
            if wants.iter().any(|want| want.feed == feed) {
                self.stale.insert(*other);
            }
        }
        for (other, silenced) in &self.silenced {
            if silenced.contains(&feed) {
                self.stale.insert(*other);
            }
        }
        self.tell(session, |handle, peer| {
            handle.publish_feed(peer, stream, shape)
        })
    }

    fn watch(&mut self, session: SessionId) -> Outcome {
        let Some(wants) = self.wants.get(&session) else {
            return Outcome::Done;
        };
        let wishes: Vec<_> = wants.iter().filter_map(|want| self.wish(want)).collect();
        self.tell(session, |handle, peer| handle.watch(peer, &wishes))
    }

    fn silence(&mut self, session: SessionId) -> Outcome {
        let Some(feeds) = self.silenced.get(&session) else {
            return Outcome::Done;
        };
        let streams = feeds.iter().filter_map(|feed| self.stream(*feed)).collect();
        self.tell(session, |handle, peer| handle.silence(peer, streams))
    }

    fn name(&self, feed: FeedId, stream: Option<String>) -> News {
        let key = stream.as_deref().map(|stream| StreamKey {
            space: self.space.clone(),
            stream: stream.into(),
        });
        let named = match self.stream(feed) {
            Some(published) => self.handle.name_stream(published, key),
            None => Err(Refused::UnknownResource),
        };
        News::Named {
            feed,
            result: named.map(|()| stream).map_err(translate::refusal),
        }
    }

    /// The stream of a feed; a new one for a new feed.
    fn stream_for(&mut self, session: SessionId, feed: FeedId) -> StreamId {
        if let Some(published) = self.feeds.get(&feed)
            && published.session == session
        {
            return published.stream;
        }
        self.forget_feed(feed);
        let stream = self.handle.fresh_stream();
        self.feeds.insert(feed, Published { stream, session });
        self.streams.insert(stream, feed);
        stream
    }

    fn stream(&self, feed: FeedId) -> Option<StreamId> {
        self.feeds.get(&feed).map(|published| published.stream)
    }

    fn wish(&self, want: &Want) -> Option<Wish> {
        Some(Wish {
            stream: self.stream(want.feed)?,
            layer_max: want.layer_max,
            priority: translate::priority(want.priority),
            is_detail: want.is_detail,
        })
    }

    fn forget_feed(&mut self, feed: FeedId) -> Option<StreamId> {
        let published = self.feeds.remove(&feed)?;
        self.streams.remove(&published.stream);
        Some(published.stream)
    }

    /// Forgets a session with its feeds.
    fn forget(&mut self, session: SessionId) -> Option<PeerId> {
        let peer = self.peers.remove(&session)?;
        self.sessions.remove(&peer);
        self.wants.remove(&session);
        self.silenced.remove(&session);
        self.stale.remove(&session);
        let own: Vec<_> = (self.feeds.iter())
            .filter(|(_, published)| published.session == session)
            .map(|(feed, _)| *feed)
            .collect();
        for feed in own {
            self.forget_feed(feed);
        }
        Some(peer)
    }

    fn ask<F>(
        &self,
        session: SessionId,
        question: impl FnOnce(&Handle, PeerId) -> Result<F, Refused>,
    ) -> Result<F, Refused> {
        let peer = self.peers.get(&session);
        question(&self.handle, *peer.ok_or(Refused::UnknownResource)?)
    }

    /// An order that is not answered. One that the media thread cannot take ends its session: the client makes a new one, and nobody goes on
    /// with half of what was said.
    fn tell(
        &mut self,
        session: SessionId,
        command: impl FnOnce(&Handle, PeerId) -> Result<(), Refused>,
    ) -> Outcome {
        match self.ask(session, command) {
            // Its end is on the way, or was told already.
            Ok(()) | Err(Refused::UnknownResource) => Outcome::Done,
            Err(refused) => {
                if let Some(peer) = self.forget(session) {
                    self.handle.close_peer(peer);
                }
                Outcome::Now(News::Ended {
                    session,
                    reason: refused.to_string(),
                })
            }
        }
    }
}

impl Drop for RoomMedia {
    /// Also when the conference's task is lost: nobody stays behind in a room without signalling.
    fn drop(&mut self) {
        self.handle.end_room(self.room);
    }
}

fn later<T, F>(
    asked: Result<F, Refused>,
    news: impl FnOnce(Result<T, Refused>) -> News + Send + 'static,
) -> Outcome
where
    F: Future<Output = Result<T, Refused>> + Send + 'static,
{
    match asked {
        Ok(answer) => Outcome::Later(Box::pin(async { news(answer.await) })),
        Err(refused) => Outcome::Now(news(Err(refused))),
    }
}
