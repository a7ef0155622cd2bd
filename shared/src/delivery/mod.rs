//! What becomes of a mail: its states, what moves it from one to the next, when it is tried again, and how fast mails go out.
