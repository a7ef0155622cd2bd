//! email-dispatch
