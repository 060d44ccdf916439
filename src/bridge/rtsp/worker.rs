//! A [`Transcoder`] on a thread of tokio's blocking pool, one for each camera whose sound has to be made into Opus.
//!
//! Both queues are bounded: when the thread does not keep up, the newest unit is dropped and counted, and the sound goes
//! on after a gap.

use tokio::sync::mpsc;
use transcode::{OpusPacket, Transcoder, Unit};

use super::url::RedactedUrl;

/// Access units that wait: 1.3 s at 48 kHz.
const UNITS_MAX: usize = 64;
/// Opus packets that wait: 1.3 s.
const PACKETS_MAX: usize = 64;

/// A [`Transcoder`] on a thread. The thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    units: mpsc::Sender<Unit>,
    packets: mpsc::Receiver<OpusPacket>,
    overflows: u64,
}

impl Worker {
    /// Starts the thread; `camera` is for the log. Call it inside of a tokio runtime.
    pub(crate) fn spawn(mut transcoder: Transcoder, camera: &RedactedUrl) -> Self {
        let camera = camera.to_string();
        let (units, mut input) = mpsc::channel::<Unit>(UNITS_MAX);
        let (output, packets) = mpsc::channel(PACKETS_MAX);
        tokio::task::spawn_blocking(move || {
            while let Some(unit) = input.blocking_recv() {
                match transcoder.push(&unit) {
                    // A full queue means that the session stands still; its sound would be late anyway.
                    Ok(packets) => packets
                        .into_iter()
                        .for_each(|packet| drop(output.try_send(packet))),
                    Err(error) => {
                        tracing::warn!(camera, %error, "a camera's sound ends, its picture goes on");
                        return;
                    }
                }
            }
            if transcoder.failures() > 0 {
                tracing::debug!(
                    failures = transcoder.failures(),
                    "units of a camera's sound could not be decoded"
                );
            }
        });
        Self {
            units,
            packets,
            overflows: 0,
        }
    }

    /// Hands a unit over, without waiting.
    pub(crate) fn push(&mut self, unit: Unit) {
        if self.units.try_send(unit).is_err() {
            self.overflows += 1;
        }
    }

    /// Units that the thread had no time for.
    pub(crate) fn overflows(&self) -> u64 {
        self.overflows
    }

    /// The next packet; `None` when the thread has ended. Can be cancelled.
    pub(crate) async fn next(&mut self) -> Option<OpusPacket> {
        self.packets.recv().await
    }
}
