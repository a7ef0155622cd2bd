//! A page of the trail, for who may read it.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use rand::CryptoRng;
use shared::audit::{Action, Entry, SUCCESS};
use shared::authority::{Act, Actor, Ground, Target, decide};
use shared::caller::{Door, DoorSettings, Presented};
use shared::cursor::Cursors;
use shared::environment::{Environment, StartError};
use shared::http::Call;
use shared::kms::Kms;
use shared::problem::Problem;
use shared::pseudonym::PersonId;
use shared::rate::RateLimit;
use shared::session::Subject;
use shared::store::audit::{Ask, AuditTrail, Selection};
use shared::store::tickets::{Rate, Tickets};
use shared::{aws, store, telemetry};

use crate::party::kind_and_id;

/// Most people that one read asks for.
const PEOPLE_AT_ONCE: usize = 100;

/// The step.
pub struct AuditReading {
    door: Door,
    trail: AuditTrail,
    tickets: Tickets,
    cursors: Cursors,
    reads: RateLimit,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What happened to a person.
    Person(PersonId),
    /// What somebody did, as the trail calls them.
    Actor(String),
    /// What happened in an agency, by its code.
    Agency(String),
    /// What happened in the caller's own agency.
    OwnAgency,
}

/// A query.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) wanted: Wanted,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    pub(crate) action: Option<String>,
    pub(crate) limit: usize,
    pub(crate) cursor: Option<String>,
}

/// A page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// Names of those whose name the caller may see, by what the trail calls them.
    pub(crate) names: HashMap<String, String>,
    pub(crate) next_cursor: Option<String>,
}

impl Query {
    /// What the query asks for, as the trail calls it.
    fn subject(&self) -> String {
        match &self.wanted {
            Wanted::Person(person) => Subject::Person(person.clone()).to_string(),
            Wanted::Actor(actor) => actor.clone(),
            Wanted::Agency(code) => format!("agency_code#{code}"),
            Wanted::OwnAgency => String::new(),
        }
    }

    /// The same query by somebody of this agency.
    fn by_one_of(&self, agency: &str) -> Self {
        let wanted = match &self.wanted {
            Wanted::OwnAgency => Wanted::Agency(agency.to_owned()),
            wanted => wanted.clone(),
        };
        Self { wanted, ..self.clone() }
    }

    /// The person that it is about, if it is a person.
    fn person(&self) -> Option<PersonId> {
        match Subject::parse(&self.subject()) {
            Some(Subject::Person(person)) => Some(person),
            Some(Subject::Agency(_)) | None => None,
        }
    }

    /// Everything that is asked but for where to begin and how much to show: what a cursor is bound to.
    fn parts(&self) -> [String; 4] {
        let kind = match self.wanted {
            Wanted::Person(_) => "person",
            Wanted::Actor(_) => "actor",
            Wanted::Agency(_) | Wanted::OwnAgency => "agency",
        };
        let moment = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let action = self.action.clone().unwrap_or_default();
        [format!("{kind}={}", self.subject()), moment(self.from), moment(self.to), action]
    }
}

impl AuditReading {
    /// Starts the step.
    ///
    /// # Errors
    /// [`StartError`].
    pub(crate) async fn start(environment: &Environment) -> Result<Self, StartError> {
        let mut settings = environment.settings();
        let door = DoorSettings::read(&mut settings);
        let accounts = settings.required("ACCOUNTS_TABLE");
        let tickets = settings.required("TICKETS_TABLE");
        let audit = settings.required("AUDIT_TABLE");
        let pseudonym_key = settings.required("PSEUDONYM_KEY");
        let reads = RateLimit::per_hour(settings.parsed("AUDIT_READS_PER_ACTOR_PER_HOUR", 600));
        settings.finish()?;
        let config = aws::sdk_config(environment).await;
        let client = store::client(environment, &config);
        store::connect(&client, &accounts, false).await?;
        let pseudonyms = Kms::new(environment, &config).pseudonymizer(&pseudonym_key).await?;
        Ok(Self {
            door: Door::open(environment, &config, &client, door).await?,
            trail: AuditTrail::new(client.clone(), audit),
            tickets: Tickets::new(client, tickets),
            cursors: Cursors::new(&pseudonyms),
            reads,
        })
    }

    /// Who is let in.
    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    /// A page of entries, the newest first. The first page of what is asked is audited.
    ///
    /// # Errors
    /// `session_required`, `not_authorized`, `request_invalid` for a cursor of another query or caller, `too_many_requests`,
    /// `unavailable`.
    pub(crate) async fn read(
        &self,
        call: &Call,
        presented: Presented,
        query: &Query,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Page, Problem> {
        let now = call.now();
        let person = query.person();
        let others: Vec<&PersonId> = person.iter().collect();
        let admitted = self.door.admit(presented, &others, now).await?;
        let actor = admitted.caller.actor();
        let permit = decide(actor, Act::ReadAudit, Target::Anybody, now)?;
        let own = (permit.ground != Ground::Helpdesk).then(|| admitted.caller.agency());
        let by = &admitted.session.subject;
        let query = query.by_one_of(admitted.caller.agency());
        let subject = query.subject();
        telemetry::note_subject(&subject);
        let rate = Rate::audit_reads(by, self.reads, now);
        self.tickets.count_now(&rate).await??;
        let parts = query.parts();
        let caller = by.to_string();
        let list: Vec<&str> =
            ["audit", caller.as_str()].into_iter().chain(parts.iter().map(String::as_str)).collect();
        let before: Option<String> =
            query.cursor.as_deref().map(|cursor| self.cursors.open(&list, cursor)).transpose()?;
        let agency = match &query.wanted {
            // An agency that is out of scope, or that there is none of, has no entries here.
            Wanted::Agency(code) => Some(code.clone()).filter(|code| own.is_none_or(|own| own == code)),
            Wanted::Person(_) | Wanted::Actor(_) | Wanted::OwnAgency => {
                person.and_then(|id| admitted.people.get(&id)).map(|person| person.agency.clone())
            }
        };
        if before.is_none() {
            let mut entry =
                call.origin.entry(Action::AuditRead, by, &subject, SUCCESS).of_agency(agency.clone());
            entry.note = Some(parts.join(" ").trim_end().to_owned());
            self.trail.note(entry).await?;
        }
        let selection = match &query.wanted {
            Wanted::Agency(_) | Wanted::OwnAgency => match agency {
                Some(code) => Selection::Agency(code),
                None => return Ok(Page::default()),
            },
            Wanted::Person(_) => Selection::Subject(subject),
            Wanted::Actor(actor) => Selection::Actor(actor.clone()),
        };
        let ask = Ask {
            selection: &selection,
            agency: own,
            action: query.action.as_deref(),
            from: query.from.unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH),
            // Whose clock is ahead of ours has written as well.
            to: query.to.unwrap_or(Timestamp::MAX),
            before: before.as_deref(),
            limit: query.limit,
        };
        let (found, next) = self.trail.page(&ask).await?;
        let entries: Vec<Entry> = found.into_iter().map(|found| found.entry).collect();
        Ok(Page {
            names: self.names(actor, &entries, now).await?,
            next_cursor: next.map(|before| self.cursors.seal(&list, &before, rng)).transpose()?,
            entries,
        })
    }

    /// The names of the people in these entries whom the caller may look up.
    async fn names(
        &self,
        actor: Actor<'_>,
        entries: &[Entry],
        now: Timestamp,
    ) -> Result<HashMap<String, String>, Problem> {
        let parties = entries.iter().flat_map(|entry| [entry.actor.as_str(), entry.subject.as_str()]);
        let people: BTreeSet<PersonId> = parties
            .filter_map(|party| match kind_and_id(party) {
                ("person", id) => PersonId::parse(id),
                _ => None,
            })
            .collect();
        let people: Vec<&PersonId> = people.iter().collect();
        let mut names = HashMap::new();
        for ids in people.chunks(PEOPLE_AT_ONCE) {
            for (id, person) in self.door.accounts().people(ids).await? {
                if decide(actor, Act::Search, Target::Person(&person), now).is_ok() {
                    names.insert(Subject::Person(id).to_string(), person.name);
                }
            }
        }
        Ok(names)
    }
}
