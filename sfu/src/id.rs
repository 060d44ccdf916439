//! Names for what a worker holds. The shell chooses every number, so that logs, HTTP resources and workers agree.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    };
}

id!(
    /// One WebRTC peer connection: a publisher's or a viewer's. Never reused in the life of a process.
    PeerId, u64, "peer-"
);
id!(
    /// One performer's stream in a space, whoever publishes it at the moment. Never reused.
    StreamId, u64, "stream-"
);
id!(
    /// One media thread. Dense from zero.
    WorkerId, u8, "worker-"
);
id!(
    /// One conference: participants who hear one another. Never reused.
    RoomId, u64, "room-"
);
id!(
    /// Pairs a [`Command`](crate::Command) with its [`Reply`](crate::Reply).
    RequestId, u64, "request-"
);
