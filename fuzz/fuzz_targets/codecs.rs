//! Whatever is read of payloads and of datagrams that come from nowhere.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sfu::fuzzing::codecs(data));
