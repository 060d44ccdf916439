//! RFC 4571 framing: each datagram on a TCP connection has its length in two bytes, big-endian, before it. No sockets here.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

/// The longest frame that is accepted, in bytes. Nothing that WebRTC sends is longer than an Ethernet packet.
pub const FRAME_MAX: usize = 2048;

/// Bytes that wait for one slow reader: one second of 2 Mbit/s. What does not fit is dropped whole, newest first, since the
/// older frames are partly on the wire already and media this late is of no use.
pub const WRITE_QUEUE_MAX: usize = 256 << 10;

/// Bytes of the length prefix.
const PREFIX: usize = 2;

/// Room that a drained queue keeps.
const IDLE_CAPACITY: usize = 16 << 10;

/// Why a connection's bytes are no frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not one of ours, or out of step: there is no way to find the next frame.
    #[error("a frame of {0} bytes; the longest allowed has {FRAME_MAX}")]
    TooLong(usize),
}

/// Cuts a byte stream into frames, however it was cut into reads. Holds at most one incomplete frame.
#[derive(Debug, Default)]
pub struct FrameReader {
    partial: Vec<u8>,
}

impl FrameReader {
    /// Takes the next bytes and gives each frame that is now complete to `each`. Null packets (length 0) are skipped.
    ///
    /// # Errors
    /// A length above [`FRAME_MAX`]: the connection is of no use any more. Frames before it were given out.
    pub fn read(
        &mut self,
        mut input: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), FrameError> {
        while !self.partial.is_empty() && !input.is_empty() {
            let wanted = match frame_end(&self.partial)? {
                Some(end) => end,
                None => PREFIX,
            };
            let taken = (wanted - self.partial.len()).min(input.len());
            self.partial.extend_from_slice(&input[..taken]);
            input = &input[taken..];
            if frame_end(&self.partial)? == Some(self.partial.len()) {
                give(&self.partial[PREFIX..], &mut each);
                self.partial.clear();
            }
        }
        // Whole frames are given out where they lie, without a copy.
        while let Some(end) = frame_end(input)?.filter(|end| *end <= input.len()) {
            give(&input[PREFIX..end], &mut each);
            input = &input[end..];
        }
        self.partial.extend_from_slice(input);
        Ok(())
    }
}

/// Where the frame at the start of `bytes` ends, as soon as its length is known.
fn frame_end(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let [high, low, ..] = *bytes else {
        return Ok(None);
    };
    match usize::from(u16::from_be_bytes([high, low])) {
        length if length > FRAME_MAX => Err(FrameError::TooLong(length)),
        length => Ok(Some(PREFIX + length)),
    }
}

fn give(frame: &[u8], each: &mut impl FnMut(&[u8])) {
    if !frame.is_empty() {
        each(frame);
    }
}

/// Frames that wait to be written. Only whole frames are taken or dropped, so that the stream never loses step.
#[derive(Debug, Default)]
pub struct FrameWriter {
    queue: VecDeque<u8>,
}

impl FrameWriter {
    /// Queues one frame; false when it is empty, longer than a frame can be, or would make the queue longer than
    /// [`WRITE_QUEUE_MAX`].
    pub fn push(&mut self, contents: &[u8]) -> bool {
        let Ok(length) = u16::try_from(contents.len()) else {
            return false;
        };
        let fits = self.queue.len() + PREFIX + contents.len() <= WRITE_QUEUE_MAX;
        if !fits || contents.is_empty() {
            return false;
        }
        self.queue.extend(length.to_be_bytes());
        self.queue.extend(contents);
        true
    }

    /// Writes as much as `output` takes. Returns true when nothing is left.
    ///
    /// # Errors
    /// Whatever `output` says, except "would block" and "interrupted"; a writer that takes nothing is `WriteZero`.
    pub fn write(&mut self, output: &mut impl Write) -> io::Result<bool> {
        while !self.queue.is_empty() {
            let (front, back) = self.queue.as_slices();
            match output.write_vectored(&[IoSlice::new(front), IoSlice::new(back)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.queue.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        // One burst must not hold its memory for the life of a connection.
        self.queue.shrink_to(IDLE_CAPACITY);
        Ok(true)
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(frames: &[&[u8]]) -> Vec<u8> {
        let mut writer = FrameWriter::default();
        for frame in frames {
            assert!(writer.push(frame));
        }
        let mut bytes = Vec::new();
        assert!(writer.write(&mut bytes).unwrap());
        bytes
    }

    fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
        let mut reader = FrameReader::default();
        let mut frames = Vec::new();
        for piece in pieces {
            if let Err(error) = reader.read(piece, |frame| frames.push(frame.to_vec())) {
                return (frames, Err(error));
            }
        }
        (frames, Ok(()))
    }

    #[test]
    fn frames_are_found_however_the_stream_is_cut() {
        let check = |pieces: &[&[u8]], expected: &[&[u8]]| {
            assert_eq!(
                read(pieces),
                (expected.iter().map(|f| f.to_vec()).collect(), Ok(())),
                "{pieces:?}"
            );
        };
        check(&[], &[]);
        check(&[&[]], &[]);
        check(&[&[0]], &[]);
        check(&[&[0, 1]], &[]);
        check(&[&[0, 1, 7]], &[&[7]]);
        check(&[&[0, 1, 7, 0, 2, 8, 9]], &[&[7], &[8, 9]]);
        check(&[&[0], &[1], &[7]], &[&[7]]);
        check(&[&[0, 2, 8], &[9, 0], &[1, 7]], &[&[8, 9], &[7]]);
        check(&[&[0, 2], &[8, 9, 0, 1, 7, 0]], &[&[8, 9], &[7]]);
        check(
            &[&[0, 2, 8], &[9, 0, 1, 7, 0, 1], &[6]],
            &[&[8, 9], &[7], &[6]],
        );
        check(&[&[0, 0, 0, 1, 7]], &[&[7]]);
        check(&[&[0], &[0, 0], &[1, 7]], &[&[7]]);
        check(&[&[0, 0]], &[]);
    }

    #[test]
    fn every_cut_of_a_stream_gives_the_same_frames() {
        let frames: Vec<Vec<u8>> = [1, 20, 300, 1200, FRAME_MAX]
            .iter()
            .map(|length| (0..*length).map(|at| at as u8).collect())
            .collect();
        let slices: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let bytes = framed(&slices);
        for cut in 0..=bytes.len() {
            let (front, back) = bytes.split_at(cut);
            assert_eq!(read(&[front, back]), (frames.clone(), Ok(())), "cut {cut}");
        }
        for size in 1..64 {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(read(&pieces), (frames.clone(), Ok(())), "size {size}");
        }
    }

    #[test]
    fn a_hostile_length_ends_the_stream_and_holds_no_memory() {
        let check = |pieces: &[&[u8]], frames: usize, length: usize| {
            let (read, result) = read(pieces);
            assert_eq!(result, Err(FrameError::TooLong(length)), "{pieces:?}");
            assert_eq!(read.len(), frames);
        };
        check(&[&[0xff, 0xff]], 0, 0xffff);
        check(&[&[0x08, 0x01, 1, 2, 3]], 0, FRAME_MAX + 1);
        check(&[&[0x08], &[0x01]], 0, FRAME_MAX + 1);
        check(&[&[0, 1, 7, 0x47, 0x45, 0x54]], 1, 0x4745);
        check(&[&[0, 1], &[7, 0x47], &[0x45, 0x54]], 1, 0x4745);
    }

    /// Takes at most so many bytes per call, and would block when its budget is used up.
    struct Slow {
        taken: Vec<u8>,
        per_call: usize,
        budget: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.per_call).min(self.budget);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.budget -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_reader_gets_whole_frames_in_order() {
        let mut writer = FrameWriter::default();
        let mut slow = Slow {
            taken: Vec::new(),
            per_call: 7,
            budget: 0,
        };
        let mut expected = Vec::new();
        for number in 0_u8..100 {
            let frame = vec![number; usize::from(number) + 1];
            assert!(writer.push(&frame));
            expected.push(frame);
            slow.budget = 40;
            writer.write(&mut slow).unwrap();
        }
        assert!(!writer.is_empty());
        slow.budget = usize::MAX;
        assert!(writer.write(&mut slow).unwrap());
        assert_eq!(read(&[&slow.taken]), (expected, Ok(())));
    }

    #[test]
    fn a_full_queue_refuses_the_newest_whole() {
        let mut writer = FrameWriter::default();
        let frame = [5; 1000];
        let mut accepted = 0;
        while writer.push(&frame) {
            accepted += 1;
        }
        assert_eq!(accepted, WRITE_QUEUE_MAX / (PREFIX + frame.len()));
        assert!(writer.len() <= WRITE_QUEUE_MAX);
        let mut bytes = Vec::new();
        assert!(writer.write(&mut bytes).unwrap());
        assert_eq!(read(&[&bytes]), (vec![frame.to_vec(); accepted], Ok(())));
        assert!(writer.push(&frame), "there is room again");
    }

    #[test]
    fn what_is_no_frame_is_not_queued() {
        let mut writer = FrameWriter::default();
        assert!(!writer.push(&[]));
        assert!(!writer.push(&vec![0; 65_536]));
        assert!(writer.is_empty());
    }
}
