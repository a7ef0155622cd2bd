//! certificate-login
