//! One client: as much of RFC 6455 as a client of a known server needs, on a socket that never blocks.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::{Result, bail};
use mio::net::TcpStream;

/// Read with one system call: many messages.
const READ: usize = 256 * 1024;
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The example of RFC 6455 section 1.3, with its answer.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Any but zero: a server might skip that one.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Upgrading,
    Open,
    Closed,
}

/// What a socket hears.
pub(super) enum Heard<'a> {
    /// The server has agreed to speak WebSocket.
    Opened,
    /// A whole message, or a part of a long one.
    Message(&'a [u8]),
    /// The server closed the connection, or there was none: with a code, or by no word.
    Closed(Option<u16>),
}

pub(super) struct Socket {
    pub(super) stream: TcpStream,
    state: State,
    /// The beginning of a frame whose end has not come.
    rest: Vec<u8>,
    /// What the kernel did not take yet.
    unsent: Vec<u8>,
}

impl Socket {
    /// Begins to connect.
    pub(super) fn open(address: SocketAddr, path: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        Ok(Self {
            stream,
            state: State::Upgrading,
            rest: Vec::new(),
            unsent: request.into_bytes(),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Says `payload` in one text frame.
    pub(super) fn say(&mut self, payload: &[u8]) {
        if self.state == State::Open {
            self.send(1, payload);
        }
    }

    fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.unsent.push(0x80 | opcode);
        match payload.len() {
            length @ 0..126 => self.unsent.push(0x80 | length as u8),
            length @ 126..65536 => {
                self.unsent.push(0x80 | 126);
                self.unsent.extend((length as u16).to_be_bytes());
            }
            length => {
                self.unsent.push(0x80 | 127);
                self.unsent.extend((length as u64).to_be_bytes());
            }
        }
        self.unsent.extend(MASK);
        let masked = payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask);
        self.unsent.extend(masked);
        self.flush();
    }

    /// Writes what the kernel takes; what is wrong with the socket is found when it is read.
    pub(super) fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Reads what is there; to the very end when the other side has closed, because no other event would tell of that. `buffer` is
    /// scratch space that all sockets share.
    pub(super) fn read(
        &mut self,
        buffer: &mut Vec<u8>,
        is_closing: bool,
        hear: &mut impl FnMut(Heard),
    ) {
        loop {
            let kept = self.rest.len();
            if buffer.len() < kept + READ {
                buffer.resize(kept + READ, 0);
            }
            buffer[..kept].copy_from_slice(&self.rest);
            let space = buffer.len() - kept;
            let count = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => return self.close(None, hear),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::NotConnected
                    ) =>
                {
                    return;
                }
                Err(_) => return self.close(None, hear),
            };
            let Ok(used) = self.take(&buffer[..kept + count], hear) else {
                return self.close(None, hear);
            };
            if self.state == State::Closed {
                return;
            }
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[used..kept + count]);
            // A stream's short read has emptied it, says epoll(7): one more would only say so.
            if count < space && !is_closing {
                return;
            }
        }
    }

    fn close(&mut self, code: Option<u16>, hear: &mut impl FnMut(Heard)) {
        self.state = State::Closed;
        self.rest = Vec::new();
        hear(Heard::Closed(code));
    }

    /// Takes whole frames off the front of `bytes` and returns how long they are.
    fn take(&mut self, bytes: &[u8], hear: &mut impl FnMut(Heard)) -> Result<usize> {
        let mut at = 0;
        if self.state == State::Upgrading {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                if bytes.len() > HEAD_BYTES_MAX {
                    bail!("no end of the head");
                }
                return Ok(0);
            };
            at = end + 4;
            let head = String::from_utf8_lossy(&bytes[..at]);
            if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
                bail!("no WebSocket: {head:.60}");
            }
            self.state = State::Open;
            hear(Heard::Opened);
        }
        while let Some((opcode, payload, end)) = frame(&bytes[at..])? {
            let payload = &bytes[at + payload..at + end];
            at += end;
            match opcode {
                CLOSE => {
                    let code = payload
                        .first_chunk()
                        .map(|code: &[u8; 2]| u16::from_be_bytes(*code));
                    self.send(CLOSE, payload);
                    self.close(code, hear);
                    return Ok(at);
                }
                PING => self.send(PONG, payload),
                PONG => {}
                _ => hear(Heard::Message(payload)),
            }
        }
        Ok(at)
    }
}

/// The opcode of the first frame, where its payload begins and where it ends; `None` as long as it is not whole.
fn frame(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>> {
    let &[first, second, ..] = bytes else {
        return Ok(None);
    };
    let (start, length) = match second {
        length @ 0..126 => (2, u64::from(length)),
        126 => match bytes.get(2..4).and_then(<[u8]>::first_chunk) {
            Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        127 => match bytes.get(2..10).and_then(<[u8]>::first_chunk) {
            Some(length) => (10, u64::from_be_bytes(*length)),
            None => return Ok(None),
        },
        _ => bail!("a server must not mask"),
    };
    let end = start + usize::try_from(length)?;
    Ok((bytes.len() >= end).then_some((first & 15, start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_known_when_it_is_whole() {
        assert_eq!(frame(b"\x81").unwrap(), None);
        assert_eq!(frame(b"\x81\x02a").unwrap(), None);
        assert_eq!(frame(b"\x81\x02abc").unwrap(), Some((1, 2, 4)));
        let mut long = vec![0x82, 126, 1, 0];
        assert_eq!(frame(&long).unwrap(), None);
        long.resize(4 + 256, b'x');
        assert_eq!(frame(&long).unwrap(), Some((2, 4, 260)));
        assert!(frame(b"\x81\x82....").is_err());
    }
}
