//! The client's page: from the store, else found by phone. "Could not search" is never "not found".

use jiff::SignedDuration;

use crate::domain::outcome::{Warning, WarningCode};
use crate::domain::phone::Phone;
use crate::domain::table::Row;
use crate::notion::page::{self, ReadRow};
use crate::notion::{self, Notion};
use crate::store::KnownPage;
use crate::time::Deadline;

use super::super::facts::PageFact;
use super::super::{Error, Run};
use super::table::ClientsTable;

/// How long the values that Notion gave are believed where they only say what is there already: a
/// date that stands later, the title. What is empty there is looked at again before it is filled.
pub const FRESH: SignedDuration = SignedDuration::from_hours(24);

/// What is needed to look for a page, and may cross threads.
pub struct PageSearch<'a> {
    /// The API.
    pub notion: &'a Notion,
    /// Where to look.
    pub table: &'a ClientsTable,
    /// Until when.
    pub deadline: Deadline,
}

/// What a look found.
pub struct Found {
    /// The page.
    pub page: PageFact,
    /// The page as Notion gave it just now; `None` when nothing was read.
    pub read: Option<String>,
    /// Other pages with the same number.
    pub warnings: Vec<Warning>,
}

impl PageSearch<'_> {
    /// The page that the store knows, without a request if its values are known too; else by
    /// search.
    pub fn find(&self, phone: &Phone, known: Option<&KnownPage>) -> notion::Result<Found> {
        if let Some(known) = known {
            if let Some(row) = kept_row(known) {
                return Ok(Found {
                    page: PageFact::Known { row, fresh: false },
                    read: None,
                    warnings: vec![],
                });
            }
            let read = self.notion.fetch_page(&known.id, self.deadline)?;
            // A person may have given the number to another page.
            let columns = &self.table.phones;
            let is_theirs = |row: &Row| !row.trashed && row.holds(phone, columns);
            if let Some(ReadRow { row, text }) = read.filter(|read| is_theirs(&read.row)) {
                return Ok(Found {
                    page: PageFact::Known { row, fresh: true },
                    read: Some(text),
                    warnings: vec![],
                });
            }
        }
        self.search(phone)
    }

    fn search(&self, phone: &Phone) -> notion::Result<Found> {
        let columns = &self.table.phones;
        let hits = self
            .notion
            .find_by_phone(&self.table.table, phone, columns, self.deadline)?;
        let Some(ReadRow { row, text }) = hits.oldest else {
            return Ok(Found {
                page: PageFact::Absent,
                read: None,
                warnings: vec![],
            });
        };
        let others: Vec<String> = hits.others.iter().map(ToString::to_string).collect();
        let warning = || {
            let message = format!(
                "{phone} also stands on {}; the oldest page, {}, is used",
                others.join(", "),
                row.id
            );
            Warning::property(WarningCode::SeveralPages, &columns[0].name, message)
        };
        let warnings = if others.is_empty() {
            vec![]
        } else {
            vec![warning()]
        };
        Ok(Found {
            page: PageFact::Known { row, fresh: true },
            read: Some(text),
            warnings,
        })
    }
}

/// Keeps what a look found.
pub fn remember(run: &Run, phone: &Phone, found: &Found) -> Result<(), Error> {
    match (&found.page, &found.read) {
        (PageFact::Absent, _) => run.store.forget_page(phone)?,
        (PageFact::Known { row, .. }, Some(text)) => save(run, phone, row, text)?,
        (PageFact::Known { .. }, None) => run.store.touch_page(phone)?,
    }
    Ok(())
}

/// Keeps a page as Notion gave it.
pub fn save(run: &Run, phone: &Phone, row: &Row, text: &str) -> Result<(), Error> {
    let known = KnownPage {
        id: row.id.clone(),
        title: row.title().to_owned(),
        body: text.to_owned(),
    };
    Ok(run.store.save_page(phone, &known)?)
}

/// The values of a page that is kept, if they are certain.
pub fn kept_row(known: &KnownPage) -> Option<Row> {
    page::read(&serde_json::from_str(&known.body).ok()?)
}
