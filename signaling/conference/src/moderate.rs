//! What some may do to others.

use venue::StreamName;

use super::io::{Order, ParticipantRole};
use super::member::MemberKey;
use super::protocol::{ErrorCode, Fault, LeaveReason, Moderate, Muted, ServerMessage, Source};
use super::state::Conference;

impl Conference {
    /// Does what a member asks for, if it may.
    pub(super) fn moderate(&mut self, by: MemberKey, moderate: Moderate) -> Result<(), Fault> {
        let stage_only = self.space.stage_only;
        let Some(moderator) = self.members.get(&by) else {
            return Ok(());
        };
        let permissions = moderator.permissions(stage_only);
        let name = moderator.id.clone();
        if let Moderate::Stream { id, source, stream } = moderate {
            let target = match id {
                Some(id) => self.find(&id)?,
                None => by,
            };
            let is_own = permissions.stream && target == by;
            if !permissions.moderate && !is_own {
                return Err(forbidden());
            }
            return self.name_stream(by, target, source, stream);
        }
        if !permissions.moderate {
            return Err(forbidden());
        }
        self.moderate_others(&name, moderate)
    }

    fn moderate_others(&mut self, by: &str, moderate: Moderate) -> Result<(), Fault> {
        match moderate {
            Moderate::Mute {
                id,
                source,
                audio,
                video,
            } => self.mute_other(by, self.find(&id)?, source, Muted { audio, video }),
            Moderate::Unpublish { id, source } => {
                let key = self.find(&id)?;
                self.unpublish(key, source)?;
                let by = Some(by.to_owned());
                self.send_to_member(key, &ServerMessage::Unpublished { source, by });
                Ok(())
            }
            Moderate::Stage { id, on } => {
                let key = self.find(&id)?;
                self.change(key, |member| {
                    member.stage = on;
                    if on {
                        // The wish is fulfilled.
                        member.hand = None;
                    }
                });
                self.settle_rights(key, Some(by));
                Ok(())
            }
            Moderate::Role { id, role } => self.give_role(by, self.find(&id)?, role),
            Moderate::Remove { id, reason } => {
                let key = self.find(&id)?;
                self.depart(key, LeaveReason::Removed, reason);
                Ok(())
            }
            Moderate::Lock { on } => {
                if self.space.locked != on {
                    self.space.locked = on;
                    self.tell_space();
                }
                Ok(())
            }
            Moderate::StageOnly { on } => {
                self.set_stage_only(by, on);
                Ok(())
            }
            Moderate::LowerHand { id } => {
                let key = self.find(&id)?;
                self.change(key, |member| member.hand = None);
                Ok(())
            }
            // Handled by the caller, as not only moderators may do it.
            Moderate::Stream { .. } => Ok(()),
        }
    }

    /// Somebody else's microphone can be muted, never opened.
    fn mute_other(
        &mut self,
        by: &str,
        key: MemberKey,
        source: Source,
        muted: Muted,
    ) -> Result<(), Fault> {
        let before = self.feed(key, source)?.muted;
        let after = Muted {
            audio: before.audio || muted.audio,
            video: before.video || muted.video,
        };
        if after == before {
            return Ok(());
        }
        self.set_muted(key, source, after)?;
        self.change(key, |member| {
            let held = member.held.entry(source).or_default();
            held.audio |= muted.audio;
            held.video |= muted.video;
        });
        let message = ServerMessage::Muted {
            source,
            audio: after.audio,
            video: after.video,
            by: Some(by.to_owned()),
        };
        self.send_to_member(key, &message);
        Ok(())
    }

    fn give_role(&mut self, by: &str, key: MemberKey, role: ParticipantRole) -> Result<(), Fault> {
        self.change(key, |member| member.role = role);
        self.settle_rights(key, Some(by));
        Ok(())
    }

    fn set_stage_only(&mut self, by: &str, on: bool) {
        if self.space.stage_only == on {
            return;
        }
        self.space.stage_only = on;
        self.tell_space();
        let everybody: Vec<_> = self.members.keys().copied().collect();
        for key in everybody {
            self.settle_rights(key, Some(by));
        }
    }

    /// After a role, the stage or the space changed: tells a member its rights if they are others now, and ends what they do not
    /// allow.
    fn settle_rights(&mut self, key: MemberKey, by: Option<&str>) {
        let stage_only = self.space.stage_only;
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        let told = (member.role, member.permissions(stage_only));
        if (member.role_told, member.permissions_told) != told {
            (member.role_told, member.permissions_told) = told;
            let (role, permissions) = told;
            self.send_to_member(key, &ServerMessage::Permissions { role, permissions });
        }
        self.end_forbidden(key, by);
    }

    /// Makes a feed a stream of the space, or takes it back. Media says whether the name was free.
    fn name_stream(
        &mut self,
        by: MemberKey,
        key: MemberKey,
        source: Source,
        stream: Option<String>,
    ) -> Result<(), Fault> {
        let stream = match stream {
            Some(name) => Some(
                name.parse::<StreamName>()
                    .map_err(|error| Fault::new(ErrorCode::Name, error.to_string()))?,
            ),
            None => None,
        };
        let stream = stream.map(|name| name.as_str().to_owned());
        let id = self.feed(key, source)?.id;
        let Some(member) = self.members.get_mut(&key) else {
            return Ok(());
        };
        match &stream {
            Some(name) => member.streams.insert(source, name.clone()),
            None => member.streams.remove(&source),
        };
        let is_open = member
            .session
            .as_ref()
            .is_some_and(|session| session.is_open);
        if let Some(feed) = member.feeds.get_mut(&source) {
            feed.naming = Some(by);
        }
        // A session that is about to open takes the name along with its feeds.
        if is_open {
            self.order(Order::Name { feed: id, stream });
        }
        Ok(())
    }

    fn find(&self, id: &str) -> Result<MemberKey, Fault> {
        self.by_id.get(id).copied().ok_or_else(|| {
            Fault::new(
                ErrorCode::NotFound,
                "there is no such participant; it may have left",
            )
        })
    }

    fn tell_space(&mut self) {
        let space = self.space.clone();
        self.broadcast(&ServerMessage::Space { space });
    }
}

fn forbidden() -> Fault {
    Fault::new(
        ErrorCode::Forbidden,
        "only moderators do that; ask one, or join with a moderator's token",
    )
}
