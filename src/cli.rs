//! The command line as typed: raw flags and their help, nothing checked and nothing decided.

pub mod misuse;

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

/// A value that is one of some words.
pub use clap::ValueEnum as Word;

/// Shown at the end of `--help`.
const AFTER: &str = "\
EXAMPLES
  quotion < payload.json                         sync one saved delivery
  cat saved/*.json | quotion                     sync many, one result line each
  quotion --dry-run < payload.json               show what would be written, write nothing
  quotion --require-signature --signature \"$HTTP_OPENPHONE_SIGNATURE\" < body
                                                 what a webhook receiver runs
  quotion backfill --since 24h | quotion         what no webhook brought (cron)
  quotion --enqueue … < body; quotion replay     answer at once, work later (cron)
  quotion doctor                                 what is set and whether it works
ENVIRONMENT (or a file .env in the working directory or in --dir; an empty variable is not set)
  NOTION_API_KEY                 token of the Notion integration; required (also NOTION_API_TOKEN)
  NOTION_CLIENTS_DATABASE_ID     the Clients database, shared with the integration; required
                                 (also NOTION_CANVAS_DATABASE_ID; an id or the database's link)
  OPENPHONE_API_KEY              Quo API key (also QUO_API_KEY); without it no names are looked up
  OPENPHONE_WEBHOOK_SECRET       signing secrets, comma-separated (also QUO_WEBHOOK_SECRET,
                                 WEBHOOK_SECRET)
  NOTION_WEBHOOK_SECRET          verification token of a Notion webhook subscription
  QUOTION_REQUIRE_SIGNATURE      1: as --require-signature; the stricter of all sources counts
  QUOTION_DIR, QUOTION_STATE     as --dir and --state (an address with a password belongs here, \
  not on the command line)
  DATABASE_URL                   PostgreSQL, when there is no --state (also SUPABASE_DB_URL); \
  postgres://user:password@host/db,
                                 encrypted unless it ends in ?sslmode=disable; ?sslrootcert=FILE \
                                 for a provider's own authority
  OPENPHONE_API_BASE             default https://api.quo.com/v1 (also QUO_API_BASE)
  NOTION_API_BASE                default https://api.notion.com/v1
  NOTION_VERSION                 default 2022-06-28
  ALERT_WEBHOOK_URL              gets a POST {\"text\": …} on critical failures
  HTTPS_PROXY, NO_PROXY          proxy for other machines, and hosts that need none
  LOG_LEVEL or RUST_LOG          error, warn (default), info, debug; -v and -q beat it
  QUOTION_LOG_TO, QUOTION_LOG_FORMAT
                                  as --log-to and --log-format
  Flags beat environment beat .env beat quotion.toml beat defaults.

EXIT CODES
   0 done, or rightly skipped             70 a bug of ours
  64 command line                         74 store or file trouble
  65 payload is not what it should be     75 not now; try again later
  69 a vendor refuses for good            77 signature refused
  78 configuration

RESULT
  One JSON line per document on stdout, also on failure:
  {\"status\":\"success\",\"action\":\"created\",\"notion_page_id\":\"…\",\"client_name\":\"Rosa \
  Quint\", …}
  status: success, queued, error. action: created, updated, skipped (then reason says why).";

/// Shown at the end of `status --help`.
const AFTER_STATUS: &str = "\
EXAMPLES
  quotion status                                 on one screen, trouble first
  quotion status --json | jq .problems           for programs
  quotion status --check                         for monitors (exit code)
  quotion status --event EV…                     what became of one, with links
ENVIRONMENT (or a file .env in the working directory or in --dir)
  QUOTION_DIR, QUOTION_STATE                     as --dir and --state
  DATABASE_URL                                   PostgreSQL, when there is no --state
  NO_COLOR                                       no colours; TERM=dumb neither
EXIT CODES
   0 told, whatever it says                70 a bug of ours
  64 command line, or an id is unknown     74 store or file trouble
  69 --check: something is held or dead    75 --check: something has waited for over an hour;
  78 configuration                            or the store cannot be reached";

/// Shown at the end of `doctor --help`.
const DOCTOR: &str = "\
EXAMPLES
  quotion doctor                 a table, or JSON in a pipe
  quotion doctor --samples 3     the first rows of each database as well
ENVIRONMENT
  All of it; see quotion --help. Each setting is shown with where it comes from, a secret as `set`.
EXIT CODES
   0 a sync would work                    74 store or file trouble
  64 command line                         75 a vendor is not there now
  69 a vendor refuses for good            78 configuration";

/// Puts every call and text of a Quo (OpenPhone) number into Notion, exactly once.
///
/// Reads webhook payloads (JSON, any number, one after another) from standard input, finds or makes
/// each client's page in the Notion Clients database, and writes the call or message on it.
#[derive(Debug, Parser)]
#[command(name = "quotion", version, after_help = AFTER, max_term_width = 110)]
pub struct Args {
    /// What to do other than the main job.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Options of the main job.
    #[command(flatten)]
    pub sync: SyncArgs,

    /// Give up in good order when one payload takes longer; `off` to wait as long as it takes
    /// [default: 50s]
    #[arg(long, value_name = "DURATION", global = true)]
    pub deadline: Option<String>,

    /// Folder of everything that is kept [default: .tmp]
    #[arg(long, value_name = "DIR", global = true)]
    pub dir: Option<PathBuf>,

    /// Store: path of a SQLite file, or postgres://… when shared by machines [default: quotion.db
    /// in the folder]
    #[arg(long, value_name = "URL", global = true)]
    pub state: Option<String>,

    /// Column names and choices [default: quotion.toml if it exists]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// Keys and other variables [default: .env in the working directory, else in the folder]
    #[arg(long, value_name = "FILE", global = true)]
    pub env_file: Option<PathBuf>,

    /// Where logs go; `stdout` puts them before the result lines [default: stderr]
    #[arg(long, value_name = "STREAM", global = true)]
    pub log_to: Option<LogTo>,

    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT", global = true)]
    pub log_format: Option<LogFormat>,

    /// Say more: one line per event; twice, each request too
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,

    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// What the command line says of the logs, though it cannot be read as a whole.
pub fn log_choice(words: &[impl AsRef<OsStr>]) -> (Option<LogTo>, Option<LogFormat>) {
    let words: Vec<&str> = words
        .iter()
        .filter_map(|word| word.as_ref().to_str())
        .collect();
    (find(&words, "--log-to"), find(&words, "--log-format"))
}

fn find<T: ValueEnum>(words: &[&str], flag: &str) -> Option<T> {
    let beside = words.windows(2).filter(|pair| pair[0] == flag);
    let joined = words
        .iter()
        .filter_map(|word| word.strip_prefix(flag)?.strip_prefix('='));
    let mut values = beside.map(|pair| pair[1]).chain(joined);
    values.find_map(parse)
}

/// Reads a value as the command line writes it.
pub fn parse<T: ValueEnum>(word: &str) -> Option<T> {
    T::from_str(word.trim(), true).ok()
}

/// Everything but the main job.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Finish what is queued, or has failed and is due again (for cron)
    Replay(ReplayArgs),
    /// Print the events Quo has had lately, one JSON per line: pipe into `quotion`
    ///
    /// Asks Quo for the calls and texts of each conversation, and prints those that are not synced
    /// yet as a webhook would have delivered them, with ids that are the same in every run. Nothing
    /// else goes to standard output: failures, and a summary, go to standard error. The same
    /// command goes on where an interrupted run stopped.
    Backfill(BackfillArgs),
    /// What happened, what is stuck and why, how fast: a table on a terminal, else one JSON object
    ///
    /// Reads the store and nothing else: needs no keys, asks no vendor and changes nothing. Figures
    /// are those of the last 24 hours.
    #[command(after_help = AFTER_STATUS)]
    Status(StatusArgs),

    /// Check keys, access, columns, webhooks and store, each with what to do
    ///
    /// Asks both vendors and changes nothing in either. A table on a terminal, else one JSON
    /// object. Names no client, so it can be pasted into a report; --samples does.
    #[command(after_help = DOCTOR)]
    Doctor(DoctorArgs),
}

/// Options of `replay`.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// Saved payloads to sync as if piped in, without a look at their age; `-` for standard input
    #[arg(value_name = "FILE", conflicts_with_all = ["now", "dead", "event"])]
    pub files: Vec<PathBuf>,

    /// Take everything that waits or is held, due or not, but not what was given up
    #[arg(long)]
    pub now: bool,

    /// Take the events that were given up
    #[arg(long)]
    pub dead: bool,

    /// Take this event, whatever its state, unless it is done
    #[arg(long, value_name = "ID", conflicts_with_all = ["now", "dead"])]
    pub event: Option<String>,

    /// Take at most so many
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub limit: usize,

    /// Read everything, write nothing, print the plan in the result
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// One JSON object, on a terminal too
    #[arg(long)]
    pub json: bool,

    /// For monitors: exit 69 if something is held or dead, 75 if something has waited for over an
    /// hour
    #[arg(long, conflicts_with_all = ["event", "activity", "number"])]
    pub check: bool,

    /// What became of this event, step by step
    #[arg(long, value_name = "ID", conflicts_with_all = ["activity", "number"])]
    pub event: Option<String>,

    /// What became of this call or text
    #[arg(long, value_name = "ID", conflicts_with = "number")]
    pub activity: Option<String>,

    /// What became of this number: a client's, or one of the workspace's (also as PN…)
    #[arg(long, value_name = "NUMBER")]
    pub number: Option<String>,
}

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Print JSON on a terminal too
    #[arg(long)]
    pub json: bool,

    /// Show so many rows of each database as they are read; these hold names and numbers of clients
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub samples: usize,

    /// Forget what is cached (columns, own numbers, contacts), and look at pages again before
    /// anything is written; after the store was put back from a copy
    #[arg(long)]
    pub fresh: bool,
}

/// Options of `backfill`.
#[derive(Debug, clap::Args)]
pub struct BackfillArgs {
    /// Calls and texts made since so long ago, such as 24h or 1w, or since a date
    #[arg(long, value_name = "DURATION or DATE")]
    pub since: Option<String>,

    /// Only recordings, transcripts and summaries that synced calls made since so long ago still
    /// lack
    #[arg(long, value_name = "DURATION")]
    pub pending: Option<String>,

    /// Nothing made later than so long ago, or than a date
    #[arg(long, value_name = "DURATION or DATE")]
    pub until: Option<String>,

    /// Only this number of the workspace, by id (PN…) or as +1…; may be repeated [default: all]
    #[arg(long, value_name = "NUMBER")]
    pub number: Vec<String>,

    /// What is synced already too
    #[arg(long, conflicts_with = "pending")]
    pub all: bool,
}

/// Options of the main job.
#[derive(Debug, clap::Args)]
pub struct SyncArgs {
    /// Signature header to check: `openphone-signature` (hmac;1;…), `webhook-signature` (v1,…) or
    /// `x-notion-signature` (sha256=…)
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub signature: Option<String>,

    /// Header `webhook-id` of the Standard Webhooks scheme
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub webhook_id: Option<String>,

    /// Header `webhook-timestamp` of the Standard Webhooks scheme
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub webhook_timestamp: Option<String>,

    /// Refuse a payload that comes without a signature; receivers must set this
    #[arg(long)]
    pub require_signature: bool,

    /// Age window of signatures, into the past and the future; `off` for saved payloads [default:
    /// 5m]
    #[arg(long, value_name = "DURATION")]
    pub signature_tolerance: Option<String>,

    /// Keep the payload durably and answer `queued` at once; `quotion replay` does the work
    #[arg(long, conflicts_with = "dry_run")]
    pub enqueue: bool,

    /// Read everything, write nothing, print the plan in the result
    #[arg(long)]
    pub dry_run: bool,
}

impl Args {
    /// True if nothing is to be written.
    pub fn dry_run(&self) -> bool {
        match &self.command {
            None => self.sync.dry_run,
            Some(Command::Replay(replay)) => replay.dry_run,
            Some(Command::Backfill(_)) => false,
            // It changes nothing.
            Some(Command::Status(_)) => true,
            Some(Command::Doctor(doctor)) => !doctor.fresh,
        }
    }
}

impl SyncArgs {
    /// True if any of the options was given; they mean nothing to a subcommand.
    pub fn any(&self) -> bool {
        let texts = [
            &self.signature,
            &self.webhook_id,
            &self.webhook_timestamp,
            &self.signature_tolerance,
        ];
        texts.iter().any(|text| text.is_some())
            || self.require_signature
            || self.enqueue
            || self.dry_run
    }
}

/// Stream of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogTo {
    /// Standard error.
    Stderr,
    /// Standard output, for receivers that capture only that.
    Stdout,
}

/// Look of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_logs_is_found_among_words_that_cannot_be_read() {
        let json = Some(LogFormat::Json);
        assert_eq!(
            log_choice(&["--nope", "--log-format", "json"]),
            (None, json)
        );
        assert_eq!(
            log_choice(&["--log-format=JSON", "--log-to=stdout", "x"]),
            (Some(LogTo::Stdout), json)
        );
        assert_eq!(log_choice(&["--log-format"]), (None, None));
        assert_eq!(log_choice(&["--log-format", "xml"]), (None, None));
    }
}
