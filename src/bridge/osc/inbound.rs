//! From datagrams to envelopes: who may say what into which space, and when. Told the time, and does no I/O.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use serde::Serialize;
use serde_json::Value;

use super::address::{self, Target};
use super::counters::OscCounters;
use super::echoes::Numbers;
use super::packet::{self, Fault};
use super::peers::{Origin, PeerSet, Peers};
use super::schedule::{Due, Schedule, due};
use super::value;

/// Bytes of a value: what the bus takes of any message, without the rest of its envelope.
const VALUE_MAX: usize = 60_000;

/// What no peer may say: it is about who is there, or comes from the server alone.
const RESERVED: [&str; 11] = [
    "CHANNELS_UPDATED",
    "CHANNEL_JOIN",
    "CHANNEL_LEAVE",
    "CHANNEL_USER_UPDATE",
    "CHAT_SYNC",
    "DELETE",
    "ERROR",
    "LIKE_SYNC",
    "RESET",
    "UPDATE",
    "USER_UPDATE",
];

/// The spaces that are bridged.
#[derive(Debug, Clone, Default)]
pub(super) struct Spaces {
    /// By name; empty: every one that is not in `private`.
    pub(super) listed: BTreeSet<String>,
    /// Not bridged unless listed.
    pub(super) private: BTreeSet<String>,
    /// What patterns can mean when nothing is listed: the public spaces of the configuration.
    pub(super) named: BTreeSet<String>,
}

impl Spaces {
    /// Those that an address means.
    fn of(&self, target: &Target<'_>) -> Vec<Arc<str>> {
        let known = if self.listed.is_empty() {
            &self.named
        } else {
            &self.listed
        };
        match target {
            Target::Pattern(pattern) => known
                .iter()
                .filter(|name| address::matches(pattern, name))
                .map(|name| name.as_str().into())
                .collect(),
            Target::Space(name) if self.is_bridged(name) => vec![(*name).into()],
            Target::Space(_) => Vec::new(),
        }
    }

    fn is_bridged(&self, name: &str) -> bool {
        if self.listed.is_empty() {
            !self.private.contains(name)
        } else {
            self.listed.contains(name)
        }
    }
}

/// What a peer says into a space.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    /// Where.
    pub(super) space: Arc<str>,
    /// Who is not sent it.
    pub(super) echoes: PeerSet,
    what: What,
    sender: Arc<str>,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Message { kind: Arc<str>, value: Arc<Value> },
    Moved { user: Arc<str>, to: Numbers },
}

#[derive(Serialize)]
struct Envelope<'a> {
    id: &'a str,
    datetime: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    channel: &'a str,
    #[serde(rename = "userId")]
    user_id: &'a str,
    #[serde(rename = "userName")]
    user_name: &'a str,
    value: &'a Value,
}

impl Said {
    /// Whom it moves, and where to.
    pub(super) fn moved(&self) -> Option<(&str, Numbers)> {
        match &self.what {
            What::Moved { user, to } => Some((user, *to)),
            What::Message { .. } => None,
        }
    }

    /// The envelope that goes to the bus.
    pub(super) fn envelope(&self, id: &str, datetime: &str) -> Option<Vec<u8>> {
        let position;
        let (kind, user_id, value) = match &self.what {
            What::Message { kind, value } => (&**kind, &*self.sender, &**value),
            What::Moved { user, to } => {
                let numbers = to.map(rosc::OscType::Float);
                position = value::from_args(&numbers);
                ("POSITION", &**user, &position)
            }
        };
        serde_json::to_vec(&Envelope {
            id,
            datetime,
            kind,
            channel: &self.space,
            user_id,
            user_name: "osc",
            value,
        })
        .ok()
    }
}

/// Takes datagrams and hands out what is due.
#[derive(Debug)]
pub(super) struct Inbound {
    spaces: Spaces,
    schedule: Schedule<Vec<Said>>,
    counters: Arc<OscCounters>,
    has_warned: bool,
}

impl Inbound {
    pub(super) fn new(spaces: Spaces, counters: Arc<OscCounters>) -> Self {
        Self {
            spaces,
            schedule: Schedule::default(),
            counters,
            has_warned: false,
        }
    }

    /// Looks at a datagram. What is to happen at once is added to `said`, the rest waits.
    pub(super) fn handle(
        &mut self,
        peers: &mut Peers,
        (now, wall): (Instant, SystemTime),
        (source, datagram): (SocketAddr, &[u8]),
        said: &mut Vec<Said>,
    ) {
        let Some(origin) = peers.origin(source) else {
            return count(&self.counters.strangers);
        };
        let messages = match packet::split(datagram) {
            Ok(messages) => messages,
            Err(fault) => return self.count_fault(fault),
        };
        for (tag, message) in messages {
            if !peers.admit(&origin, now) {
                count(&self.counters.too_many);
                continue;
            }
            count(&self.counters.received);
            let sayings = match packet::decode(message) {
                Ok(decoded) => self.understand(&origin, &decoded),
                Err(fault) => {
                    self.count_fault(fault);
                    continue;
                }
            };
            match due(tag, now, wall) {
                Due::Now => said.extend(sayings),
                Due::At(at) => {
                    if !self.schedule.push(at, message.len(), sayings) {
                        count(&self.counters.too_many);
                    }
                }
                Due::TooFar(ahead) => self.is_too_far(ahead.as_secs()),
            }
        }
    }

    /// Adds what is due by now.
    pub(super) fn take_due(&mut self, now: Instant, said: &mut Vec<Said>) {
        while let Some(due) = self.schedule.pop(now) {
            said.extend(due);
        }
    }

    /// When [`Self::take_due`] has something to give.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.schedule.deadline()
    }

    /// What a message says to each of the spaces it means.
    fn understand(&self, origin: &Origin, message: &rosc::OscMessage) -> Vec<Said> {
        let parsed = address::parse(&message.addr);
        let allowed = parsed.filter(|(_, kind)| !RESERVED.contains(kind));
        let spaces = allowed
            .as_ref()
            .map_or_else(Vec::new, |(target, _)| self.spaces.of(target));
        let what = allowed.and_then(|(_, kind)| understand(origin, kind, &message.args));
        let Some(what) = what.filter(|_| !spaces.is_empty()) else {
            count(&self.counters.not_for_us);
            return Vec::new();
        };
        let sender: Arc<str> = origin.name.as_str().into();
        let say = |space| Said {
            space,
            echoes: origin.echoes,
            what: what.clone(),
            sender: sender.clone(),
        };
        spaces.into_iter().map(say).collect()
    }

    fn count_fault(&self, fault: Fault) {
        count(match fault {
            Fault::Malformed => &self.counters.malformed,
            Fault::TooMuch => &self.counters.too_large,
        });
    }

    fn is_too_far(&mut self, ahead_s: u64) {
        count(&self.counters.too_early);
        if !self.has_warned {
            self.has_warned = true;
            tracing::warn!(
                ahead_s,
                "an OSC bundle is dated more than 10 s ahead and was dropped; compare the clocks of its sender and this \
                 machine"
            );
        }
    }
}

fn understand(origin: &Origin, kind: &str, args: &[rosc::OscType]) -> Option<What> {
    if is_position(kind) {
        let (user, to) = value::position(args)?;
        let user = user.filter(|user| !user.is_empty() && user.len() <= 128);
        return Some(What::Moved {
            user: user.unwrap_or(&origin.name).into(),
            to,
        });
    }
    let value = value::from_args(args);
    // Escapes make text longer: what counts is what the bus will see.
    let length = serde_json::to_vec(&value).map_or(usize::MAX, |json| json.len());
    (length <= VALUE_MAX).then(|| What::Message {
        kind: kind.into(),
        value: Arc::new(value),
    })
}

/// Positions have a form of their own, in both directions.
pub(super) fn is_position(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("position")
}

pub(super) fn count(number: &AtomicU64) {
    number.fetch_add(1, Ordering::Relaxed);
}
