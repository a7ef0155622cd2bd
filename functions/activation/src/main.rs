//! activation
fn main() {}
