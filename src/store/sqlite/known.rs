//! Snapshots and contacts: one named function per statement.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::id::ContactId;
use crate::domain::phone::Phone;

use super::super::{IndexedContact, Result, Snapshot};
use super::Sqlite;

impl Sqlite {
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
        let now = self.now();
        self.transaction(|connection| put_snapshot(connection, key, body, &now))
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
}

/// Keeps an answer under `key`, in somebody's transaction.
pub fn put_snapshot(
    connection: &Connection,
    key: &str,
    body: &str,
    now: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO snapshots (key, body, fetched_at) VALUES (?1, ?2, ?3)
               ON CONFLICT (key) DO UPDATE SET body = excluded.body, fetched_at = \
               excluded.fetched_at";
    connection
        .prepare_cached(sql)?
        .execute(params![key, body, now])?;
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
