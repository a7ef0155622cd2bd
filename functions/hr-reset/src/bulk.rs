//! Bulk resets as HR sees them: upload, preview, confirmation, progress, result. The resets themselves are made by the
//! function `bulk-reset`.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use rand::CryptoRng;
use shared::audit::{Action, SUCCESS};
use shared::authority::{Act, Actor, Target, decide};
use shared::bulk::file::{self, Row};
use shared::bulk::{CHUNK, PREVIEW, PreviewRow, RowRefusal, State, Step, Verdict, judge};
use shared::caller::{Admitted, Presented};
use shared::delivery::Standing;
use shared::email_address::EmailAddress;
use shared::http::Call;
use shared::language::Language;
use shared::person::Person;
use shared::problem::{Advice, Code, Problem};
use shared::pseudonym::{EmailDigest, PersonId};
use shared::seal::DataKey;
use shared::secret::Secret;
use shared::spreadsheet::cell;
use shared::store::StoreError;
use shared::store::bulk::{Confirmation, Job, NewJob, Outcome, record_of};
use shared::store::tickets::Rate;
use shared::store::{CommitError, Guard, Transaction};

use crate::step::HrReset;

/// Rows on a page, unless the call says how many, and at most.
pub(crate) const PAGE: usize = 100;
pub(crate) const MOST: usize = 250;
/// People who are read in one call, and calls that are made side by side.
const PEOPLE_A_READ: usize = 100;
const READS: usize = 8;
/// How often a step is tried while the job moves on beside it.
const TRIES: u32 = 5;

/// A bulk reset with the first page of its rows.
#[derive(Debug)]
pub struct Uploaded {
    /// The job.
    pub job: Job,
    /// The rows.
    pub page: RowsPage,
}

/// Some rows of a bulk reset.
#[derive(Debug)]
pub struct RowsPage {
    /// The rows, in the file's order.
    pub rows: Vec<ShownRow>,
    /// Asks for the next page.
    pub next: Option<String>,
}

/// A row as its uploader sees it.
#[derive(Debug)]
pub struct ShownRow {
    /// The line in the file.
    pub line: u32,
    /// The national ID, masked.
    pub national_id: Option<String>,
    /// The email address, masked.
    pub email: Option<String>,
    /// Where the row is.
    pub status: RowStatus,
}

/// Where a row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowStatus {
    /// Its reset is to be made.
    ToReset,
    /// Its reset was made.
    Reset {
        /// Which.
        reset_id: String,
        /// Where its mail is, while the outbox knows.
        standing: Option<Standing>,
    },
    /// It is refused.
    Refused {
        /// Why.
        code: RowRefusal,
        /// The line that it repeats, when it does.
        same_as: Option<u32>,
    },
    /// The bulk reset was called off before it came to this row.
    Cancelled,
}

impl RowStatus {
    /// The name in answers and result files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ToReset => "to_reset",
            Self::Reset { .. } => "reset",
            Self::Refused { .. } => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A row of the file, with whom and where it names.
struct Named {
    row: Row,
    person: Option<(PersonId, String)>,
    email: Option<(EmailAddress, EmailDigest)>,
}

fn not_found() -> Problem {
    Problem::new(Code::BulkNotFound)
}

/// What moves with the call: where the list of rows goes on.
fn rows_list<'a>(id: &'a str, by: &'a str, refused: bool) -> [&'a str; 4] {
    ["bulk-rows", id, by, if refused { "refused" } else { "" }]
}

impl HrReset {
    /// Takes a file of new staff, and says what would come of every row. Nothing is reset.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `file_invalid`, `too_many_requests`, `unavailable`.
    pub async fn upload(
        &self,
        call: &Call,
        presented: Presented,
        include_active: bool,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Uploaded, Problem> {
        let now = call.now();
        let admitted = self.door().admit(presented, &[], now).await?;
        let by = &admitted.session.subject;
        let actor = admitted.caller.actor();
        let decided = decide(actor, Act::BulkReset, Target::Anybody, now);
        let agency = admitted.caller.agency();
        self.audited(decided, Action::BulkUpload, by, by, Some(agency), &call.origin).await?;
        let file = file::read(call.file()?)?;
        // A preview tells as much as a search of every row.
        self.tickets.count_now(&Rate::bulks_by(by, self.limits.bulks_by_actor, now)).await??;
        let rows = self.preview(actor, file, include_active, now).await?;
        let mut refused: BTreeMap<RowRefusal, u32> = BTreeMap::new();
        for row in &rows {
            if let Verdict::Refused { code, .. } = row.verdict {
                *refused.entry(code).or_default() += 1;
            }
        }
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let new = NewJob {
            id: Secret::random(rng).reveal().to_owned(),
            by: by.clone(),
            include_active,
            rows: count,
            to_reset: count.saturating_sub(refused.values().sum()),
            refused,
            now,
            expires_at: now.checked_add(PREVIEW).unwrap_or(Timestamp::MAX),
        };
        let key = self.kms.bulk_data_key(&self.secrets_key, &new.id).await?;
        let mut chunks = Vec::new();
        for (place, some) in rows.chunks(CHUNK).enumerate() {
            let text = serde_json::to_string(some).map_err(|error| unreadable(&error))?;
            chunks
                .push(key.seal(&record_of(&new.id, place), &text, rng).map_err(|error| unreadable(&error))?);
        }
        self.bulks.keep_rows(&new, chunks).await?;
        let mut audit = call.origin.entry(Action::BulkUpload, by, by, SUCCESS).of_agency(Some(agency));
        audit.note = Some(format!("bulk {}: {} rows, {} to be reset", new.id, new.rows, new.to_reset));
        Transaction::new()
            .with(Guard::New, self.bulks.publish(&new)?)
            .with(Guard::New, self.audit.append(audit)?)
            .commit(&self.client)
            .await?;
        let more = rows.len() > PAGE;
        let by = by.to_string();
        let list = rows_list(&new.id, &by, false);
        let next = more.then(|| self.cursors.seal(&list, &PAGE, rng)).transpose()?;
        let rows = rows.into_iter().take(PAGE).map(|row| shown(row, RowStatus::ToReset)).collect();
        Ok(Uploaded { job: new.job(), page: RowsPage { rows, next } })
    }

    /// What would come of every row now.
    async fn preview(
        &self,
        actor: Actor<'_>,
        file: Vec<Row>,
        include_active: bool,
        now: Timestamp,
    ) -> Result<Vec<PreviewRow>, Problem> {
        let named: Vec<Named> = file.into_iter().map(|row| self.named(row)).collect();
        let ids: Vec<&PersonId> = named.iter().filter_map(|row| Some(&row.person.as_ref()?.0)).collect();
        let addresses: Vec<&EmailDigest> =
            named.iter().filter_map(|row| Some(&row.email.as_ref()?.1)).collect();
        let (people, marked) = try_join(self.people_of(&ids), self.marked_of(&addresses)).await?;
        let mut lines: HashMap<&PersonId, u32> = HashMap::new();
        let mut rows = Vec::with_capacity(named.len());
        for Named { row, person, email } in &named {
            let refused = |code| Verdict::Refused { code, same_as: None };
            let verdict = match (&row.fields, person, email) {
                (None, ..) => refused(RowRefusal::Malformed),
                (Some(_), None, _) => refused(RowRefusal::NationalIdInvalid),
                (Some(_), Some(_), None) => refused(RowRefusal::EmailInvalid),
                (Some(_), Some((id, _)), Some((email, address))) => match lines.get(id) {
                    Some(first) => Verdict::Refused { code: RowRefusal::Duplicate, same_as: Some(*first) },
                    None => {
                        lines.insert(id, row.line);
                        let undeliverable = marked.contains(address);
                        match judge(actor, people.get(id), undeliverable, include_active, now) {
                            Ok(person) => Verdict::Reset {
                                person: person.id.clone(),
                                email: email.reveal().to_owned(),
                                address: address.clone(),
                            },
                            Err(refusal) => refused(refusal),
                        }
                    }
                },
            };
            let masked = person.as_ref().map(|(_, masked)| masked.clone());
            rows.push(PreviewRow { line: row.line, masked, verdict });
        }
        Ok(rows)
    }

    fn named(&self, row: Row) -> Named {
        let fields = row.fields.as_ref();
        let id = fields.and_then(|fields| fields.national_id.as_ref().ok());
        let email = fields.and_then(|fields| fields.email.as_ref().ok());
        let person = id.map(|id| (self.pseudonyms.person(id), id.masked()));
        let email = email.map(|email| (email.clone(), self.pseudonyms.email(email)));
        Named { row, person, email }
    }

    async fn people_of(&self, ids: &[&PersonId]) -> Result<HashMap<PersonId, Person>, StoreError> {
        let mut reads = Vec::new();
        for some in ids.chunks(PEOPLE_A_READ) {
            reads.push(self.door().accounts().people(some));
        }
        let found: Vec<HashMap<PersonId, Person>> =
            stream::iter(reads).buffer_unordered(READS).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn marked_of(&self, addresses: &[&EmailDigest]) -> Result<HashSet<EmailDigest>, StoreError> {
        let mut reads = Vec::new();
        for some in addresses.chunks(PEOPLE_A_READ) {
            reads.push(self.outbox.marked(some));
        }
        let found: Vec<HashSet<EmailDigest>> =
            stream::iter(reads).buffer_unordered(READS).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The caller's job of that id. Somebody else's looks like none.
    async fn job_of(&self, call: &Call, presented: Presented, id: &str) -> Result<(Admitted, Job), Problem> {
        let job = async {
            match Secret::parse(id) {
                Some(id) => Ok(self.bulks.job(id.reveal()).await?),
                None => Ok(None),
            }
        };
        let (admitted, job) = try_join(self.door().admit(presented, &[], call.now()), job).await?;
        decide(admitted.caller.actor(), Act::BulkReset, Target::Anybody, call.now())?;
        let own = job.filter(|job| job.by == admitted.session.subject);
        Ok((admitted, own.ok_or_else(not_found)?))
    }

    /// Where a bulk reset is.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `bulk_not_found`, `unavailable`.
    pub async fn bulk(&self, call: &Call, presented: Presented, id: &str) -> Result<Job, Problem> {
        Ok(self.job_of(call, presented, id).await?.1)
    }

    /// A page of a bulk reset's rows; of those alone that are refused, when that is asked.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `bulk_not_found`, `request_invalid`, `unavailable`.
    pub async fn bulk_rows(
        &self,
        call: &Call,
        presented: Presented,
        id: &str,
        refused: bool,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<RowsPage, Problem> {
        let limit = call.page_limit(PAGE, MOST)?;
        let (admitted, job) = self.job_of(call, presented, id).await?;
        let by = admitted.session.subject.to_string();
        let list = rows_list(&job.id, &by, refused);
        let from: usize =
            call.query("cursor").map(|cursor| self.cursors.open(&list, &cursor)).transpose()?.unwrap_or(0);
        let mut opened = Opened::default();
        let (mut rows, mut next) = (Vec::new(), None);
        let count = usize::try_from(job.rows).unwrap_or_default();
        let mut chunk = from / CHUNK;
        while chunk * CHUNK < count && next.is_none() {
            let shown = self.chunk(&job, chunk, &mut opened).await?;
            for (offset, row) in shown.into_iter().enumerate() {
                let place = chunk * CHUNK + offset;
                let wanted = !refused || matches!(row.status, RowStatus::Refused { .. });
                if place < from || !wanted {
                    continue;
                }
                if rows.len() == limit {
                    next = Some(self.cursors.seal(&list, &place, rng)?);
                    break;
                }
                rows.push(row);
            }
            chunk += 1;
        }
        self.find_mails(&mut rows).await?;
        Ok(RowsPage { rows, next })
    }

    /// The rows of a chunk as they stand now, without where their mails are.
    async fn chunk(&self, job: &Job, chunk: usize, opened: &mut Opened) -> Result<Vec<ShownRow>, Problem> {
        // The rows of a preview that was called off are forgotten.
        let Some(sealed) = self.bulks.chunk(&job.id, chunk).await? else { return Ok(Vec::new()) };
        if opened.key.is_none() {
            let wrapped = DataKey::wrapped_in(&sealed).map_err(|error| unreadable(&error))?.to_vec();
            opened.key = Some(self.kms.unwrap_bulk_key(&self.secrets_key, &job.id, wrapped).await?);
        }
        let Some(key) = &opened.key else { return Ok(Vec::new()) };
        let text = key.open(&record_of(&job.id, chunk), &sealed).map_err(|error| unreadable(&error))?;
        // An error of JSON may repeat what it stumbled over.
        let rows: Vec<PreviewRow> = serde_json::from_str(&text).map_err(|_| unreadable(&"not rows"))?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        let outcomes = match job.confirmed_at {
            Some(_) => self.bulks.outcomes(&job.id, first.line, last.line).await?,
            None => BTreeMap::new(),
        };
        let status = |line: u32| match (outcomes.get(&line), job.state) {
            (Some(Outcome::Reset { reset_id }), _) => {
                RowStatus::Reset { reset_id: reset_id.clone(), standing: None }
            }
            (Some(Outcome::Refused(code)), _) => RowStatus::Refused { code: *code, same_as: None },
            (None, State::Stopped) => RowStatus::Refused {
                code: job.stopped_by.unwrap_or(RowRefusal::NotAuthorized),
                same_as: None,
            },
            (None, State::Cancelled) => RowStatus::Cancelled,
            (None, State::Preview | State::Queued | State::Running | State::Done) => RowStatus::ToReset,
        };
        Ok(rows
            .into_iter()
            .map(|row| {
                let status = status(row.line);
                shown(row, status)
            })
            .collect())
    }

    async fn find_mails(&self, rows: &mut [ShownRow]) -> Result<(), Problem> {
        let ids: Vec<String> = rows
            .iter()
            .filter_map(|row| match &row.status {
                RowStatus::Reset { reset_id, .. } => Some(reset_id.clone()),
                _ => None,
            })
            .collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut reads = Vec::new();
        for some in ids.chunks(PEOPLE_A_READ) {
            reads.push(self.outbox.standings(some));
        }
        let found: Vec<HashMap<String, Standing>> =
            stream::iter(reads).buffer_unordered(READS).try_collect().await?;
        let found: HashMap<String, Standing> = found.into_iter().flatten().collect();
        for row in rows {
            if let RowStatus::Reset { reset_id, standing } = &mut row.status {
                *standing = found.get(reset_id).copied();
            }
        }
        Ok(())
    }

    /// Confirms a bulk reset: its resets begin. What is confirmed already stays so.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `bulk_not_found`, `bulk_closed`, `conflict`, `unavailable`.
    pub async fn confirm(&self, call: &Call, presented: Presented, id: &str) -> Result<Job, Problem> {
        let (admitted, mut job) = self.job_of(call, presented, id).await?;
        let by = &admitted.session.subject;
        let now = call.now();
        for _ in 0..TRIES {
            let next = job.state.after(Step::Confirm)?;
            if next == job.state {
                return Ok(job);
            }
            if now >= job.expires_at {
                return Err(Problem::new(Code::BulkClosed).advising(Advice::PreviewOver));
            }
            self.step_up.check(&admitted.session, now)?;
            let confirmation = Confirmation {
                address: call.origin.address.clone(),
                request_id: call.origin.request_id.clone(),
            };
            let entry = call.origin.entry(Action::BulkConfirmation, by, by, SUCCESS);
            let mut audit = entry.of_agency(Some(admitted.caller.agency()));
            audit.note = Some(format!("bulk {}: {} to be reset", job.id, job.to_reset));
            let seen = admitted.session.proof.seen();
            let written = Transaction::new()
                .with(Guard::Bulk, self.bulks.confirm(&job, seen, &confirmation, now)?)
                .with(Guard::Actor, admitted.unchanged(self.door().accounts())?)
                .with(Guard::New, self.audit.append(audit)?)
                .commit(&self.client)
                .await;
            match written {
                Ok(()) => {
                    job.state = next;
                    job.confirmed_at = Some(now);
                    return Ok(job);
                }
                Err(error) => job = self.again(&admitted, error, call, &job.id).await?,
            }
        }
        Err(Problem::new(Code::Conflict).because("moved on beside every try"))
    }

    /// Calls a bulk reset off: a preview is forgotten; of one that runs, no further row is begun once this is answered.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `bulk_not_found`, `bulk_closed`, `conflict`, `unavailable`.
    pub async fn cancel(&self, call: &Call, presented: Presented, id: &str) -> Result<(), Problem> {
        let (admitted, mut job) = self.job_of(call, presented, id).await?;
        let by = &admitted.session.subject;
        for _ in 0..TRIES {
            let next = job.state.after(Step::Cancel)?;
            if next == job.state {
                return Ok(());
            }
            let entry = call.origin.entry(Action::BulkCancellation, by, by, SUCCESS);
            let mut audit = entry.of_agency(Some(admitted.caller.agency()));
            audit.note = Some(format!("bulk {}", job.id));
            let written = Transaction::new()
                .with(Guard::Bulk, self.bulks.cancel(&job, call.now())?)
                .with(Guard::New, self.audit.append(audit)?)
                .commit(&self.client)
                .await;
            match written {
                Ok(()) if job.confirmed_at.is_none() => return Ok(self.bulks.forget_rows(&job).await?),
                Ok(()) => return Ok(()),
                Err(error) => job = self.again(&admitted, error, call, &job.id).await?,
            }
        }
        Err(Problem::new(Code::Conflict).because("moved on beside every try"))
    }

    /// The job as it is now, after a step of it was refused because it had moved on.
    async fn again(
        &self,
        admitted: &Admitted,
        error: CommitError,
        call: &Call,
        id: &str,
    ) -> Result<Job, Problem> {
        let decide_again = |actor: Actor<'_>| decide(actor, Act::BulkReset, Target::Anybody, call.now());
        if let Some(overtaken) = admitted.overtaken(&error, decide_again) {
            return Err(overtaken);
        }
        match error {
            CommitError::Refused(_) => self.bulks.job(id).await?.ok_or_else(not_found),
            error => Err(error.into()),
        }
    }

    /// What came of every row, as a file of CSV.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `bulk_not_found`, `unavailable`.
    pub async fn result(&self, call: &Call, presented: Presented, id: &str) -> Result<String, Problem> {
        let (_, job) = self.job_of(call, presented, id).await?;
        let mut opened = Opened::default();
        let chunks = usize::try_from(job.rows).unwrap_or_default().div_ceil(CHUNK);
        let mut rows = Vec::new();
        for chunk in 0..chunks {
            rows.extend(self.chunk(&job, chunk, &mut opened).await?);
        }
        self.find_mails(&mut rows).await?;
        csv_of(&rows, call.language).map_err(|error| unreadable(&error))
    }
}

/// What of a job's rows was opened: the key that they are sealed under.
#[derive(Default)]
struct Opened {
    key: Option<DataKey>,
}

fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Code::Unavailable).because(error)
}

/// A row of a preview; `otherwise` is where it is when the preview has not refused it.
fn shown(row: PreviewRow, otherwise: RowStatus) -> ShownRow {
    let PreviewRow { line, masked, verdict } = row;
    let (email, status) = match verdict {
        Verdict::Reset { email, .. } => {
            (EmailAddress::parse(&email).ok().map(|email| email.masked()), otherwise)
        }
        Verdict::Refused { code, same_as } => (None, RowStatus::Refused { code, same_as }),
    };
    ShownRow { line, national_id: masked, email, status }
}

/// The result file's columns.
const RESULT: [&str; 8] = ["line", "national_id", "email", "status", "code", "reason", "reset_id", "mail"];

/// The rows as CSV in UTF-8, with the byte order mark by which spreadsheets know it. No field begins with what a spreadsheet
/// takes for a formula: an address may, and one reset's id in 64.
fn csv_of(rows: &[ShownRow], language: Language) -> Result<String, csv::Error> {
    let mut file = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    file.write_record(RESULT)?;
    for row in rows {
        let (code, reset_id, mail) = match &row.status {
            RowStatus::Refused { code, .. } => (Some(*code), "", ""),
            RowStatus::Reset { reset_id, standing } => {
                let state = standing.map(|standing| crate::handler::state(standing.state()).as_str());
                (None, reset_id.as_str(), state.unwrap_or_default())
            }
            RowStatus::ToReset | RowStatus::Cancelled => (None, "", ""),
        };
        let fields = [
            row.line.to_string().as_str(),
            row.national_id.as_deref().unwrap_or_default(),
            row.email.as_deref().unwrap_or_default(),
            row.status.name(),
            code.map_or("", RowRefusal::code),
            code.map_or("", |code| code.text(language)),
            reset_id,
            mail,
        ]
        .map(|text| cell(text).into_owned());
        file.write_record(fields)?;
    }
    let bytes = file.into_inner().map_err(|error| error.into_error())?;
    Ok(format!("\u{feff}{}", String::from_utf8_lossy(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_of_a_result_is_a_formula() {
        let reset = |email: &str, reset_id: &str| ShownRow {
            line: 2,
            national_id: Some("A******789".to_owned()),
            email: Some(email.to_owned()),
            status: RowStatus::Reset { reset_id: reset_id.to_owned(), standing: None },
        };
        let refused = ShownRow {
            line: 3,
            national_id: None,
            email: None,
            status: RowStatus::Refused { code: RowRefusal::EmailInvalid, same_as: None },
        };
        let rows = [reset("+***@example.gov.tw", "-dash"), reset("w***@example.gov.tw", "plain"), refused];
        let file = csv_of(&rows, Language::En).unwrap();
        let mut reader = csv::Reader::from_reader(file.trim_start_matches('\u{feff}').as_bytes());
        let cells: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
        assert_eq!((&cells[0][2], &cells[0][6]), ("'+***@example.gov.tw", "'-dash"));
        assert_eq!((&cells[1][2], &cells[1][6]), ("w***@example.gov.tw", "plain"));
        for text in cells.iter().flat_map(csv::StringRecord::iter) {
            assert!(!text.starts_with(['=', '+', '-', '@', '\t', '\r']), "{text}");
        }
    }
}
