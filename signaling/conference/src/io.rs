//! What goes into a [`Conference`](super::Conference) and what comes out: plain data.

use std::sync::Arc;
use std::time::Duration;

/// One WebSocket. Chosen by the shell, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// One PeerConnection of a participant. Chosen by the conference; unique and never reused within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// One feed of a participant: its camera and microphone, or its screen. Chosen by the conference; unique and never reused within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId(pub u64);

/// What a participant may do, rising.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum ParticipantRole {
    /// Sees, hears, raises a hand.
    Viewer,
    /// Publishes its camera and microphone, shares its screen.
    Participant,
    /// Also music mode, and its feeds as streams of the space.
    Performer,
    /// Also everything of [`Moderate`](super::protocol::Moderate).
    Moderator,
}

/// What a token gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: ParticipantRole,
    /// A name that the participant cannot change.
    pub name: Option<String>,
    /// Who it is. An identity that was used with one subject is refused with another.
    pub subject: Option<String>,
}

/// Why a token gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The space wants one.
    Missing,
    /// It was not made here, or was changed.
    Invalid,
    /// It was valid once.
    Expired,
    /// It is for another space.
    OtherSpace,
}

/// A STUN or TURN server for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:` URL.
    pub url: String,
    /// TURN only.
    pub username: Option<String>,
    /// TURN only.
    pub credential: Option<String>,
}

/// What does not change while a conference lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The space's name.
    pub space: String,
    /// What the server calls itself, e.g. `proscenium 0.2.0`.
    pub server: String,
    /// Participants at a time; the next one is told that it is full.
    pub participants_max: usize,
    /// Voices that are forwarded at a time; only told to clients.
    pub loudest_max: usize,
    /// Told to clients.
    pub ice_servers: Vec<IceServer>,
}

/// Input to [`Conference::handle`](super::Conference::handle).
#[derive(Debug)]
pub enum Input {
    /// A WebSocket to this space is open.
    Opened {
        /// Its name.
        connection: ConnectionId,
        /// From the system's generator; the participant's id and resume secret are made of it.
        random: [u8; 32],
    },
    /// A text message came.
    Text {
        /// From where.
        connection: ConnectionId,
        /// Whole, at most [`TEXT_MAX`](super::protocol::TEXT_MAX) bytes; a longer one is answered with an error.
        text: String,
    },
    /// The WebSocket is gone, whoever closed it. Not needed after [`Output::Close`], and harmless then.
    Closed {
        /// Which.
        connection: ConnectionId,
    },
    /// The answer to [`Output::Verify`].
    Verified {
        /// Whose token it was.
        connection: ConnectionId,
        /// What it gives.
        result: Result<Grant, Denied>,
    },
    /// Something happened to media.
    News(News),
    /// Time passed: [`Conference::deadline`](super::Conference::deadline) is reached.
    Timeout,
    /// The server stops: everybody is told and let go.
    Stopping,
}

/// Output of [`Conference::poll`](super::Conference::poll).
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send one text to many. Order counts per connection, also against [`Output::Close`].
    Send {
        /// To whom.
        to: Vec<ConnectionId>,
        /// JSON, serialised once.
        text: Arc<str>,
    },
    /// Close a WebSocket after what was sent to it. The conference has forgotten it.
    Close {
        /// Which.
        connection: ConnectionId,
        /// See [`close`](super::protocol::close).
        code: u16,
        /// For people.
        reason: &'static str,
    },
    /// Check a token and answer with [`Input::Verified`]. Once for each connection at most.
    Verify {
        /// Whose.
        connection: ConnectionId,
        /// As the client sent it.
        token: Option<String>,
    },
    /// Something to do for media.
    Order(Order),
    /// Somebody new is in; who comes back is not new. For whoever watches from outside.
    Joined {
        /// The participant's id in the protocol.
        id: String,
        /// Its name.
        name: String,
    },
    /// Somebody is gone for good.
    Left {
        /// The participant's id in the protocol.
        id: String,
        /// Its name, as it was last.
        name: String,
    },
}

/// What media has to do. Orders for one session, and orders for one feed, are carried out in the order in which they come.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Open a PeerConnection. Answered by [`News::Answered`] with id 0; refused, the session is gone.
    Open {
        /// Its name.
        session: SessionId,
        /// SDP as received.
        offer: String,
        /// Whose it is: the participant's id in the protocol.
        participant: String,
        /// What the participant may do now.
        role: ParticipantRole,
        /// Over which it was offered.
        connection: ConnectionId,
    },
    /// A later offer of the client. Answered by [`News::Answered`]; refused, the session goes on as it was. An offer made
    /// for [`Order::AddSlots`] that waits for its answer is withdrawn by it.
    Reoffer {
        /// Whose.
        session: SessionId,
        /// To be repeated in the news.
        id: u64,
        /// SDP as received.
        offer: String,
    },
    /// Make an offer so that the session has this many slots. Answered by [`News::Offered`].
    AddSlots {
        /// Whose.
        session: SessionId,
        /// For sound.
        audio: usize,
        /// For pictures.
        video: usize,
    },
    /// The client's answer to the offer. Answered by [`News::AnswerTaken`].
    Answer {
        /// Whose.
        session: SessionId,
        /// SDP as received.
        answer: String,
    },
    /// Trickled candidates, each beginning with `candidate:`. Not answered.
    Candidates {
        /// Whose.
        session: SessionId,
        /// At least one.
        candidates: Vec<String>,
    },
    /// These sections carry this feed from now on. Repeated with the same feed when something of it changes.
    Publish {
        /// Whose.
        session: SessionId,
        /// Which.
        feed: FeedId,
        /// The `mid` of its sound.
        audio: Option<String>,
        /// The `mid` of its pictures.
        video: Option<String>,
        /// Heard however quiet it is.
        is_music: bool,
    },
    /// The feed ends and its name, if it had one, is free.
    Unpublish {
        /// Whose.
        session: SessionId,
        /// Which.
        feed: FeedId,
    },
    /// Drop what comes of a feed at the entrance. Both kinds each time.
    Mute {
        /// Whose.
        session: SessionId,
        /// Which.
        feed: FeedId,
        /// Its sound is dropped.
        audio: bool,
        /// Its pictures are dropped.
        video: bool,
    },
    /// The pictures that are shown to this participant. The whole list, most important first.
    Watch {
        /// Whose.
        session: SessionId,
        /// Which.
        wants: Vec<Want>,
    },
    /// Whose sound this participant does not want. The whole list.
    Silence {
        /// Whose.
        session: SessionId,
        /// Which.
        feeds: Vec<FeedId>,
    },
    /// Say good-bye and forget the session with all its feeds and their names. Not answered: there is no news of this session after it.
    Close {
        /// Which.
        session: SessionId,
    },
    /// Make a feed a stream of the space, or take it back. Answered by [`News::Named`].
    Name {
        /// Which.
        feed: FeedId,
        /// The stream's name, valid; `None` takes it back.
        stream: Option<String>,
    },
}

/// A picture that a participant is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Which.
    pub feed: FeedId,
    /// The highest layer that its size deserves; 0 is the lowest.
    pub layer_max: u8,
    /// What comes first when not everything fits.
    pub priority: Priority,
    /// A shared screen: detail before frame rate.
    pub is_detail: bool,
}

/// How important a picture is, rising.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// One of many.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Who speaks.
    High,
    /// Pinned by hand.
    Pinned,
}

/// What happened to media. News of a session or feed that the conference closed is ignored.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// To [`Order::Open`] (id 0) and [`Order::Reoffer`].
    Answered {
        /// Whose.
        session: SessionId,
        /// The order's.
        id: u64,
        /// The SDP answer.
        result: Result<String, Refusal>,
    },
    /// To [`Order::AddSlots`].
    Offered {
        /// Whose.
        session: SessionId,
        /// The SDP offer; `None` when there are slots enough.
        result: Result<Option<String>, Refusal>,
    },
    /// To [`Order::Answer`].
    AnswerTaken {
        /// Whose.
        session: SessionId,
        /// Refused, the session goes on as it was.
        result: Result<(), Refusal>,
    },
    /// ICE and DTLS are up.
    Connected {
        /// Whose.
        session: SessionId,
    },
    /// The PeerConnection is gone with its feeds, and nobody ordered it.
    Ended {
        /// Whose.
        session: SessionId,
        /// For the log.
        reason: String,
    },
    /// Whether datagrams come.
    Reachable {
        /// Whose.
        session: SessionId,
        /// `false` after two seconds of silence.
        reachable: bool,
    },
    /// What the slots carry. The whole map.
    Slots {
        /// Whose.
        session: SessionId,
        /// Every slot that has a feed.
        slots: Vec<SlotNews>,
    },
    /// More slots are needed than there are.
    SlotsWanted {
        /// Whose.
        session: SessionId,
        /// For sound.
        audio: usize,
        /// For pictures.
        video: usize,
    },
    /// Who speaks.
    Speakers {
        /// With the level in -dBov: 0 is the loudest, 127 silence (RFC 6464).
        active: Vec<(FeedId, u8)>,
        /// Who has the floor.
        dominant: Option<FeedId>,
    },
    /// Which layers of a feed somebody watches.
    Layers {
        /// Which.
        feed: FeedId,
        /// One for each layer, lowest first.
        watched: Vec<bool>,
    },
    /// How good a connection is.
    Quality {
        /// Whose.
        session: SessionId,
        /// How good.
        quality: Quality,
    },
    /// To [`Order::Name`], or when a name was lost to somebody else later.
    Named {
        /// Which.
        feed: FeedId,
        /// The name that it has now.
        result: Result<Option<String>, Refusal>,
    },
}

/// What one slot carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotNews {
    /// The section.
    pub mid: String,
    /// Sound, else pictures.
    pub is_audio: bool,
    /// What it carries.
    pub feed: FeedId,
    /// Whether it arrives.
    pub state: SlotState,
}

/// Whether what a slot carries reaches the participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotState {
    /// It does, or the first keyframe is waited for.
    Live,
    /// The bandwidth does not carry it.
    Paused,
    /// The participant has no codec for it.
    Unsupported,
}

/// How good a connection is, rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// Hard to follow.
    Poor,
    /// Usable.
    Fair,
    /// As it should be.
    Good,
}

/// Why media does not do what it was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is no SDP; the text says where.
    Malformed(String),
    /// It is SDP that cannot be taken; the text says why.
    NotAcceptable(String),
    /// No room.
    Full {
        /// What is full.
        what: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// There is no such session or feed.
    Gone,
    /// Somebody else has that name.
    Taken,
}
