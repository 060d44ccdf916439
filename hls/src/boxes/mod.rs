//! Boxes of the files.
