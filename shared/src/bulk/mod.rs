//! Bulk resets: an HR head, or the agency's organization certificate, uploads a file of new staff, sees what would come of
//! every row, and confirms; the resets are made one by one ([`crate::reset`]).
//!
//! New staff are those who have never activated: somebody who has is refused, unless the upload says that they are meant
//! too. The verdict of the preview decides nothing: whether a row's reset may be made is asked again when it is made.

pub mod file;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::authority::{Act, Actor, Refusal, Target, decide};
use crate::language::Language;
use crate::person::Person;
use crate::pseudonym::{EmailDigest, PersonId};

/// How long a preview waits to be confirmed.
pub const PREVIEW: SignedDuration = SignedDuration::from_hours(24);
/// How long a bulk reset's rows and result are kept, from the upload.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);
/// Rows that are sealed together: some tens of kilobytes.
pub const CHUNK: usize = 250;

macro_rules! row_refusals {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: $zh_tw:literal, $en:literal;)*) => {
        /// Why a row's reset is not made.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum RowRefusal { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl RowRefusal {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in answers and result files.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The reason, with what to do about it.
            pub fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $(
                        (Self::$variant, Language::ZhTw) => $zh_tw,
                        (Self::$variant, Language::En) => $en,
                    )*
                }
            }
        }
    };
}

row_refusals! {
    /// Another number of fields than the header.
    Malformed = "row_malformed":
        "這一列的欄位數與標題列不符。",
        "This row has another number of fields than the header.";
    /// Not a national ID.
    NationalIdInvalid = "national_id_invalid":
        "身分證號不正確，請核對後改正。",
        "This is not a national ID. Check it and correct it.";
    /// Not an address that a mail can be sent to.
    EmailInvalid = "email_invalid":
        "電子郵件地址不正確，請核對後改正。",
        "This is not an email address. Check it and correct it.";
    /// The same person as in an earlier row.
    Duplicate = "duplicate":
        "與檔案中較前的一列是同一人，請只保留一列。",
        "An earlier row of the file is about the same person. Keep one of them.";
    /// Nobody of that national ID in the actor's scope.
    EmployeeNotFound = "employee_not_found":
        "您的權限範圍內查無此人，請確認身分證號，或先將人員資料報送至公務人力資料庫。",
        "Nobody of that national ID is in your scope. Check it, or report the person to the personnel directory first.";
    /// Departed.
    PersonDeparted = "person_departed":
        "卸職狀態，不能重設密碼。",
        "The person has departed.";
    /// An HR head, whom only the helpdesk resets.
    HrHead = "hr_head":
        "人事主管的密碼只能由客服人員重設。",
        "Only the helpdesk resets an HR head's password.";
    /// An agent of the helpdesk, whom only another one resets.
    HelpdeskAgent = "helpdesk_agent":
        "客服人員的密碼只能由客服人員重設。",
        "Only the helpdesk resets the password of one of its own.";
    /// The one who uploads.
    Oneself = "oneself":
        "不能重設自己的密碼。",
        "Nobody resets their own password.";
    /// Has activated before, and the upload does not mean such people.
    AlreadyActive = "already_active":
        "帳號已啟用，不需要初始密碼。若確實要重設，請單獨重設此人，或上傳時勾選包含已啟用的帳號。",
        "The account was activated, so no initial password is needed. If it is meant all the same, reset this person alone, \
         or upload again with accounts that were activated included.";
    /// Mail to the address came back for good.
    EmailUndeliverable = "email_undeliverable":
        "寄往這個電子郵件地址的信曾被退回，請核對地址；若地址正確，請單獨重設此人並確認地址。",
        "Mail to this address came back. Check it; if it is right, reset this person alone and confirm it.";
    /// The actor may do it to nobody any more.
    NotAuthorized = "not_authorized":
        "執行時已沒有批次重設密碼的權限。",
        "When it came to this row, there was no authority for bulk resets any more.";
    /// The person was reset too often within the hour.
    TooManyRequests = "too_many_requests":
        "此人一小時內已重設密碼多次，請稍後單獨重設。",
        "The person was reset several times within the hour. Reset them alone, later.";
    /// The person changed beside every try.
    Conflict = "conflict":
        "此人的資料同時被更動，未重設密碼，請單獨重設。",
        "The person's record was being changed at the same moment. Reset them alone.";
}

impl From<Refusal> for RowRefusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            // The latter ones are of authorizations, and never of a reset.
            Refusal::NoAuthority { .. }
            | Refusal::NotOwnAgency
            | Refusal::CertificateConcurrent
            | Refusal::NotEligible
            | Refusal::HolderChanged(_)
            | Refusal::OwnRequest
            | Refusal::OthersRequest
            | Refusal::AgencyUnknown
            | Refusal::AgencyWithoutHead => Self::NotAuthorized,
            // A person out of scope and a person who does not exist look the same.
            Refusal::OutOfScope => Self::EmployeeNotFound,
            Refusal::Oneself => Self::Oneself,
            Refusal::HrHead => Self::HrHead,
            Refusal::HelpdeskAgent => Self::HelpdeskAgent,
            Refusal::Departed => Self::PersonDeparted,
        }
    }
}

/// Whether a row's reset may be made now: of somebody, or nobody, whom its national ID names; to an address, which mail
/// came back from or not.
///
/// # Errors
/// The first reason against it, in the order in which they may be told.
pub fn judge<'p>(
    actor: Actor<'_>,
    person: Option<&'p Person>,
    undeliverable: bool,
    include_active: bool,
    now: Timestamp,
) -> Result<&'p Person, RowRefusal> {
    decide(actor, Act::BulkReset, Target::found(person), now)?;
    let person = person.ok_or(RowRefusal::EmployeeNotFound)?;
    if person.account.is_activated() && !include_active {
        return Err(RowRefusal::AlreadyActive);
    }
    if undeliverable {
        return Err(RowRefusal::EmailUndeliverable);
    }
    Ok(person)
}

/// A row of a preview, as it is sealed: what a reset needs, and what is shown of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewRow {
    /// The line in the file.
    pub line: u32,
    /// The national ID, masked; nothing, when it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked: Option<String>,
    /// What is to be done, or why nothing is.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What comes of a row.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// Its reset is to be made.
    Reset {
        /// Whose.
        person: PersonId,
        /// Where to mail the initial password.
        email: String,
        /// The same, as its digest.
        address: EmailDigest,
    },
    /// It is refused.
    Refused {
        /// Why.
        code: RowRefusal,
        /// The line that it repeats, when it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        same_as: Option<u32>,
    },
}

impl fmt::Debug for PreviewRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreviewRow({}, …)", self.line)
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset { person, .. } => write!(f, "Reset({person})"),
            Self::Refused { code, .. } => write!(f, "Refused({})", code.code()),
        }
    }
}

/// Where a bulk reset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Uploaded; nothing is done before it is confirmed.
    Preview,
    /// Confirmed, and waits for a worker: the first one, or the next.
    Queued,
    /// In a worker's hands.
    Running,
    /// Every row has come to its end.
    Done,
    /// It ended before its last row: who confirmed it may not do it any more.
    Stopped,
    /// Somebody called it off.
    Cancelled,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Preview, Self::Queued, Self::Running, Self::Done, Self::Stopped, Self::Cancelled];

    /// The name in answers and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What happens to a bulk reset. The table's writes repeat this as conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The uploader confirms.
    Confirm,
    /// A worker takes it, or takes it over from one that never came back.
    Take,
    /// A worker whose time is over leaves it to the next.
    Release,
    /// Its last row is done.
    Finish,
    /// Its actor may not do it any more.
    Stop,
    /// The uploader calls it off.
    Cancel,
}

/// A step that a bulk reset cannot take where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step:?} of a bulk reset that is {}", .state.as_str())]
pub struct OutOfPlace {
    /// Where it is.
    pub state: State,
    /// What cannot happen there.
    pub step: Step,
}

impl State {
    /// Where a step leads. What has happened already may happen again: confirming what is confirmed, cancelling what is
    /// cancelled.
    ///
    /// # Errors
    /// [`OutOfPlace`].
    pub fn after(self, step: Step) -> Result<Self, OutOfPlace> {
        use State::{Cancelled, Done, Preview, Queued, Running, Stopped};
        match (self, step) {
            (Preview, Step::Confirm) => Ok(Queued),
            (Queued | Running | Done | Stopped, Step::Confirm) => Ok(self),
            (Queued | Running, Step::Take) => Ok(Running),
            (Running, Step::Release) => Ok(Queued),
            (Running, Step::Finish) => Ok(Done),
            (Running, Step::Stop) => Ok(Stopped),
            (Preview | Queued | Running | Cancelled, Step::Cancel) => Ok(Cancelled),
            (Preview | Done | Stopped | Cancelled, Step::Take)
            | (Cancelled, Step::Confirm)
            | (Preview | Queued | Done | Stopped | Cancelled, Step::Release | Step::Finish | Step::Stop)
            | (Done | Stopped, Step::Cancel) => Err(OutOfPlace { state: self, step }),
        }
    }

    /// Whether nothing happens to it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Stopped | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::tests::person;
    use crate::person::Role;

    #[test]
    fn life() {
        // Confirm, take, release, finish, stop, cancel.
        let rows = [
            (State::Preview, [Some(State::Queued), None, None, None, None, Some(State::Cancelled)]),
            (
                State::Queued,
                [Some(State::Queued), Some(State::Running), None, None, None, Some(State::Cancelled)],
            ),
            (
                State::Running,
                [
                    Some(State::Running),
                    Some(State::Running),
                    Some(State::Queued),
                    Some(State::Done),
                    Some(State::Stopped),
                    Some(State::Cancelled),
                ],
            ),
            (State::Done, [Some(State::Done), None, None, None, None, None]),
            (State::Stopped, [Some(State::Stopped), None, None, None, None, None]),
            (State::Cancelled, [None, None, None, None, None, Some(State::Cancelled)]),
        ];
        let steps = [Step::Confirm, Step::Take, Step::Release, Step::Finish, Step::Stop, Step::Cancel];
        for (state, expected) in rows {
            for (step, expected) in steps.into_iter().zip(expected) {
                assert_eq!(state.after(step).ok(), expected, "{state:?} {step:?}");
            }
        }
    }

    #[test]
    fn verdicts() {
        let now: Timestamp = "2026-08-03T00:00:00Z".parse().unwrap();
        let head = person("head", "A", &[Role::HrHead]);
        let new = person("new", "A", &[]);
        let mut active = person("active", "A", &[]);
        active.account.custom_account = crate::custom_account::CustomAccount::parse("wang.daming").ok();
        let mut departed = person("departed", "A", &[]);
        departed.service = crate::person::Service::Departed;
        let foreign = person("foreign", "C", &[]);
        let other_head = person("other", "A", &[Role::HrHead]);
        let agent = person("agent", "A", &[Role::Helpdesk]);
        let rows = [
            ("new staff", Some(&new), false, false, Ok("new")),
            ("nobody", None, false, false, Err(RowRefusal::EmployeeNotFound)),
            ("another agency's", Some(&foreign), false, false, Err(RowRefusal::EmployeeNotFound)),
            (
                "another agency's, whatever else",
                Some(&foreign),
                true,
                false,
                Err(RowRefusal::EmployeeNotFound),
            ),
            ("departed", Some(&departed), false, false, Err(RowRefusal::PersonDeparted)),
            ("another head", Some(&other_head), false, true, Err(RowRefusal::HrHead)),
            ("an agent", Some(&agent), false, true, Err(RowRefusal::HelpdeskAgent)),
            ("oneself", Some(&head), false, true, Err(RowRefusal::Oneself)),
            ("activated", Some(&active), false, false, Err(RowRefusal::AlreadyActive)),
            ("activated, and meant", Some(&active), false, true, Ok("active")),
            (
                "an address that mail came back from",
                Some(&new),
                true,
                false,
                Err(RowRefusal::EmailUndeliverable),
            ),
        ];
        for (what, person, undeliverable, include_active, expected) in rows {
            let judged = judge(Actor::Person(&head), person, undeliverable, include_active, now);
            assert_eq!(judged.map(|person| person.id.as_str()), expected, "{what}");
        }
        let staff = person("staff", "A", &[Role::HrStaff]);
        for actor in [Actor::Person(&staff), Actor::Person(&person("desk", "H", &[Role::Helpdesk]))] {
            assert_eq!(judge(actor, Some(&new), false, false, now), Err(RowRefusal::NotAuthorized));
        }
        assert!(judge(Actor::Agency { agency: "A" }, Some(&new), false, false, now).is_ok());
    }

    #[test]
    fn every_reason() {
        let text = |refusal: &RowRefusal| {
            let (zh, en) = (refusal.text(Language::ZhTw), refusal.text(Language::En));
            format!("{}\n  {zh}\n  {en}", refusal.code())
        };
        insta::assert_snapshot!(RowRefusal::ALL.iter().map(text).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn rows_are_read_back() {
        let rows = [
            PreviewRow {
                line: 2,
                masked: Some("A******789".to_owned()),
                verdict: Verdict::Reset {
                    person: PersonId::from_stored("p"),
                    email: "a@example.tw".to_owned(),
                    address: EmailDigest::from_stored("d"),
                },
            },
            PreviewRow {
                line: 3,
                masked: None,
                verdict: Verdict::Refused { code: RowRefusal::Duplicate, same_as: Some(2) },
            },
        ];
        let text = serde_json::to_string(&rows).unwrap();
        assert_eq!(serde_json::from_str::<Vec<PreviewRow>>(&text).unwrap(), rows);
        assert!(!format!("{rows:?}").contains("example"));
    }
}
