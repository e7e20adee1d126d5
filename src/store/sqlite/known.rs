//! Known pages, snapshots, contacts and entries: one named function per statement.

use jiff::SignedDuration;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::id::{ActivityId, BlockId, ContactId, PageId};
use crate::domain::phone::Phone;

use super::super::text::{read_kinds, write_kinds};
use super::super::{EntryRecord, IndexedContact, KnownPage, Result, Snapshot};
use super::Sqlite;

impl Sqlite {
    /// With the time since it was kept.
    pub fn page(&self, phone: &Phone) -> Result<Option<(KnownPage, SignedDuration)>> {
        let sql = "SELECT canvas_id, canvas_name, body, cached_at FROM canvas_cache
                   WHERE lookup_type = 'phone' AND lookup_key = ?1";
        let read = |row: &Row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get::<_, String>(3)?,
            ))
        };
        let found = self
            .connection
            .query_row(sql, [phone.as_str()], read)
            .optional()?;
        let known = |(id, title, body, at): (String, String, String, String)| {
            Some((
                KnownPage {
                    id: PageId::parse(&id).ok()?,
                    title,
                    body,
                },
                self.since(&at),
            ))
        };
        Ok(found.and_then(known))
    }

    pub fn touch_page(&self, phone: &Phone) -> Result<()> {
        let sql = "UPDATE canvas_cache SET hit_count = hit_count + 1, last_used_at = ?2
                   WHERE lookup_type = 'phone' AND lookup_key = ?1";
        self.write(sql, params![phone.as_str(), self.now()])
    }

    pub fn save_page(&self, phone: &Phone, page: &KnownPage) -> Result<()> {
        let now = self.now();
        self.transaction(|connection| save_page(connection, phone, page, &now))
    }

    pub fn forget_page(&self, phone: &Phone) -> Result<()> {
        self.write(
            "DELETE FROM canvas_cache WHERE lookup_type = 'phone' AND lookup_key = ?1",
            [phone.as_str()],
        )
    }

    pub fn snapshot(&self, key: &str) -> Result<Option<Snapshot>> {
        let read = |row: &Row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let sql = "SELECT body, fetched_at FROM snapshots WHERE key = ?1";
        let found = self.connection.query_row(sql, [key], read).optional()?;
        Ok(found.map(|(body, at)| Snapshot {
            body,
            age: self.since(&at),
        }))
    }

    pub fn save_snapshot(&self, key: &str, body: &str) -> Result<()> {
        let sql = "INSERT INTO snapshots (key, body, fetched_at) VALUES (?1, ?2, ?3)
                   ON CONFLICT (key) DO UPDATE SET body = excluded.body, fetched_at = \
                   excluded.fetched_at";
        self.write(sql, params![key, body, self.now()])
    }

    pub fn forget_snapshot(&self, key: &str) -> Result<()> {
        self.write("DELETE FROM snapshots WHERE key = ?1", [key])
    }

    pub fn contacts_near(&self, phone: &Phone) -> Result<Vec<String>> {
        let sql = "SELECT body FROM contacts JOIN contact_phones ON contact_id = id WHERE tail = \
            ?1 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([phone.tail()], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn replace_contacts(&self, contacts: &[IndexedContact]) -> Result<()> {
        self.transaction(|connection| {
            connection.execute("DELETE FROM contacts", [])?;
            contacts
                .iter()
                .try_for_each(|contact| insert_contact(connection, contact))
        })
    }

    pub fn save_contacts(&self, contacts: &[IndexedContact]) -> Result<()> {
        self.transaction(|connection| {
            contacts.iter().try_for_each(|contact| {
                connection
                    .prepare_cached("DELETE FROM contacts WHERE id = ?1")?
                    .execute([contact.id.as_str()])?;
                insert_contact(connection, contact)
            })
        })
    }

    pub fn drop_contact(&self, id: &ContactId) -> Result<()> {
        self.write("DELETE FROM contacts WHERE id = ?1", [id.as_str()])
    }

    pub fn entries(&self, activity: &ActivityId) -> Result<Vec<EntryRecord>> {
        let sql = "SELECT phone, page_id, block_id, line, state, artifacts, pending, intended_at
                   FROM entries WHERE activity_id = ?1 ORDER BY phone";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([activity.as_str()], RawEntry::read)?;
        let rows: Vec<RawEntry> = rows.collect::<rusqlite::Result<_>>()?;
        Ok(rows
            .into_iter()
            .filter_map(|raw| self.entry(activity, raw))
            .collect())
    }

    pub fn page_intended(&self, phone: &Phone) -> Result<Option<SignedDuration>> {
        let sql = "SELECT max(intended_at) FROM entries WHERE phone = ?1 AND page_id IS NULL AND \
            state = 'intended'";
        let last: Option<String> = self
            .connection
            .query_row(sql, [phone.as_str()], |row| row.get(0))?;
        Ok(last.map(|last| self.since(&last)))
    }

    pub fn page_uncertain(&self, phone: &Phone) -> Result<Option<SignedDuration>> {
        let sql = "SELECT max(cached_at) FROM canvas_cache
                   WHERE lookup_type = 'phone' AND lookup_key = ?1 AND body = 'null'";
        let last: Option<String> = self
            .connection
            .query_row(sql, [phone.as_str()], |row| row.get(0))?;
        Ok(last.map(|last| self.since(&last)))
    }

    pub fn save_entries(&self, entries: &[EntryRecord]) -> Result<()> {
        let now = self.now();
        self.transaction(|connection| {
            entries
                .iter()
                .try_for_each(|entry| save_entry(connection, entry, &now))
        })
    }

    pub fn intend(
        &self,
        page: Option<(&Phone, &KnownPage)>,
        entries: &[EntryRecord],
    ) -> Result<()> {
        let now = self.now();
        let save = |connection: &Connection| {
            page.map_or(Ok(()), |(phone, page)| {
                save_page(connection, phone, page, &now)
            })?;
            entries
                .iter()
                .try_for_each(|entry| save_entry(connection, entry, &now))
        };
        self.durably(|| self.transaction(save))
    }

    fn entry(&self, activity: &ActivityId, raw: RawEntry) -> Option<EntryRecord> {
        Some(EntryRecord {
            activity: activity.clone(),
            phone: Phone::parse(&raw.phone)?,
            page: raw.page.and_then(|page| PageId::parse(&page).ok()),
            block: raw.block.and_then(|block| BlockId::parse(&block).ok()),
            line: raw.line,
            written: raw.state == "done",
            artifacts: read_kinds(&raw.artifacts),
            pending: read_kinds(&raw.pending),
            age: self.since(&raw.intended_at),
        })
    }
}

fn save_page(
    connection: &Connection,
    phone: &Phone,
    page: &KnownPage,
    now: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO canvas_cache (lookup_type, lookup_key, canvas_id, canvas_name, body, \
        cached_at)
               VALUES ('phone', ?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (lookup_type, lookup_key) DO UPDATE SET canvas_id = excluded.canvas_id,
               canvas_name = excluded.canvas_name, body = excluded.body, cached_at = \
               excluded.cached_at";
    let values = params![phone.as_str(), page.id.as_str(), page.title, page.body, now];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// A row of `entries` as it stands.
struct RawEntry {
    phone: String,
    page: Option<String>,
    block: Option<String>,
    line: String,
    state: String,
    artifacts: String,
    pending: String,
    intended_at: String,
}

impl RawEntry {
    fn read(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            phone: row.get(0)?,
            page: row.get(1)?,
            block: row.get(2)?,
            line: row.get(3)?,
            state: row.get(4)?,
            artifacts: row.get(5)?,
            pending: row.get(6)?,
            intended_at: row.get(7)?,
        })
    }
}

fn save_entry(connection: &Connection, entry: &EntryRecord, now: &str) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO entries (activity_id, phone, page_id, block_id, line, state, artifacts, \
            pending, intended_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
               ON CONFLICT (activity_id, phone) DO UPDATE SET page_id = excluded.page_id,
               block_id = excluded.block_id, line = excluded.line, state = excluded.state,
               artifacts = excluded.artifacts, pending = excluded.pending, intended_at = \
               excluded.intended_at";
    let state = if entry.written { "done" } else { "intended" };
    let (page, block) = (
        entry.page.as_ref().map(PageId::as_str),
        entry.block.as_ref().map(BlockId::as_str),
    );
    let (artifacts, pending) = (write_kinds(&entry.artifacts), write_kinds(&entry.pending));
    let (activity, phone) = (entry.activity.as_str(), entry.phone.as_str());
    let values = params![
        activity, phone, page, block, entry.line, state, artifacts, pending, now
    ];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn insert_contact(connection: &Connection, contact: &IndexedContact) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO contacts (id, body) VALUES (?1, ?2)";
    connection
        .prepare_cached(insert)?
        .execute([contact.id.as_str(), &contact.body])?;
    let insert = "INSERT OR IGNORE INTO contact_phones (tail, contact_id) VALUES (?1, ?2)";
    let mut phones = connection.prepare_cached(insert)?;
    for tail in &contact.tails {
        phones.execute([tail, contact.id.as_str()])?;
    }
    Ok(())
}
