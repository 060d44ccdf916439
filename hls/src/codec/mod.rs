//! What the packager must know of the codecs.
