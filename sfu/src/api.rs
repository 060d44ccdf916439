//! What goes into a [`Worker`](crate::Worker) and what comes out: plain data, no callbacks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use payload::Codec;

use crate::conference::{Quality, RoomStream, Slot, Speaker, Want};
use crate::data::{DataChannel, DataEvent};
use crate::id::{PeerId, RequestId, RoomId, StreamId, WorkerId};
use crate::layer_wish::{LayerReport, LayerWish};
use crate::relay::Relay;
use crate::slate::Slate;
use crate::tap::{Tap, TapItem};
use crate::track::TrackInfo;

/// How a datagram travels. Over [`Transport::Tcp`] the shell adds and removes the two length bytes of RFC 4571.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// One datagram, one UDP packet.
    Udp,
    /// ICE-TCP, RFC 6544; the server is always the passive side.
    Tcp,
}

/// One datagram from the network: STUN, DTLS, SRTP or SRTCP, undecided.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// How it came.
    pub transport: Transport,
    /// The peer's address.
    pub source: SocketAddr,
    /// The local candidate that it was sent to.
    pub destination: SocketAddr,
    /// The bytes; anything at all.
    pub payload: &'a [u8],
}

/// One datagram to the network.
#[derive(Debug)]
pub struct Transmit {
    /// How to send it.
    pub transport: Transport,
    /// The local candidate to send from.
    pub source: SocketAddr,
    /// The peer's address.
    pub destination: SocketAddr,
    /// The bytes, already encrypted.
    pub contents: Vec<u8>,
}

/// What a peer connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends one stream (WHIP).
    Publisher,
    /// Receives one stream (WHEP).
    Viewer,
    /// Sends up to [`PUBLICATIONS_MAX`](crate::PUBLICATIONS_MAX) streams and receives many, over one connection.
    Participant,
}

/// Whom a new publisher may replace when its media come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakesOver {
    /// Whoever has the stream.
    Anybody,
    /// This publisher, or one that is silent.
    Only(PeerId),
    /// A publisher that is silent.
    Silent,
    /// Whoever is away: a *backup*. It stands by for as long as it is connected, has the stage while nothing comes of whoever
    /// else publishes, and stands by again afterwards. At most one that sends; the newest.
    Absent,
}

/// A request to a worker. Those with a `request` are answered by exactly one [`Output::Reply`].
#[derive(Debug)]
pub enum Command {
    /// Accept an SDP offer. A publisher of a stream that has one waits until its media come, and takes the stream over then:
    /// [`Event::TookOver`]. It is closed when they do not come within [`CONNECT_MAX`](crate::CONNECT_MAX).
    Accept {
        /// To be answered.
        request: RequestId,
        /// The new peer's name.
        peer: PeerId,
        /// What it publishes or views.
        stream: StreamId,
        /// Publisher or viewer.
        role: Role,
        /// The SDP offer, as received.
        offer: String,
        /// For a viewer: what is live now. Its offer must be able to carry some of it.
        tracks: Vec<TrackInfo>,
        /// For a viewer: the worker that owns the stream's publisher.
        origin: Option<WorkerId>,
        /// For a publisher: whom it may replace.
        takes_over: TakesOver,
    },
    /// Make an SDP offer to a viewer whose own offer could not be accepted (WHEP section 4.2.2).
    Offer {
        /// To be answered.
        request: RequestId,
        /// The new peer's name.
        peer: PeerId,
        /// What it will view.
        stream: StreamId,
        /// What is live now.
        tracks: Vec<TrackInfo>,
        /// The worker that owns the stream's publisher.
        origin: Option<WorkerId>,
    },
    /// The SDP answer to the offer made for `peer`.
    Answer {
        /// To be answered.
        request: RequestId,
        /// The peer that was offered to.
        peer: PeerId,
        /// The SDP answer, as received.
        answer: String,
    },
    /// Trickled remote candidates (RFC 8840), each an attribute value such as `candidate:1 1 udp ...`.
    AddCandidates {
        /// To be answered.
        request: RequestId,
        /// Whose they are.
        peer: PeerId,
        /// Those that cannot be parsed or resolved (`xxx.local`) are counted and ignored.
        candidates: Vec<String>,
    },
    /// An ICE restart asked for by the remote side.
    RestartIce {
        /// To be answered with [`Reply::Restarted`].
        request: RequestId,
        /// Whose it is.
        peer: PeerId,
        /// The remote side's new user fragment.
        ufrag: String,
        /// The remote side's new password.
        pwd: String,
        /// Its first candidates.
        candidates: Vec<String>,
    },
    /// Say good-bye to a peer, or end a source without WebRTC, and forget it. Unknown ones are ignored.
    Close {
        /// Who.
        peer: PeerId,
    },
    /// A publisher without WebRTC (a camera, the demo) takes `stream` over; its packets come as [`Input::Packet`]. Over a
    /// backup it does with its first keyframe.
    OpenSource {
        /// What it publishes.
        stream: StreamId,
        /// Names this publication; an older one's packets are dropped.
        peer: PeerId,
        /// Audio and video, at most one of each.
        tracks: Vec<Codec>,
        /// It is a backup: [`TakesOver::Absent`].
        is_backup: bool,
    },
    /// Where a stream's packets come from. Told to every worker with subscribers whenever it changes.
    SetOrigin {
        /// Which stream.
        stream: StreamId,
        /// The worker that owns its publisher; `None` when nobody publishes.
        origin: Option<WorkerId>,
    },
    /// Nobody will publish or watch this stream again: close its viewers and forget it.
    Forget {
        /// Which stream.
        stream: StreamId,
    },
    /// Gives what a stream brings to a consumer that is no peer, as [`Output::Tap`]; `None` ends it. The whole state, told to
    /// every worker: the one that owns the publisher acts. Groups of pictures that are kept come first.
    Tap {
        /// Which stream; need not be published yet.
        stream: StreamId,
        /// Whether and how.
        tap: Option<Tap>,
    },
    /// A tapped stream's consumer wants a keyframe, of all layers at one instant. Merged and throttled like those of viewers.
    TapKeyframe {
        /// Which stream.
        stream: StreamId,
    },
    /// What viewers of a stream are shown while nobody performs; `None` for nothing. To a worker that does not know the stream it
    /// means nothing: told again with every viewer.
    SetSlate {
        /// Which stream.
        stream: StreamId,
        /// What.
        slate: Option<Arc<Slate>>,
    },
    /// Accept a participant's first SDP offer. Sections in which the participant receives become its slots. Answered with
    /// [`Reply::Sdp`].
    Join {
        /// To be answered.
        request: RequestId,
        /// The new peer's name.
        peer: PeerId,
        /// The conference; made when it is not known here. It ends when its last participant on this worker left and
        /// [`Command::SetRoom`] does not name a stream.
        room: RoomId,
        /// The SDP offer, as received.
        offer: String,
    },
    /// A participant's later offer: new tracks, an ICE restart. An offer of ours that waits for its answer is withdrawn.
    /// Answered with [`Reply::Sdp`].
    Reoffer {
        /// To be answered.
        request: RequestId,
        /// Whose.
        peer: PeerId,
        /// The SDP offer, as received.
        offer: String,
    },
    /// Make an offer with so many slots that a participant has at least this many. Answered with [`Reply::Sdp`], or with
    /// [`Reply::Done`] when it has them; refused while an earlier offer waits for its answer ([`Command::Answer`]).
    AddSlots {
        /// To be answered.
        request: RequestId,
        /// Whose.
        peer: PeerId,
        /// Slots for sound, at most [`AUDIO_SLOTS_MAX`](crate::AUDIO_SLOTS_MAX).
        audio: usize,
        /// Slots for pictures, at most [`VIDEO_SLOTS_MAX`](crate::VIDEO_SLOTS_MAX).
        video: usize,
    },
    /// What a participant sends in these sections is this stream from now on. A section belongs to one stream at most.
    Publish {
        /// Who.
        peer: PeerId,
        /// Which stream; new, or the participant's own.
        stream: StreamId,
        /// The section of its sound.
        audio: Option<String>,
        /// The section of its pictures.
        video: Option<String>,
    },
    /// A participant's stream ends; the participant stays.
    Unpublish {
        /// Who.
        peer: PeerId,
        /// Which stream.
        stream: StreamId,
    },
    /// Drops what a participant's stream brings, here at the entrance. Told for both kinds each time.
    Mute {
        /// Who.
        peer: PeerId,
        /// Which stream.
        stream: StreamId,
        /// Its sound.
        audio: bool,
        /// Its pictures.
        video: bool,
    },
    /// Who is heard in a conference. The whole state, told to every worker with participants whenever it changes.
    SetRoom {
        /// Which conference.
        room: RoomId,
        /// Every stream with sound.
        streams: Vec<RoomStream>,
        /// How many are forwarded at a time, the loudest; music does not count. 1 to
        /// [`AUDIO_SLOTS_MAX`](crate::AUDIO_SLOTS_MAX).
        loudest_max: usize,
        /// Whether this worker sends [`Event::Speakers`]; one of them does.
        reports: bool,
    },
    /// Which streams' pictures a participant is shown. The whole list, most important first, at most
    /// [`VIDEO_SLOTS_MAX`](crate::VIDEO_SLOTS_MAX).
    Watch {
        /// Who.
        peer: PeerId,
        /// What.
        wants: Vec<Want>,
    },
    /// Whose sound a participant does not want. The whole list.
    Silence {
        /// Who.
        peer: PeerId,
        /// Which streams.
        streams: Vec<StreamId>,
    },
    /// Sends a message over a participant's data channel, if it is open. At most [`DATA_SENT_MAX`](crate::DATA_SENT_MAX) bytes;
    /// positions that do not find room on the way are dropped, messages wait: see [`DataEvent::Taken`].
    SendData {
        /// To whom.
        peer: PeerId,
        /// Over which.
        channel: DataChannel,
        /// Bytes, or UTF-8.
        is_binary: bool,
        /// The message.
        bytes: Arc<[u8]>,
    },
    /// What a viewer wants of its stream's layers. Answered with [`Reply::Done`]; refused when the stream has nothing of it.
    WishLayers {
        /// To be answered.
        request: RequestId,
        /// Who.
        peer: PeerId,
        /// What.
        wish: LayerWish,
    },
    /// Which layers a viewer could choose from now. Answered with [`Reply::Layers`].
    DescribeLayers {
        /// To be answered.
        request: RequestId,
        /// Whose stream.
        peer: PeerId,
    },
    /// Closes a participant's data channel; answered by [`DataEvent::Closed`] if it was open.
    CloseData {
        /// Whose.
        peer: PeerId,
        /// Which.
        channel: DataChannel,
    },
}

/// One packet of a publisher without WebRTC.
#[derive(Debug, Clone)]
pub struct SourcePacket {
    /// The publication that [`Command::OpenSource`] named.
    pub peer: PeerId,
    /// The track's place in that command.
    pub track: usize,
    /// RTP sequence number, extended to 64 bits by the sender; consecutive per track.
    pub sequence: u64,
    /// RTP timestamp in the codec's clock.
    pub timestamp: u32,
    /// The last packet of a frame (video), the first of a talk spurt (audio).
    pub marker: bool,
    /// RTP payload without header, at most [`PAYLOAD_MAX`](crate::PAYLOAD_MAX) bytes; longer ones are dropped and counted.
    pub payload: Arc<[u8]>,
}

/// Input to [`Worker::handle`](crate::Worker::handle).
#[derive(Debug)]
pub enum Input<'a> {
    /// From a socket.
    Datagram(Datagram<'a>),
    /// From the shell.
    Command(Command),
    /// A packet of a publisher without WebRTC.
    Packet {
        /// Its stream.
        stream: StreamId,
        /// The packet.
        packet: SourcePacket,
    },
    /// From another worker.
    Relay {
        /// Who sent it.
        from: WorkerId,
        /// What.
        message: Relay,
    },
    /// The deadline of [`Output::Timeout`] has passed, or a batch of input ended.
    Timeout,
}

/// Output of [`Worker::poll`](crate::Worker::poll). Drain until `Timeout`.
#[derive(Debug)]
pub enum Output {
    /// To the network.
    Transmit(Transmit),
    /// To another worker.
    Relay {
        /// To whom.
        to: WorkerId,
        /// What.
        message: Relay,
    },
    /// To the consumer of a tapped stream.
    Tap {
        /// Which stream.
        stream: StreamId,
        /// What.
        item: TapItem,
    },
    /// From a participant's data channels.
    Data {
        /// Whose.
        peer: PeerId,
        /// What.
        event: DataEvent,
    },
    /// The answer to a command.
    Reply {
        /// Of which command.
        request: RequestId,
        /// What came of it.
        result: Result<Reply, Refusal>,
    },
    /// Something that the shell may want to know.
    Event(Event),
    /// Nothing more to do before this instant.
    Timeout(Instant),
}

/// The good end of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The SDP answer to [`Command::Accept`], or the offer of [`Command::Offer`].
    Sdp(String),
    /// The local side's new ICE credentials and all its candidates (attribute values).
    Restarted {
        /// New user fragment.
        ufrag: String,
        /// New password.
        pwd: String,
        /// `candidate:...` values.
        candidates: Vec<String>,
    },
    /// The layers of a viewer's picture, in the publisher's order.
    Layers(Vec<LayerReport>),
    /// Nothing to say.
    Done,
}

/// The bad end of a command. Nothing is left behind by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body is not the SDP that it should be; HTTP 400.
    #[error("the SDP cannot be parsed: {0}")]
    Malformed(String),
    /// It is SDP, but no media section can be used; HTTP 422 for WHIP, 406 for WHEP.
    #[error("no media section can be accepted: {0}")]
    NotAcceptable(String),
    /// The named peer is not here (any more); HTTP 404.
    #[error("no such session")]
    UnknownPeer,
    /// A limit is reached; HTTP 503.
    #[error("this worker is full: {0}")]
    Full(&'static str),
}

/// Why a peer is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// [`Command::Close`] or [`Command::Forget`].
    Asked,
    /// The remote side said good-bye (DTLS close_notify).
    Remote,
    /// No connection within [`CONNECT_MAX`](crate::CONNECT_MAX).
    NeverConnected,
    /// ICE consent was lost.
    Lost,
    /// Another publisher took the stream over, or has it and is not to be replaced.
    TakenOver,
    /// The transport failed; the text says how.
    Failed(String),
    /// A panic of ours inside this peer; the text is the panic's message. A defect: please report it.
    Panicked(String),
}

/// What a worker tells the shell without being asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// ICE and DTLS are up.
    Connected {
        /// Who.
        peer: PeerId,
    },
    /// The peer is gone and all that it held is freed. Sent exactly once for each peer that was accepted.
    Closed {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: CloseReason,
    },
    /// A publisher that waited or stood by has the stream now. Whoever had it is closed next, or stands by from now on.
    TookOver {
        /// Which stream.
        stream: StreamId,
        /// Who publishes it from now on.
        peer: PeerId,
        /// Whether whoever had it stands by.
        stays: bool,
    },
    /// Media come from a publisher that stands by.
    StandsBy {
        /// For which stream.
        stream: StreamId,
        /// Who.
        peer: PeerId,
    },
    /// The first media packet of a publication came, or its tracks changed.
    Live {
        /// Which stream.
        stream: StreamId,
        /// Who publishes it.
        peer: PeerId,
        /// What it consists of.
        tracks: Vec<TrackInfo>,
    },
    /// Whether packets stopped coming although the publisher is still there, or stands by.
    Silent {
        /// Which stream.
        stream: StreamId,
        /// Who publishes it, or stands by.
        peer: PeerId,
        /// `false` when they come again.
        silent: bool,
    },
    /// Whether pictures come in another order than they are shown (B-frames), which browsers do not play over WebRTC.
    Reordered {
        /// Which stream.
        stream: StreamId,
        /// Who publishes it.
        peer: PeerId,
        /// `false` when they are in order again.
        reordered: bool,
    },
    /// The publisher of this stream is gone. Its viewers stay and wait for the next one.
    Ended {
        /// Which stream.
        stream: StreamId,
        /// Who published it.
        peer: PeerId,
    },
    /// What a participant's slots carry from now on. The whole map, whenever it changes.
    Slots {
        /// Whose.
        peer: PeerId,
        /// Every slot that has a stream.
        slots: Vec<Slot>,
    },
    /// A participant has fewer slots than it needs: follow with [`Command::AddSlots`].
    SlotsWanted {
        /// Who.
        peer: PeerId,
        /// Slots for sound that it needs.
        audio: usize,
        /// Slots for pictures that it needs.
        video: usize,
    },
    /// Who speaks. At most five a second, and only when it changed.
    Speakers {
        /// Where.
        room: RoomId,
        /// Everybody who speaks now, loudest first.
        active: Vec<Speaker>,
        /// Who has the floor: stays when it gets quiet, until somebody else takes it.
        dominant: Option<StreamId>,
    },
    /// Which simulcast layers of a stream somebody watches; the others may be paused at the publisher.
    Layers {
        /// Which stream.
        stream: StreamId,
        /// Who publishes it.
        peer: PeerId,
        /// One for each layer of its picture, lowest first.
        watched: Vec<bool>,
    },
    /// How good a participant's connection is. Every two seconds at most, and only when it changed.
    Quality {
        /// Who.
        peer: PeerId,
        /// How good.
        quality: Quality,
    },
    /// Nothing was heard of a participant for six seconds, or it is back. After
    /// [`SILENCE_MAX`](crate::SILENCE_MAX) it is closed.
    Reachable {
        /// Who.
        peer: PeerId,
        /// Whether datagrams come.
        reachable: bool,
    },
}
