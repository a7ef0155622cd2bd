//! The whole stand-in: brings everything that the template deploys up on loopback, and down again.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::environment::Environment;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::deployment::{
    self, BucketDeclaration, CARD_API, Deployment, FunctionDeclaration, PORTAL_API, TableDeclaration,
};
use crate::directory::{self, DirectoryError, Imported};
use crate::dynamodb::{DynamoDb, DynamoDbError};
use crate::events::Events;
use crate::faults::{Faults, connection};
use crate::files::{self, FileError};
use crate::functions::{Functions, FunctionsError, InvocationError};
use crate::gateway::Host;
use crate::gateway::event::Api;
use crate::gateway::route::Routes;
use crate::gateway::tls::{self, Behavior, TlsError};
use crate::kms::{Kms, KmsError};
use crate::mailbox::Mailbox;
use crate::permissions::Permissions;
use crate::pki::foreign::{ForeignError, ForeignTruststore};
use crate::pki::{self, HOSTS, Pki, PkiError, crl};
use crate::revocation::{RevocationError, RevocationSync};
use crate::s3::Buckets;
use crate::ses::{Ses, Setup};
use crate::sqs::Sqs;
use crate::stream::{Keeping, Pump};
use crate::template::{Physical, Resolver, Settings, Template, TemplateError};
use crate::traffic::Traffic;
use crate::trial::Trial;

/// The region that the stand-in plays: Taipei.
pub const REGION: &str = "ap-east-2";
/// The account that the stand-in plays.
pub const ACCOUNT: &str = "123456789012";
/// The stack's name.
const STACK_NAME: &str = "first-sign-in";

/// The clients that a stand-in begins with.
const SAMPLE_CLIENTS: &str = include_str!("../sample-clients.toml");

/// How to start a stand-in.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder for everything that stays.
    pub data: PathBuf,
    /// Keeps the database in memory.
    pub memory: bool,
    /// The portal host's address.
    pub portal: SocketAddr,
    /// The card host's address.
    pub card: SocketAddr,
    /// The mailbox's address.
    pub mailbox: SocketAddr,
    /// A roster to load at the start, in place of the sample.
    pub roster: Option<PathBuf>,
    /// The URL of a Lambda emulator that has the functions; in this process without one.
    pub functions: Option<String>,
    /// The clock that stamps requests and that functions without a request ask.
    pub clock: Clock,
    /// Variables that every function gets in place of the template's.
    pub variables: BTreeMap<String, String>,
    /// Values of the template's parameters in place of the stand-in's.
    pub parameters: BTreeMap<String, String>,
    /// The CAs that cards may chain to, in place of the test PKI's.
    pub truststore: Option<ForeignTruststore>,
    /// Whether to make the sample cards. There are none of other CAs.
    pub sample_cards: bool,
    /// Mails that SES takes in a second; all of them, when it is 0.
    pub ses_rate: f64,
    /// The faults between the functions and the services, from when everything is up.
    pub faults: Option<Faults>,
    /// What of API Gateway's TLS to play.
    pub tls: Behavior,
}

impl Options {
    /// A stand-in on free ports with everything in `data`.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let free = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            data: data.into(),
            memory: false,
            portal: free,
            card: free,
            mailbox: free,
            roster: None,
            functions: None,
            clock: Clock::system(),
            variables: BTreeMap::new(),
            parameters: BTreeMap::new(),
            truststore: None,
            sample_cards: true,
            ses_rate: 0.0,
            faults: None,
            tls: Behavior::default(),
        }
    }
}

/// Why a stand-in does not start.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A file of the data directory cannot be used.
    #[error(transparent)]
    Files(#[from] FileError),
    /// Another stand-in has the data directory.
    #[error("another stand-in is running on {0}; stop it, or choose another directory with --data")]
    InUse(PathBuf),
    /// An address cannot be taken.
    #[error("cannot listen on {address} for the {purpose}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What for.
        purpose: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The template cannot be deployed.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The database does not start.
    #[error(transparent)]
    DynamoDb(#[from] DynamoDbError),
    /// The keys cannot be used.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// The test PKI cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The given CAs cannot be used.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// A host has no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A function does not start.
    #[error(transparent)]
    Functions(#[from] FunctionsError),
    /// The revocation lists cannot be applied.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    /// The roster cannot be loaded.
    #[error("the roster is not loaded: {0}")]
    Directory(#[from] DirectoryError),
    /// A worker thread ended early.
    #[error("a worker ended early")]
    Worker,
}

/// Where a running stand-in keeps its files.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The data directory, absolute.
    pub data: PathBuf,
    /// The CA that signs the hosts' certificates.
    pub server_ca: PathBuf,
    /// The bundle of CAs that cards may chain to.
    pub truststore: PathBuf,
    /// The folder with the sample cards.
    pub cards: PathBuf,
    /// The folder of mails.
    pub mail: PathBuf,
    /// The folder of the buckets.
    pub buckets: PathBuf,
    /// The folder of dead letters.
    pub dead_letters: PathBuf,
    /// The variables for functions outside this process.
    pub functions_env: PathBuf,
}

/// A running stand-in. It ends when dropped; [`Running::shutdown`] ends it in good order.
#[derive(Debug)]
pub struct Running {
    /// The portal's origin, `https://portal.localhost:…`.
    pub portal_url: String,
    /// The card host's origin, `https://card.localhost:…`.
    pub card_url: String,
    /// The mailbox, `http://127.0.0.1:…`.
    pub mailbox_url: String,
    /// The portal's address.
    pub portal: SocketAddr,
    /// The card host's address.
    pub card: SocketAddr,
    /// The files.
    pub paths: Paths,
    /// The functions, for calls without the gateway.
    pub functions: Functions,
    /// What the template deploys: functions with their variables, routes, stream mappings.
    pub deployment: Deployment,
    /// The variables that every function shares: region, credentials, endpoints.
    pub shared_variables: BTreeMap<String, String>,
    /// The database.
    pub dynamodb: DynamoDb,
    /// The keys.
    pub kms: Kms,
    /// The mail service.
    pub ses: Ses,
    /// The buckets.
    pub buckets: Buckets,
    /// The mails.
    pub mailbox: Mailbox,
    /// The calls to DynamoDB, KMS and SES, and how to break them.
    pub traffic: Traffic,
    /// The test PKI: issue and revoke cards here.
    pub pki: Pki,
    /// The schedule of the sync of revocation lists.
    pub revocations: RevocationSync,
    /// The other schedules, and the rules by which events start functions.
    pub events: Events,
    /// The queue of dead letters.
    pub dead_letters: Sqs,
    /// What came of the roster that was loaded at the start.
    pub imported: Option<Imported>,
    clock: Clock,
    memory: bool,
    pumps: Mutex<Vec<Pump>>,
    stop: watch::Sender<bool>,
    hosts: JoinSet<()>,
    services: JoinSet<()>,
    _lock: File,
}

/// The stand-in's name as a library: see [`Stack::start`].
#[derive(Debug)]
pub struct Stack;

/// The ports of KMS, S3, SES, SQS, the lists and the database, so that a restart has them again and `functions.env` stays right.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Ports {
    kms: u16,
    s3: u16,
    ses: u16,
    sqs: u16,
    lists: u16,
    dynamodb: u16,
}

struct Listeners {
    portal: TcpListener,
    card: TcpListener,
    mailbox: TcpListener,
    kms: TcpListener,
    s3: TcpListener,
    ses: TcpListener,
    sqs: TcpListener,
    lists: TcpListener,
}

async fn listen(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, StackError> {
    TcpListener::bind(address).await.map_err(|source| StackError::Listen { address, purpose, source })
}

/// Takes the port of last time, or another one when that is taken.
async fn listen_again(port: u16, purpose: &'static str) -> Result<TcpListener, StackError> {
    let address = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    match TcpListener::bind(address(port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => listen(address(0), purpose).await,
    }
}

fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().map(|address| address.port()).unwrap_or_default()
}

impl Stack {
    /// Starts everything and waits until it answers.
    ///
    /// # Errors
    /// When anything cannot start; what had started ends again.
    pub async fn start(options: Options) -> Result<Running, StackError> {
        files::make_folder(&options.data)?;
        let data = std::path::absolute(&options.data).unwrap_or_else(|_| options.data.clone());
        let lock = lock(&data)?;
        let now = options.clock.now();

        let ports_file = data.join("ports.json");
        let known: Ports = files::read_if_present(&ports_file)?
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let listeners = Listeners {
            portal: listen(options.portal, "portal host").await?,
            card: listen(options.card, "card host").await?,
            mailbox: listen(options.mailbox, "mailbox").await?,
            kms: listen_again(known.kms, "KMS stand-in").await?,
            s3: listen_again(known.s3, "S3 stand-in").await?,
            ses: listen_again(known.ses, "SES stand-in").await?,
            sqs: listen_again(known.sqs, "SQS stand-in").await?,
            lists: listen_again(known.lists, "revocation lists").await?,
        };
        let database_listener = listen_again(known.dynamodb, "database").await?;
        let ports = Ports {
            kms: port_of(&listeners.kms),
            s3: port_of(&listeners.s3),
            ses: port_of(&listeners.ses),
            sqs: port_of(&listeners.sqs),
            lists: port_of(&listeners.lists),
            dynamodb: port_of(&database_listener),
        };
        files::write(&ports_file, serde_json::to_string(&ports).unwrap_or_default().as_bytes())?;

        // Making keys is slow, opening the database is slow: side by side.
        let pki = {
            let (data, samples) = (data.clone(), options.sample_cards && options.truststore.is_none());
            let work = move || {
                let pki = Pki::open(&data, now)?;
                if samples {
                    pki.issue_samples(now)?;
                }
                Ok::<_, PkiError>(pki)
            };
            tokio::task::spawn_blocking(work)
        };
        let database_folder = data.join("dynamodb");
        let folder = (!options.memory).then_some(database_folder.as_path());
        let traffic = Traffic::default();
        let dynamodb = DynamoDb::open(folder, database_listener, traffic.clone()).await?;
        let pki = pki.await.map_err(|_| StackError::Worker)??;
        Self::deploy(options, data, lock, listeners, dynamodb, traffic, pki).await
    }

    async fn deploy(
        options: Options,
        data: PathBuf,
        lock: File,
        listeners: Listeners,
        dynamodb: DynamoDb,
        traffic: Traffic,
        pki: Pki,
    ) -> Result<Running, StackError> {
        let now = options.clock.now();
        let place = (REGION, ACCOUNT);
        let address = |listener: &TcpListener, asked| listener.local_addr().unwrap_or(asked);
        let portal = address(&listeners.portal, options.portal);
        let card = address(&listeners.card, options.card);
        let [portal_name, card_name] = HOSTS;
        let portal_domain = format!("{portal_name}:{}", portal.port());
        let card_domain = format!("{card_name}:{}", card.port());

        // Resources refer to each other: keys and tables get their ids first.
        let template = Template::embedded()?;
        let mut settings = settings(&template, &portal_domain, &card_domain);
        settings.parameters.extend(options.parameters.clone());
        let keys = deployment::keys(&template, &Resolver::new(&template, &settings)?)?;
        let kms = Kms::open(&data.join("kms.json"), &keys, place, now, traffic.clone())?;
        settings.physical = kms.physical();
        let tables = deployment::tables(&template, &Resolver::new(&template, &settings)?, STACK_NAME)?;
        settings.physical.extend(tables.iter().map(physical_table));
        let mail_resources = deployment::mail(&template, &Resolver::new(&template, &settings)?)?;
        settings.physical.extend(mail_resources);
        let sqs_url = format!("http://127.0.0.1:{}", port_of(&listeners.sqs));
        let queues = deployment::queues(&template, &Resolver::new(&template, &settings)?, place, &sqs_url)?;
        settings.physical.extend(queues.clone());
        let buckets = deployment::buckets(&template, &Resolver::new(&template, &settings)?, STACK_NAME)?;
        settings.physical.extend(buckets.iter().map(physical_bucket));
        let resolver = Resolver::new(&template, &settings)?;
        let mut deployment = Deployment::read(&template, &resolver)?;
        traffic.enforce(Permissions::read(&template, &resolver)?);
        for (alias, key) in &deployment.aliases {
            kms.add_alias(alias, key);
        }
        dynamodb.create_tables(&tables).await?;

        let mail = data.join("mail");
        let bucket_folder = data.join("s3");
        let buckets = Buckets::new(bucket_folder.clone(), &buckets, traffic.clone(), options.clock.clone());
        let setup = Setup {
            identities: deployment.sender_identities.clone(),
            configuration_sets: deployment.configuration_sets.clone(),
            published: deployment.published_mail_events.clone(),
            rate: options.ses_rate,
        };
        let ses = Ses::new(mail.clone(), setup, REGION, traffic.clone());
        let queue = queues.into_values().next().unwrap_or_default();
        let arn = queue.attributes.get("Arn").cloned().unwrap_or_default();
        let dead_letters = Sqs::new(data.join("dead-letters"), queue.reference, arn, traffic.clone());
        let mailbox = Mailbox::new(mail.clone());
        let shared_variables = shared_variables(&dynamodb, &listeners);
        let mailbox_url = format!("http://{}", address(&listeners.mailbox, options.mailbox));
        let mut services = JoinSet::new();
        serve(&mut services, listeners.kms, kms.router());
        serve(&mut services, listeners.s3, buckets.router());
        serve(&mut services, listeners.ses, ses.router());
        serve(&mut services, listeners.sqs, dead_letters.router());
        serve(&mut services, listeners.mailbox, mailbox.router());
        pki.publish_lists(&format!("http://127.0.0.1:{}", port_of(&listeners.lists)))?;
        serve(&mut services, listeners.lists, crl::router(pki.clone()));

        let truststore = match &options.truststore {
            None => pki.truststore_folder(),
            Some(foreign) => {
                let folder = data.join("foreign-truststore");
                foreign.install(&folder)?;
                folder
            }
        };
        let clients = data.join("clients");
        files::make_folder(&clients)?;
        let clients_file = clients.join("clients.toml");
        if files::read_if_present(&clients_file)?.is_none() {
            files::write(&clients_file, SAMPLE_CLIENTS.as_bytes())?;
        }
        for function in &mut deployment.functions {
            // On Lambda these are the folder of a layer.
            for (variable, folder) in [("TRUSTSTORE_DIR", &truststore), ("CLIENTS_DIR", &clients)] {
                if let Some(value) = function.environment.get_mut(variable) {
                    *value = folder.to_string_lossy().into_owned();
                }
            }
            function.environment.extend(options.variables.clone());
        }
        let variables = all_variables(&shared_variables, &deployment.functions);
        let functions_env = data.join("functions.env");
        files::write_private(&functions_env, env_file(&variables).as_bytes())?;
        let environment =
            Environment::from_map(variables.into_iter().collect()).with_clock(options.clock.clone());

        let directory_table = environment.get("ACCOUNTS_TABLE").unwrap_or_default();
        let imported = match &options.roster {
            Some(path) => Some(directory::import(files::read(path)?.as_slice(), &environment).await?),
            None if dynamodb.is_empty(&directory_table).await? => {
                Some(directory::import(directory::SAMPLE.as_bytes(), &environment).await?)
            }
            None => None,
        };

        let declarations = &deployment.functions;
        let functions = match &options.functions {
            None => Functions::in_process(declarations, &shared_variables, place, &options.clock).await?,
            Some(url) => Functions::through_emulator(declarations, url, place)?,
        };
        functions.wait_for_emulator(&functions_env).await;
        traffic.attach(functions.clone());
        let (of_lists, schedules) = deployment
            .schedules
            .iter()
            .cloned()
            .partition::<Vec<_>, _>(|schedule| schedule.function == "revocation-sync");
        let revocations = RevocationSync::new(
            pki.clone(),
            &truststore,
            functions.clone(),
            of_lists,
            options.clock.clone(),
        )?;
        let events = Events::new(
            functions.clone(),
            (schedules, deployment.rules.clone()),
            dead_letters.clone(),
            traffic.clone(),
            options.clock.clone(),
        );
        ses.publish_to(events.clone());
        buckets.publish_to(events.clone());
        if let Err(error) = revocations.run().await {
            // Without a list nobody signs in by card of that issuer, which is no reason to keep everybody out.
            tracing::error!(%error, "revocation lists are not applied");
        }

        let (stop, stopped) = watch::channel(false);
        let mut hosts = JoinSet::new();
        let apis = [
            (portal_name, PORTAL_API, listeners.portal, None),
            (card_name, CARD_API, listeners.card, Some(pki::bundle(&truststore)?)),
        ];
        let times = [now, Clock::system().now()];
        for (name, api, listener, anchors) in apis {
            let domains = deployment.domains.iter().filter(|(of, _)| of == api).map(|(_, domain)| domain);
            let domains = domains.map(|domain| domain.split(':').next().unwrap_or_default().to_owned());
            let domains: Vec<_> = domains.collect();
            let identity = pki.server_identity(name, &domains, &times)?;
            let host = Host {
                name: name.to_owned(),
                domains,
                routes: Routes::of(api, &deployment.routes),
                cors: deployment.cors.get(api).cloned(),
                api: Api { account: ACCOUNT.to_owned(), id: api.to_lowercase() },
                tls: tls::configuration(identity, anchors.as_deref(), options.tls, &options.clock)?,
                functions: functions.clone(),
                clock: options.clock.clone(),
                trial: (api == PORTAL_API)
                    .then(|| Trial::new(pki.cards_folder(), pki.server_ca(), &mailbox_url)),
            };
            hosts.spawn(Arc::new(host).serve(listener, stopped.clone()));
        }
        services.spawn(dynamodb.clone().sweep_forever(options.clock.clone()));
        revocations.watch().await;
        events.watch();

        let running = Running {
            portal_url: format!("https://{portal_domain}"),
            card_url: format!("https://{card_domain}"),
            mailbox_url,
            portal,
            card,
            paths: Paths {
                server_ca: pki.server_ca(),
                truststore: truststore.join("truststore.pem"),
                cards: pki.cards_folder(),
                mail,
                buckets: bucket_folder,
                dead_letters: data.join("dead-letters"),
                functions_env,
                data,
            },
            functions,
            deployment,
            shared_variables,
            dynamodb,
            kms,
            ses,
            buckets,
            mailbox,
            traffic,
            pki,
            revocations,
            events,
            dead_letters,
            imported,
            clock: options.clock,
            memory: options.memory,
            pumps: Mutex::default(),
            stop,
            hosts,
            services,
            _lock: lock,
        };
        running.traffic.set_faults(options.faults);
        running.start_stream().await;
        Ok(running)
    }
}

impl Running {
    /// The variables of all functions together with those that they share: what stands in `functions.env`.
    #[must_use]
    pub fn environment(&self) -> Environment {
        let variables = all_variables(&self.shared_variables, &self.deployment.functions);
        Environment::from_map(variables.into_iter().collect()).with_clock(self.clock.clone())
    }

    /// Loads a roster file into the running stand-in.
    ///
    /// # Errors
    /// When the file is no roster.
    pub async fn import(&self, roster: &[u8]) -> Result<Imported, StackError> {
        Ok(directory::import(roster, &self.environment()).await?)
    }

    /// Starts a function that has a schedule, now, and gives its answers: one for each schedule of it.
    ///
    /// # Errors
    /// When it fails.
    pub async fn run_schedules(&self, function: &str) -> Result<Vec<serde_json::Value>, InvocationError> {
        self.events.run(function).await
    }

    /// Starts the event source mappings, where they are not running.
    pub async fn start_stream(&self) {
        let mut pumps = self.pumps.lock().await;
        if !pumps.is_empty() {
            return;
        }
        for mapping in self.deployment.mappings.clone() {
            let checkpoint = format!("stream-{}-{}", mapping.table, mapping.name);
            let keeping = Keeping {
                checkpoint: (!self.memory).then(|| self.paths.data.join("dynamodb").join(checkpoint)),
                dead_letters: self.dead_letters.clone(),
            };
            pumps.push(Pump::start(mapping, self.dynamodb.clone(), self.functions.clone(), keeping));
        }
    }

    /// Waits until the event source mappings have dealt with every record that is in their streams.
    pub async fn stream_caught_up(&self) {
        for pump in self.pumps.lock().await.iter() {
            pump.caught_up().await;
        }
    }

    /// Waits until every event of AWS, such as of what became of a mail, has been delivered or given up.
    pub async fn events_caught_up(&self) {
        self.events.caught_up().await;
    }

    /// Starts nothing by its schedule any more, but for the sync of revocation lists; [`Running::run_schedules`] still does.
    pub async fn stop_schedules(&self) {
        self.events.stop().await;
    }

    /// Stops the event source mappings once their functions have answered.
    pub async fn stop_stream(&self) {
        for pump in std::mem::take(&mut *self.pumps.lock().await) {
            pump.stop().await;
        }
    }

    /// Stops the event source mappings of one function once it has answered.
    pub async fn stop_stream_to(&self, function: &str) {
        let mut pumps = self.pumps.lock().await;
        let (stopping, going_on) =
            std::mem::take(&mut *pumps).into_iter().partition::<Vec<_>, _>(|pump| pump.function == function);
        *pumps = going_on;
        for pump in stopping {
            pump.stop().await;
        }
    }

    /// Stops the event source mappings at once, and their functions wherever they are: a crash.
    pub async fn kill_stream(&self) {
        for pump in std::mem::take(&mut *self.pumps.lock().await) {
            pump.kill().await;
        }
    }

    /// Ends everything in good order: no new requests, the open ones finish, then the mappings, then the services.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        self.traffic.close();
        while self.hosts.join_next().await.is_some() {}
        self.stop_stream().await;
        self.events.stop().await;
        self.revocations.stop().await;
        self.dynamodb.interrupt().await;
        self.services.shutdown().await;
    }
}

/// Keeps two stand-ins from one data directory.
fn lock(data: &Path) -> Result<File, StackError> {
    let path = data.join("lock");
    let in_use = || StackError::InUse(data.to_owned());
    let file = File::create(&path).map_err(|_| in_use())?;
    file.try_lock().map_err(|_| in_use())?;
    Ok(file)
}

/// What the stand-in gives the template for its parameters. The others keep their defaults.
fn settings(template: &Template, portal_domain: &str, card_domain: &str) -> Settings {
    let certificate = format!("arn:aws:acm:{REGION}:{ACCOUNT}:certificate/stand-in");
    let given = [
        ("PortalDomain", portal_domain),
        ("CardDomain", card_domain),
        ("PortalCertificateArn", certificate.as_str()),
        ("CardCertificateArn", certificate.as_str()),
        ("CardAttemptsCertificateArn", certificate.as_str()),
        ("TruststoreVersion", "stand-in"),
        ("HelpdeskContact", "客服專線 049-2359108 按 4"),
    ];
    let given = given.into_iter().filter(|(name, _)| template.has_parameter(name));
    Settings {
        parameters: given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        region: REGION.to_owned(),
        account: ACCOUNT.to_owned(),
        stack_name: STACK_NAME.to_owned(),
        physical: HashMap::new(),
    }
}

fn physical_table(table: &TableDeclaration) -> (String, Physical) {
    let arn = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{}", table.name);
    let attributes = BTreeMap::from([
        ("StreamArn".to_owned(), format!("{arn}/stream/2026-01-01T00:00:00.000")),
        ("Arn".to_owned(), arn),
    ]);
    (table.logical_id.clone(), Physical { reference: table.name.clone(), attributes })
}

fn physical_bucket(bucket: &BucketDeclaration) -> (String, Physical) {
    let attributes = BTreeMap::from([("Arn".to_owned(), format!("arn:aws:s3:::{}", bucket.name))]);
    (bucket.logical_id.clone(), Physical { reference: bucket.name.clone(), attributes })
}

fn shared_variables(dynamodb: &DynamoDb, listeners: &Listeners) -> BTreeMap<String, String> {
    let url = |listener| format!("http://127.0.0.1:{}", port_of(listener));
    let variables = [
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "stand-in".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "stand-in".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.url()),
        ("AWS_ENDPOINT_URL_KMS", url(&listeners.kms)),
        ("AWS_ENDPOINT_URL_S3", url(&listeners.s3)),
        ("AWS_ENDPOINT_URL_SESV2", url(&listeners.ses)),
        ("AWS_ENDPOINT_URL_SQS", url(&listeners.sqs)),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Functions agree on what a variable means, so one set serves them all.
fn all_variables(
    shared: &BTreeMap<String, String>,
    functions: &[FunctionDeclaration],
) -> BTreeMap<String, String> {
    let mut all = shared.clone();
    all.extend(functions.iter().flat_map(|function| function.environment.clone()));
    all
}

/// `NAME=value` lines, for a shell's `set -a; . functions.env` and for `cargo lambda watch --env-file`. Quotes only
/// where a shell needs them: the latter knows none.
fn env_file(variables: &BTreeMap<String, String>) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@,".contains(&byte);
    let quoted = |value: &str| match value.bytes().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    };
    variables.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect()
}

/// Reads the variables that a running stand-in wrote for functions outside its process.
///
/// # Errors
/// When there is no such file.
pub fn read_functions_env(data: &Path) -> Result<BTreeMap<String, String>, StackError> {
    let text = files::read_text(&data.join("functions.env"))?;
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let unquoted = |value: &str| value.trim_matches('\'').replace(r"'\''", "'");
    Ok(lines.map(|(name, value)| (name.to_owned(), unquoted(value))).collect())
}

fn serve(services: &mut JoinSet<()>, listener: TcpListener, router: axum::Router) {
    services.spawn(async move {
        if let Err(error) = connection::serve(listener, router).await {
            tracing::error!(%error, "a service ended");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_has_one_stand_in() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        assert!(matches!(lock(folder.path()), Err(StackError::InUse(_))));
        drop(first);
        assert!(lock(folder.path()).is_ok());
    }

    #[test]
    fn a_shell_reads_the_variables_back() {
        let variables = [("A", "it's 1 & 2"), ("B", "https://portal.localhost:8443"), ("C", "")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(env_file(&variables), "A='it'\\''s 1 & 2'\nB=https://portal.localhost:8443\nC=\n");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("functions.env"), env_file(&variables)).unwrap();
        assert_eq!(read_functions_env(folder.path()).unwrap(), variables);
    }
}
