//! Snapshots and contacts: one named function per statement.

use std::collections::BTreeMap;

use postgres::types::Type;

use crate::domain::id::ContactId;
use crate::domain::phone::Phone;

use super::super::{IndexedContact, Result, Snapshot};
use super::{Param, Postgres, age, text};

impl Postgres {
    pub fn snapshot(&self, key: &str) -> Result<Option<Snapshot>> {
        let sql = "SELECT body, (extract(epoch FROM now() - fetched_at) * 1000)::bigint
                   FROM quotion_snapshots WHERE key = $1";
        let rows = self.read(sql, &[(&key, Type::TEXT)])?;
        Ok(rows.first().map(|row| Snapshot {
            body: row.get(0),
            age: age(row.get(1)),
        }))
    }

    pub fn save_snapshot(&self, key: &str, body: &str) -> Result<()> {
        let sql = "INSERT INTO quotion_snapshots (key, body, fetched_at) VALUES ($1, $2, now())
                   ON CONFLICT (key) DO UPDATE SET body = excluded.body, fetched_at = \
                   excluded.fetched_at";
        self.write(sql, &[(&key, Type::TEXT), (&text(body), Type::TEXT)])?;
        Ok(())
    }

    pub fn forget_snapshot(&self, key: &str) -> Result<()> {
        self.write(
            "DELETE FROM quotion_snapshots WHERE key = $1",
            &[(&key, Type::TEXT)],
        )?;
        Ok(())
    }

    pub fn contacts_near(&self, phone: &Phone) -> Result<Vec<String>> {
        let sql = "SELECT body FROM quotion_contacts JOIN quotion_contact_phones ON contact_id = id
                   WHERE tail = $1 ORDER BY id COLLATE \"C\"";
        let rows = self.read(sql, &[(&phone.tail(), Type::TEXT)])?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub fn replace_contacts(&self, contacts: &[IndexedContact]) -> Result<()> {
        let gone = "WITH gone AS (
                      DELETE FROM quotion_contacts c
                      WHERE NOT EXISTS (SELECT FROM unnest($1::text[]) AS kept (id) WHERE kept.id \
                      = c.id)
                    )";
        self.put_contacts(gone, contacts)
    }

    pub fn save_contacts(&self, contacts: &[IndexedContact]) -> Result<()> {
        self.put_contacts("WITH", contacts)
    }

    /// Saves contacts and removes those of their numbers that are not theirs any more. Nothing that
    /// stays is written anew, so the index of a large workspace costs little to renew.
    fn put_contacts(&self, with: &str, contacts: &[IndexedContact]) -> Result<()> {
        let comma = if with == "WITH" { "" } else { "," };
        let sql = format!(
            "{with}{comma} saved AS (
               INSERT INTO quotion_contacts AS c (id, body) SELECT * FROM unnest($1::text[], \
               $2::text[])
               ON CONFLICT (id) DO UPDATE SET body = excluded.body WHERE c.body <> excluded.body
             ), freed AS (
               DELETE FROM quotion_contact_phones p WHERE contact_id = ANY ($1) AND NOT EXISTS (
                 SELECT FROM unnest($3::text[], $4::text[]) AS had (tail, contact_id)
                 WHERE had.tail = p.tail AND had.contact_id = p.contact_id)
             )
             INSERT INTO quotion_contact_phones (tail, contact_id) SELECT * FROM \
             unnest($3::text[], $4::text[])
             ON CONFLICT DO NOTHING"
        );
        // Of two records with one id the later one counts; and in one order, so that two processes
        // never wait for each other crosswise.
        let contacts: BTreeMap<&str, &IndexedContact> = contacts
            .iter()
            .map(|contact| (contact.id.as_str(), contact))
            .collect();
        let ids: Vec<&str> = contacts.keys().copied().collect();
        let bodies: Vec<_> = contacts
            .values()
            .map(|contact| text(&contact.body))
            .collect();
        let phones = contacts
            .values()
            .flat_map(|contact| contact.tails.iter().map(|tail| (tail, contact.id.as_str())));
        let (tails, owners): (Vec<&String>, Vec<&str>) = phones.unzip();
        let array = Type::TEXT_ARRAY;
        let values: [Param; 4] = [
            (&ids, array.clone()),
            (&bodies, array.clone()),
            (&tails, array.clone()),
            (&owners, array),
        ];
        self.write(&sql, &values)?;
        Ok(())
    }

    pub fn drop_contact(&self, id: &ContactId) -> Result<()> {
        self.write(
            "DELETE FROM quotion_contacts WHERE id = $1",
            &[(&id.as_str(), Type::TEXT)],
        )?;
        Ok(())
    }
}
