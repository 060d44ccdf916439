//! The bodies and headers of WHIP and WHEP that are not SDP.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wish::{etag::IfMatch, media_type::MediaType, sdpfrag::Fragment};

fuzz_target!(|data: &[u8]| {
    if let Ok(fragment) = Fragment::parse(data) {
        let _ = fragment.credentials();
        let _ = fragment.is_end_of_candidates();
        for candidate in fragment.candidates() {
            assert!(candidate.len() <= data.len());
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(condition) = IfMatch::parse(text) {
            let _ = condition.matches("current") | condition.matches_weakly("current");
        }
        let _ = MediaType::parse(text).map(|kind| kind.is("application/sdp"));
    }
});
