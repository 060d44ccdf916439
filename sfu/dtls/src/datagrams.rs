//! What OpenSSL sees of the network: whole datagrams in both directions.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// Datagrams waiting to be polled. The longest flight, our certificate in the smallest MTU, has six, and each
/// retransmission adds as many, but str0m polls after every input. Above that, new ones are dropped and counted: to
/// the peer they are lost, and DTLS and SCTP both recover from loss.
const OUTGOING_MAX: usize = 64;

/// The stream underneath an `SslStream`.
#[derive(Debug)]
pub(super) struct Datagrams {
    mtu: usize,
    incoming: Vec<u8>,
    unread: bool,
    outgoing: VecDeque<Vec<u8>>,
    /// What is written now may join the last datagram.
    is_joining: bool,
    written: u64,
    dropped: u64,
}

impl Datagrams {
    /// `mtu` in bytes limits joined datagrams; OpenSSL is told separately.
    pub(super) fn new(mtu: usize) -> Self {
        Self {
            mtu,
            incoming: Vec::new(),
            unread: false,
            outgoing: VecDeque::new(),
            is_joining: false,
            written: 0,
            dropped: 0,
        }
    }

    /// Whether written datagrams are joined as far as they fit. OpenSSL fills datagrams by itself, except when it sends
    /// a flight again: then it makes one of each record, and each can be lost.
    pub(super) fn join(&mut self, is_joining: bool) {
        self.is_joining = is_joining;
    }

    /// Offers one datagram for the next read. One that was not read is lost.
    pub(super) fn set_incoming(&mut self, datagram: &[u8]) {
        self.incoming.clear();
        self.incoming.extend_from_slice(datagram);
        self.unread = true;
    }

    /// Withdraws the datagram if nobody has read it.
    pub(super) fn clear_incoming(&mut self) {
        self.unread = false;
    }

    /// The length in bytes of the next datagram to send.
    pub(super) fn next_len(&self) -> Option<usize> {
        self.outgoing.front().map(Vec::len)
    }

    /// The next datagram to send.
    pub(super) fn pop_outgoing(&mut self) -> Option<Vec<u8>> {
        self.outgoing.pop_front()
    }

    /// Forgets everything that has not been sent.
    pub(super) fn clear_outgoing(&mut self) {
        self.outgoing.clear();
    }

    /// Whether another datagram would be dropped.
    pub(super) fn is_full(&self) -> bool {
        self.outgoing.len() >= OUTGOING_MAX
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_drained(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// How many datagrams OpenSSL has written since the beginning, dropped ones included.
    pub(super) fn written(&self) -> u64 {
        self.written
    }
}

impl Read for Datagrams {
    /// Reads one datagram; as with a socket, what does not fit into `buf` is lost.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.unread {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.unread = false;
        let len = buf.len().min(self.incoming.len());
        buf[..len].copy_from_slice(&self.incoming[..len]);
        Ok(len)
    }
}

impl Write for Datagrams {
    /// Queues one datagram. Never fails, since OpenSSL gives a connection up on a failed write.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.written += 1;
        if self.is_joining
            && let Some(last) = self.outgoing.back_mut()
            && last.len() + buf.len() <= self.mtu
        {
            last.extend_from_slice(buf);
        } else if self.is_full() {
            self.dropped += 1;
            tracing::debug!(dropped = self.dropped, "outgoing DTLS datagrams overflow");
        } else {
            self.outgoing.push_back(buf.to_vec());
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
