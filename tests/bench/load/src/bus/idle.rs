//! What a server's memory is for clients who listen.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::crowd::Crowd;
use super::envelope::{envelope, said_at};
use super::socket::Heard;
use super::{Options, Usage};

/// Everybody has heard something: what a server allocates for the first message is there.
const WORDS: usize = 10;
const SILENCE: Duration = Duration::from_secs(2);

pub(super) fn run(options: &Options) -> Result<Value> {
    let before = Usage::now(options)?;
    let mut crowd = Crowd::connected(&options.url, options.viewers)?;
    let mut heard = 0u64;
    for word in 0..WORDS {
        let envelope = envelope(word, crowd.now_us());
        crowd.say(word % options.viewers, &envelope);
        crowd.listen(Duration::from_millis(100), |_, what| {
            heard += u64::from(matches!(what, Heard::Message(bytes) if said_at(bytes).is_some()));
        })?;
    }
    crowd.listen(SILENCE, |_, what| {
        heard += u64::from(matches!(what, Heard::Message(bytes) if said_at(bytes).is_some()));
    })?;
    let quiet = Usage::now(options)?;
    crowd.listen(Duration::from_secs(options.seconds), |_, _| {})?;
    let after = Usage::now(options)?;
    let clients = options.viewers.max(1);
    Ok(json!({
        "clients": options.viewers,
        "open": crowd.open_count(),
        "heard_share": heard as f64 / (clients * WORDS) as f64,
        "rss_kb_before": before.server_kb,
        "rss_kb": after.server_kb,
        "kb_per_client": after.server_kb.saturating_sub(before.server_kb) as f64 / clients as f64,
        "idle_cores": (after.server_us - quiet.server_us) as f64 / options.seconds.max(1) as f64 / 1e6,
    }))
}
