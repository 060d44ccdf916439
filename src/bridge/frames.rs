//! Whole frames for large audiences: [`payload::frames`], and the Opus that G.711 becomes on the way.
//!
//! It comes out some 80 ms later than it went in, because the resampler takes 64 ms at once. One percent of a core at most.

use bytes::Bytes;
use payload::CodecKind;
use payload::frames::{Assembler, Opus, ToOpus};
use transcode::{Input, TranscodeError, Transcoder, Unit};

/// Hz of G.711.
const RATE: u32 = 8_000;

/// Puts the frames of one layer of one track together.
pub(crate) fn assembler(kind: CodecKind) -> Assembler {
    let law = match kind {
        CodecKind::Pcma => Input::Pcma,
        CodecKind::Pcmu => Input::Pcmu,
        _ => return Assembler::new(kind),
    };
    match to_opus(law) {
        Ok(to_opus) => Assembler::through(kind, to_opus),
        Err(error) => {
            tracing::error!(%error, "G.711 stays without sound in HLS");
            Assembler::new(kind)
        }
    }
}

fn to_opus(law: Input<'_>) -> Result<ToOpus, TranscodeError> {
    let mut transcoder = Transcoder::new(law, RATE)?;
    Ok(Box::new(move |elapsed, samples| {
        let unit = Unit {
            elapsed: Some(elapsed),
            data: Bytes::copy_from_slice(samples),
        };
        let made = transcoder.push(&unit).ok()?;
        let opus = made.into_iter().map(|packet| Opus {
            elapsed: packet.elapsed,
            payload: packet.payload,
        });
        Some(opus.collect())
    }))
}

#[cfg(test)]
mod tests;
