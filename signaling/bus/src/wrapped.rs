//! How new clients get a message: inside an object of the server's, untouched.

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::message::Message;

/// What is around the envelope: `{"message":,"seq":1234567890123456,"media":{"stream":"","life":"","time_ms":1234567890123}}` and names.
const AROUND: usize = 256;

impl Message {
    /// The text that clients of a space get: `{"message":ENVELOPE,"seq":N,"media":{...}}` with the envelope's own bytes, `{"text":...}` for
    /// what is no JSON, and the server's own frames as they are. Each call makes it anew; a batch makes it once for all.
    pub fn wrapped(&self) -> Bytes {
        if self.is_made() {
            return self.raw.clone();
        }
        let mut out = Vec::with_capacity(self.raw.len() + AROUND);
        match self.json() {
            Some(json) => {
                out.extend_from_slice(b"{\"message\":");
                out.extend_from_slice(json);
            }
            None => {
                out.extend_from_slice(b"{\"text\":");
                push_quoted(&mut out, &String::from_utf8_lossy(&self.raw));
            }
        }
        out.extend_from_slice(format!(",\"seq\":{}", self.seq).as_bytes());
        if let Some(media) = &self.media {
            out.extend_from_slice(b",\"media\":{\"stream\":");
            push_quoted(&mut out, &media.stream);
            out.extend_from_slice(b",\"life\":");
            push_quoted(&mut out, &media.life);
            out.extend_from_slice(format!(",\"time_ms\":{}}}", media.time_ms).as_bytes());
        }
        out.push(b'}');
        Bytes::from(out)
    }

    /// Whether it is a frame of the server's own, such as `welcome` or `presence`: it has no number, is never filtered and never wrapped.
    pub fn is_made(&self) -> bool {
        self.seq == 0
    }

    /// Whether somebody who wants only these types gets it; an empty list wants all.
    pub fn is_wanted(&self, types: &[std::sync::Arc<str>]) -> bool {
        self.is_made() || types.is_empty() || types.contains(&self.kind)
    }

    /// What has a channel was read as JSON when it came; only what has none must be looked at.
    fn json(&self) -> Option<&[u8]> {
        let is_json = !self.channel.is_empty()
            || std::str::from_utf8(&self.raw)
                .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        is_json.then_some(&self.raw[..])
    }
}

/// Appends a JSON string.
pub(super) fn push_quoted(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON, and memory takes it");
}
