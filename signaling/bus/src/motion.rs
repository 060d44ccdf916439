//! Frames of positions.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::channel::Channel;
use super::hub::Hub;
use super::io::{ClientId, Output, PositionForm};
use super::made;
use super::message::{FrameKind, Policy};
use super::open::frame;
use super::position::{FIELDS, FRAME_ENTRIES_MAX, Position, write_frame};
use super::users::Place;
use super::wrapped::push_quoted;

/// Bytes may be lost on their way: who has moved is repeated once within this time.
const AGAIN_EVERY: Duration = Duration::from_secs(1);

/// Somebody in a frame.
#[derive(Debug)]
struct Entry {
    place: Place,
    /// `"id":[x,y,z,rx,ry,rz]`.
    json: Vec<u8>,
}

impl Entry {
    fn new(id: &str, place: Place) -> Self {
        let mut json = Vec::with_capacity(id.len() + 64);
        push_quoted(&mut json, id);
        json.push(b':');
        place.position.write(&mut json);
        Self { place, json }
    }
}

impl Hub {
    /// Tells who has moved, where it is time.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.clock.moving.is_empty() {
            return;
        }
        let due: Vec<_> = (self.clock.moving.iter())
            .filter(|name| {
                self.channels.get(*name).is_none_or(|channel| {
                    (self.clock.motion_due(now, channel, self)).is_none_or(|due| due <= now)
                })
            })
            .cloned()
            .collect();
        if due.is_empty() {
            return;
        }
        let this_tick = self.clock.tick;
        for name in &due {
            self.tell_root(name);
            self.tell_positions(now, name, this_tick);
            let is_over = (self.channels.get(name))
                .is_none_or(|channel| self.clock.motion_due(now, channel, self).is_none());
            if is_over {
                self.clock.moving.remove(name);
            }
        }
        self.clock.tick = this_tick.wrapping_add(1);
        self.clock.ticked_at = Some(now);
    }

    /// Positions that came in another form go to `/` in the elektron form.
    fn tell_root(&mut self, name: &Arc<str>) {
        let Some(channel) = self.channels.get(name) else {
            return;
        };
        let is_heard = !channel.is_private && !self.everything.is_empty();
        let untold: Vec<_> = (channel.motion.moved.iter())
            .filter_map(|id| {
                let user = channel.users.get(id)?;
                let place = user.place.filter(|place| place.is_untold)?;
                let user_name = user
                    .field("\"userName\"")
                    .filter(|name| name.starts_with('"'));
                Some((
                    Arc::clone(id),
                    user_name.unwrap_or("\"\"").to_owned(),
                    place.position,
                ))
            })
            .collect();
        for (id, user_name, position) in untold {
            let value = elektron_value(&position);
            self.merge_told(name, &id, &value);
            if !is_heard {
                continue;
            }
            let contents = made::Contents {
                kind: "CHANNEL_USER_UPDATE",
                channel: name,
                user: &id,
                user_name: &user_name,
                value: value.as_bytes(),
            };
            let raw = self.maker.envelope(self.unix_us, &contents);
            let policy = Policy::Newest(format!("CUU:{name}:{id}").into());
            let message = made::frame(&"CHANNEL_USER_UPDATE".into(), name, raw, policy);
            self.everything.push(None, &message);
        }
    }

    fn tell_positions(&mut self, now: Instant, name: &Arc<str>, this_tick: u32) {
        let near_squared = self.clock.near_squared;
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        let moved = std::mem::take(&mut channel.motion.moved);
        let gone = std::mem::take(&mut channel.motion.gone);
        let far_from = channel.motion.far.take(now, this_tick.wrapping_add(1));
        let again_from = channel.motion.again.take(now, this_tick);
        if !moved.is_empty() && near_squared.is_some() {
            if far_from.is_none() {
                channel.motion.far.arm(now, self.clock.far_every);
            } else {
                channel.motion.far.due = None;
            }
        }
        if !moved.is_empty() && !channel.binary.is_empty() {
            channel.motion.again.arm(now, AGAIN_EVERY);
        }
        let fresh = entries(channel, |id, _| moved.contains(id));
        let late = far_from.map(|from| entries(channel, |_, place| place.moved_after >= from));
        let repeated = again_from.map(|from| {
            entries(channel, |id, place| {
                place.moved_after >= from && !moved.contains(id)
            })
        });
        let tick = this_tick.wrapping_add(1);
        self.tell_json(name, &fresh, late.as_deref(), &gone);
        self.tell_bytes(name, tick, &fresh, late.as_deref());
        if let (Some(repeated), Some(channel)) = (repeated, self.channels.get_mut(name)) {
            let to = channel.binary.list();
            push_frames(&mut self.out, &to, tick, false, repeated.iter());
        }
        self.tell_lagged(now, name);
    }

    /// JSON: when somebody is gone it is the whole state, which no later frame replaces.
    fn tell_json(
        &mut self,
        name: &Arc<str>,
        fresh: &[Entry],
        late: Option<&[Entry]>,
        gone: &BTreeSet<Arc<str>>,
    ) {
        let Some(channel) = self
            .channels
            .get_mut(name)
            .filter(|channel| !channel.json.is_empty())
        else {
            return;
        };
        let to = channel.json.list();
        if !gone.is_empty() {
            let whole = entries(channel, |_, _| true);
            let bytes = json_frame(whole.iter(), gone);
            push(&mut self.out, to, FrameKind::Text, bytes, true);
            return;
        }
        let none = BTreeSet::new();
        let (shared, own) = self.split(name, &to);
        if !fresh.is_empty() && !shared.is_empty() {
            let bytes = json_frame(fresh.iter(), &none);
            push(&mut self.out, shared, FrameKind::Text, bytes, false);
        }
        for (client, position) in own {
            let mut near = self.interesting(&position, fresh, late).peekable();
            if near.peek().is_some() {
                let bytes = json_frame(near, &none);
                push(
                    &mut self.out,
                    Arc::from([client]),
                    FrameKind::Text,
                    bytes,
                    false,
                );
            }
        }
    }

    fn tell_bytes(&mut self, name: &Arc<str>, tick: u32, fresh: &[Entry], late: Option<&[Entry]>) {
        let Some(channel) = self
            .channels
            .get_mut(name)
            .filter(|channel| !channel.binary.is_empty())
        else {
            return;
        };
        // What the numbers mean comes before them.
        channel.binary.flush(&mut self.out);
        let to = channel.binary.list();
        let (shared, own) = self.split(name, &to);
        push_frames(&mut self.out, &shared, tick, false, fresh.iter());
        for (client, position) in own {
            let near: Vec<_> = self.interesting(&position, fresh, late).collect();
            push_frames(
                &mut self.out,
                &Arc::from([client]),
                tick,
                false,
                near.into_iter(),
            );
        }
    }

    /// Whom somebody at this place is told of: who is near and has moved now, and from time to time everybody who has moved since.
    fn interesting<'a>(
        &self,
        me: &Position,
        fresh: &'a [Entry],
        late: Option<&'a [Entry]>,
    ) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let (me, near_squared) = (*me, self.clock.near_squared.unwrap_or(f32::INFINITY));
        let is_far_told = late.is_some();
        (late.unwrap_or(fresh).iter()).filter(move |entry| {
            is_far_told || entry.place.position.distance_squared(&me) <= near_squared
        })
    }

    /// Who gets the same as others, and who is somewhere and gets what is near there.
    fn split(
        &self,
        name: &Arc<str>,
        to: &Arc<[ClientId]>,
    ) -> (Arc<[ClientId]>, Vec<(ClientId, Position)>) {
        if self.clock.near_squared.is_none() {
            return (Arc::clone(to), Vec::new());
        }
        let (mut shared, mut own) = (Vec::new(), Vec::new());
        let users = self.channels.get(name).map(|channel| &channel.users);
        for id in to.iter() {
            let me = self.clients.get(id).and_then(|client| client.me.as_deref());
            let place = (users.zip(me))
                .and_then(|(users, me)| users.get(me))
                .and_then(|user| user.place);
            match place {
                Some(place) => own.push((*id, place.position)),
                None => shared.push(*id),
            }
        }
        (shared.into(), own)
    }

    /// Tells everything to those who missed something.
    fn tell_lagged(&mut self, now: Instant, name: &Arc<str>) {
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        let clients = &self.clients;
        let due: Vec<_> = (channel.motion.lagged.iter().copied())
            .filter(|id| {
                let client = clients.get(id);
                client.is_none_or(|client| client.whole_at + super::ticks::WHOLE_EVERY <= now)
            })
            .collect();
        for id in due {
            if let Some(channel) = self.channels.get_mut(name) {
                channel.motion.lagged.remove(&id);
            }
            self.tell_whole(now, name, id);
        }
    }

    /// Tells one client where everybody is.
    pub(super) fn tell_whole(&mut self, now: Instant, name: &Arc<str>, id: ClientId) {
        let (Some(channel), Some(client)) = (self.channels.get(name), self.clients.get_mut(&id))
        else {
            return;
        };
        client.whole_at = now;
        let whole = entries(channel, |_, _| true);
        if whole.is_empty() {
            return;
        }
        match client.positions {
            PositionForm::None => {}
            PositionForm::Json => {
                let bytes = json_frame(whole.iter(), &BTreeSet::new());
                push(&mut self.out, Arc::from([id]), FrameKind::Text, bytes, true);
            }
            PositionForm::Binary => {
                let mut value = Vec::new();
                let users = channel
                    .users
                    .iter()
                    .filter_map(|(id, user)| Some((id, user.place?)));
                for (user, place) in users {
                    value.push(if value.is_empty() { b'{' } else { b',' });
                    push_quoted(&mut value, user);
                    value.extend_from_slice(format!(":{}", place.number).as_bytes());
                }
                value.push(b'}');
                self.out.push_back(Output::Tell {
                    client: id,
                    message: frame("number", name, &value, Policy::Everything),
                });
                let to = Arc::from([id]);
                push_frames(&mut self.out, &to, self.clock.tick, true, whole.iter());
            }
        }
    }
}

fn entries(channel: &Channel, is_meant: impl Fn(&Arc<str>, &Place) -> bool) -> Vec<Entry> {
    (channel.users.iter())
        .filter_map(|(id, user)| {
            let place = user.place.filter(|place| is_meant(id, place))?;
            Some(Entry::new(id, place))
        })
        .collect()
}

fn json_frame<'a>(entries: impl Iterator<Item = &'a Entry>, gone: &BTreeSet<Arc<str>>) -> Bytes {
    let mut out = Vec::new();
    for entry in entries {
        let start: &[u8] = if out.is_empty() {
            b"{\"positions\":{"
        } else {
            b","
        };
        out.extend_from_slice(start);
        out.extend_from_slice(&entry.json);
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    for (index, id) in gone.iter().enumerate() {
        let start: &[u8] = match (index, out.is_empty()) {
            (0, true) => b"{\"gone\":[",
            (0, false) => b",\"gone\":[",
            _ => b",",
        };
        out.extend_from_slice(start);
        push_quoted(&mut out, id);
    }
    if !gone.is_empty() {
        out.push(b']');
    }
    out.push(b'}');
    Bytes::from(out)
}

fn push(
    out: &mut std::collections::VecDeque<Output>,
    to: Arc<[ClientId]>,
    frame: FrameKind,
    bytes: Bytes,
    is_whole: bool,
) {
    out.push_back(Output::Positions {
        to,
        frame,
        bytes,
        is_whole,
    });
}

fn push_frames<'a>(
    out: &mut std::collections::VecDeque<Output>,
    to: &Arc<[ClientId]>,
    tick: u32,
    is_whole: bool,
    entries: impl Iterator<Item = &'a Entry>,
) {
    if to.is_empty() {
        return;
    }
    let all: Vec<_> = entries
        .map(|entry| (entry.place.number, entry.place.position))
        .collect();
    for some in all.chunks(FRAME_ENTRIES_MAX) {
        let bytes = Bytes::from(write_frame(tick, is_whole, some));
        push(out, Arc::clone(to), FrameKind::Binary, bytes, is_whole);
    }
}

/// What the foyer sends and draws from.
fn elektron_value(position: &Position) -> String {
    let mut out = Vec::with_capacity(128);
    for (name, number) in FIELDS.iter().zip(position.numbers()) {
        out.push(if out.is_empty() { b'{' } else { b',' });
        write!(out, "\"{name}\":{number}").expect("memory takes it");
    }
    out.push(b'}');
    String::from_utf8(out).unwrap_or_default()
}
