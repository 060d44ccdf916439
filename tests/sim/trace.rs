//! What happened when, to be compared between two runs.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use sfu::Event;

/// Off unless a test records.
#[derive(Debug, Default)]
pub struct Trace {
    pub records: bool,
    lines: Vec<String>,
}

impl Trace {
    /// A datagram arrived. Handshakes are left out: how many datagrams a flight takes depends on its signatures' lengths.
    pub fn note(&mut self, at: Duration, what: &str, address: SocketAddr, datagram: &[u8]) {
        if self.records && !matches!(datagram, [20..=63, ..]) {
            let bytes = datagram.len();
            let mut line = String::with_capacity(40);
            let _ = write!(line, "{:012} {what} {address} {bytes}", at.as_nanos());
            self.lines.push(line);
        }
    }

    /// A worker said something.
    pub fn note_event(&mut self, at: Duration, worker: usize, event: &Event) {
        if self.records {
            self.lines
                .push(format!("{:012} worker {worker} {event:?}", at.as_nanos()));
        }
    }

    /// Puts what happened at one instant in one order, whatever order str0m chose.
    pub fn settle(&mut self) {
        self.lines.sort();
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The first line that differs, from both.
    pub fn first_difference<'a>(
        &'a self,
        other: &'a Self,
    ) -> Option<(usize, Option<&'a String>, Option<&'a String>)> {
        let length = self.lines.len().max(other.lines.len());
        (0..length)
            .map(|at| (at, self.lines.get(at), other.lines.get(at)))
            .find(|(_, mine, theirs)| mine != theirs)
    }
}
