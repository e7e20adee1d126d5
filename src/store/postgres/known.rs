//! Known pages, snapshots, contacts and entries: one named function per statement.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use postgres::Row;
use postgres::types::{ToSql, Type};

use crate::domain::id::{ActivityId, BlockId, ContactId, PageId};
use crate::domain::phone::Phone;

use super::super::text::{read_kinds, write_kinds};
use super::super::{EntryRecord, IndexedContact, KnownPage, Result, Snapshot};
use super::{Param, Postgres, age, text};

impl Postgres {
    /// With the time since it was kept.
    pub fn page(&self, phone: &Phone) -> Result<Option<(KnownPage, SignedDuration)>> {
        let sql = "SELECT canvas_id::text, coalesce(canvas_name, ''), coalesce(body, 'null'),
                   coalesce((extract(epoch FROM now() - cached_at) * 1000)::bigint, 0) FROM \
                   canvas_cache
                   LEFT JOIN quotion_pages ON phone = lookup_key AND page_id = canvas_id::text
                   WHERE lookup_type = 'phone' AND lookup_key = $1 ORDER BY cached_at DESC LIMIT 1";
        let rows = self.read(sql, &[(&phone.as_str(), Type::TEXT)])?;
        let known = |row: &Row| {
            let page = KnownPage {
                id: PageId::parse(row.get(0)).ok()?,
                title: row.get(1),
                body: row.get(2),
            };
            Some((page, age(row.get(3))))
        };
        Ok(rows.first().and_then(known))
    }

    pub fn touch_page(&self, phone: &Phone) -> Result<()> {
        let sql =
            "UPDATE canvas_cache SET hit_count = coalesce(hit_count, 0) + 1, last_used_at = now()
                   WHERE lookup_type = 'phone' AND lookup_key = $1";
        self.write(sql, &[(&phone.as_str(), Type::TEXT)])?;
        Ok(())
    }

    pub fn save_page(&self, phone: &Phone, page: &KnownPage) -> Result<()> {
        self.put(Some((phone, page)), &[])
    }

    pub fn forget_page(&self, phone: &Phone) -> Result<()> {
        let sql = "WITH gone AS (DELETE FROM canvas_cache WHERE lookup_type = 'phone' AND \
            lookup_key = $1)
                   DELETE FROM quotion_pages WHERE phone = $1";
        self.write(sql, &[(&phone.as_str(), Type::TEXT)])?;
        Ok(())
    }

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

    pub fn entries(&self, activity: &ActivityId) -> Result<Vec<EntryRecord>> {
        let sql = "SELECT phone, page_id, block_id, line, state, artifacts, pending,
                   (extract(epoch FROM now() - intended_at) * 1000)::bigint
                   FROM quotion_entries WHERE activity_id = $1 ORDER BY phone COLLATE \"C\"";
        let rows = self.read(sql, &[(&activity.as_str(), Type::TEXT)])?;
        Ok(rows.iter().filter_map(|row| entry(activity, row)).collect())
    }

    pub fn page_intended(&self, phone: &Phone) -> Result<Option<SignedDuration>> {
        let sql = "SELECT (extract(epoch FROM now() - max(intended_at)) * 1000)::bigint FROM \
            quotion_entries
                   WHERE phone = $1 AND page_id IS NULL AND state = 'intended'";
        let rows = self.read(sql, &[(&phone.as_str(), Type::TEXT)])?;
        Ok(rows
            .first()
            .and_then(|row| row.get::<_, Option<i64>>(0))
            .map(age))
    }

    pub fn page_uncertain(&self, phone: &Phone) -> Result<Option<SignedDuration>> {
        let sql = "SELECT (extract(epoch FROM now() - max(cached_at)) * 1000)::bigint FROM \
            canvas_cache
                   LEFT JOIN quotion_pages ON phone = lookup_key AND page_id = canvas_id::text
                   WHERE lookup_type = 'phone' AND lookup_key = $1 AND coalesce(body, 'null') = \
                   'null'";
        let rows = self.read(sql, &[(&phone.as_str(), Type::TEXT)])?;
        Ok(rows
            .first()
            .and_then(|row| row.get::<_, Option<i64>>(0))
            .map(age))
    }

    pub fn save_entries(&self, entries: &[EntryRecord]) -> Result<()> {
        self.put(None, entries)
    }

    pub fn intend(
        &self,
        page: Option<(&Phone, &KnownPage)>,
        entries: &[EntryRecord],
    ) -> Result<()> {
        self.put(page, entries)
    }

    fn put(&self, page: Option<(&Phone, &KnownPage)>, entries: &[EntryRecord]) -> Result<()> {
        let (phone, id) = page
            .map(|(phone, page)| (phone.as_str(), page.id.as_str()))
            .unzip();
        let (title, body) = page
            .map(|(_, page)| (text(&page.title), text(&page.body)))
            .unzip();
        // Of two records of one entry the later one counts.
        let entries: BTreeMap<_, _> = entries
            .iter()
            .map(|entry| ((entry.activity.as_str(), entry.phone.as_str()), entry))
            .collect();
        let (activities, phones): (Vec<&str>, Vec<&str>) = entries.keys().copied().unzip();
        let column = |value: fn(&EntryRecord) -> Option<String>| {
            entries.values().map(|entry| value(entry)).collect()
        };
        let columns: [Vec<Option<String>>; 6] = [
            column(|entry| entry.page.as_ref().map(ToString::to_string)),
            column(|entry| entry.block.as_ref().map(ToString::to_string)),
            column(|entry| Some(text(&entry.line).into_owned())),
            column(|entry| Some(if entry.written { "done" } else { "intended" }.to_owned())),
            column(|entry| Some(write_kinds(&entry.artifacts))),
            column(|entry| Some(write_kinds(&entry.pending))),
        ];
        let mut values: Vec<Param> = vec![
            (&phone, Type::TEXT),
            (&id, Type::TEXT),
            (&title, Type::TEXT),
            (&body, Type::TEXT),
        ];
        values.extend([
            (&activities as &(dyn ToSql + Sync), Type::TEXT_ARRAY),
            (&phones, Type::TEXT_ARRAY),
        ]);
        values.extend(
            columns
                .iter()
                .map(|column| (column as &(dyn ToSql + Sync), Type::TEXT_ARRAY)),
        );
        self.write(PUT, &values)?;
        Ok(())
    }
}

/// A page, if there is one, and any number of entries. `$1` the phone, `$2` its page, `$3` title,
/// `$4` body, and then the columns of the entries. Pages are updated, else inserted: a table of
/// before need not have the key that `ON CONFLICT` would have to name.
const PUT: &str = "WITH updated AS (
      UPDATE canvas_cache SET canvas_id = $2, canvas_name = $3, cached_at = now()
      WHERE lookup_type = 'phone' AND lookup_key = $1 RETURNING 1
    ), inserted AS (
      INSERT INTO canvas_cache (lookup_type, lookup_key, canvas_id, canvas_name, cached_at)
      SELECT 'phone', $1, $2, $3, now() WHERE $1 IS NOT NULL AND NOT EXISTS (SELECT FROM updated) \
      ON CONFLICT DO NOTHING
    ), page AS (
      INSERT INTO quotion_pages (phone, page_id, body) SELECT $1, $2, $4 WHERE $1 IS NOT NULL
      ON CONFLICT (phone) DO UPDATE SET page_id = excluded.page_id, body = excluded.body
    )
    INSERT INTO quotion_entries
    (activity_id, phone, page_id, block_id, line, state, artifacts, pending, intended_at)
    SELECT *, now() FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], \
    $10::text[], $11::text[],
    $12::text[])
    ON CONFLICT (activity_id, phone) DO UPDATE SET page_id = excluded.page_id, block_id = \
    excluded.block_id,
    line = excluded.line, state = excluded.state, artifacts = excluded.artifacts, pending = \
    excluded.pending,
    intended_at = excluded.intended_at";

fn entry(activity: &ActivityId, row: &Row) -> Option<EntryRecord> {
    let (page, block): (Option<&str>, Option<&str>) = (row.get(1), row.get(2));
    Some(EntryRecord {
        activity: activity.clone(),
        phone: Phone::parse(row.get(0))?,
        page: page.and_then(|page| PageId::parse(page).ok()),
        block: block.and_then(|block| BlockId::parse(block).ok()),
        line: row.get(3),
        written: row.get::<_, &str>(4) == "done",
        artifacts: read_kinds(row.get(5)),
        pending: read_kinds(row.get(6)),
        age: age(row.get(7)),
    })
}
