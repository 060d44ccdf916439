//! Everybody moves, and everybody sees everybody move. The first coordinate is the time at which somebody was there.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::crowd::Crowd;
use super::histogram::Histogram;
use super::socket::Heard;
use super::{Options, Usage};

/// Everybody is there and has moved.
const WARM_UP: Duration = Duration::from_secs(2);
/// Each so-manyth client looks at what it is told; the others only count it.
const LOOKS: usize = 20;

/// What was heard.
struct Seen {
    bytes: u64,
    frames: u64,
    /// Frames and messages with positions, by those who look, and the positions in them.
    looked: u64,
    positions: u64,
    age: Histogram,
    errors: u64,
    first_error: Option<String>,
    closed: u64,
}

pub(super) fn run(options: &Options) -> Result<Value> {
    let is_space = options.url.contains("/ws/");
    let mut crowd = Crowd::connected(&options.url, options.viewers)?;
    for client in 0..crowd.len() {
        crowd.say(client, joining(client).as_bytes());
    }
    let mut seen = Seen {
        bytes: 0,
        frames: 0,
        looked: 0,
        positions: 0,
        age: Histogram::new(),
        errors: 0,
        first_error: None,
        closed: 0,
    };
    let mut said = 0;
    move_about(&mut crowd, &mut seen, options, &mut said, WARM_UP, is_space)?;
    (seen.bytes, seen.frames, seen.looked, seen.positions) = (0, 0, 0, 0);
    seen.age.clear();
    let (said_before, before) = (said, Usage::now(options)?);
    let began = Instant::now();
    let time = Duration::from_secs(options.seconds);
    move_about(&mut crowd, &mut seen, options, &mut said, time, is_space)?;
    let seconds = began.elapsed().as_secs_f64();
    let after = Usage::now(options)?;
    let per_second = |count: u64| (count as f64 / seconds).round();
    let looking = crowd.len().div_ceil(LOOKS) as f64;
    Ok(json!({
        "clients": crowd.len(),
        "form": if is_space { "space" } else { "elektron" },
        "moves_per_s": per_second(said - said_before),
        "frames_per_s": per_second(seen.frames),
        "bytes_per_s": per_second(seen.bytes),
        "positions_per_client_and_s": (seen.positions as f64 / seconds / looking).round(),
        "position_frames_per_client_and_s": (seen.looked as f64 / seconds / looking * 10.0).round() / 10.0,
        "age_ms": seen.age.quantiles(),
        "server_cores": (after.server_us - before.server_us) as f64 / seconds / 1e6,
        "own_cores": (after.own_us - before.own_us) as f64 / seconds / 1e6,
        "server_kb": after.server_kb,
        "errors": seen.errors,
        "first_error": seen.first_error,
        "closed": seen.closed,
    }))
}

fn joining(client: usize) -> String {
    format!(
        r#"{{"id":"abcdefghijklmnop","datetime":"2026-01-01T00:00:00.000Z","type":"CHANNEL_JOIN","channel":"stage","userId":"u{client}","userName":"Somebody {client}","value":{{"userName":"Somebody {client}"}}}}"#
    )
}

/// As the foyer sends it, and as a client of a space may.
fn moving(client: usize, ms: u64, is_space: bool) -> String {
    let head = format!(
        r#"{{"id":"abcdefghijklmnop","datetime":"2026-01-01T00:00:00.000Z","channel":"stage","userId":"u{client}","userName":"Somebody {client}","#
    );
    let (z, turn) = (client as f32 * 0.37, (ms % 6283) as f32 / 1000.0);
    if is_space {
        format!(r#"{head}"type":"POSITION","value":[{ms},1.7,{z},0,{turn},0]}}"#)
    } else {
        format!(
            r##"{head}"type":"CHANNEL_USER_UPDATE","value":{{"userColor":"#8844aa","userX":{ms},"userY":1.7,"userZ":{z},"userRotationX":0,"userRotationY":{turn},"userRotationZ":0}}}}"##
        )
    }
}

/// Everybody in turn, evenly over time.
fn move_about(
    crowd: &mut Crowd,
    seen: &mut Seen,
    options: &Options,
    said: &mut u64,
    time: Duration,
    is_space: bool,
) -> Result<()> {
    let rate = f64::from(options.rate) * crowd.len() as f64;
    let (began, mut here) = (Instant::now(), 0u64);
    while began.elapsed() < time {
        while (here as f64) < began.elapsed().as_secs_f64() * rate {
            let client = *said as usize % crowd.len();
            let message = moving(client, crowd.now_us() / 1000, is_space);
            crowd.say(client, message.as_bytes());
            here += 1;
            *said += 1;
        }
        let next = here as f64 / rate - began.elapsed().as_secs_f64();
        let now = crowd.now_us();
        let asked = Instant::now();
        crowd.turn(Duration::from_secs_f64(next.max(0.0)), |index, heard| {
            let now_ms = (now + asked.elapsed().as_micros() as u64) as f64 / 1000.0;
            seen.hear(index, heard, now_ms);
        })?;
    }
    Ok(())
}

impl Seen {
    fn hear(&mut self, index: usize, heard: Heard, now_ms: f64) {
        let bytes = match heard {
            Heard::Message(bytes) => bytes,
            Heard::Closed(_) => {
                self.closed += 1;
                return;
            }
            Heard::Opened => return,
        };
        self.bytes += bytes.len() as u64;
        self.frames += 1;
        if !index.is_multiple_of(LOOKS) {
            return;
        }
        if bytes.starts_with(b"{\"error\"") || find(bytes, b"\"type\":\"ERROR\"").is_some() {
            self.errors += 1;
            let text = || String::from_utf8_lossy(bytes).chars().take(300).collect();
            self.first_error.get_or_insert_with(text);
        } else if bytes.starts_with(b"{\"positions\"") {
            let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
            self.looked += 1;
            for position in value["positions"].as_object().into_iter().flatten() {
                self.note(position.1[0].as_f64(), now_ms);
            }
        } else if find(bytes, b"\"type\":\"CHANNEL_USER_UPDATE\"").is_some() {
            self.looked += 1;
            if let Some(at) = find(bytes, b"\"userX\":") {
                let rest = bytes[at + 8..].split(|byte| matches!(byte, b',' | b'}'));
                let text = rest.into_iter().next().map(String::from_utf8_lossy);
                self.note(text.and_then(|text| text.parse().ok()), now_ms);
            }
        }
    }

    fn note(&mut self, then_ms: Option<f64>, now_ms: f64) {
        if let Some(then_ms) = then_ms {
            self.positions += 1;
            self.age.add(((now_ms - then_ms).max(0.0) * 1000.0) as u64);
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|at| at == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_json() {
        for is_space in [true, false] {
            let value: Value = serde_json::from_str(&moving(7, 1234, is_space)).unwrap();
            assert_eq!(value["userId"], "u7");
            let x = if is_space {
                &value["value"][0]
            } else {
                &value["value"]["userX"]
            };
            assert_eq!(x, 1234);
        }
        serde_json::from_str::<Value>(&joining(1)).unwrap();
    }
}
