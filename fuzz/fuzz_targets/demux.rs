//! Datagrams that come from nowhere: to whom they belong.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sfu::fuzzing::demux(data));
