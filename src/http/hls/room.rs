//! How much of recordings is in memory at a time, on its way to clients.
//!
//! What is live is shared by all who watch it; what is read from disk is each client's own, for as long as the client takes to
//! take it. Slow ones, or such as never take anything, must not add up without a limit.

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Half a thousand segments of 4 Mbit/s and two seconds, each a second on its way: some thousand viewers who have gone back.
const KIB_MAX: u32 = 512 * 1024;

/// What all requests share.
pub(super) static READING: Room = Room::new(KIB_MAX);

/// Room for bytes.
pub(super) struct Room {
    kib_max: u32,
    free: Semaphore,
}

/// A place for some of them. It goes on in what [`Place::fill`] returns.
pub(super) struct Place<'a> {
    _permit: SemaphorePermit<'a>,
}

/// Bytes with their place.
struct Placed {
    bytes: Bytes,
    _place: Place<'static>,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Room {
    const fn new(kib_max: u32) -> Self {
        Self {
            kib_max,
            free: Semaphore::const_new(kib_max as usize),
        }
    }

    /// A place for `len` bytes, if there is one now.
    pub(super) fn try_take(&self, len: u64) -> Option<Place<'_>> {
        let permit = self.free.try_acquire_many(self.kib(len)).ok()?;
        Some(Place { _permit: permit })
    }

    /// A place for `len` bytes as soon as there is one. Who came first is first. Cancel safe.
    pub(super) async fn take(&self, len: u64) -> Option<Place<'_>> {
        let permit = self.free.acquire_many(self.kib(len)).await.ok()?;
        Some(Place { _permit: permit })
    }

    /// What is larger than all of it waits until it is alone.
    fn kib(&self, len: u64) -> u32 {
        u32::try_from(len.div_ceil(1024)).map_or(self.kib_max, |kib| kib.min(self.kib_max))
    }
}

impl Place<'static> {
    /// The same bytes, which have this place until the last of them is dropped.
    pub(super) fn fill(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Placed {
            bytes,
            _place: self,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_when_the_last_of_its_bytes_is_dropped() {
        static ROOM: Room = Room::new(8);
        let place = ROOM.try_take(6 * 1024 + 1).unwrap();
        let bytes = place.fill(Bytes::from_static(b"segment"));
        assert!(ROOM.try_take(1025).is_none());
        assert!(ROOM.try_take(1024).is_some());
        let slice = bytes.slice(2..4);
        drop(bytes);
        assert!(ROOM.try_take(1025).is_none());
        drop(slice);
        assert!(ROOM.try_take(8 * 1024).is_some());
    }

    #[test]
    fn what_is_larger_than_the_room_has_all_of_it() {
        static ROOM: Room = Room::new(8);
        let place = ROOM.try_take(u64::MAX);
        assert!(place.is_some() && ROOM.try_take(1).is_none());
    }
}
