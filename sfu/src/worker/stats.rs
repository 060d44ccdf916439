//! What a worker counts. Plain numbers, written by its thread alone.

use crate::demux::Found;

/// Counters since the start, and a few gauges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerStats {
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Datagrams to send.
    pub datagrams_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Media packets received from publishers and sources.
    pub packets_in: u64,
    /// Media packets written to viewers.
    pub packets_forwarded: u64,
    /// Packets sent to other workers.
    pub packets_relayed: u64,
    /// Keyframe requests from viewers.
    pub keyframes_wanted: u64,
    /// Keyframe requests to publishers, after merging and throttling.
    pub keyframes_requested: u64,
    /// Groups of pictures replayed to late joiners.
    pub replays: u64,
    /// Times that the pictures of a publisher came again after a cut, in each layer.
    pub cuts: u64,
    /// Dropped: STUN for no known user fragment.
    pub dropped_unknown_ufrag: u64,
    /// Dropped: STUN with a wrong password.
    pub dropped_not_authentic: u64,
    /// Dropped: media or DTLS from an unknown address.
    pub dropped_unknown_address: u64,
    /// Dropped: neither STUN, DTLS, RTP nor RTCP, or malformed.
    pub dropped_malformed: u64,
    /// Dropped: too long, empty or of an unknown codec.
    pub dropped_unusable: u64,
    /// Dropped: from a publication that is over.
    pub dropped_stale: u64,
    /// Dropped: from a stream that is muted here.
    pub dropped_muted: u64,
    /// Dropped: from a publisher whose stream still is another one's.
    pub dropped_waiting: u64,
    /// Dropped: from a publisher that stands by.
    pub dropped_standby: u64,
    /// Publishers that took over from another one.
    pub takeovers: u64,
    /// Publishers that waited to take over and had to go because too many did.
    pub waiting_dropped: u64,
    /// Times that a backup had to come on stage.
    pub backups_on: u64,
    /// Times that a backup gave the stage back.
    pub backups_off: u64,
    /// Publishers that stand by now.
    pub standing_by: u64,
    /// Times that a viewer was given a slate because nobody performed.
    pub slates: u64,
    /// Times that a viewer could not be given one: it takes no H.264.
    pub slates_missed: u64,
    /// Messages that came over data channels.
    pub data_in: u64,
    /// Messages that were sent over data channels.
    pub data_out: u64,
    /// Data channels that were closed: their participant said too much, or did not read.
    pub data_closed: u64,
    /// Data channels that nobody knows, and of peers that are no participants.
    pub channels_refused: u64,
    /// Dropped: positions that were too many, and what is too long for a data channel.
    pub dropped_data: u64,
    /// Remote candidates that could not be used.
    pub candidates_ignored: u64,
    /// Peers lost to a panic of ours.
    pub panics: u64,
    /// Publishers now.
    pub publishers: u64,
    /// Viewers now.
    pub viewers: u64,
    /// Participants now.
    pub participants: u64,
}

impl WorkerStats {
    pub(super) fn count_lost(&mut self, found: Found) {
        match found {
            Found::Peer(_) => {}
            Found::UnknownUfrag => self.dropped_unknown_ufrag += 1,
            Found::NotAuthentic => self.dropped_not_authentic += 1,
            Found::UnknownAddress => self.dropped_unknown_address += 1,
            Found::Unknown => self.dropped_malformed += 1,
        }
    }
}
