//! Cues: messages of the bus that players get as `EXT-X-DATERANGE`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{Message, Permissions, PositionForm, Subscription};
use hls::DateRange;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use crate::broadcast::Broadcast;
use crate::bus::{Bus, Item, Opening, Outbox, Refused, STOPPING};
use crate::media;

/// The type of message that players are told of.
const CUE: &str = "CUE";

/// The `CLASS` of their date ranges.
const CLASS: &str = "proscenium.cue";

/// A value longer than this, as JSON, is not put into playlists, which everybody loads twice a second: the history has it.
const VALUE_MAX: usize = 512;

/// The same for the texts that clients choose to be known by.
const NAME_MAX: usize = 64;

/// Between two looks at what is live, however much changes.
const PAUSE: Duration = Duration::from_millis(20);

/// Before a space is listened to again that the bus refused or broke off.
const AGAIN: Duration = Duration::from_secs(1);

/// The task that listens to one space; it ends with this.
struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens to every space that is live, and tells the players of its cues. To be run once; ends when nothing can go live any
/// more. Each space is one client of the bus.
pub async fn run_cues(bus: Bus, broadcast: Broadcast, media: media::Handle) {
    let mut listeners: BTreeMap<Arc<str>, Listener> = BTreeMap::new();
    let mut changes = media.directory().changes();
    loop {
        let live = media.directory().live().into_iter();
        let live: BTreeSet<Arc<str>> = live.map(|(key, _)| key.space).collect();
        // Of a performer who may come back, players wait for the rest.
        listeners.retain(|space, _| {
            live.contains(space) || !broadcast.published().shows(space).is_empty()
        });
        for space in live {
            listeners.entry(space).or_insert_with_key(|space| {
                let listening = listen(bus.clone(), broadcast.clone(), space.clone());
                Listener(tokio::spawn(listening))
            });
        }
        if matches!(changes.recv().await, Err(RecvError::Closed)) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
        changes = changes.resubscribe();
    }
}

/// Until the bus stops.
async fn listen(bus: Bus, broadcast: Broadcast, space: Arc<str>) {
    loop {
        let opening = Opening {
            subscription: Subscription::Space {
                space: space.clone(),
                types: vec![CUE.into()],
                since: None,
                positions: PositionForm::None,
            },
            permissions: Permissions::default(),
            address: "".into(),
        };
        match bus.connect(opening) {
            Ok((_client, mut outbox)) => {
                let code = hear(&mut outbox, &broadcast, &space).await;
                if code == STOPPING {
                    return;
                }
            }
            Err(Refused::Stopping) => return,
            Err(error) => tracing::debug!(%space, %error, "cues are not heard at the moment"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Until the end, whose code it returns.
async fn hear(outbox: &mut Outbox, broadcast: &Broadcast, space: &str) -> u16 {
    let tell = |message: &Arc<Message>| {
        if let Some(range) = cue(message) {
            broadcast.tell_players(space, &range);
        }
    };
    loop {
        match outbox.next().await {
            Item::Batch(batch) => batch.messages().iter().for_each(tell),
            Item::One(message) => tell(&message),
            Item::Positions { .. } => {}
            Item::Close { code, .. } => return code,
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    value: serde_json::Value,
    #[serde(default, rename = "userName", alias = "username")]
    name: serde_json::Value,
}

/// The date range of a cue: its `ID` is the message's number, its value is JSON in `X-PROSCENIUM-VALUE`. Nothing for a message
/// of another type, for one that came while there was no picture, and for what is no JSON object.
fn cue(message: &Message) -> Option<DateRange> {
    if &*message.kind != CUE {
        return None;
    }
    let moment = message.media.as_ref()?;
    let envelope: Envelope = serde_json::from_slice(&message.raw).ok()?;
    let value = envelope.value.to_string();
    let name = envelope.name.as_str().unwrap_or_default();
    let id = message.id.as_deref().unwrap_or_default();
    let attributes = [
        ("X-PROSCENIUM-VALUE", value.as_str(), VALUE_MAX),
        ("X-PROSCENIUM-MESSAGE", id, NAME_MAX),
        ("X-PROSCENIUM-USER", name, NAME_MAX),
    ];
    let attributes: Vec<(&str, &str)> = attributes
        .into_iter()
        .filter(|(_, text, most)| (1..=*most).contains(&text.len()))
        .map(|(name, text, _)| (name, text))
        .collect();
    Some(DateRange::moment(
        &message.seq.to_string(),
        CLASS,
        moment.time_ms,
        &attributes,
    ))
}

#[cfg(test)]
mod tests {
    use bus::{FrameKind, MediaMoment, Policy};
    use bytes::Bytes;

    use super::*;

    fn message(kind: &str, raw: &str, time_ms: Option<u64>) -> Message {
        Message {
            seq: 1_700_000_000_000_000,
            channel: "stage".into(),
            kind: kind.into(),
            id: Some("abcdefghijklmnop".into()),
            user: None,
            frame: FrameKind::Text,
            raw: Bytes::copy_from_slice(raw.as_bytes()),
            media: time_ms.map(|time_ms| MediaMoment {
                stream: "main".into(),
                life: "00c0ffee".into(),
                time_ms,
            }),
            is_kept: false,
            policy: Policy::Everything,
        }
    }

    #[test]
    fn a_cue_is_a_moment_of_the_picture_with_its_value_as_json() {
        let raw = r#"{"type":"CUE","userName":"Ada \"L\"","value":{"light":"blue","level":0.5}}"#;
        let cue = cue(&message(CUE, raw, Some(1_700_000_000_040))).unwrap();
        assert_eq!(
            cue.line(),
            "#EXT-X-DATERANGE:ID=\"1700000000000000\",CLASS=\"proscenium.cue\",START-DATE=\"2023-11-14T22:13:20.040Z\",DURATION=0,\
             X-PROSCENIUM-VALUE=\"{%22level%22:0.5,%22light%22:%22blue%22}\",X-PROSCENIUM-MESSAGE=\"abcdefghijklmnop\",\
             X-PROSCENIUM-USER=\"Ada%20%22L%22\""
        );
    }

    #[test]
    fn what_is_no_cue_or_has_no_moment_is_none_and_a_long_value_is_left_to_the_history() {
        let raw = r#"{"value":1}"#;
        assert!(cue(&message("CHAT", raw, Some(1))).is_none());
        assert!(cue(&message(CUE, raw, None)).is_none());
        assert!(cue(&message(CUE, "lights!", Some(1))).is_none());
        let long = format!("{{\"value\":\"{}\"}}", "x".repeat(VALUE_MAX));
        let long = cue(&message(CUE, &long, Some(1))).unwrap();
        assert!(!long.line().contains("VALUE") && long.line().contains("MESSAGE"));
        let empty = cue(&message(CUE, "{}", Some(1))).unwrap();
        assert!(empty.line().contains("X-PROSCENIUM-VALUE=\"null\""));
    }
}
