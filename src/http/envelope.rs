//! Messages that the server itself sends for somebody who speaks HTTP.

use axum::body::Bytes;
use jiff::Timestamp;
use serde_json::json;

use super::errors::Problem;
use crate::clock;

/// Letters of an id, as clients make them.
const ID_LENGTH: usize = 16;

/// A message that is kept. `value` is JSON and is put in as it is.
///
/// # Errors
/// 503 when the operating system gives no random bytes.
pub(crate) fn stored(kind: &str, channel: &str, value: &[u8]) -> Result<Bytes, Problem> {
    let mut random = [0; ID_LENGTH];
    getrandom::fill(&mut random).map_err(|_| Problem::no_reply())?;
    let id: String = random
        .map(|byte| char::from(b'a' + byte % 26))
        .iter()
        .collect();
    let now = Timestamp::try_from(clock::wall()).unwrap_or(Timestamp::UNIX_EPOCH);
    let (id, kind, channel) = (json!(id), json!(kind), json!(channel));
    let head = format!(
        r#"{{"id":{id},"datetime":"{now:.3}","type":{kind},"channel":{channel},"userId":"","userName":"","store":true,"value":"#
    );
    let mut envelope = Vec::with_capacity(head.len() + value.len() + 1);
    envelope.extend_from_slice(head.as_bytes());
    envelope.extend_from_slice(value);
    envelope.push(b'}');
    Ok(envelope.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_has_all_that_clients_look_for_and_the_value_as_it_came() {
        let made = stored("VIDEO", "a \"b\"", br#"{ "x":1.50e1}"#).unwrap();
        let text = std::str::from_utf8(&made).unwrap();
        assert!(text.ends_with(r#""value":{ "x":1.50e1}}"#), "{text}");
        let read: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            (&read["type"], &read["channel"]),
            (&json!("VIDEO"), &json!("a \"b\""))
        );
        assert_eq!(read["store"], true);
        let id = read["id"].as_str().unwrap();
        assert!(id.len() == 16 && id.chars().all(|letter| letter.is_ascii_lowercase()));
        let time = read["datetime"].as_str().unwrap();
        assert!(time.parse::<Timestamp>().is_ok() && time.ends_with('Z') && time.len() == 24);
    }
}
