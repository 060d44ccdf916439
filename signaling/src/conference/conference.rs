//! The state of one conference, and its two verbs.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use super::io::{Config, ConnectionId, Input, Output};
use super::protocol::close;

/// How long a client may take for its first message.
const JOIN_MAX: Duration = Duration::from_secs(10);

/// Everybody in one space. Drain [`poll`](Conference::poll) after each [`handle`](Conference::handle).
#[derive(Debug)]
pub struct Conference {
    #[expect(dead_code, reason = "told in the welcome")]
    config: Config,
    waiting: BTreeMap<ConnectionId, Instant>,
    out: VecDeque<Output>,
}

impl Conference {
    /// An empty conference.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            waiting: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// Takes one input. `now` never goes back; `wall` is the same moment for people.
    pub fn handle(&mut self, now: Instant, _wall: SystemTime, input: Input) {
        match input {
            Input::Opened { connection, .. } => {
                self.waiting.insert(connection, now + JOIN_MAX);
            }
            Input::Closed { connection } => {
                self.waiting.remove(&connection);
            }
            Input::Stopping => {
                for connection in std::mem::take(&mut self.waiting).into_keys() {
                    self.close(connection, close::STOPPING, "the server stops");
                }
            }
            Input::Text { .. } | Input::Verified { .. } | Input::News(_) | Input::Timeout => {}
        }
        let late: Vec<_> = (self.waiting.iter())
            .filter(|(_, deadline)| **deadline <= now)
            .map(|(connection, _)| *connection)
            .collect();
        for connection in late {
            self.waiting.remove(&connection);
            self.close(connection, close::POLICY, "no join within 10 s");
        }
    }

    /// What to do next; `None` until the next input.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.values().min().copied()
    }

    /// Whether nobody is here and nobody is about to be: the conference can be dropped.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.out.is_empty()
    }

    fn close(&mut self, connection: ConnectionId, code: u16, reason: &'static str) {
        self.out.push_back(Output::Close {
            connection,
            code,
            reason,
        });
    }
}
