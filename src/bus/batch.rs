//! Messages that several clients get in one turn, encoded once.

use std::sync::{Arc, OnceLock};

use bus::{FrameKind, Message, Policy};
use bytes::{BufMut as _, Bytes, BytesMut};

use super::frames;

/// What a message costs beside its bytes: itself, its names and its place in lists.
const MESSAGE_OVERHEAD: usize = 320;

/// In which form a client gets messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As they came: clients of `/`.
    Root,
    /// Inside an object of the server's: clients of `/ws/{space}` and of data channels.
    Space,
}

/// Messages in order, and the bytes that go over the wire for them. Clients share it.
#[derive(Debug)]
pub struct Batch {
    messages: Arc<[Arc<Message>]>,
    /// What one client holds with it.
    weight: usize,
    has_states: bool,
    root: OnceLock<Bytes>,
    space: OnceLock<Bytes>,
}

impl Batch {
    /// Nothing is encoded yet.
    #[must_use]
    pub fn new(messages: Arc<[Arc<Message>]>) -> Self {
        let of_frames = |message: &Arc<Message>| message.raw.len() + weight(message);
        let weight = messages.iter().map(of_frames).sum();
        let has_states = messages.iter().any(|message| is_state(message));
        Self {
            messages,
            weight,
            has_states,
            root: OnceLock::new(),
            space: OnceLock::new(),
        }
    }

    /// The messages.
    #[must_use]
    pub fn messages(&self) -> &Arc<[Arc<Message>]> {
        &self.messages
    }

    /// The bytes that a client holds which holds this and which nobody else needs: the messages and the frames.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Whether a newer message may replace one of these.
    #[must_use]
    pub fn has_states(&self) -> bool {
        self.has_states
    }

    /// All messages as WebSocket frames, one behind the other. The first caller of each form encodes them.
    #[must_use]
    pub fn wire(&self, form: Form) -> &Bytes {
        let encoded = match form {
            Form::Root => &self.root,
            Form::Space => &self.space,
        };
        encoded.get_or_init(|| {
            let payloads = self.messages.iter().map(|message| payload(message, form));
            let payloads: Vec<_> = payloads.collect();
            let sizes = payloads
                .iter()
                .map(|(_, bytes)| bytes.len() + frames::HEAD_MAX);
            let mut wire = BytesMut::with_capacity(sizes.sum());
            for (kind, bytes) in payloads {
                frames::put_head(&mut wire, kind, bytes.len());
                wire.put_slice(&bytes);
            }
            wire.freeze()
        })
    }
}

/// What a message is in a form: how it is framed and its bytes.
#[must_use]
pub fn payload(message: &Message, form: Form) -> (FrameKind, Bytes) {
    match form {
        Form::Root => (message.frame, message.raw.clone()),
        Form::Space => (FrameKind::Text, message.wrapped()),
    }
}

/// Whether a newer message may replace it.
pub(super) fn is_state(message: &Message) -> bool {
    matches!(message.policy, Policy::Newest(_))
}

/// What a message makes whoever holds it hold: its bytes and what is around them.
pub(super) fn weight(message: &Message) -> usize {
    message.raw.len() + MESSAGE_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(raw: &'static [u8], frame: FrameKind) -> Arc<Message> {
        Arc::new(Message {
            seq: 7,
            channel: "stage".into(),
            kind: "HEART".into(),
            id: None,
            user: None,
            frame,
            raw: Bytes::from_static(raw),
            media: None,
            is_kept: false,
            policy: Policy::Everything,
        })
    }

    #[test]
    fn a_batch_is_its_messages_as_frames_without_a_mask() {
        let batch = Batch::new(Arc::from([
            message(b"{\"a\":1}", FrameKind::Text),
            message(b"{\"b\":2}", FrameKind::Binary),
        ]));
        assert_eq!(
            batch.wire(Form::Root),
            &b"\x81\x07{\"a\":1}\x82\x07{\"b\":2}"[..]
        );
        let wrapped: &[u8] =
            b"\x81\x1b{\"message\":{\"a\":1},\"seq\":7}\x81\x1b{\"message\":{\"b\":2},\"seq\":7}";
        assert_eq!(batch.wire(Form::Space), wrapped);
        // Encoded once: the same bytes at the same place.
        assert_eq!(
            batch.wire(Form::Root).as_ptr(),
            batch.wire(Form::Root).as_ptr()
        );
        assert!(batch.weight() >= 2 * 14);
    }
}
