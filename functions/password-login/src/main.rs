//! password-login
fn main() {}
