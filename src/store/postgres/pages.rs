//! Pages and entries as facts, and the open writes, which are all doubt that there is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postgres::Row;
use postgres::types::{ToSql, Type};

use crate::domain::id::{ActivityId, BlockId, DatabaseId, PageId};
use crate::domain::phone::Phone;

use super::super::text::{millis, read_ids, read_kinds, write_ids, write_kinds};
use super::super::{
    Carries, ClientEntry, EntryRecord, Error, Fault, KnownPage, Lesson, Lock, NewWrite, OpenWrite,
    Result, Since,
};
use super::lease::LASTS;
use super::{Param, Permission, Postgres, age, text};

impl Postgres {
    /// With the time since it was kept. Of a page of no known database only the id is certain.
    pub fn page(
        &self,
        database: &DatabaseId,
        phone: &Phone,
    ) -> Result<Option<(KnownPage, SignedDuration)>> {
        let sql = "SELECT page_id, title, CASE database_id WHEN '' THEN 'null' ELSE body END,
                   (extract(epoch FROM complete_since) * 1000)::bigint,
                   (extract(epoch FROM now() - read_at) * 1000)::bigint
                   FROM quotion_page_keys JOIN quotion_pages USING (page_id)
                   WHERE kind = 'client' AND database_id IN ($1, '') AND key = $2
                   ORDER BY database_id = '' LIMIT 1";
        let values: [Param; 2] = [
            (&database.as_str(), Type::TEXT),
            (&phone.as_str(), Type::TEXT),
        ];
        let rows = self.read(sql, &values)?;
        let known = |row: &Row| {
            let since: Option<i64> = row.get(3);
            let page = KnownPage {
                id: PageId::parse(row.get(0)).ok()?,
                title: row.get(1),
                body: row.get(2),
                complete_since: since.and_then(|since| Timestamp::from_millisecond(since).ok()),
            };
            Some((page, age(row.get(4))))
        };
        Ok(rows.first().and_then(known))
    }

    pub fn clients_of(&self, database: &DatabaseId, page: &PageId) -> Result<usize> {
        let sql = "SELECT count(*) FROM quotion_page_keys
                   WHERE database_id IN ($1, '') AND page_id = $2";
        let values: [Param; 2] = [
            (&database.as_str(), Type::TEXT),
            (&page.as_str(), Type::TEXT),
        ];
        let rows = self.read(sql, &values)?;
        let count = rows.first().map_or(0, |row| row.get::<_, i64>(0));
        Ok(usize::try_from(count).unwrap_or_default())
    }

    pub fn complete_from_now(&self) -> Result<()> {
        let sql = "UPDATE quotion_pages SET complete_since = now()
                   WHERE complete_since IS NULL OR complete_since < now()";
        self.write(sql, &[]).map(drop)
    }

    pub fn touch_page(&self, phone: &Phone) -> Result<()> {
        let sql =
            "UPDATE canvas_cache SET hit_count = coalesce(hit_count, 0) + 1, last_used_at = now()
                   WHERE lookup_type = 'phone' AND lookup_key = $1";
        self.write(sql, &[(&phone.as_str(), Type::TEXT)])?;
        Ok(())
    }

    pub fn forget_page(&self, database: &DatabaseId, phone: &Phone) -> Result<()> {
        let sql = "WITH gone AS (DELETE FROM canvas_cache WHERE lookup_type = 'phone' AND \
            lookup_key = $2)
                   DELETE FROM quotion_page_keys
                   WHERE kind = 'client' AND database_id IN ($1, '') AND key = $2";
        let values: [Param; 2] = [
            (&database.as_str(), Type::TEXT),
            (&phone.as_str(), Type::TEXT),
        ];
        self.write(sql, &values)?;
        Ok(())
    }

    pub fn entries(
        &self,
        database: &DatabaseId,
        activity: &ActivityId,
    ) -> Result<Vec<ClientEntry>> {
        let sql = "SELECT DISTINCT key COLLATE \"C\", page_id, block_id, line, artifacts, begun, \
            gone, (extract(epoch FROM now() - learned_at) * 1000)::bigint
                   FROM quotion_entries JOIN quotion_page_keys USING (page_id)
                   WHERE activity_id = $2 AND kind = 'client' AND database_id IN ($1, '')
                   ORDER BY 1";
        let values: [Param; 2] = [
            (&database.as_str(), Type::TEXT),
            (&activity.as_str(), Type::TEXT),
        ];
        let rows = self.read(sql, &values)?;
        Ok(rows
            .iter()
            .filter_map(|row| read_entry(activity, row))
            .collect())
    }

    pub fn open_writes(
        &self,
        database: &DatabaseId,
        phone: &Phone,
        page: Option<&PageId>,
    ) -> Result<Vec<OpenWrite>> {
        let sql = "WITH found AS (
                     UPDATE quotion_open_writes SET taken_at = now()
                     WHERE database_id IN ($1, '') AND (key = $2 OR page_id = $3)
                     AND coalesce(answered_at, sent_at, taken_at) IS NULL
                   )
                   SELECT id, page_id, activities, carries, answered_at IS NOT NULL,
                   sent_at IS NOT NULL,
                   coalesce((extract(epoch FROM now() - coalesce(answered_at, sent_at, taken_at))
                     * 1000)::bigint, 0)
                   FROM quotion_open_writes
                   WHERE database_id IN ($1, '') AND (key = $2 OR page_id = $3) ORDER BY id";
        let page = page.map(PageId::as_str);
        let values: [Param; 3] = [
            (&database.as_str(), Type::TEXT),
            (&phone.as_str(), Type::TEXT),
            (&page, Type::TEXT),
        ];
        let rows = match self.access {
            Permission::Full => self.write_returning(sql, &values)?,
            Permission::ReadOnly | Permission::Nothing => Vec::new(),
        };
        Ok(rows.iter().map(read_write).collect())
    }

    pub fn is_open(&self, database: &DatabaseId, activity: &ActivityId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT FROM quotion_open_writes WHERE database_id IN ($1, '')
                   AND $2 = ANY (string_to_array(activities, ',')))";
        let values: [Param; 2] = [
            (&database.as_str(), Type::TEXT),
            (&activity.as_str(), Type::TEXT),
        ];
        let rows = self.read(sql, &values)?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// One statement locks the leases' rows, renews them, and records the write: who takes one over
    /// waits for it, and sees the record then.
    pub fn stamp(&self, write: &NewWrite, again: Option<i64>) -> Result<i64> {
        let sql = format!(
            "WITH held AS (
               UPDATE quotion_leases SET until = clock_timestamp() + {LASTS}
               WHERE (name, token) IN (SELECT * FROM unnest($7::text[], $8::text[]))
               AND until > clock_timestamp() RETURNING 1
             )
             INSERT INTO quotion_open_writes
             (id, kind, database_id, key, page_id, carries, activities)
             OVERRIDING SYSTEM VALUE
             SELECT coalesce($1, nextval(pg_get_serial_sequence('quotion_open_writes', 'id'))),
             'client', $2, $3, $4, $5, $6
             WHERE (SELECT count(*) FROM held) = cardinality($7::text[])
             AND 'quotion_open_writes'::regclass::oid::bigint = $9
             ON CONFLICT (id) DO UPDATE SET answered_at = NULL, sent_at = NULL, taken_at = NULL
             RETURNING id"
        );
        let names: Vec<String> = write.locks().iter().map(Lock::name).collect();
        let (names, tokens) = self.tokens(&names);
        if names.is_empty() && self.access == Permission::Full {
            return Err(lease_lost());
        }
        let (database, phone) = (write.database.as_str(), write.phone.as_str());
        let page = write.page.as_ref().map(PageId::as_str);
        let (carries, activities) = (write.carries.word(), write_ids(&write.activities));
        let values: [Param; 9] = [
            (&again, Type::INT8),
            (&database, Type::TEXT),
            (&phone, Type::TEXT),
            (&page, Type::TEXT),
            (&carries, Type::TEXT),
            (&activities, Type::TEXT),
            (&names, Type::TEXT_ARRAY),
            (&tokens, Type::TEXT_ARRAY),
            (&self.store, Type::INT8),
        ];
        // Done twice it leaves open what was never sent: then that is looked for in vain.
        let rows = self.write_returning(&sql, &values)?;
        rows.first().map(|row| row.get(0)).ok_or_else(lease_lost)
    }

    pub fn note(&self, id: i64, since: Since, ago: Duration) -> Result<()> {
        let column = match since {
            Since::Answer => "answered_at",
            Since::LastByte => "sent_at",
            Since::Finding => "taken_at",
        };
        let sql = format!(
            "UPDATE quotion_open_writes SET {column} = now() - $2 * interval '1 millisecond'
             WHERE id = $1"
        );
        self.write(&sql, &[(&id, Type::INT8), (&millis(ago), Type::INT8)])?;
        Ok(())
    }

    pub fn learn(
        &self,
        database: &DatabaseId,
        phone: &Phone,
        lesson: &Lesson,
        locks: &[Lock],
    ) -> Result<()> {
        let page = lesson.page;
        let id = page.map(|page| page.id.as_str());
        let (title, body) = page
            .map(|page| (text(&page.title), text(&page.body)))
            .unzip();
        let since = page.and_then(|page| page.complete_since);
        let since = since.map(Timestamp::as_millisecond);
        // Of two records of one entry the later one counts.
        let entries: BTreeMap<_, _> = lesson
            .entries
            .iter()
            .map(|entry| ((entry.activity.as_str(), entry.page.as_str()), entry))
            .collect();
        let (activities, pages): (Vec<&str>, Vec<&str>) = entries.keys().copied().unzip();
        let column = |value: fn(&EntryRecord) -> Option<String>| -> Vec<Option<String>> {
            entries.values().map(|entry| value(entry)).collect()
        };
        let columns = [
            column(|entry| entry.block.as_ref().map(ToString::to_string)),
            column(|entry| Some(text(&entry.line).into_owned())),
            column(|entry| Some(write_kinds(&entry.artifacts))),
            column(|entry| Some(write_kinds(&entry.begun))),
        ];
        let gone: Vec<bool> = entries.values().map(|entry| entry.gone).collect();
        let mut values: Vec<Param> = vec![
            (&id, Type::TEXT),
            (&title, Type::TEXT),
            (&body, Type::TEXT),
            (&since, Type::INT8),
        ];
        let (database, phone) = (database.as_str(), phone.as_str());
        values.extend([(&database, Type::TEXT), (&phone, Type::TEXT)] as [Param; 2]);
        values.push((&lesson.closes, Type::INT8_ARRAY));
        values.push((&activities, Type::TEXT_ARRAY));
        values.push((&pages, Type::TEXT_ARRAY));
        values.extend(columns.iter().map(|column| {
            let column: &(dyn ToSql + Sync) = column;
            (column, Type::TEXT_ARRAY)
        }));
        values.push((&gone, Type::BOOL_ARRAY));
        let names: Vec<String> = locks.iter().map(Lock::name).collect();
        let (names, tokens) = self.tokens(&names);
        values.push((&names, Type::TEXT_ARRAY));
        values.push((&tokens, Type::TEXT_ARRAY));
        let passed: BTreeMap<_, _> = lesson
            .passed
            .iter()
            .map(|entry| ((entry.activity.as_str(), entry.page.as_str()), entry))
            .filter(|(key, _)| !entries.contains_key(key))
            .collect();
        let (passed_by, passed_on): (Vec<&str>, Vec<&str>) = passed.keys().copied().unzip();
        let lines: Vec<Cow<str>> = passed.values().map(|entry| text(&entry.line)).collect();
        values.push((&passed_by, Type::TEXT_ARRAY));
        values.push((&passed_on, Type::TEXT_ARRAY));
        values.push((&lines, Type::TEXT_ARRAY));
        let rows = self.write_returning(LEARN, &values)?;
        let is_kept = rows.first().is_none_or(|row| row.get(0));
        is_kept.then_some(()).ok_or_else(lease_lost)
    }
}

/// A page, if there is one, any number of entries, and the writes that are closed with them, unless
/// a lease was lost. `$1` the page, `$2` its title, `$3` its body, `$4` since when it is known,
/// `$5` the database, `$6` the phone, `$7` the writes, then the columns of the entries, `$15` and
/// `$16` the leases, and the columns of the entries that were seen in passing. Rows of the table of
/// before are updated, else inserted: it need not have the key that `ON CONFLICT` would have to
/// name.
const LEARN: &str = "WITH held AS (
      SELECT 1 FROM quotion_leases
      WHERE (name, token) IN (SELECT * FROM unnest($15::text[], $16::text[]))
      AND until > clock_timestamp() FOR SHARE
    ), allowed AS (
      SELECT count(*) = cardinality($15::text[]) AS yes FROM held
    ), closed AS (
      DELETE FROM quotion_open_writes WHERE id = ANY ($7) AND (SELECT yes FROM allowed)
    ), page AS (
      INSERT INTO quotion_pages (page_id, title, body, read_at, complete_since)
      SELECT $1, $2, $3, now(), to_timestamp($4 / 1000.0) FROM allowed WHERE yes AND $1 IS NOT NULL
      ON CONFLICT (page_id) DO UPDATE SET title = excluded.title, body = excluded.body,
      read_at = excluded.read_at, complete_since = excluded.complete_since
    ), unbound AS (
      DELETE FROM quotion_page_keys
      WHERE $1 IS NOT NULL AND kind = 'client' AND database_id = '' AND key = $6
      AND (SELECT yes FROM allowed)
    ), bound AS (
      INSERT INTO quotion_page_keys (kind, database_id, key, page_id)
      SELECT 'client', $5, $6, $1 FROM allowed WHERE yes AND $1 IS NOT NULL
      ON CONFLICT (kind, database_id, key) DO UPDATE SET page_id = excluded.page_id
    ), updated AS (
      UPDATE canvas_cache SET canvas_id = $1, canvas_name = $2, cached_at = now()
      WHERE $1 IS NOT NULL AND lookup_type = 'phone' AND lookup_key = $6
      AND (SELECT yes FROM allowed) RETURNING 1
    ), inserted AS (
      INSERT INTO canvas_cache (lookup_type, lookup_key, canvas_id, canvas_name, cached_at)
      SELECT 'phone', $6, $1, $2, now() FROM allowed
      WHERE yes AND $1 IS NOT NULL AND NOT EXISTS (SELECT FROM updated) ON CONFLICT DO NOTHING
    ), entries AS (
      INSERT INTO quotion_entries
      (activity_id, page_id, block_id, line, artifacts, begun, gone, learned_at)
      SELECT entry.*, now() FROM allowed, unnest($8::text[], $9::text[], $10::text[], $11::text[],
      $12::text[], $13::text[], $14::boolean[]) AS entry WHERE yes
      ON CONFLICT (activity_id, page_id) DO UPDATE SET block_id = excluded.block_id,
      line = excluded.line, artifacts = excluded.artifacts, begun = excluded.begun,
      gone = excluded.gone, learned_at = excluded.learned_at
    ), passed AS (
      INSERT INTO quotion_entries (activity_id, page_id, line, learned_at)
      SELECT entry.*, now() FROM allowed, unnest($17::text[], $18::text[], $19::text[]) AS entry
      WHERE yes ON CONFLICT (activity_id, page_id) DO UPDATE SET gone = false
    )
    SELECT yes FROM allowed";

fn lease_lost() -> Error {
    let what = "another process may write to the client's page by now, or the store is another one";
    Error::new(Fault::Busy, what)
}

fn read_entry(activity: &ActivityId, row: &Row) -> Option<ClientEntry> {
    let block: Option<&str> = row.get(2);
    let entry = EntryRecord {
        activity: activity.clone(),
        page: PageId::parse(row.get(1)).ok()?,
        block: block.and_then(|block| BlockId::parse(block).ok()),
        line: row.get(3),
        artifacts: read_kinds(row.get(4)),
        begun: read_kinds(row.get(5)),
        gone: row.get(6),
        age: age(row.get(7)),
    };
    let phone = Phone::parse(row.get(0))?;
    Some(ClientEntry { phone, entry })
}

fn read_write(row: &Row) -> OpenWrite {
    let page: Option<&str> = row.get(1);
    let since = match (row.get(4), row.get(5)) {
        (true, _) => Since::Answer,
        (false, true) => Since::LastByte,
        (false, false) => Since::Finding,
    };
    OpenWrite {
        id: row.get(0),
        page: page.and_then(|page| PageId::parse(page).ok()),
        carries: Carries::of_word(row.get(3)),
        activities: read_ids(row.get(2)),
        since,
        age: Duration::from_millis(row.get::<_, i64>(6).max(0).unsigned_abs()),
    }
}
