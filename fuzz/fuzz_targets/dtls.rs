//! A DTLS end in either role, its peer an honest one whose datagrams are changed, dropped, repeated and mixed with
//! invented ones.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| dtls::fuzz::run(Instant::now(), data));
