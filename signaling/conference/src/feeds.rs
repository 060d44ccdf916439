//! What members publish.

use super::io::{FeedId, Order, SessionId};
use super::member::{Feed, MemberKey};
use super::protocol::{ErrorCode, Fault, Mute, Muted, Publish, ServerMessage, Source};
use super::state::Conference;

impl Conference {
    /// A feed begins, or changes.
    pub(super) fn publish(&mut self, key: MemberKey, publish: Publish) -> Result<(), Fault> {
        let stage_only = self.space.stage_only;
        let Some(member) = self.members.get(&key) else {
            return Ok(());
        };
        let permissions = member.permissions(stage_only);
        let is_allowed = match publish.source {
            Source::Camera => permissions.publish,
            Source::Screen => permissions.screen,
        };
        if !is_allowed {
            return Err(forbidden(
                "your role does not publish here; raise your hand and wait to be called on stage",
            ));
        }
        if publish.music && !permissions.music {
            return Err(forbidden(
                "music mode is for performers; publish without it, or ask for that role",
            ));
        }
        if member.session.is_none() {
            return Err(conflict(
                "there is no PeerConnection whose sections could be published; send an offer first",
            ));
        }
        let others = (member.feeds.iter()).filter(|(source, _)| **source != publish.source);
        for mid in others.flat_map(|(_, feed)| feed.audio.iter().chain(&feed.video)) {
            if Some(mid) == publish.audio.as_ref() || Some(mid) == publish.video.as_ref() {
                return Err(conflict(
                    "a section belongs to one feed; unpublish the other one first",
                ));
            }
        }
        let before = member.feeds.get(&publish.source).cloned();
        let id = match &before {
            Some(feed) => feed.id,
            None => FeedId(self.next_id()),
        };
        let source = publish.source;
        let mut feed = merged(id, publish, before.as_ref());
        self.feeds.insert(id, (key, source));
        self.change(key, |member| {
            if let Some(held) = member.held.get_mut(&source) {
                // Who had nothing there to unmute has it now by its own will.
                held.audio &= feed.audio.is_some();
                held.video &= feed.video.is_some();
                feed.muted.audio |= held.audio;
                feed.muted.video |= held.video;
            }
            member.feeds.insert(source, feed);
        });
        self.order_feed(key, source, before.as_ref());
        Ok(())
    }

    /// A member ends its own feed.
    pub(super) fn unpublish(&mut self, key: MemberKey, source: Source) -> Result<(), Fault> {
        if self.end_feed(key, source) {
            return Ok(());
        }
        Err(no_feed(source))
    }

    /// A member mutes or unmutes its own feed.
    pub(super) fn mute(&mut self, key: MemberKey, mute: Mute) -> Result<(), Fault> {
        let muted = Muted {
            audio: mute.audio,
            video: mute.video,
        };
        self.set_muted(key, mute.source, muted)?;
        self.change(key, |member| {
            if let Some(held) = member.held.get_mut(&mute.source) {
                held.audio &= muted.audio;
                held.video &= muted.video;
            }
        });
        Ok(())
    }

    /// Tells a member what a moderator muted, in case that it was away then, or publishes as if it had not heard.
    pub(super) fn tell_held(&mut self, key: MemberKey) {
        let Some(member) = self.members.get(&key) else {
            return;
        };
        let held: Vec<_> = (member.feeds.iter())
            .filter(|(source, _)| {
                (member.held.get(source)).is_some_and(|held| held.audio || held.video)
            })
            .map(|(source, feed)| (*source, feed.muted))
            .collect();
        for (source, muted) in held {
            let message = ServerMessage::Muted {
                source,
                audio: muted.audio,
                video: muted.video,
                by: None,
            };
            self.send_to_member(key, &message);
        }
    }

    /// A member turns music mode on or off; it concerns its microphone.
    pub(super) fn music(&mut self, key: MemberKey, on: bool) -> Result<(), Fault> {
        let stage_only = self.space.stage_only;
        let is_allowed =
            (self.members.get(&key)).is_some_and(|member| member.permissions(stage_only).music);
        if on && !is_allowed {
            return Err(forbidden(
                "music mode is for performers; ask a moderator for that role",
            ));
        }
        let source = Source::Camera;
        let before = self.feed(key, source)?.clone();
        self.change(key, |member| {
            if let Some(feed) = member.feeds.get_mut(&source) {
                feed.is_music = on;
            }
        });
        self.order_feed(key, source, Some(&before));
        Ok(())
    }

    /// Sets what of a feed is muted, whoever asked.
    pub(super) fn set_muted(
        &mut self,
        key: MemberKey,
        source: Source,
        muted: Muted,
    ) -> Result<(), Fault> {
        let before = self.feed(key, source)?.clone();
        self.change(key, |member| {
            if let Some(feed) = member.feeds.get_mut(&source) {
                feed.muted = muted;
            }
        });
        self.order_feed(key, source, Some(&before));
        Ok(())
    }

    /// Ends a feed; `false` when there was none. Its name as a stream is forgotten.
    pub(super) fn end_feed(&mut self, key: MemberKey, source: Source) -> bool {
        let ended = self.change(key, |member| {
            member.streams.remove(&source);
            member.held.remove(&source);
            let feed = member.feeds.remove(&source)?;
            let session = member.session.as_ref().filter(|session| session.is_open);
            Some((feed.id, session.map(|session| session.id)))
        });
        let Some((feed, session)) = ended.flatten() else {
            return false;
        };
        self.feeds.remove(&feed);
        if let Some(session) = session {
            self.order(Order::Unpublish { session, feed });
        }
        true
    }

    /// Ends what a member may no longer publish, and music that it may no longer play.
    pub(super) fn end_forbidden(&mut self, key: MemberKey, by: Option<&str>) {
        let stage_only = self.space.stage_only;
        let Some(member) = self.members.get(&key) else {
            return;
        };
        let permissions = member.permissions(stage_only);
        let sources: Vec<_> = member.feeds.keys().copied().collect();
        for source in sources {
            let is_allowed = match source {
                Source::Camera => permissions.publish,
                Source::Screen => permissions.screen,
            };
            if !is_allowed {
                self.end_feed(key, source);
                let message = ServerMessage::Unpublished {
                    source,
                    by: by.map(str::to_owned),
                };
                self.send_to_member(key, &message);
            } else if !permissions.music {
                self.stop_music(key, source);
            }
        }
    }

    fn stop_music(&mut self, key: MemberKey, source: Source) {
        let Ok(before) = self.feed(key, source).cloned() else {
            return;
        };
        if before.is_music {
            self.change(key, |member| {
                if let Some(feed) = member.feeds.get_mut(&source) {
                    feed.is_music = false;
                }
            });
            self.order_feed(key, source, Some(&before));
        }
    }

    /// A member's feed.
    ///
    /// # Errors
    /// `not_found`.
    pub(super) fn feed(&self, key: MemberKey, source: Source) -> Result<&Feed, Fault> {
        (self.members.get(&key))
            .and_then(|member| member.feeds.get(&source))
            .ok_or_else(|| no_feed(source))
    }

    /// Orders all feeds of a session that has just opened.
    pub(super) fn order_feeds(&mut self, key: MemberKey) {
        let sources: Vec<_> =
            (self.members.get(&key)).map_or_else(Vec::new, |m| m.feeds.keys().copied().collect());
        for source in sources {
            self.order_feed(key, source, None);
        }
    }

    /// Tells media what differs from `before`; all of it for a new feed. Nothing before the session is open.
    fn order_feed(&mut self, key: MemberKey, source: Source, before: Option<&Feed>) {
        let Some(member) = self.members.get(&key) else {
            return;
        };
        let Some(session) = open_session_of(member) else {
            return;
        };
        let Some(feed) = member.feeds.get(&source).cloned() else {
            return;
        };
        let name = member.streams.get(&source).cloned();
        let has_other_sections = before
            .is_none_or(|before| (&before.audio, &before.video) != (&feed.audio, &feed.video));
        if has_other_sections || before.is_some_and(|before| before.is_music != feed.is_music) {
            self.order(Order::Publish {
                session,
                feed: feed.id,
                audio: feed.audio.clone(),
                video: feed.video.clone(),
                is_music: feed.is_music,
            });
        }
        let muted_before = before.map_or(Muted::default(), |before| before.muted);
        // Media may take other sections for a new publication, which begins with nothing muted.
        if muted_before != feed.muted || (has_other_sections && feed.muted != Muted::default()) {
            self.order(Order::Mute {
                session,
                feed: feed.id,
                audio: feed.muted.audio,
                video: feed.muted.video,
            });
        }
        if let (None, Some(name)) = (before, name) {
            self.order(Order::Name {
                feed: feed.id,
                stream: Some(name),
            });
        }
    }
}

/// A member's session that takes orders about feeds.
fn open_session_of(member: &super::member::Member) -> Option<SessionId> {
    (member.session.as_ref())
        .filter(|session| session.is_open)
        .map(|session| session.id)
}

/// What is published, and what the feed keeps of before.
fn merged(id: FeedId, publish: Publish, before: Option<&Feed>) -> Feed {
    let has_same_layers = before.is_some_and(|before| before.layers.len() == publish.layers.len());
    Feed {
        id,
        audio: publish.audio,
        video: publish.video,
        layers: publish.layers,
        muted: publish.muted,
        is_music: publish.music,
        stream: before.and_then(|before| before.stream.clone()),
        naming: before.and_then(|before| before.naming),
        watched: (before.filter(|_| has_same_layers)).and_then(|before| before.watched.clone()),
    }
}

fn no_feed(source: Source) -> Fault {
    Fault::new(
        ErrorCode::NotFound,
        format!(
            "there is no feed `{}`; it has ended or was never published",
            source.as_str()
        ),
    )
}

fn forbidden(why: &str) -> Fault {
    Fault::new(ErrorCode::Forbidden, why)
}

fn conflict(why: &str) -> Fault {
    Fault::new(ErrorCode::Conflict, why)
}
