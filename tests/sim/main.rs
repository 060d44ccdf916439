//! Whole spaces on virtual time: workers, publishers and viewers over lossy paths, in one thread, from one seed.
//!
//! Each viewer checks everything that it gets: continuous sequence numbers, rising timestamps, pictures that are whole
//! and have their references, VP8 counters, parameter sets, untouched sound. A failing test prints its seed; run it
//! again with `SIM_SEED`.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(
    clippy::print_stdout,
    reason = "a run's figures, shown with --nocapture"
)]
#![expect(unreachable_pub, reason = "a test program has no outside")]

mod audio;
mod backup;
mod capture;
mod client;
mod conference;
mod cut;
mod hashing;
mod lifecycle;
mod link;
mod media;
mod publisher;
mod receiver;
mod shell;
mod trace;
mod viewer;
mod wishes;
mod world;

mod hostile;
mod ice;
mod join;
mod keyframes;
mod layers;
mod loss;
mod replay;
mod slate;
mod source;
mod sync;
mod takeover;
mod tap;
