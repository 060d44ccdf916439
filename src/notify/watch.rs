//! Where events come from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt as _;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::event::{Event, Participant};
use super::receiver::Notifier;
use crate::clock;
use crate::conference::{Conferences, Movement};
use crate::config::WebhookEvent;
use crate::media::Handle;
use crate::recording::{Archive, Recording};
use crate::shutdown::Shutdown;

/// Whom it is heard from.
#[derive(Clone)]
pub struct Sources {
    /// Streams.
    pub media: Handle,
    /// Participants.
    pub conferences: Conferences,
    /// Recordings.
    pub archive: Archive,
}

/// Which streams are live, and since when.
type Live = BTreeMap<Arc<str>, Option<SystemTime>>;

/// Tells of everything that happens from now on, until `stop` begins; what happened before that is told, too.
///
/// Of what comes faster than this task runs (some hundred things at once) live and ended streams are told all the same;
/// who joined and left meanwhile is not, and a line of the log says how many that were.
pub async fn watch(sources: Sources, notifier: Notifier, stop: Shutdown) {
    let mut changes = sources.media.directory().changes();
    let mut movements = sources.conferences.movements();
    let mut recordings = sources.archive.finished();
    let mut streams = Streams::default();
    streams.look_everywhere(&sources.media, &notifier);
    loop {
        tokio::select! {
            changed = changes.recv() => match changed {
                Ok(space) => streams.look(&sources.media, &space, &notifier),
                Err(RecvError::Lagged(_)) => streams.look_everywhere(&sources.media, &notifier),
                Err(RecvError::Closed) => break,
            },
            Some(moved) = next(&mut movements, "movements of participants") => {
                notifier.tell(&movement(moved));
            }
            Some(recording) = next(&mut recordings, "recordings") => {
                notifier.tell(&recorded(&recording));
            }
            () = stop.begun() => break,
        }
    }
    streams.look_everywhere(&sources.media, &notifier);
    while let Some(Some(moved)) = next(&mut movements, "movements of participants").now_or_never() {
        notifier.tell(&movement(moved));
    }
    while let Some(Some(recording)) = next(&mut recordings, "recordings").now_or_never() {
        notifier.tell(&recorded(&recording));
    }
}

/// The next one; `None` when there will be none.
async fn next<T: Clone>(receiver: &mut Receiver<T>, what: &str) -> Option<T> {
    loop {
        match receiver.recv().await {
            Ok(item) => return Some(item),
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, what, "webhooks were not told of everything");
            }
            Err(RecvError::Closed) => return None,
        }
    }
}

/// What was live when it was looked at.
#[derive(Debug, Default)]
pub(super) struct Streams(BTreeMap<Arc<str>, Live>);

impl Streams {
    fn look(&mut self, media: &Handle, space: &Arc<str>, notifier: &Notifier) {
        let streams = media.directory().space(space).into_iter();
        let live = streams
            .filter(|summary| summary.live)
            .map(|summary| (summary.stream, summary.since))
            .collect();
        for event in self.see(space, live, clock::wall()) {
            notifier.tell(&event);
        }
    }

    fn look_everywhere(&mut self, media: &Handle, notifier: &Notifier) {
        let live = media.directory().live().into_iter();
        let mut spaces: BTreeSet<Arc<str>> = live.map(|(key, _)| key.space).collect();
        spaces.extend(self.0.keys().cloned());
        for space in spaces {
            self.look(media, &space, notifier);
        }
    }

    /// What has happened in a space, now that these are live. A stream that is live since another time has ended between.
    pub(super) fn see(&mut self, space: &Arc<str>, live: Live, now: SystemTime) -> Vec<Event> {
        let before = self.0.remove(space).unwrap_or_default();
        let event = |kind, stream: &Arc<str>| Event {
            stream: Some(stream.clone()),
            ..Event::new(kind, space.clone(), now)
        };
        let ended = before
            .iter()
            .filter(|(stream, since)| live.get(*stream) != Some(since))
            .map(|(stream, _)| event(WebhookEvent::Ended, stream));
        let begun = live
            .iter()
            .filter(|(stream, since)| before.get(*stream) != Some(since))
            .map(|(stream, _)| event(WebhookEvent::Live, stream));
        let events = ended.chain(begun).collect();
        if !live.is_empty() {
            self.0.insert(space.clone(), live);
        }
        events
    }
}

fn movement(moved: Movement) -> Event {
    let kind = if moved.has_joined {
        WebhookEvent::Joined
    } else {
        WebhookEvent::Left
    };
    Event {
        participant: Some(Participant {
            id: moved.id,
            name: moved.name,
        }),
        ..Event::new(kind, moved.space, clock::wall())
    }
}

fn recorded(recording: &Recording) -> Event {
    let space = recording.key.space.clone();
    Event {
        stream: Some(recording.key.stream.clone()),
        recording: Some(recording.id.clone()),
        ..Event::new(WebhookEvent::Recorded, space, clock::wall())
    }
}
