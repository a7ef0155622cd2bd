//! A file against the directory: first what it would change, then the change.
//!
//! Both readings compare with what is in the table and with nothing that was noted of earlier files, so that a run can end
//! anywhere: what it has written, the next one finds as it should be. Account attributes of a person are others' to write; what
//! is written here is conditional on the authority that was read, and read again where somebody was quicker.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use shared::audit::Origin;
use shared::person::{Person, Service};
use shared::pseudonym::PersonId;
use shared::roster::facts::Register;
use shared::roster::plan::{Confirmed, Guard, Plan, Step};
use shared::roster::{Listed, NotARoster, Scope};
use shared::s3::S3Error;
use shared::store::accounts::Enrollment;
use shared::store::personnel::{MANY, Segment};
use shared::store::{CommitError, StoreError};

use crate::report::Report;
use crate::source::{Source, Told};
use crate::{Directory, Run};

/// Calls that are under way at once: to read, and to write. A call of either is about a hundred people.
const READS: usize = 16;
const WRITES: usize = 8;
/// Segments of a scan, side by side.
const SEGMENTS: i32 = 8;
/// People of a write that change one by one at once.
const CHANGES: usize = 16;
/// How often a call is tried that DynamoDB has no capacity for, after the client's own tries; and the pause before each.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);

/// Why a file is not done with. It stays in the inbox, unless it is no roster.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The function's time is over.
    #[error("the time is over; the next run goes on")]
    OutOfTime,
    /// Another run has taken over.
    #[error("another run has taken over")]
    Lost,
    /// Somebody of the file is elsewhere by now than when it was compared.
    #[error("somebody of the file has moved meanwhile; the next run compares anew")]
    Overtaken,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A write that others were in the way of again and again.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] S3Error),
    /// The file.
    #[error(transparent)]
    File(#[from] NotARoster),
}

/// What a file would change.
#[derive(Debug)]
pub struct Planned {
    /// The people.
    pub plan: Plan,
    /// How many people serve in the agencies that lose some.
    pub in_service: HashMap<String, u64>,
}

impl Planned {
    /// Whether nothing is to be written.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.plan.agencies_noted().is_empty() && self.plan.extent().is_nothing()
    }
}

/// What is written in one go.
enum Work {
    New(Vec<Listed>),
    Changed(Vec<Listed>),
    Absent(Vec<PersonId>),
}

/// The answer of a call that reads or writes all or nothing: again, where it failed for want of capacity or on the way. A macro,
/// for a future that borrows and is sent between threads.
macro_rules! again {
    ($call:expr) => {{
        let mut attempt = 1;
        loop {
            match $call.await {
                Err(StoreError::Service(reason)) if attempt < TRIES => {
                    tracing::warn!(step = "roster-import", reason, attempt, "a call is made again");
                    tokio::time::sleep(PAUSE.saturating_mul(attempt)).await;
                    attempt += 1;
                }
                answer => break answer,
            }
        }
    }};
}

impl Directory {
    /// Reads a file and compares it with the directory. Writes nothing.
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn plan(
        &self,
        source: &Source,
        scope: &Scope,
        guard: &Guard,
        confirmed: &Confirmed,
        run: &Run,
        report: &mut Report,
    ) -> Result<Planned, Stop> {
        let mut plan = Plan::new(scope.clone());
        let mut asked = FuturesUnordered::new();
        let mut ids = Vec::with_capacity(MANY);
        let mut listener = source.read(self.limits, &self.pseudonyms);
        loop {
            match listener.recv().await {
                // The thread that reads is gone.
                None => return Err(NotARoster::Unreadable(std::io::ErrorKind::BrokenPipe.into()).into()),
                Some(Told::End(end)) => {
                    report.summary(&end?);
                    break;
                }
                Some(Told::Lines(lines)) => {
                    for line in lines {
                        let (listed, oid) = match line.row {
                            Ok(row) => row,
                            Err(refused) => {
                                plan.unreadable(&refused.people, refused.of_others);
                                report.refuse_row(line.number, &refused.reason);
                                continue;
                            }
                        };
                        let first = !plan.has(&listed.id);
                        match plan.take(line.number, &listed, oid.as_deref()) {
                            // Everybody is read at the end, for a country.
                            Ok(()) if first && *scope != Scope::Country => ids.push(listed.id),
                            Ok(()) => {}
                            Err(reason) => report.refuse_row(line.number, &reason),
                        }
                        if ids.len() == MANY {
                            asked.push(self.known(std::mem::replace(&mut ids, Vec::with_capacity(MANY))));
                        }
                    }
                }
            }
            while asked.len() >= READS {
                let known = asked.next().await.transpose()?;
                known.iter().flatten().for_each(|known| plan.meet(known));
            }
            if run.is_over() {
                return Err(Stop::OutOfTime);
            }
        }
        if !ids.is_empty() {
            asked.push(self.known(ids));
        }
        while let Some(known) = asked.next().await {
            known?.iter().for_each(|known| plan.meet(known));
        }
        let mut in_service = self.meet_others(&mut plan, run).await?;
        let register = self.register(&plan).await?;
        for (line, reason) in plan.settle(&register, confirmed) {
            report.refuse_row(line, &reason);
        }
        for (agency, leaving) in plan.leaving() {
            if !guard.passes_any(*leaving) && !in_service.contains_key(agency) {
                let count = again!(self.personnel.count_serving(agency))?;
                in_service.insert(agency.clone(), count);
            }
        }
        report.planned(&plan, confirmed);
        Ok(Planned { plan, in_service })
    }

    async fn known(&self, ids: Vec<PersonId>) -> Result<Vec<shared::roster::plan::Known>, StoreError> {
        again!(self.personnel.known(&ids))
    }

    /// Compares with those whom the file speaks of by not naming them. Answers how many people serve, where it was counted.
    async fn meet_others(&self, plan: &mut Plan, run: &Run) -> Result<HashMap<String, u64>, Stop> {
        let mut in_service: HashMap<String, u64> = HashMap::new();
        match plan.scope().clone() {
            Scope::Changes => {}
            Scope::Agency(code) => {
                let serving = again!(self.personnel.serving(&code))?;
                in_service.insert(code, serving.len() as u64);
                // The index may be behind: who seems to be absent is looked at in the table itself.
                let absent: Vec<PersonId> = serving.into_iter().filter(|id| !plan.has(id)).collect();
                for ids in absent.chunks(MANY) {
                    self.known(ids.to_vec()).await?.iter().for_each(|known| plan.meet(known));
                }
            }
            Scope::Country => {
                let mut segments: FuturesUnordered<_> =
                    Segment::all(SEGMENTS).map(|segment| self.page(segment)).collect();
                while let Some(page) = segments.next().await {
                    let Some((segment, people)) = page? else { continue };
                    for known in &people {
                        if known.service == Service::InService {
                            match in_service.get_mut(&known.agency) {
                                Some(count) => *count = count.saturating_add(1),
                                None => {
                                    in_service.insert(known.agency.clone(), 1);
                                }
                            }
                        }
                        plan.meet(known);
                    }
                    if run.is_over() {
                        return Err(Stop::OutOfTime);
                    }
                    segments.push(self.page(segment));
                }
            }
        }
        Ok(in_service)
    }

    /// The next page of a segment, and what is left of it.
    async fn page(
        &self,
        mut segment: Segment,
    ) -> Result<Option<(Segment, Vec<shared::roster::plan::Known>)>, StoreError> {
        let page = again!(self.personnel.page(&mut segment))?;
        Ok(page.map(|people| (segment, people)))
    }

    /// What the directory knows of the agencies of a file.
    async fn register(&self, plan: &Plan) -> Result<Register, Stop> {
        let (codes, oids) = plan.agencies_named();
        let (codes, oids): (Vec<&str>, Vec<&str>) = (codes.into_iter().collect(), oids.into_iter().collect());
        let mut register = Register::default();
        for some in codes.chunks(MANY) {
            register.agencies.extend(again!(self.personnel.recorded(some))?);
        }
        for some in oids.chunks(MANY) {
            for (oid, agency) in again!(self.personnel.agencies(some))? {
                register.listed.insert(agency.code.clone());
                register.owners.insert(oid, agency.code);
            }
        }
        // Nothing was noted of an agency that has people: they came before anything was.
        let mut asked = FuturesUnordered::new();
        for code in codes {
            if plan.has_met(code) {
                register.listed.insert(code.to_owned());
            } else if !register.knows(code) && *plan.scope() != Scope::Country {
                asked.push(async move { (code, again!(self.personnel.is_listed(code))) });
            }
            if asked.len() >= READS {
                listed(&mut register, asked.next().await)?;
            }
        }
        while let Some(answer) = asked.next().await {
            listed(&mut register, Some(answer))?;
        }
        Ok(register)
    }

    /// Writes what a plan says: first the departures, for whoever departs may sign in until then.
    ///
    /// # Errors
    /// [`Stop`]: part of it is written, and the next run goes on.
    pub async fn write(
        &self,
        source: &Source,
        planned: &Planned,
        run: &Run,
        held: &AtomicBool,
    ) -> Result<(), Stop> {
        let origin = Origin { address: String::new(), request_id: run.request_id.clone(), at: run.now() };
        let plan = &planned.plan;
        let go_on = || match (held.load(Ordering::Relaxed), run.is_over()) {
            (false, _) => Err(Stop::Lost),
            (true, true) => Err(Stop::OutOfTime),
            (true, false) => Ok(()),
        };
        let mut under_way = FuturesUnordered::new();
        for absent in plan.absent().chunks(MANY) {
            go_on()?;
            under_way.push(self.work(Work::Absent(absent.to_vec()), plan, &origin));
            if under_way.len() >= WRITES {
                under_way.next().await.transpose()?;
            }
        }
        self.accounts.enroll_agencies(plan.agencies_noted()).await?;
        let (mut new, mut changed) = (Vec::with_capacity(MANY), Vec::with_capacity(MANY));
        let mut listener = source.read(self.limits, &self.pseudonyms);
        while let Some(told) = listener.recv().await {
            go_on()?;
            let lines = match told {
                Told::End(end) => {
                    end?;
                    break;
                }
                Told::Lines(lines) => lines,
            };
            for (number, listed) in lines.into_iter().filter_map(|line| Some((line.number, line.row.ok()?.0)))
            {
                let full = match plan.step(number, &listed) {
                    Step::Nothing => continue,
                    // Roles and authorizations have records of their own.
                    Step::Enroll if listed.roles.is_empty() && listed.authorized_agencies.is_empty() => {
                        new.push(listed);
                        (new.len() == MANY).then(|| Work::New(std::mem::take(&mut new)))
                    }
                    Step::Enroll | Step::Change => {
                        changed.push(listed);
                        (changed.len() == MANY).then(|| Work::Changed(std::mem::take(&mut changed)))
                    }
                };
                under_way.extend(full.map(|work| self.work(work, plan, &origin)));
            }
            while under_way.len() >= WRITES {
                under_way.next().await.transpose()?;
            }
        }
        for work in [Work::New(new), Work::Changed(changed)] {
            under_way.push(self.work(work, plan, &origin));
        }
        while let Some(done) = under_way.next().await {
            done?;
        }
        Ok(())
    }

    async fn work(&self, work: Work, plan: &Plan, origin: &Origin) -> Result<(), Stop> {
        match work {
            Work::New(people) => {
                let known = again!(self.personnel.enroll(&people))?;
                if !known.is_empty() {
                    let mut left: Vec<Option<Listed>> = people.into_iter().map(Some).collect();
                    let known = known.into_iter().filter_map(|at| left.get_mut(at)?.take()).collect();
                    self.change(known, plan, origin).await?;
                }
                Ok(())
            }
            Work::Changed(people) => self.change(people, plan, origin).await,
            Work::Absent(ids) => {
                let ids: Vec<&PersonId> = ids.iter().collect();
                let people = again!(self.accounts.people(&ids))?;
                let serves = |person: &Person| person.service == Service::InService;
                let departing =
                    people.into_values().filter(|person| serves(person) && plan.covers(&person.agency));
                self.bring(departing.map(|person| (departed(&person), Some(person))).collect(), origin).await
            }
        }
    }

    /// Brings people to their rows, each by a write of its own.
    async fn change(&self, people: Vec<Listed>, plan: &Plan, origin: &Origin) -> Result<(), Stop> {
        if people.is_empty() {
            return Ok(());
        }
        let ids: Vec<&PersonId> = people.iter().map(|listed| &listed.id).collect();
        let mut known = again!(self.accounts.people(&ids))?;
        let overtaken = |listed: &Listed| {
            let now = known.get(&listed.id);
            now.is_some_and(|now| !plan.still_allows(listed, &now.agency, now.service))
        };
        if people.iter().any(overtaken) {
            return Err(Stop::Overtaken);
        }
        let pairs = people.into_iter().map(|listed| {
            let known = known.remove(&listed.id);
            (listed, known)
        });
        self.bring(pairs.collect(), origin).await
    }

    async fn bring(&self, people: Vec<(Listed, Option<Person>)>, origin: &Origin) -> Result<(), Stop> {
        let beside = Enrollment { authorizations: &self.authorizations, audit: &self.audit, origin };
        let mut writes = FuturesUnordered::new();
        for (listed, known) in people {
            writes.push(async move { self.accounts.enroll_one(&listed, known, &beside).await });
            if writes.len() >= CHANGES {
                writes.next().await.transpose()?;
            }
        }
        while let Some(written) = writes.next().await {
            written?;
        }
        Ok(())
    }
}

fn listed(
    register: &mut Register,
    answer: Option<(&str, Result<bool, StoreError>)>,
) -> Result<(), StoreError> {
    let Some((code, is_listed)) = answer else { return Ok(()) };
    if is_listed? {
        register.listed.insert(code.to_owned());
    }
    Ok(())
}

/// What a roster would say of a person who has departed, and is as before in everything else.
fn departed(person: &Person) -> Listed {
    Listed {
        id: person.id.clone(),
        tail: person.tail.clone(),
        name: person.name.clone(),
        agency: person.agency.clone(),
        agency_name: person.agency_name.clone(),
        service: Service::Departed,
        roles: person.roles.clone(),
        authorized_agencies: person.authority.roster_agencies.clone(),
    }
}
