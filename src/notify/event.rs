//! What happened, as a receiver reads it.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::config::WebhookEvent;

/// Something that happened in a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: WebhookEvent,
    /// Where.
    pub space: Arc<str>,
    /// Which stream, of all but [`WebhookEvent::Joined`] and [`WebhookEvent::Left`].
    pub stream: Option<Arc<str>>,
    /// Who joined or left.
    pub participant: Option<Participant>,
    /// What was recorded: the id of the recording in the API.
    pub recording: Option<Arc<str>>,
    /// When.
    pub time: SystemTime,
    /// Unique, and the same in every attempt, so that a receiver can tell repetitions.
    pub id: Uuid,
}

/// Somebody in a conference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// As in the conference's protocol.
    pub id: String,
    /// Their name; one can have it without being the one.
    pub name: String,
}

#[derive(Serialize)]
struct Body<'a> {
    event: &'static str,
    space: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant: Option<&'a Participant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording: Option<&'a str>,
    time: String,
    id: String,
}

impl Event {
    /// Something that happens at `time`, of which nothing else is known yet.
    #[must_use]
    pub fn new(kind: WebhookEvent, space: Arc<str>, time: SystemTime) -> Self {
        Self {
            kind,
            space,
            stream: None,
            participant: None,
            recording: None,
            time,
            id: Uuid::new_v4(),
        }
    }

    /// The body of the request: a JSON object.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let time = Timestamp::try_from(self.time).unwrap_or_default();
        let body = Body {
            event: self.kind.name(),
            space: &self.space,
            stream: self.stream.as_deref(),
            participant: self.participant.as_ref(),
            recording: self.recording.as_deref(),
            time: format!("{time:.3}"),
            id: self.id.to_string(),
        };
        serde_json::to_vec(&body).expect("strings and numbers can be JSON")
    }
}
