//! Why a message is not relayed.

/// Why a message is not relayed: what its sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// More bytes than its type may have.
    TooLarge,
    /// Too many in too short a time.
    Rate,
    /// Too soon after this user's last CHAT.
    SlowMode,
    /// The user or the address is banned in this space.
    Banned,
    /// The text has a word that is not wanted here.
    Word,
    /// Only operators may, or it is for another space.
    Forbidden,
    /// The space is private: it is not spoken to from `/`.
    Private,
    /// New clients speak JSON objects.
    NotJson,
    /// There is no room.
    Full,
    /// It should have been kept, but could not.
    NotStored,
    /// The connection may only listen.
    ReadOnly,
}

impl Refusal {
    /// The word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Rate => "rate",
            Self::SlowMode => "slow_mode",
            Self::Banned => "banned",
            Self::Word => "word",
            Self::Forbidden => "forbidden",
            Self::Private => "private",
            Self::NotJson => "not_json",
            Self::Full => "full",
            Self::NotStored => "not_stored",
            Self::ReadOnly => "read_only",
        }
    }

    /// The sentence for people; it needs no escaping in JSON.
    pub fn detail(self) -> &'static str {
        match self {
            Self::TooLarge => {
                "the message is too large; 1 MB is possible for IMAGE that is not kept, 64 kB for anything else"
            }
            Self::Rate => "too many messages in too short a time; send fewer, or collect them",
            Self::SlowMode => "this space is in slow mode; wait before the next message",
            Self::Banned => "nothing is relayed for this user or address here at the moment",
            Self::Word => "the text has a word that is not wanted here; leave it out",
            Self::Forbidden => {
                "only an operator may send this, or the channel is not this space; send it where you may"
            }
            Self::Private => "this space is private; join it with a token over /ws/{space}",
            Self::NotJson => "this is no JSON object; send an envelope with type and value",
            Self::Full => "there is no room for more at the moment; try again later",
            Self::NotStored => {
                "the message could not be kept, so that nobody got it; send it again later"
            }
            Self::ReadOnly => "this connection may only listen; ask for a token that may speak",
        }
    }
}
