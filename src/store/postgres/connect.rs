//! The database's address, and a connection to it that is made when it is needed.
//!
//! An address may hold a password, so no part of it is shown but host and database, and these only
//! if nothing in them can be a piece of a wrongly written password.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use postgres::config::{Host, SslMode};
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::secret::Secret;
use crate::time;

use super::super::{Error, Fault, Result};
use super::error;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may take for a statement, where it can be told at the start.
const STATEMENT_MS: u32 = 30_000;
/// How long sent bytes may stay without an answer of the network, and a silent connection without a
/// look at it.
const NETWORK: Duration = Duration::from_secs(30);
/// Port of Supabase's pooler in transaction mode.
const POOLER_PORT: u16 = 6543;

/// A database's address, checked.
pub struct Server {
    config: Config,
    /// `None`: in plain.
    tls: Option<MakeRustlsConnect>,
    /// Settings for the session's start, which a pooler may not know.
    options: String,
    name: String,
}

/// What an address says beside what the client library knows.
#[derive(Default)]
struct Extras {
    mode: Option<String>,
    root: Option<String>,
    schema: Option<String>,
    pooled: bool,
}

impl Server {
    /// Reads an address as libpq, Supabase, Neon, Heroku or Prisma write it.
    pub fn parse(url: &Secret) -> Result<Self> {
        let (url, extras) = take_extras(url.expose())?;
        let mut config: Config = url.parse().map_err(|_| unreadable())?;
        let name = shown(&config)?;
        let tls = if is_encrypted(&config, extras.mode.as_deref())? {
            config.ssl_mode(SslMode::Require);
            Some(connector(extras.root.as_deref())?)
        } else {
            config.ssl_mode(SslMode::Disable);
            None
        };
        let options = options(&config, &extras)?;
        config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT));
        config
            .tcp_user_timeout(NETWORK)
            .keepalives(true)
            .keepalives_idle(NETWORK);
        config
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("quotion");
        }
        // A notice ("already exists, skipping") is nobody's concern; the library would log it as
        // news.
        config.notice_callback(|notice| log::debug!("PostgreSQL: {}", notice.message()));
        Ok(Self {
            config,
            tls,
            options,
            name,
        })
    }

    /// Checks what an address says, and looks at nothing else.
    pub fn check(url: &Secret) -> Result<()> {
        let (url, extras) = take_extras(url.expose())?;
        let config: Config = url.parse().map_err(|_| unreadable())?;
        shown(&config)?;
        is_encrypted(&config, extras.mode.as_deref())?;
        options(&config, &extras).map(drop)
    }

    /// What went wrong, in words that hold no secret.
    pub fn error(&self, err: &postgres::Error) -> Error {
        error::translate(&self.name, err)
    }

    fn connect(&self) -> Result<Client> {
        let mut config = self.config.clone();
        config.options(&self.options);
        let connected = match self.connect_as(&config)? {
            Err(err) if refuses_options(&err) => self.connect_as(&self.config)?,
            connected => connected,
        };
        connected.map_err(|err| self.error(&err))
    }

    /// The library's own limit ends with the first byte of a server, which may then be silent.
    fn connect_as(&self, config: &Config) -> Result<std::result::Result<Client, postgres::Error>> {
        let (config, tls) = (config.clone(), self.tls.clone());
        let limit = super::super::longest_wait().min(CONNECT);
        let connected = time::within(limit, Duration::ZERO, move || match tls {
            Some(tls) => config.connect(tls),
            None => config.connect(NoTls),
        });
        connected.ok_or_else(|| {
            let what = format!("{self}: no answer within {limit:.0?}");
            Error::new(Fault::Unreachable, what)
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {}", self.name)
    }
}

/// A connection, made when it is first needed and again when it was lost.
pub struct Session {
    address: Arc<Server>,
    client: Option<Client>,
}

impl Session {
    /// No connection yet.
    pub fn new(address: Arc<Server>) -> Self {
        Self {
            address,
            client: None,
        }
    }

    /// Runs what may be done twice; and does so once more, when the connection turns out to be
    /// lost.
    pub fn run<T>(
        &mut self,
        mut work: impl FnMut(&mut Client) -> std::result::Result<T, postgres::Error>,
    ) -> Result<T> {
        let was_open = self.client.is_some();
        match self.run_once(&mut work) {
            Err(err) if err.passes() && was_open && self.client.is_none() => self.run_once(work),
            done => done,
        }
    }

    /// Runs something, without repeating it.
    pub fn run_once<T>(
        &mut self,
        work: impl FnOnce(&mut Client) -> std::result::Result<T, postgres::Error>,
    ) -> Result<T> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = Some(self.address.connect()?);
        }
        let done = work(self.client.as_mut().expect("it was just made"));
        if done.as_ref().err().is_some_and(error::ends_connection) {
            self.client = None;
        }
        done.map_err(|err| self.address.error(&err))
    }

    /// True after a connection was lost, and before there is one.
    pub fn is_down(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed)
    }
}

/// Takes out of an address what the client library does not know.
fn take_extras(url: &str) -> Result<(String, Extras)> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut extras = Extras::default();
    let mut kept = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, raw) = parameter.split_once('=').ok_or_else(unreadable)?;
        let value = percent_decode_str(raw)
            .decode_utf8()
            .map_err(|_| unreadable())?
            .into_owned();
        match name {
            "sslmode" => extras.mode = Some(value),
            "ssl" if value == "true" => extras.mode = Some("require".into()),
            "sslrootcert" => extras.root = Some(value).filter(|root| root != "system"),
            "schema" => extras.schema = Some(value),
            "pgbouncer" => extras.pooled = value == "true",
            "user"
            | "password"
            | "dbname"
            | "options"
            | "application_name"
            | "host"
            | "hostaddr"
            | "port"
            | "connect_timeout"
            | "target_session_attrs"
            | "channel_binding"
            | "load_balance_hosts"
            | "sslnegotiation" => kept.push(parameter),
            "sslcert" | "sslkey" | "sslpassword" | "sslcrl" | "sslcrldir" | "require_auth"
            | "passfile" | "service" => {
                return Err(unusable(&format!("has {name}=, which is not supported")));
            }
            // Of other programs: pool_timeout, connection_limit, supa, workaround …
            _ => {}
        }
    }
    Ok((
        format!("{address}?{}", kept.join("&"))
            .trim_end_matches('?')
            .to_owned(),
        extras,
    ))
}

fn unreadable() -> Error {
    unusable(
        "cannot be read; it is postgres://user:password@host:port/database, with special \
            characters of the password percent-encoded (@ is %40, / is %2F, ? is %3F)",
    )
}

/// What is wrong with the address, which is not shown.
fn unusable(why: &str) -> Error {
    let what = format!("the address of the PostgreSQL database {why}");
    Error::new(Fault::Address, what)
}

/// Host and database. One that holds more than names do is not shown but refused: it may be the
/// rest of a password.
fn shown(config: &Config) -> Result<String> {
    let is_name = |name: &str| {
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_:/".contains(c))
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(host_name).collect();
    let name = format!(
        "{}/{}",
        hosts.join(","),
        config
            .get_dbname()
            .or(config.get_user())
            .unwrap_or_default()
    );
    if hosts.is_empty() || !hosts.iter().all(|host| is_name(host)) {
        return Err(unreadable());
    }
    Ok(if is_name(&name.replace(',', "")) {
        name
    } else {
        hosts.join(",")
    })
}

fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

/// Everything that leaves the machine is encrypted, unless the address says otherwise in so many
/// words.
fn is_encrypted(config: &Config, mode: Option<&str>) -> Result<bool> {
    let stays = config.get_hosts().iter().all(is_local)
        && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    match mode {
        Some("require" | "verify-ca" | "verify-full") => Ok(true),
        Some("disable") => Ok(false),
        None | Some("prefer" | "allow") => Ok(!stays),
        Some(_) => Err(unusable("has an unknown sslmode")),
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    }
}

/// Certificates are always verified, against `root` alone if it is given.
fn connector(root: Option<&str>) -> Result<MakeRustlsConnect> {
    let roots = match root {
        None => RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        },
        Some(path) => read_roots(path).map_err(|why| {
            unusable(&format!(
                "names in sslrootcert a file that cannot be used: {why}"
            ))
        })?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config
        .map_err(|err| Error::new(Fault::Other, err.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn read_roots(path: &str) -> std::result::Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|err| err.to_string())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|err| err.to_string())?;
        roots.add(certificate).map_err(|err| err.to_string())?;
    }
    if roots.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    Ok(roots)
}

/// Settings of the session's start. A pooler in transaction mode shares sessions, and takes none.
fn options(config: &Config, extras: &Extras) -> Result<String> {
    let theirs = config.get_options().unwrap_or_default();
    let is_pooler = |host: &Host| matches!(host, Host::Tcp(name) if name.contains("pooler"));
    let pooled = extras.pooled
        || config.get_ports().contains(&POOLER_PORT)
        || config.get_hosts().iter().any(is_pooler);
    match &extras.schema {
        Some(schema)
            if !schema
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_') =>
        {
            Err(unusable("has in schema= no plain name"))
        }
        Some(_) if pooled => Err(unusable(
            "has schema=, which has no effect behind a pooler; use ALTER ROLE … SET search_path \
                = … instead",
        )),
        Some(schema) => Ok(format!(
            "-c statement_timeout={STATEMENT_MS} -c search_path={schema} {theirs}"
        )),
        None if pooled => Ok(theirs.to_owned()),
        None => Ok(format!("-c statement_timeout={STATEMENT_MS} {theirs}")),
    }
}

/// A pooler that cannot be known as one by its address.
fn refuses_options(err: &postgres::Error) -> bool {
    err.as_db_error().is_some_and(|refusal| {
        *refusal.code() == SqlState::PROTOCOL_VIOLATION
            && refusal.message().contains("startup parameter")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Server> {
        Server::parse(&Secret::new(url))
    }

    #[track_caller]
    fn check(url: &str, name: &str, encrypted: bool, options: &str) {
        let address = parse(url).expect("an address");
        let found = (
            address.name.as_str(),
            address.tls.is_some(),
            address.options.trim(),
        );
        assert_eq!(found, (name, encrypted, options), "{url}");
    }

    const TIMED: &str = "-c statement_timeout=30000";

    #[test]
    fn addresses_of_all_providers_are_read() {
        check("postgres://u:p@localhost/db", "localhost/db", false, TIMED);
        check(
            "postgresql://u:p@db.example.com:5432/db",
            "db.example.com/db",
            true,
            TIMED,
        );
        check(
            "postgres://u:p@db.example.com/db?sslmode=disable",
            "db.example.com/db",
            false,
            TIMED,
        );
        check(
            "postgres://u:p@db.example.com/db?sslmode=verify-full&channel_binding=require",
            "db.example.com/db",
            true,
            TIMED,
        );
        check(
            "postgres://u:p@10.0.0.7/db?sslmode=prefer",
            "10.0.0.7/db",
            true,
            TIMED,
        );
        check(
            "postgres://u:p@127.0.0.1/db?sslmode=prefer",
            "127.0.0.1/db",
            false,
            TIMED,
        );
        check(
            "postgres://u:p@[::1]:5432/db?sslmode=require",
            "::1/db",
            true,
            TIMED,
        );
        check(
            "postgres://u@%2Fvar%2Frun%2Fpostgresql/db",
            "/var/run/postgresql/db",
            false,
            TIMED,
        );
        check(
            "postgres://u:p@aws-0-eu.pooler.supabase.com:6543/postgres?\
             pgbouncer=true&connection_limit=1&pool_timeout=20&supa=base-pooler.x",
            "aws-0-eu.pooler.supabase.com/postgres",
            true,
            "",
        );
        check(
            "postgres://u:p@h.example/db?schema=crm&connect_timeout=3",
            "h.example/db",
            true,
            "-c statement_timeout=30000 -c search_path=crm",
        );
        check(
            "postgres://u:p@h.example/db?options=-c%20work_mem%3D4MB",
            "h.example/db",
            true,
            "-c statement_timeout=30000 -c work_mem=4MB",
        );
    }

    #[test]
    fn refusals_show_nothing_of_the_address() {
        for url in [
            "postgres://user:geheim@h@t/db",
            "postgres://user:ge?heim@host/db",
            "postgres://user:ge?heim=x@host/db",
            "postgres://user:geheim@host:port/db",
            "postgres://user:geheim@host/db?sslmode=geheim",
            "postgres://user:geheim@host/db?sslcert=geheim",
            "postgres://user:geheim@host/db?schema=ge-heim",
            "postgres://user:geheim@host:6543/db?schema=heim",
            "postgres://",
        ] {
            let Err(refusal) = parse(url) else {
                panic!("{url}")
            };
            assert!(
                !format!("{refusal} {refusal:?}").contains("heim"),
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn root_certificate_must_be_one() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let url = format!(
            "postgres://u:p@h.example/db?sslrootcert={}",
            file.path().display()
        );
        let refusal = parse(&url).err().expect("refused").to_string();
        assert!(refusal.contains("it holds no certificate"), "{refusal}");
    }
}
