//! The pictures of slates, encoded on a thread of their own while the performer is still there.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use transcode::slate_keyframe;

/// Pictures that wait for the thread; each takes some ms.
const WAITING_MAX: usize = 64;

/// Pictures that are remembered, of 20 kB: three layers of eighty streams.
const KNOWN_MAX: usize = 256;

/// What is on a card, and its size in pixels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Face {
    space: Arc<str>,
    width: u32,
    height: u32,
}

/// A keyframe of H.264, when it is there; without one the performer's last picture is shown.
pub(super) type Card = Arc<OnceLock<Bytes>>;

/// The way to the thread. What finds no room is asked for again with the next format.
#[derive(Clone)]
pub(super) struct Cards {
    jobs: SyncSender<(Face, Card)>,
}

impl Cards {
    /// Starts the thread. It ends when the last sender is gone.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, jobs_in) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("slates".into())
            .spawn(move || work(&jobs_in))?;
        Ok(Self { jobs })
    }

    /// Has a card made. Never waits.
    pub(super) fn order(&self, space: &Arc<str>, width: u32, height: u32) -> Card {
        let face = Face {
            space: space.clone(),
            width,
            height,
        };
        let card = Card::default();
        if self.jobs.try_send((face, card.clone())).is_err() {
            tracing::debug!(%space, width, height, "no card now; too many are being made");
        }
        card
    }
}

fn work(jobs: &Receiver<(Face, Card)>) {
    let mut known: BTreeMap<Face, Bytes> = BTreeMap::new();
    for (face, card) in jobs {
        if !known.contains_key(&face) {
            match slate_keyframe(&face.space, face.width, face.height) {
                Ok(keyframe) => {
                    if known.len() >= KNOWN_MAX {
                        known.pop_first();
                    }
                    known.insert(face.clone(), keyframe);
                }
                Err(error) => {
                    tracing::debug!(space = %face.space, %error, "the last picture will stand for a slate");
                }
            }
        }
        if let Some(keyframe) = known.get(&face) {
            // Each is ordered once.
            let _ = card.set(keyframe.clone());
        }
    }
}
