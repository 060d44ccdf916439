//! What the shell learns from events, and tells the workers.

use sfu::{Command, Event, Input, PeerId, StreamId, TrackInfo, WorkerId};

use super::World;

/// What the shell knows of a stream.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    pub origin: Option<usize>,
    pub publisher: Option<PeerId>,
    pub tracks: Vec<TrackInfo>,
}

impl World {
    pub(super) fn on_event(&mut self, worker: usize, event: Event) {
        self.trace.note_event(self.now - self.base, worker, &event);
        match &event {
            Event::Live {
                stream,
                peer,
                tracks,
            } => {
                let entry = self.directory.entry(*stream).or_default();
                if entry.publisher == Some(*peer) {
                    entry.tracks.clone_from(tracks);
                    if self.is_feed(*stream) {
                        self.tell_origin(*stream, Some(worker), Some(worker));
                    }
                }
            }
            Event::TookOver { stream, peer, .. } => {
                let entry = self.directory.entry(*stream).or_default();
                entry.publisher = Some(*peer);
                if entry.origin.is_none() {
                    entry.origin = Some(worker);
                    self.tell_origin(*stream, Some(worker), Some(worker));
                }
            }
            Event::Ended { stream, peer } => {
                let entry = self.directory.entry(*stream).or_default();
                if entry.publisher == Some(*peer) {
                    *entry = Entry::default();
                    self.tell_origin(*stream, None, None);
                }
            }
            _ => {}
        }
        self.on_conference_event(&event);
        self.events.push((self.now - self.base, worker, event));
    }

    /// Tells every worker but `except` where a stream comes from.
    pub fn tell_origin(&mut self, stream: StreamId, origin: Option<usize>, except: Option<usize>) {
        let origin = origin.map(|at| WorkerId(u8::try_from(at).unwrap()));
        for worker in (0..self.nodes.len()).filter(|worker| Some(*worker) != except) {
            let now = self.now;
            let command = Command::SetOrigin { stream, origin };
            self.nodes[worker]
                .worker
                .handle(now, Input::Command(command));
            // Drained by its deadline, which is now.
            self.nodes[worker].deadline = now;
        }
    }
}
