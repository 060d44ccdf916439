//! The one [`Venue`], which decides who is live where and which sessions exist, behind a lock. Far from the packet path: threads tell
//! it by events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sfu::{RoomId, StreamId};
use tokio::sync::broadcast;
use uuid::Uuid;
use venue::{
    Consequence, Gone, Limits, Moment, Output, SessionRecord, StreamKey, StreamSummary, Trouble,
    Venue,
};

use super::mailbox::Mailbox;
use crate::clock;

/// Changes that a slow listener may be behind; then it looks at everything anew.
const CHANGES_MAX: usize = 256;

/// What is live and who is there. Cheap to ask; safe from any thread but a media thread.
#[derive(Debug)]
pub struct Directory {
    state: Mutex<State>,
    changes: broadcast::Sender<Arc<str>>,
}

#[derive(Debug)]
struct State {
    venue: Venue,
    /// Of the conferences.
    mailboxes: BTreeMap<RoomId, Arc<Mailbox>>,
}

impl Directory {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            state: Mutex::new(State {
                venue: Venue::new(limits),
                mailboxes: BTreeMap::new(),
            }),
            changes: broadcast::channel(CHANGES_MAX).0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is made in one go: a panic elsewhere leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the venue something.
    pub(super) fn ask<R>(&self, question: impl FnOnce(&Venue) -> R) -> R {
        question(&self.lock().venue)
    }

    /// Tells the venue something, at the present time, and does what it says is to be done. `carry_out` has workers told; as the lock is
    /// held meanwhile, all of them hear of changes in the order in which those were made.
    pub(super) fn change<R>(
        &self,
        change: impl FnOnce(&mut Venue, Moment) -> R,
        carry_out: impl FnMut(Consequence),
    ) -> R {
        let mut state = self.lock();
        let result = change(&mut state.venue, moment());
        self.settle(&mut state, carry_out);
        result
    }

    fn settle(&self, state: &mut State, mut carry_out: impl FnMut(Consequence)) {
        while let Some(output) = state.venue.poll() {
            match output {
                Output::Consequence(consequence) => carry_out(consequence),
                Output::Changed(space) => {
                    // Nobody listens: fine.
                    let _ = self.changes.send(space);
                }
                Output::Mail(room, event) => {
                    if let Some(mailbox) = state.mailboxes.get(&room) {
                        mailbox.put(event);
                    }
                }
            }
        }
    }

    /// A change that concerns nobody but who follows a space.
    fn note(&self, change: impl FnOnce(&mut Venue)) {
        let carry_out = |consequence| tracing::error!(?consequence, "nobody is told");
        self.change(|venue, _| change(venue), carry_out);
    }

    pub(super) fn open_room(&self, loudest_max: usize) -> (RoomId, Arc<Mailbox>) {
        let mut state = self.lock();
        let room = state.venue.open_room(loudest_max);
        let mailbox = Arc::new(Mailbox::default());
        state.mailboxes.insert(room, mailbox.clone());
        (room, mailbox)
    }

    /// Nothing comes into a room's mailbox any more.
    pub(super) fn drop_mailbox(&self, room: RoomId) {
        self.lock().mailboxes.remove(&room);
    }

    /// The session behind a resource, while it exists.
    pub fn session(&self, resource: Uuid) -> Option<SessionRecord> {
        self.ask(|venue| venue.session(resource))
    }

    /// How the session behind a resource ended, if that is some minutes ago at most, and what it was.
    pub fn gone(&self, resource: Uuid) -> Option<(SessionRecord, Gone)> {
        self.ask(|venue| venue.gone(resource, clock::now()))
    }

    /// Forgets how a session ended.
    pub fn forget_gone(&self, resource: Uuid) {
        self.note(|venue| venue.forget_gone(resource));
    }

    /// Every stream of a space that is live or has viewers, by name.
    pub fn space(&self, space: &str) -> Vec<StreamSummary> {
        self.ask(|venue| venue.space(space))
    }

    /// What is wrong with what is published now.
    pub fn troubles(&self, key: &StreamKey) -> Vec<Trouble> {
        self.ask(|venue| venue.troubles(key))
    }

    /// What the publisher calls the layers of its picture, in its order; empty while there is none.
    pub fn layer_names(&self, key: &StreamKey) -> Vec<String> {
        self.ask(|venue| venue.layer_names(key))
    }

    /// Whether there is something to see or hear.
    pub fn is_live(&self, key: &StreamKey) -> bool {
        self.ask(|venue| venue.is_live(key))
    }

    /// Whether somebody publishes `key`, or is about to: whoever comes waits.
    pub fn is_taken(&self, key: &StreamKey) -> bool {
        self.ask(|venue| venue.is_taken(key))
    }

    /// Whether a source may ask for a stream: nobody publishes it, or fell silent on it, but a backup; or it has no backup.
    pub fn is_open_to(&self, key: &StreamKey, is_backup: bool) -> bool {
        self.ask(|venue| venue.is_open_to(key, is_backup))
    }

    /// The sessions of publishers that wait for a stream, or stand by.
    pub fn waiting(&self) -> Vec<Uuid> {
        self.ask(Venue::waiting)
    }

    /// WHEP sessions now, over all streams.
    pub fn viewers(&self) -> usize {
        self.ask(Venue::viewers)
    }

    /// Every stream that is live.
    pub fn live(&self) -> Vec<(StreamKey, StreamId)> {
        self.ask(Venue::live)
    }

    /// Streams that are live, and sessions, over all spaces.
    pub fn totals(&self) -> (usize, usize) {
        self.ask(Venue::totals)
    }

    /// Publications that were found to send pictures out of order, since the start.
    pub fn reordered(&self) -> u64 {
        self.ask(Venue::reordered)
    }

    /// Has whoever follows a space look again: something that is not known here changed.
    pub fn has_changed(&self, space: &Arc<str>) {
        self.note(|venue| venue.has_changed(space));
    }

    /// Names of spaces in which something changed, as it happens. A receiver that lags must look at everything anew.
    pub fn changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.changes.subscribe()
    }

    /// Says what is wrong with the camera of a stream, or that it plays. Whoever follows the space looks again.
    pub fn set_camera_trouble(&self, key: &StreamKey, reason: Option<Arc<str>>) {
        self.note(|venue| venue.set_camera_trouble(key, reason));
    }

    /// The cameras of a space that do not play, by the names of their streams, and why.
    pub fn camera_troubles(&self, space: &str) -> Vec<(Arc<str>, Arc<str>)> {
        self.ask(|venue| venue.camera_troubles(space))
    }
}

/// What time it is.
fn moment() -> Moment {
    Moment {
        now: clock::now(),
        unix_us: clock::unix_micros(),
    }
}
