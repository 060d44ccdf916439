//! What somebody says, until it is sure that it will be relayed.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::client::{REFUSED_MAX, SPOKE_MAX, TELL_RATE_EVERY};
use super::envelope::{self, Envelope};
use super::hub::Hub;
use super::io::{ClientId, Output, Permissions};
use super::lanes::Draft;
use super::message::{FrameKind, MediaMoment, Message, Policy};
use super::refusal::Refusal;
use super::rules::has_word;
use super::scan;

/// Bytes of a picture that is not kept: eight times a still of HD.
pub const IMAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes of anything else.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// What only an operator may send: what resets, and what the server itself says on `/`. Whoever could send that would exchange everybody's
/// chat and people, and take back what others said.
const RESERVED: [&str; 7] = [
    "CHANNELS_UPDATED",
    "CHAT_SYNC",
    "DELETE",
    "ERROR",
    "LIKE_SYNC",
    "RESET",
    "UPDATE",
];
/// Policy violation, RFC 6455 section 7.4.1.
const POLICY_VIOLATION: u16 = 1008;

/// A refused message, for the answer.
#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    channel: String,
    id: Option<String>,
}

impl Refused {
    /// Nothing is known of it.
    fn unread(refusal: Refusal) -> Self {
        Self {
            refusal,
            channel: String::new(),
            id: None,
        }
    }
}

impl Hub {
    /// A client says something.
    pub(super) fn said(
        &mut self,
        now: Instant,
        client: ClientId,
        frame: FrameKind,
        bytes: Bytes,
        media: Option<MediaMoment>,
    ) {
        let result = self
            .check(now, client, frame, bytes, media)
            .and_then(|draft| {
                let (channel, id) = (Arc::clone(&draft.message.channel), draft.message.id.clone());
                self.submit(draft).map_err(|refusal| Refused {
                    refusal,
                    channel: (*channel).to_owned(),
                    id: id.as_deref().map(ToOwned::to_owned),
                })
            });
        let Some(open) = self.clients.get_mut(&client) else {
            return;
        };
        let Err(refused) = result else {
            open.refused = open.refused.saturating_sub(1);
            return;
        };
        if open.is_closing {
            return;
        }
        open.refused += 1;
        if open.refused >= REFUSED_MAX {
            self.close(client, POLICY_VIOLATION, "too many refused messages");
            return;
        }
        if refused.refusal == Refusal::Rate {
            let is_new = |told: Instant| now.saturating_duration_since(told) >= TELL_RATE_EVERY;
            if !open.told_rate.is_none_or(is_new) {
                return;
            }
            open.told_rate = Some(now);
        }
        self.tell_error(
            client,
            refused.refusal,
            &refused.channel,
            refused.id.as_deref(),
        );
    }

    /// The server itself, a bridge or an operator publishes.
    pub(super) fn publish(
        &mut self,
        bytes: Bytes,
        media: Option<MediaMoment>,
        except: Option<ClientId>,
        answer: Option<u64>,
    ) {
        let serial = except
            .and_then(|client| self.clients.get(&client))
            .map_or(0, |client| client.serial);
        let result = match envelope::read(&bytes) {
            None => Err(Refusal::NotJson),
            Some(envelope) => check_size(&envelope, bytes.len()).and_then(|()| {
                let message = message(&envelope, FrameKind::Text, bytes.clone(), media);
                self.submit(Draft {
                    message: Arc::new(message),
                    serial,
                    except,
                    answer,
                    has_effect: true,
                    wait: None,
                })
            }),
        };
        if let Err(refusal) = result {
            self.answer(answer, Err(refusal));
        }
    }

    /// Tells who published what has become of it.
    pub(super) fn answer(&mut self, answer: Option<u64>, result: Result<u64, Refusal>) {
        if let Some(answer) = answer {
            self.out.push_back(Output::Published { answer, result });
        }
    }

    fn check(
        &mut self,
        now: Instant,
        id: ClientId,
        frame: FrameKind,
        bytes: Bytes,
        media: Option<MediaMoment>,
    ) -> Result<Draft, Refused> {
        let unread = |refusal| Err(Refused::unread(refusal));
        let Some(client) = self
            .clients
            .get_mut(&id)
            .filter(|client| !client.is_closing)
        else {
            return unread(Refusal::Forbidden);
        };
        if (client.messages.as_mut()).is_some_and(|allowance| !allowance.take(now)) {
            return unread(Refusal::Rate);
        }
        if bytes.len() > IMAGE_BYTES_MAX {
            return unread(Refusal::TooLarge);
        }
        let (serial, permissions) = (client.serial, client.permissions);
        let (space, address) = (client.space.clone(), Arc::clone(&client.address));
        let read = envelope::read(&bytes);
        let is_object = read.is_some();
        let mut envelope = read.unwrap_or_default();
        let checked = if space.is_some() && !is_object {
            Err(Refusal::NotJson)
        } else {
            check_size(&envelope, bytes.len())
                .and_then(|()| check_permissions(&envelope, permissions))
                .and_then(|()| self.check_channel(&envelope, space.as_deref()))
        };
        let is_added = checked.is_ok() && space.is_some() && !envelope.has_channel;
        if is_added {
            envelope.channel = space.as_deref().map(Cow::Borrowed);
        }
        let checked = checked.and_then(|()| self.check_rules(now, id, &address, &envelope));
        if let Err(refusal) = checked {
            return Err(Refused {
                refusal,
                channel: envelope.channel.unwrap_or_default().into_owned(),
                id: envelope.id.map(Cow::into_owned),
            });
        }
        let raw = if is_added {
            let name = envelope.channel.as_deref().unwrap_or_default();
            Bytes::from(envelope::with_channel(&bytes, name))
        } else {
            bytes.clone()
        };
        Ok(Draft {
            message: Arc::new(message(&envelope, frame, raw, media)),
            serial,
            except: None,
            answer: None,
            has_effect: true,
            wait: None,
        })
    }

    /// Clients of a space speak in it, those of `/` everywhere but in private ones.
    fn check_channel(&self, envelope: &Envelope<'_>, space: Option<&str>) -> Result<(), Refusal> {
        let channel = envelope.channel.as_deref();
        match space {
            Some(space) if envelope.has_channel && channel != Some(space) => {
                Err(Refusal::Forbidden)
            }
            None if channel.is_some_and(|name| self.settings.private.contains(name)) => {
                Err(Refusal::Private)
            }
            _ => Ok(()),
        }
    }

    /// Bans, slow mode and words.
    fn check_rules(
        &mut self,
        now: Instant,
        id: ClientId,
        address: &str,
        envelope: &Envelope<'_>,
    ) -> Result<(), Refusal> {
        let name = envelope.channel.as_deref().unwrap_or_default();
        let user = envelope.user.as_deref();
        let (unix_ms, is_chat) = (
            self.unix_us / 1000,
            envelope.kind.as_deref() == Some("CHAT"),
        );
        let mut rules = self.rules.get_mut(name);
        if let Some(rules) = &mut rules
            && rules.is_banned(user, address, unix_ms)
        {
            return Err(Refusal::Banned);
        }
        if !is_chat {
            return Ok(());
        }
        // The name stands beside the text.
        let mut texts = [envelope.value, envelope.user_name].into_iter().flatten();
        if texts.any(|text| scan::text(text).is_some_and(|t| has_word(&t, &self.settings.words))) {
            return Err(Refusal::Word);
        }
        let Some(client) = self.clients.get_mut(&id) else {
            return Ok(());
        };
        let permissions = client.permissions;
        let Some(rules) = rules.filter(|rules| !rules.pause().is_zero()) else {
            return Ok(());
        };
        if permissions.is_operator || permissions.is_moderator {
            return Ok(());
        }
        // A `userId` is easily changed, a connection is not.
        let is_too_soon = client.spoke.iter().any(|(channel, spoke)| {
            **channel == *name && now.saturating_duration_since(*spoke) < rules.pause()
        });
        if is_too_soon || user.is_some_and(|user| !rules.may_speak(user, now)) {
            return Err(Refusal::SlowMode);
        }
        client.spoke.retain(|(channel, _)| **channel != *name);
        if client.spoke.len() >= SPOKE_MAX {
            client.spoke.remove(0);
        }
        client.spoke.push((name.into(), now));
        Ok(())
    }
}

/// Pictures that are kept are no larger than other messages: with large ones a single client would push everybody's history out within ten
/// seconds.
fn check_size(envelope: &Envelope<'_>, bytes: usize) -> Result<(), Refusal> {
    let is_picture = envelope.kind.as_deref() == Some("IMAGE");
    let bytes_max = if is_picture && !envelope.is_stored {
        IMAGE_BYTES_MAX
    } else {
        MESSAGE_BYTES_MAX
    };
    if bytes > bytes_max {
        return Err(Refusal::TooLarge);
    }
    Ok(())
}

fn check_permissions(envelope: &Envelope<'_>, permissions: Permissions) -> Result<(), Refusal> {
    if permissions.is_read_only {
        return Err(Refusal::ReadOnly);
    }
    let is_reserved = |kind: &str| RESERVED.contains(&kind);
    if envelope.kind.as_deref().is_some_and(is_reserved) && !permissions.is_operator {
        return Err(Refusal::Forbidden);
    }
    Ok(())
}

/// The message that an envelope is; it has no number yet.
fn message(
    envelope: &Envelope<'_>,
    frame: FrameKind,
    raw: Bytes,
    media: Option<MediaMoment>,
) -> Message {
    let channel = envelope.channel.as_deref().unwrap_or_default();
    let kind = envelope.kind.as_deref().unwrap_or_default();
    let user = envelope.user.as_deref();
    let is_kept = envelope.is_stored || matches!(kind, "CHAT" | "LIKE");
    let policy = match (kind, user) {
        _ if is_kept => Policy::Everything,
        ("IMAGE", _) => {
            Policy::Newest(format!("IMAGE:{channel}:{}", user.unwrap_or_default()).into())
        }
        ("CHANNEL_USER_UPDATE", Some(user)) => {
            Policy::Newest(format!("CUU:{channel}:{user}").into())
        }
        _ => Policy::Everything,
    };
    Message {
        seq: 0,
        channel: channel.into(),
        kind: kind.into(),
        id: envelope.id.as_deref().map(Arc::from),
        user: user.map(Arc::from),
        frame,
        raw,
        media,
        is_kept,
        policy,
    }
}
