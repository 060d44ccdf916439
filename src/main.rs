//! Proscenium.
fn main() {}
