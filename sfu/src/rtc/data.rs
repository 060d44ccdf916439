//! str0m's data channels, by what they are for.

use std::collections::VecDeque;

use str0m::channel::{ChannelData, ChannelId};

use super::{PeerOutput, RtcPeer};
use crate::data::{DATA_RECEIVED_MAX, DATA_SENT_MAX, DataChannel, POSITIONS_SENT_MAX};

/// Channels of one peer that are closed at once because nobody knows them. One more is one that does nothing else, and ends the peer:
/// each costs str0m some memory until both sides have closed it.
const REFUSED_MAX: usize = 32;

/// How often one peer opens its channels; one that was too slow opens them again. As [`REFUSED_MAX`].
const OPENED_MAX: usize = 1024;

/// What is looked at of a channel's `protocol`.
const PROTOCOL_MAX: usize = 256;

/// [`DATA_RECEIVED_MAX`], as str0m announces it and SCTP keeps to it.
pub(super) const RECEIVED_MAX: u32 = DATA_RECEIVED_MAX as u32;

/// When SCTP has so little left to send it is given more.
const LOW: usize = 32 * 1024;

/// The channels of one peer.
#[derive(Debug, Default)]
pub(super) struct Channels {
    messages: Option<ChannelId>,
    positions: Option<ChannelId>,
    /// Only participants have channels.
    is_participant: bool,
    refused: usize,
    opened: usize,
}

impl Channels {
    pub(super) fn new(is_participant: bool) -> Self {
        Self {
            is_participant,
            ..Self::default()
        }
    }

    fn at(&mut self, channel: DataChannel) -> &mut Option<ChannelId> {
        match channel {
            DataChannel::Messages => &mut self.messages,
            DataChannel::Positions => &mut self.positions,
        }
    }

    fn find(&self, id: ChannelId) -> Option<DataChannel> {
        if self.messages == Some(id) {
            return Some(DataChannel::Messages);
        }
        (self.positions == Some(id)).then_some(DataChannel::Positions)
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is on its way.
    Taken,
    /// Not now.
    Full,
    /// Not now nor later: it is too long for the other side, or the channel is closed.
    Never,
}

impl RtcPeer {
    /// Whether a channel can be written to.
    pub(crate) fn has_channel(&mut self, channel: DataChannel) -> bool {
        self.channels.at(channel).is_some()
    }

    /// The other side has opened a channel. It replaces one of the same label: who closed that one opens the next before the reset of
    /// its stream has come (RFC 8831 section 6.7). `Err` when it has opened more than anybody needs.
    pub(super) fn on_channel_open(
        &mut self,
        id: ChannelId,
        label: &str,
        into: &mut VecDeque<PeerOutput>,
    ) -> Result<(), String> {
        let channel = DataChannel::of(label).filter(|_| self.channels.is_participant);
        let Some(channel) = channel else {
            self.channels.refused += 1;
            if self.channels.refused > REFUSED_MAX {
                return Err("it opens data channels that nobody knows".into());
            }
            self.rtc.direct_api().close_data_channel(id);
            into.push_back(PeerOutput::DataRefused);
            return Ok(());
        };
        self.channels.opened += 1;
        if self.channels.opened > OPENED_MAX {
            return Err("it opens one data channel after another".into());
        }
        if let Some(before) = self.channels.at(channel).replace(id) {
            // The stream of a channel that was closed may be used again before its end is told.
            if before != id {
                self.rtc.direct_api().close_data_channel(before);
            }
            into.push_back(PeerOutput::DataClosed { channel });
        }
        let mut protocol = String::new();
        if let Some(mut opened) = self.rtc.channel(id) {
            opened.set_buffered_amount_low_threshold(LOW);
            if let Some(config) = opened.config() {
                protocol = config.protocol.chars().take(PROTOCOL_MAX).collect();
            }
        }
        into.push_back(PeerOutput::DataOpen { channel, protocol });
        Ok(())
    }

    /// A channel is closed, by whomever. `None` when that was told already.
    pub(super) fn on_channel_close(&mut self, id: ChannelId) -> Option<PeerOutput> {
        let channel = self.channels.find(id)?;
        *self.channels.at(channel) = None;
        Some(PeerOutput::DataClosed { channel })
    }

    /// `None` for what comes over a channel that is being closed.
    pub(super) fn on_channel_data(&mut self, came: ChannelData) -> Option<PeerOutput> {
        let channel = self.channels.find(came.id)?;
        Some(PeerOutput::Data {
            channel,
            is_binary: came.binary,
            bytes: came.data,
        })
    }

    /// Writes a message, if SCTP takes it now.
    pub(crate) fn write_data(
        &mut self,
        channel: DataChannel,
        is_binary: bool,
        bytes: &[u8],
    ) -> Written {
        let id = *self.channels.at(channel);
        let Some(mut open) = id.and_then(|id| self.rtc.channel(id)) else {
            return Written::Never;
        };
        if bytes.len() > DATA_SENT_MAX {
            return Written::Never;
        }
        if channel == DataChannel::Positions
            && open.buffered_amount() + bytes.len() > POSITIONS_SENT_MAX
        {
            return Written::Full;
        }
        match open.write(is_binary, bytes) {
            Ok(true) => Written::Taken,
            Ok(false) => Written::Full,
            Err(_) => Written::Never,
        }
    }

    /// Closes a channel; nothing comes over it any more. `false` when it was not open.
    pub(crate) fn close_data(&mut self, channel: DataChannel) -> bool {
        let Some(id) = self.channels.at(channel).take() else {
            return false;
        };
        self.rtc.direct_api().close_data_channel(id);
        true
    }
}
