//! Notion: requests built and replies read in the files beside; sent from here.
//!
//! Knows the API's versions, and which answers mean "saved" although they are errors. Decides
//! nothing about clients. <https://developers.notion.com/reference/intro>

pub mod blocks;
pub mod database;
mod error;
mod list;
mod listing;
pub mod page;
pub mod property;
pub mod query;
pub mod rejection;
pub mod text;
mod writer;

use jiff::SignedDuration;
use serde_json::Value as Json;

use crate::domain::id::{BlockId, DataSourceId, DatabaseId, PageId};
use crate::domain::table::Row;
use crate::http::{Answer, Api, Effect, Measured, Method, Request, Vendor};
use crate::text as words;
use crate::time::Deadline;

use database::Table;
use list::{Rest, WireList};
use page::ReadRow;
use query::{Hits, Lookup};

pub use error::Error;
pub use listing::Listing;
pub use writer::NotionWriter;

/// Notion's API. Of a list that is larger than is read, smaller parts are asked for.
pub const API: Api = Api {
    name: "notion",
    request_id_header: "x-notion-request-id",
    body_bytes: 4 * 1024 * 1024,
    is_refusal,
};
/// Characters of a vendor's message that an error shows.
const SHOWN: usize = 300;
/// First version in which a database is a container of data sources.
const DATA_SOURCES: &str = "2025-09-03";
/// Most requests of one walk through a query's answer: 10,000 rows, where Notion itself stops.
const QUERY_PAGES: usize = 100;
/// Most data sources of one database that are looked into.
const SOURCES: usize = 20;

/// Whether a body is a refusal in Notion's own words, at any status.
/// <https://developers.notion.com/reference/status-codes>
fn is_refusal(_status: u16, body: &Json) -> bool {
    body["object"] == "error" && body["code"].is_string()
}

/// How far to go through a table.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Rows asked for at once, at most 100.
    pub rows: usize,
    /// Requests.
    pub requests: usize,
}

/// Result of a call to Notion.
pub type Result<T> = std::result::Result<T, Error>;

/// The API, for one connection (token).
pub struct Notion {
    vendor: Vendor,
    version: String,
}

impl Notion {
    /// `version` is sent with every request, except where a data source needs a newer one.
    pub fn new(vendor: Vendor, version: String) -> Self {
        Self { vendor, version }
    }

    /// Requests sent so far, repeats included.
    pub fn calls(&self) -> u64 {
        self.vendor.calls()
    }

    /// How long requests took since the last time that this was asked.
    pub fn take_measured(&self) -> Vec<Measured> {
        self.vendor.take_measured()
    }

    /// Asks whose key this is: an answer says that the key is good.
    pub fn check_key(&self, deadline: Deadline) -> Result<()> {
        let read = |body: Json| (body["object"] == "user").then_some(()).ok_or("no user");
        self.ask(&get("/users/me"), &self.version, deadline, read)
    }

    /// See [`Vendor::ahead`].
    pub fn ahead(&self) -> Option<SignedDuration> {
        self.vendor.ahead()
    }

    /// Hands over the rows of `table`, those that were made first first, as far
    /// as the bound goes. True if these were all; a row that is no whole page is left
    /// out.
    pub fn walk_rows(
        &self,
        table: &Table,
        bound: Bound,
        deadline: Deadline,
        mut each: impl FnMut(Row),
    ) -> Result<bool> {
        let path = query_path(table);
        let mut cursor: Option<String> = None;
        for _ in 0..bound.requests {
            let body = query::all(bound.rows, cursor.as_deref());
            let request = Request {
                effect: Effect::Read,
                ..request(Method::Post, &path, Some(body))
            };
            let read = |hit: Json| {
                page::read(&hit).into_iter().for_each(&mut each);
                Ok(())
            };
            let rest = self.ask_list(&request, self.table_version(table), deadline, read)?;
            match rest.next {
                Some(next) if !rest.incomplete => cursor = Some(next),
                next => return Ok(next.is_none() && !rest.incomplete),
            }
        }
        Ok(false)
    }

    /// The table that `database` means, and its columns as JSON. Of several data sources the one
    /// that has a column called like one of `keys` for phone numbers.
    pub fn fetch_table(
        &self,
        database: &DatabaseId,
        keys: &[String],
        deadline: Deadline,
    ) -> Result<(Table, Json)> {
        let path = format!("/databases/{database}");
        let read = |version: &str| self.ask(&get(&path), version, deadline, database::proven);
        let body = match read(&self.version) {
            Ok(body) if body.get("data_sources").is_none() => {
                return Ok((Table::Database(database.clone()), body));
            }
            Ok(body) => body,
            Err(err) if err.refusal(400).is_some_and(database::has_several_sources) => {
                read(DATA_SOURCES)?
            }
            Err(err) if err.is_no_such_thing() => {
                return self.as_source(database, err, deadline);
            }
            Err(err) => return Err(err),
        };
        self.choose_source(database, &body, keys, deadline)
    }

    /// Notion's menu offers the ids of data sources as well as of databases, so what is no database
    /// may be one of those. `refused` says what it is instead, if not.
    fn as_source(
        &self,
        database: &DatabaseId,
        refused: Error,
        deadline: Deadline,
    ) -> Result<(Table, Json)> {
        let Ok(id) = DataSourceId::parse(database.as_str()) else {
            return Err(refused);
        };
        match self.fetch_source(&id, deadline) {
            Ok(object) => Ok((Table::DataSource(id), object)),
            Err(err) if err.is_no_such_thing() => Err(match refused.refusal(400) {
                Some(body) => Error::Unusable(words::one_line(rejection::message(body), SHOWN)),
                None => refused,
            }),
            Err(err) => Err(err),
        }
    }

    fn choose_source(
        &self,
        database: &DatabaseId,
        body: &Json,
        keys: &[String],
        deadline: Deadline,
    ) -> Result<(Table, Json)> {
        let sources = database::read_sources(body);
        let mut fitting = Vec::new();
        for (id, name) in sources.iter().take(SOURCES) {
            let object = self.fetch_source(id, deadline)?;
            let schema = database::read_schema(&object).unwrap_or_default();
            let mut named = keys.iter().filter_map(|key| schema.named(key));
            let has_key = named.any(|column| query::can_hold_phone(column.kind));
            if has_key || sources.len() == 1 {
                fitting.push((id.clone(), name, object));
            }
        }
        if fitting.len() == 1 {
            let (id, _, object) = fitting.remove(0);
            return Ok((Table::DataSource(id), object));
        }
        let all: Vec<String> = sources
            .iter()
            .map(|(id, name)| format!("{name:?} ({id})"))
            .collect();
        let count = if fitting.is_empty() {
            "none"
        } else {
            "more than one"
        };
        Err(Error::Ambiguous(format!(
            "database {database} has several data sources and {count} of them has the column \
                {:?}: {}",
            keys.join("\" or \""),
            all.join(", ")
        )))
    }

    fn fetch_source(&self, id: &DataSourceId, deadline: Deadline) -> Result<Json> {
        let request = get(&format!("/data_sources/{id}"));
        self.ask(&request, self.source_version(), deadline, database::proven)
    }

    /// The pages of `table` on which the number stands.
    pub fn find_by_phone(
        &self,
        table: &Table,
        search: &Lookup,
        deadline: Deadline,
    ) -> Result<Hits> {
        let path = query_path(table);
        let mut hits = Hits::default();
        let (mut cursor, mut size): (Option<String>, usize) = (None, query::MOST_ROWS);
        for _ in 0..QUERY_PAGES {
            let body = query::by_phone(search, size, cursor.as_deref());
            let request = Request {
                effect: Effect::Read,
                ..request(Method::Post, &path, Some(body))
            };
            let version = self.table_version(table);
            let read = |hit: Json| {
                query::read(&hit, search)?
                    .into_iter()
                    .for_each(|found| hits.add(found));
                Ok(())
            };
            let answer = match self.ask_list(&request, version, deadline, read) {
                Ok(answer) => answer,
                Err(err) if err.asks_for_less() && size > 1 => {
                    size /= 2;
                    continue;
                }
                Err(err) => return Err(err),
            };
            if answer.incomplete {
                return Err(Error::Unreadable(
                    "a query for one phone number found more than 10,000 rows".into(),
                ));
            }
            let Some(next) = answer.next else {
                return Ok(hits);
            };
            cursor = Some(next);
        }
        Err(Error::Unreadable("a query did not come to its end".into()))
    }

    /// A page of this table; `None` when it is gone, elsewhere, or no longer shared.
    pub fn fetch_page(
        &self,
        table: &Table,
        page: &PageId,
        deadline: Deadline,
    ) -> Result<Option<ReadRow>> {
        let read = |body: Json| {
            let read = page::kept(&body).filter(|read| read.row.id == *page);
            let read = read.ok_or("not the page, whole")?;
            Ok(Some(read).filter(|_| page::lies_in(&body, table)))
        };
        let request = get(&format!("/pages/{page}"));
        match self.ask(&request, &self.version, deadline, read) {
            Ok(read) => Ok(read),
            Err(err) if err.refusal(404).is_some() => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// True if a block is there and not in the trash, wherever it lies now.
    pub fn has_block(&self, block: &BlockId, deadline: Deadline) -> Result<bool> {
        let read = |body: Json| match blocks::id(&body) {
            Some(id) if id == *block => Ok(body["in_trash"] != true && body["archived"] != true),
            Some(_) | None => Err("not the block that was asked for"),
        };
        let request = get(&format!("/blocks/{block}"));
        match self.ask(&request, &self.version, deadline, read) {
            Err(err) if err.refusal(404).is_some() => Ok(false),
            answer => answer,
        }
    }

    /// Sends a request, and reads what its answer says; one that does not say it is no answer.
    fn ask<T>(
        &self,
        request: &Request,
        version: &str,
        deadline: Deadline,
        read: impl FnOnce(Json) -> std::result::Result<T, &'static str>,
    ) -> Result<T> {
        let answer = self.send(request, version, deadline)?;
        read(answer.json()?).map_err(|why| answer.unexpected(why).into())
    }

    /// Sends a request that is answered with a list, and reads what each of its items says.
    fn ask_list(
        &self,
        request: &Request,
        version: &str,
        deadline: Deadline,
        read: impl FnMut(Json) -> std::result::Result<(), &'static str>,
    ) -> Result<Rest> {
        let answer = self.send(request, version, deadline)?;
        let list: WireList = answer.parse(serde_json::from_slice)?;
        list.read(read).map_err(|why| answer.unexpected(why).into())
    }

    fn send(&self, request: &Request, version: &str, deadline: Deadline) -> Result<Answer> {
        let request = Self::versioned(request, version);
        Ok(self.vendor.call(&request, deadline)?)
    }

    fn versioned(request: &Request, version: &str) -> Request {
        let request = request.clone();
        request.with_header("Notion-Version", version)
    }

    /// The version under which a table is asked.
    pub fn table_version(&self, table: &Table) -> &str {
        match table {
            Table::Database(_) => &self.version,
            Table::DataSource(_) => self.source_version(),
        }
    }

    /// Versions are dates, so the later one is the greater text.
    fn source_version(&self) -> &str {
        if self.version.as_str() >= DATA_SOURCES {
            &self.version
        } else {
            DATA_SOURCES
        }
    }
}

fn query_path(table: &Table) -> String {
    match table {
        Table::Database(id) => format!("/databases/{id}/query"),
        Table::DataSource(id) => format!("/data_sources/{id}/query"),
    }
}

fn get(path: &str) -> Request {
    Request {
        effect: Effect::Read,
        ..request(Method::Get, path, None)
    }
}

fn request(method: Method, path: &str, body: Option<Json>) -> Request {
    Request {
        method,
        path: path.to_owned(),
        base: None,
        query: vec![],
        headers: vec![],
        body,
        effect: Effect::Write,
    }
}
