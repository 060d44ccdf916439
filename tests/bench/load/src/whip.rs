//! WHIP and WHEP.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::fleet::Fleet;
use crate::{authority, http};

const SPACE: &str = "load";
const TRIES_MAX: usize = 200;

pub(crate) struct Whip {
    host: String,
    resources: Vec<String>,
}

impl Whip {
    pub(crate) fn new(url: &str) -> Result<Self> {
        Ok(Self {
            host: authority(url)?.to_owned(),
            resources: Vec::new(),
        })
    }

    pub(crate) fn publish(&mut self, offer: &str, fleet: &mut Fleet) -> Result<String> {
        self.post(&format!("/whip/{SPACE}"), offer, fleet)
    }

    pub(crate) fn view(&mut self, offer: &str, fleet: &mut Fleet) -> Result<String> {
        self.post(&format!("/whep/{SPACE}"), offer, fleet)
    }

    /// Sends an offer; media goes on while the server asks to wait.
    fn post(&mut self, path: &str, offer: &str, fleet: &mut Fleet) -> Result<String> {
        for _ in 0..TRIES_MAX {
            let answer = http::request(&self.host, "POST", path, "application/sdp", offer)?;
            match answer.status {
                201 => {
                    self.resources
                        .extend(answer.header("location").map(str::to_owned));
                    return Ok(answer.body);
                }
                // Nothing is live yet, or we come too fast.
                409 | 429 | 503 => fleet.run_for(Duration::from_millis(100))?,
                status => bail!("POST {path}: {status} {}", answer.body),
            }
        }
        bail!("POST {path}: refused {TRIES_MAX} times")
    }

    /// Says good-bye for all. A server that is gone already is none of our business.
    pub(crate) fn end(&mut self) {
        for resource in self.resources.drain(..) {
            let _ = http::request(&self.host, "DELETE", &resource, "text/plain", "");
        }
    }
}
