//! What becomes of a mail: its states, what moves it from one to the next, when it is tried again ([`retry`]), and how fast
//! mails go out ([`pace`]).
//!
//! `queued → sending → sent → delivered | bounced | complained | failed`. The table of all states and steps is
//! `life.csv`, which the tests read; the outbox ([`crate::store`]) repeats each step's guard as the condition of its write,
//! because dispatchers and events of SES run side by side.

pub mod pace;
pub mod retry;

use serde::{Deserialize, Serialize};

use crate::notice::Undeliverable;

/// Where a mail is, in one word: as it is stored, and as HR sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// Waits for the dispatcher.
    Queued,
    /// A dispatcher is at it.
    Sending,
    /// SES has accepted it.
    Sent,
    /// The recipient's server has accepted it.
    Delivered,
    /// The recipient's server has refused it.
    Bounced,
    /// The recipient has reported it as unwanted.
    Complained,
    /// It was not sent, and will not be by itself.
    Failed,
}

impl MailState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Bounced,
        Self::Complained,
        Self::Failed,
    ];

    /// The word that is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Failed => "failed",
        }
    }
}

/// How a mail came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounce {
    /// There is no such mailbox, or mail to it is refused for good: another mail would come back as well.
    Permanent,
    /// The mailbox is full, or its server was in trouble for as long as SES tries: another mail may arrive.
    Transient,
}

/// What SES says of a mail after accepting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feedback {
    /// The recipient's server has accepted it.
    Delivered,
    /// It came back.
    Bounced(Bounce),
    /// The recipient has reported it as unwanted.
    Complained,
    /// SES found a virus in it, and has not sent it.
    Rejected,
}

/// Where a mail is, with what tells the cases of a state apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Waits for the dispatcher.
    Queued,
    /// A dispatcher is at it.
    Sending,
    /// SES has accepted it.
    Sent,
    /// The recipient's server has accepted it.
    Delivered,
    /// It came back.
    Bounced(Bounce),
    /// The recipient has reported it as unwanted.
    Complained,
    /// It was not sent.
    Failed(Undeliverable),
}

/// What moves a mail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A dispatcher takes it. Of a mail that another one has, only when that one's lease is over.
    Lease,
    /// SES has accepted it.
    Accept,
    /// It could not be sent now.
    PutBack,
    /// It will never be sent.
    Fail(Undeliverable),
    /// HR has it sent once more.
    Resend,
    /// An operator hands it in again.
    Redrive,
    /// SES says what became of it.
    Hear(Feedback),
}

/// A step that a mail does not take where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {step:?} of a mail that is {standing:?}")]
pub struct OutOfPlace {
    /// Where the mail is.
    pub standing: Standing,
    /// What was to be done.
    pub step: Step,
}

impl Standing {
    /// The state, in one word.
    #[must_use]
    pub fn state(self) -> MailState {
        match self {
            Self::Queued => MailState::Queued,
            Self::Sending => MailState::Sending,
            Self::Sent => MailState::Sent,
            Self::Delivered => MailState::Delivered,
            Self::Bounced(_) => MailState::Bounced,
            Self::Complained => MailState::Complained,
            Self::Failed(_) => MailState::Failed,
        }
    }

    /// Where a mail is, out of what is stored of it. A bounce or a failure without its kind is of the kind that allows least.
    #[must_use]
    pub fn from_stored(state: MailState, bounce: Option<Bounce>, failure: Option<Undeliverable>) -> Self {
        match state {
            MailState::Queued => Self::Queued,
            MailState::Sending => Self::Sending,
            MailState::Sent => Self::Sent,
            MailState::Delivered => Self::Delivered,
            MailState::Bounced => Self::Bounced(bounce.unwrap_or(Bounce::Permanent)),
            MailState::Complained => Self::Complained,
            MailState::Failed => Self::Failed(failure.unwrap_or(Undeliverable::Refused)),
        }
    }

    /// Where the mail is after a step.
    ///
    /// What SES says comes late, twice and in any order, and before the dispatcher's own note: a delivery proves that SES
    /// accepted the mail. A refusal for good outweighs a delivery (servers accept first and refuse afterwards), and a
    /// report as unwanted outweighs both; a refusal for now does not outweigh a delivery (it is a vacation's answer).
    ///
    /// # Errors
    /// [`OutOfPlace`]: nothing changes.
    pub fn after(self, step: Step) -> Result<Self, OutOfPlace> {
        use Bounce::{Permanent, Transient};
        use Undeliverable::GivenUp;
        let next = match (step, self) {
            (Step::Lease, Self::Queued | Self::Sending) => Self::Sending,
            (Step::Accept, Self::Sending) => Self::Sent,
            (Step::PutBack, Self::Sending) => Self::Queued,
            (Step::Fail(why), Self::Sending) => Self::Failed(why),
            (Step::Resend, Self::Sent | Self::Bounced(Transient) | Self::Failed(GivenUp))
            | (Step::Redrive, Self::Failed(GivenUp)) => Self::Queued,
            (
                Step::Hear(Feedback::Delivered),
                Self::Queued | Self::Sending | Self::Sent | Self::Bounced(Transient) | Self::Failed(_),
            ) => Self::Delivered,
            (
                Step::Hear(Feedback::Bounced(Permanent)),
                Self::Queued
                | Self::Sending
                | Self::Sent
                | Self::Delivered
                | Self::Bounced(Transient)
                | Self::Failed(_),
            ) => Self::Bounced(Permanent),
            (Step::Hear(Feedback::Bounced(Transient)), Self::Sending | Self::Sent) => {
                Self::Bounced(Transient)
            }
            (
                Step::Hear(Feedback::Complained),
                Self::Queued
                | Self::Sending
                | Self::Sent
                | Self::Delivered
                | Self::Bounced(_)
                | Self::Failed(_),
            ) => Self::Complained,
            (Step::Hear(Feedback::Rejected), Self::Queued | Self::Sending | Self::Sent) => {
                Self::Failed(Undeliverable::Rejected)
            }
            (
                Step::Lease
                | Step::Accept
                | Step::PutBack
                | Step::Fail(_)
                | Step::Resend
                | Step::Redrive
                | Step::Hear(_),
                _,
            ) => return Err(OutOfPlace { standing: self, step }),
        };
        Ok(next)
    }

    /// Where the mail is after SES spoke of its sending `message_id`, of which the entry knows `known`.
    ///
    /// What an earlier sending of a mail comes to counts as well, but for a refusal for now: a later sending may arrive.
    ///
    /// # Errors
    /// [`OutOfPlace`]: nothing changes.
    pub fn hear(self, feedback: Feedback, message_id: &str, known: Option<&str>) -> Result<Self, OutOfPlace> {
        let step = Step::Hear(feedback);
        let earlier = known.is_some_and(|known| known != message_id);
        if feedback == Feedback::Bounced(Bounce::Transient) && earlier {
            return Err(OutOfPlace { standing: self, step });
        }
        self.after(step)
    }

    /// Whether a letter's ciphertext may still be of use: it is yet to be sent, or may be sent once more.
    #[must_use]
    pub fn keeps_ciphertext(self) -> bool {
        match self {
            Self::Queued
            | Self::Sending
            | Self::Sent
            | Self::Bounced(Bounce::Transient)
            | Self::Failed(Undeliverable::GivenUp) => true,
            Self::Delivered | Self::Bounced(Bounce::Permanent) | Self::Complained | Self::Failed(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STANDINGS: [(&str, Standing); 9] = [
        ("queued", Standing::Queued),
        ("sending", Standing::Sending),
        ("sent", Standing::Sent),
        ("delivered", Standing::Delivered),
        ("bounced permanent", Standing::Bounced(Bounce::Permanent)),
        ("bounced transient", Standing::Bounced(Bounce::Transient)),
        ("complained", Standing::Complained),
        ("failed given up", Standing::Failed(Undeliverable::GivenUp)),
        ("failed refused", Standing::Failed(Undeliverable::Refused)),
    ];

    const STEPS: [(&str, Step); 11] = [
        ("lease", Step::Lease),
        ("accept", Step::Accept),
        ("put back", Step::PutBack),
        ("fail refused", Step::Fail(Undeliverable::Refused)),
        ("fail given up", Step::Fail(Undeliverable::GivenUp)),
        ("resend", Step::Resend),
        ("redrive", Step::Redrive),
        ("hear delivered", Step::Hear(Feedback::Delivered)),
        ("hear bounced permanent", Step::Hear(Feedback::Bounced(Bounce::Permanent))),
        ("hear bounced transient", Step::Hear(Feedback::Bounced(Bounce::Transient))),
        ("hear complained", Step::Hear(Feedback::Complained)),
    ];

    fn named(standing: Standing) -> String {
        let known = STANDINGS.iter().find(|(_, known)| *known == standing);
        known.map_or_else(|| format!("{standing:?}"), |(name, _)| (*name).to_owned())
    }

    /// Every state and every step, as a reviewer reads them: `life.csv`, a `-` where nothing changes.
    #[test]
    fn every_step_of_every_state_is_in_the_table() {
        let mut rows = csv::Reader::from_reader(include_bytes!("life.csv").as_slice());
        let steps: Vec<String> = rows.headers().unwrap().iter().skip(1).map(str::to_owned).collect();
        let reject = ("hear rejected", Step::Hear(Feedback::Rejected));
        let all: Vec<(&str, Step)> = STEPS.into_iter().chain([reject]).collect();
        assert_eq!(steps, all.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        let mut seen = Vec::new();
        for row in rows.records() {
            let row = row.unwrap();
            let (name, standing) = *STANDINGS.iter().find(|(name, _)| *name == &row[0]).unwrap();
            seen.push(name);
            for ((step_name, step), expected) in all.iter().zip(row.iter().skip(1)) {
                let found = standing.after(*step).map_or_else(|_| "-".to_owned(), named);
                assert_eq!(found, expected, "{step_name} of a mail that is {name}");
            }
        }
        assert_eq!(seen, STANDINGS.map(|(name, _)| name));
    }

    #[test]
    fn what_an_earlier_sending_came_to() {
        let transient = Feedback::Bounced(Bounce::Transient);
        let bounced = Standing::Bounced(Bounce::Transient);
        let rows = [
            ("the sending that is known", transient, Some("m1"), Ok(bounced)),
            ("an earlier one came back for now", transient, Some("m2"), Err(())),
            ("none is known: the note was lost", transient, None, Ok(bounced)),
            ("an earlier one arrived", Feedback::Delivered, Some("m2"), Ok(Standing::Delivered)),
        ];
        for (what, feedback, known, expected) in rows {
            assert_eq!(Standing::Sent.hear(feedback, "m1", known).map_err(|_| ()), expected, "{what}");
        }
    }

    fn feedback() -> impl Strategy<Value = Feedback> {
        prop_oneof![
            Just(Feedback::Delivered),
            Just(Feedback::Bounced(Bounce::Permanent)),
            Just(Feedback::Bounced(Bounce::Transient)),
            Just(Feedback::Complained),
        ]
    }

    proptest! {
        #[test]
        fn what_is_heard_twice_changes_nothing(from in 0..STANDINGS.len(), heard in feedback()) {
            if let Ok(next) = STANDINGS[from].1.after(Step::Hear(heard)) {
                prop_assert!(next.after(Step::Hear(heard)).is_err());
            }
        }

        #[test]
        fn the_order_in_which_it_is_heard_does_not_matter(
            heard in proptest::collection::vec(feedback(), 1..6), seed in 0_usize..720
        ) {
            let hear = |order: &[Feedback]| {
                order.iter().fold(Standing::Sent, |at, heard| at.after(Step::Hear(*heard)).unwrap_or(at))
            };
            let mut other = heard.clone();
            let turn = seed % other.len();
            other.rotate_left(turn);
            if seed % 2 == 1 {
                other.reverse();
            }
            prop_assert_eq!(hear(&heard), hear(&other));
        }

        #[test]
        fn no_ciphertext_outlives_its_use(from in 0..STANDINGS.len(), heard in feedback()) {
            if let Ok(next) = STANDINGS[from].1.after(Step::Hear(heard)) {
                prop_assert_eq!(next.keeps_ciphertext(), heard == Feedback::Bounced(Bounce::Transient));
            }
        }
    }
}
