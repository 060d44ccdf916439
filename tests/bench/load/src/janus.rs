//! Janus's videoroom over its HTTP transport: one session, one handle for each peer.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{authority, http};

const ROOM: u64 = 1234;
const EVENTS_MAX: usize = 50;

pub(crate) struct Janus {
    host: String,
    session: u64,
    /// The publisher's handle and its feed.
    publisher: (u64, u64),
}

impl Janus {
    pub(crate) fn new(url: &str) -> Result<Self> {
        let mut janus = Self {
            host: authority(url)?.to_owned(),
            session: 0,
            publisher: (0, 0),
        };
        janus.session = janus.id("/janus", &json!({ "janus": "create" }))?;
        Ok(janus)
    }

    pub(crate) fn publish(&mut self, offer: &str) -> Result<String> {
        let handle = self.attach()?;
        let body = json!({ "request": "joinandconfigure", "room": ROOM, "ptype": "publisher", "audio": false, "video": true });
        self.message(handle, &body, Some(("offer", offer)))?;
        let event = self.event(|event| event["jsep"]["type"] == "answer")?;
        let feed = event["plugindata"]["data"]["id"]
            .as_u64()
            .context("no feed id")?;
        self.publisher = (handle, feed);
        sdp(&event)
    }

    /// A handle and Janus's offer for it.
    pub(crate) fn offer_for_viewer(&mut self) -> Result<(u64, String)> {
        let handle = self.attach()?;
        let body = json!({ "request": "join", "room": ROOM, "ptype": "subscriber", "streams": [{ "feed": self.publisher.1 }] });
        self.message(handle, &body, None)?;
        let event = self.event(|event| event["jsep"]["type"] == "offer")?;
        Ok((handle, sdp(&event)?))
    }

    pub(crate) fn answer(&mut self, handle: u64, answer: &str) -> Result<()> {
        self.message(
            handle,
            &json!({ "request": "start" }),
            Some(("answer", answer)),
        )
    }

    pub(crate) fn end(&mut self) {
        let path = format!("/janus/{}", self.session);
        let _ = self.post(&path, &json!({ "janus": "destroy" }));
    }

    fn attach(&mut self) -> Result<u64> {
        let path = format!("/janus/{}", self.session);
        self.id(
            &path,
            &json!({ "janus": "attach", "plugin": "janus.plugin.videoroom" }),
        )
    }

    fn message(&mut self, handle: u64, body: &Value, jsep: Option<(&str, &str)>) -> Result<()> {
        let mut message = json!({ "janus": "message", "body": body });
        if let Some((kind, sdp)) = jsep {
            message["jsep"] = json!({ "type": kind, "sdp": sdp });
        }
        let path = format!("/janus/{}/{handle}", self.session);
        let reply = self.post(&path, &message)?;
        if reply["janus"] == "error" {
            bail!("Janus: {}", reply["error"]["reason"]);
        }
        Ok(())
    }

    /// Polls events until one is wanted; others (hangups of nobody, keep-alives) are dropped.
    fn event(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let path = format!("/janus/{}?maxev=1", self.session);
        for _ in 0..EVENTS_MAX {
            let answer = http::request(&self.host, "GET", &path, "text/plain", "")?;
            let event: Value = serde_json::from_str(&answer.body)?;
            // With maxev the events come as a list, without as one.
            for event in event
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![event.clone()])
            {
                if let Some(error) = event["plugindata"]["data"]["error"].as_str() {
                    bail!("Janus: {error}");
                }
                if wanted(&event) {
                    return Ok(event);
                }
            }
        }
        bail!("Janus sent {EVENTS_MAX} other events")
    }

    fn id(&self, path: &str, message: &Value) -> Result<u64> {
        let reply = self.post(path, message)?;
        reply["data"]["id"]
            .as_u64()
            .with_context(|| format!("Janus answered {reply}"))
    }

    fn post(&self, path: &str, message: &Value) -> Result<Value> {
        let mut message = message.clone();
        message["transaction"] = "load".into();
        let answer = http::request(
            &self.host,
            "POST",
            path,
            "application/json",
            &message.to_string(),
        )?;
        Ok(serde_json::from_str(&answer.body)?)
    }
}

fn sdp(event: &Value) -> Result<String> {
    event["jsep"]["sdp"]
        .as_str()
        .map(str::to_owned)
        .context("no SDP")
}
