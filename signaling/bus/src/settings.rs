//! What an operator may set, and what it is if nothing is.

use std::collections::BTreeSet;
use std::sync::Arc;

/// How a hub behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Frames of positions per second, 1 to 60.
    pub position_hz: u8,
    /// Whom you are nearer than this, you get with every frame; `None`: everybody.
    pub position_radius: Option<f32>,
    /// Frames per second with those who are farther.
    pub far_hz: u8,
    /// Messages per second and client; 0: any number.
    pub client_rate: u32,
    /// Messages at once and client.
    pub client_burst: u32,
    /// Words that CHAT must not have, in lower case.
    pub words: Vec<String>,
    /// Spaces that `/` neither hears nor speaks to.
    pub private: BTreeSet<Arc<str>>,
    /// Spaces that always have room: whoever fills the server with spaces of their own keeps nobody out of these.
    pub named: BTreeSet<Arc<str>>,
    /// The largest number on disk: numbers go on after it.
    pub last_seq: u64,
    /// Makes the ids of the server's own messages differ from those of its last life.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            position_hz: 20,
            position_radius: None,
            far_hz: 2,
            client_rate: 100,
            client_burst: 200,
            words: Vec::new(),
            private: BTreeSet::new(),
            named: BTreeSet::new(),
            last_seq: 0,
            seed: 0,
        }
    }
}
