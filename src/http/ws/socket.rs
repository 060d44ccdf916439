//! One WebSocket: `tungstenite` reads it, prepared frames are written to it.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{self, Error, Message};

use super::handshake::Opened;
use crate::bus::frames;

/// The longest message: 1 MB of a picture, and what is around it.
pub(crate) const MESSAGE_MAX: usize = (1 << 20) + 4096;

/// What is read at a time, and what each connection has of it.
const READ_BUFFER: usize = 4096;

/// The head of a client's ping or pong.
const CONTROL_HEAD: usize = 6;

/// What the system takes of what it cannot send yet: the rest waits here, where newer states replace older ones.
const UNSENT_MAX: u32 = 128 * 1024;

/// Parts that go into one system call.
const PARTS_MAX: usize = 32;

/// The stream, what is read of it and what is still to be written.
pub(super) struct Socket {
    stream: TcpStream,
    reader: WebSocketContext,
    /// What `tungstenite` answers to a ping or a close: the last of it counts.
    answer: Vec<u8>,
    /// Whole frames one behind the other; of the first part, `written` bytes are gone.
    parts: VecDeque<Bytes>,
    /// Bytes that were read of messages that are not whole.
    unread: usize,
    /// The first part as it was, so that the end of the frame under way can be found.
    first: Bytes,
}

impl Socket {
    pub(super) fn new(opened: Opened) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // What it answers is handed over at once.
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX));
        let reader = match opened.read.is_empty() {
            true => WebSocketContext::new(Role::Server, Some(config)),
            false => WebSocketContext::from_partially_read(
                opened.read.to_vec(),
                Role::Server,
                Some(config),
            ),
        };
        #[cfg(target_os = "linux")]
        if let Err(error) = SockRef::from(&opened.stream).set_tcp_notsent_lowat(UNSENT_MAX) {
            tracing::debug!(%error, "a socket option is refused");
        }
        Self {
            stream: opened.stream,
            reader,
            answer: Vec::new(),
            parts: VecDeque::new(),
            unread: opened.read.len(),
            first: Bytes::new(),
        }
    }

    /// Reads until the client has closed, and looks at nothing of it: what is too long, or no frame, goes on coming for a while.
    pub(super) fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; READ_BUFFER];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// The next message, pings and closes included. Pending without a wake-up, too, when more than `unread_max` bytes of a message were
    /// read: look at [`unread`](Self::unread).
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        unread_max: usize,
    ) -> Poll<tungstenite::Result<Message>> {
        let mut wire = Wire {
            stream: &mut self.stream,
            context,
            answer: &mut self.answer,
            unread: &mut self.unread,
            unread_max,
        };
        let result = self.reader.read(&mut wire);
        match &result {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return Poll::Pending;
            }
            // They may come in the middle of a message.
            Ok(Message::Ping(bytes) | Message::Pong(bytes)) => {
                self.unread = self.unread.saturating_sub(CONTROL_HEAD + bytes.len());
            }
            _ => self.unread = 0,
        }
        Poll::Ready(result)
    }

    /// Bytes that were read of messages that are not whole; a little more, when the next one has begun.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    /// Puts whole frames behind what is to be written.
    pub(super) fn put(&mut self, frames: Bytes) {
        if self.parts.is_empty() {
            self.first = frames.clone();
        }
        self.parts.push_back(frames);
    }

    /// Whether nothing is left to be written.
    pub(super) fn is_written(&self) -> bool {
        self.parts.is_empty() && self.answer.is_empty()
    }

    /// Whether a ping or a close is to be answered.
    pub(super) fn has_answer(&self) -> bool {
        !self.answer.is_empty()
    }

    /// Writes what is there; ready when all of it is with the system.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.parts.is_empty() {
                if self.answer.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let answer = std::mem::take(&mut self.answer);
                self.put(Bytes::from(answer));
            }
            let stream = Pin::new(&mut self.stream);
            let count = if self.parts.len() == 1 {
                ready!(stream.poll_write(context, &self.parts[0]))?
            } else {
                let mut slices = [IoSlice::new(&[]); PARTS_MAX];
                let mut filled = 0;
                for (slice, part) in slices.iter_mut().zip(&self.parts) {
                    *slice = IoSlice::new(part);
                    filled += 1;
                }
                ready!(stream.poll_write_vectored(context, &slices[..filled]))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
        }
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(part) = self.parts.front_mut() {
            if count < part.len() {
                part.advance(count);
                return;
            }
            count -= part.len();
            self.parts.pop_front();
            self.first = self.parts.front().cloned().unwrap_or_default();
        }
    }

    /// Drops what is not yet written, but for the frame under way, and puts a close there.
    pub(super) fn close(&mut self, code: u16, reason: &str) {
        let left = self.parts.front().map_or(0, Bytes::len);
        let written = self.first.len() - left;
        let end = match left {
            0 => written,
            _ => frames::boundary(&self.first, written),
        };
        let rest = self.first.slice(written..end);
        self.parts.clear();
        self.answer.clear();
        self.parts.extend((!rest.is_empty()).then_some(rest));
        self.parts.push_back(frames::close(code, reason));
        self.first = Bytes::new();
    }

    /// Tells the client that nothing more comes.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The stream as `tungstenite` sees it: it reads the real one, and writes to a buffer.
struct Wire<'a, 'b> {
    stream: &'a mut TcpStream,
    context: &'a mut Context<'b>,
    answer: &'a mut Vec<u8>,
    unread: &'a mut usize,
    unread_max: usize,
}

impl Read for Wire<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if *self.unread > self.unread_max {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.stream).poll_read(self.context, &mut buffer) {
            Poll::Ready(Ok(())) => {
                *self.unread += buffer.filled().len();
                Ok(buffer.filled().len())
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Wire<'_, '_> {
    /// It writes one frame at a time, a pong or a close; of many pongs only the last is owed (RFC 6455 section 5.5.3).
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        self.answer.clear();
        self.answer.extend_from_slice(frame);
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
