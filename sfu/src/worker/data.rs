//! Data channels: what participants say, and what they are told.

use std::sync::Arc;
use std::time::Instant;

use super::Worker;
use crate::api::{Command, Output};
use crate::data::{DATA_SENT_MAX, DataChannel, DataEvent, Verdict};
use crate::id::PeerId;
use crate::rtc::{PeerOutput, Written};

impl Worker {
    /// Commands for data channels.
    pub(super) fn on_data_command(&mut self, command: Command) {
        match command {
            Command::SendData {
                peer,
                channel,
                is_binary,
                bytes,
            } => self.send_data(peer, channel, is_binary, bytes),
            Command::CloseData { peer, channel } => {
                if let Some(slot) = self.slot_of(peer) {
                    self.close_data(slot, channel);
                }
            }
            _ => {}
        }
    }

    fn send_data(&mut self, id: PeerId, channel: DataChannel, is_binary: bool, bytes: Arc<[u8]>) {
        let Some(slot) = self.slot_of(id) else {
            return;
        };
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        if !peer.rtc.has_channel(channel) {
            return;
        }
        match channel {
            DataChannel::Positions => {
                let written = peer.guarded(|rtc| Ok(rtc.write_data(channel, is_binary, &bytes)));
                match written {
                    Ok(Written::Taken) => {
                        self.stats.data_out += 1;
                        self.mark_dirty(slot);
                    }
                    Ok(Written::Full | Written::Never) => self.stats.dropped_data += 1,
                    Err(reason) => self.remove_peer(slot, reason),
                }
            }
            DataChannel::Messages => {
                let Some(data) = peer.data.as_mut() else {
                    return;
                };
                if bytes.len() > DATA_SENT_MAX {
                    self.stats.dropped_data += 1;
                } else if data.enqueue(is_binary, bytes) {
                    self.pump_data(slot);
                } else {
                    // Nothing may be left out of what is reliable: the client opens the channel again and catches up.
                    self.stats.data_closed += 1;
                    self.close_data(slot, channel);
                }
            }
        }
    }

    /// Gives SCTP what it takes of what waits.
    pub(super) fn pump_data(&mut self, slot: usize) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let Some(data) = peer.data.as_mut().filter(|data| !data.queue.is_empty()) else {
            return;
        };
        let id = peer.id;
        let mut queue = std::mem::take(&mut data.queue);
        let (mut count, mut dropped, mut gone) = (0, 0, 0);
        let pumped = peer.guarded(|rtc| {
            while let Some(next) = queue.front() {
                match rtc.write_data(DataChannel::Messages, next.is_binary, &next.bytes) {
                    Written::Taken => count += 1,
                    Written::Never => dropped += 1,
                    Written::Full => break,
                }
                gone += next.bytes.len();
                queue.pop_front();
            }
            Ok(())
        });
        if let Some(data) = peer.data.as_mut() {
            data.queue = queue;
            data.queued = data.queued.saturating_sub(gone);
        }
        self.stats.data_out += count;
        self.stats.dropped_data += dropped;
        if let Err(reason) = pumped {
            self.remove_peer(slot, reason);
        } else if gone > 0 {
            self.tell_data(id, DataEvent::Taken { bytes: gone });
            self.mark_dirty(slot);
        }
    }

    fn tell_data(&mut self, peer: PeerId, event: DataEvent) {
        self.outputs.push_back(Output::Data { peer, event });
    }

    /// Closes a channel and tells of it.
    fn close_data(&mut self, slot: usize, channel: DataChannel) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        match peer.guarded(|rtc| Ok(rtc.close_data(channel))) {
            Ok(false) => {}
            Ok(true) => {
                self.mark_dirty(slot);
                self.on_data_closed(slot, channel);
            }
            Err(reason) => self.remove_peer(slot, reason),
        }
    }

    fn on_data_closed(&mut self, slot: usize, channel: DataChannel) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let id = peer.id;
        if let Some(data) = peer.data.as_mut()
            && channel == DataChannel::Messages
        {
            data.clear();
        }
        self.tell_data(id, DataEvent::Closed { channel });
    }

    /// What a connection tells of its channels.
    pub(super) fn on_data_output(&mut self, now: Instant, slot: usize, output: PeerOutput) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let id = peer.id;
        match output {
            PeerOutput::DataOpen { channel, protocol } => {
                self.tell_data(id, DataEvent::Open { channel, protocol });
            }
            PeerOutput::DataClosed { channel } => self.on_data_closed(slot, channel),
            PeerOutput::DataRefused => self.stats.channels_refused += 1,
            PeerOutput::DataLow => self.pump_data(slot),
            PeerOutput::Data {
                channel,
                is_binary,
                bytes,
            } => {
                // It came before the channel was closed in this same turn.
                if !peer.rtc.has_channel(channel) {
                    return;
                }
                let Some(data) = peer.data.as_mut() else {
                    return;
                };
                match data.admit(now, channel, bytes.len()) {
                    Verdict::Taken => {
                        self.stats.data_in += 1;
                        let event = DataEvent::Message {
                            channel,
                            is_binary,
                            bytes,
                        };
                        self.tell_data(id, event);
                    }
                    Verdict::Dropped => self.stats.dropped_data += 1,
                    Verdict::Flood => {
                        self.stats.data_closed += 1;
                        tracing::debug!(peer = %id, "says too much; its data channel is closed");
                        self.close_data(slot, channel);
                    }
                }
            }
            _ => {}
        }
    }
}
