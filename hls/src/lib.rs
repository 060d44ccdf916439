//! CMAF and low-latency HLS packaging (RFC 8216bis), without I/O.
//!
//! This crate will take frames and give parts, segments and playlists. It does **not** depacketise RTP, open
//! files, read a clock or serve HTTP; the shell does. Nothing is in it yet: the first release carries live
//! streams over WebRTC alone.
