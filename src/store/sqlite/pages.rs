//! Pages and entries as facts, and the open writes, which are all doubt that there is.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::id::{ActivityId, BlockId, DatabaseId, PageId};
use crate::domain::phone::Phone;
use crate::time::BootMoment;

use super::super::text::{millis, read_ids, read_kinds, write_ids, write_kinds};
use super::super::{
    Carries, ClientEntry, EntryRecord, KnownPage, Lesson, NewWrite, OpenWrite, Result, Since,
};
use super::lock::{LockFile, lost};
use super::{Mode, Sqlite};

impl Sqlite {
    /// With the time since it was kept. Of a page of no known database only the id is certain.
    pub fn page(
        &self,
        database: &DatabaseId,
        phone: &Phone,
    ) -> Result<Option<(KnownPage, SignedDuration)>> {
        let sql = "SELECT page_id, title, CASE database_id WHEN '' THEN 'null' ELSE body END,
                   complete_since, read_at FROM page_keys JOIN pages USING (page_id)
                   WHERE kind = 'client' AND database_id IN (?1, '') AND key = ?2
                   ORDER BY database_id DESC LIMIT 1";
        let found = self
            .connection
            .prepare_cached(sql)?
            .query_row([database.as_str(), phone.as_str()], read_page)
            .optional()?;
        Ok(found.and_then(|(page, read_at)| Some((page?, self.since(&read_at)))))
    }

    pub fn clients_of(&self, database: &DatabaseId, page: &PageId) -> Result<usize> {
        let sql = "SELECT count(*) FROM page_keys WHERE database_id IN (?1, '') AND page_id = ?2";
        let values = [database.as_str(), page.as_str()];
        let mut statement = self.connection.prepare_cached(sql)?;
        let count: i64 = statement.query_row(values, |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    pub fn complete_from_now(&self) -> Result<()> {
        let sql = "UPDATE pages SET complete_since = ?1
                   WHERE complete_since IS NULL OR complete_since < ?1";
        self.write(sql, [self.millis()])
    }

    pub fn touch_page(&self, phone: &Phone) -> Result<()> {
        let sql = "UPDATE canvas_cache SET hit_count = hit_count + 1, last_used_at = ?2
                   WHERE lookup_type = 'phone' AND lookup_key = ?1";
        self.write(sql, params![phone.as_str(), self.millis()])
    }

    pub fn forget_page(&self, database: &DatabaseId, phone: &Phone) -> Result<()> {
        self.transaction(|connection| {
            let sql = "DELETE FROM page_keys
                       WHERE kind = 'client' AND database_id IN (?1, '') AND key = ?2";
            connection
                .prepare_cached(sql)?
                .execute([database.as_str(), phone.as_str()])?;
            let sql = "DELETE FROM canvas_cache WHERE lookup_type = 'phone' AND lookup_key = ?1";
            connection.prepare_cached(sql)?.execute([phone.as_str()])?;
            Ok(())
        })
    }

    pub fn entries(
        &self,
        database: &DatabaseId,
        activity: &ActivityId,
    ) -> Result<Vec<ClientEntry>> {
        let sql = "SELECT DISTINCT key, page_id, block_id, line, artifacts, begun, gone, learned_at
                   FROM entries JOIN page_keys USING (page_id)
                   WHERE activity_id = ?2 AND kind = 'client' AND database_id IN (?1, '')
                   ORDER BY key";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([database.as_str(), activity.as_str()], |row| {
            self.read_entry(activity, row)
        })?;
        let entries: Vec<Option<ClientEntry>> = rows.collect::<rusqlite::Result<_>>()?;
        Ok(entries.into_iter().flatten().collect())
    }

    pub fn open_writes(
        &self,
        database: &DatabaseId,
        phone: &Phone,
        page: Option<&PageId>,
    ) -> Result<Vec<OpenWrite>> {
        let now = BootMoment::now();
        let sql = "SELECT id, page_id, activities, carries, boot, answered_at, sent_at, taken_at
                   FROM open_writes WHERE database_id IN (?1, '') AND (key = ?2 OR page_id = ?3)
                   ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let page = page.map(PageId::as_str);
        let rows = statement
            .query_map(params![database.as_str(), phone.as_str(), page], |row| {
                read_write(row, &now)
            })?;
        let found: Vec<(OpenWrite, bool)> = rows.collect::<rusqlite::Result<_>>()?;
        for (write, _) in found.iter().filter(|(_, is_noted)| !is_noted) {
            self.note(write.id, Since::Finding, Duration::ZERO)?;
        }
        Ok(found.into_iter().map(|(write, _)| write).collect())
    }

    pub fn is_open(&self, database: &DatabaseId, activity: &ActivityId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM open_writes WHERE database_id IN (?1, '')
                   AND instr(',' || activities || ',', ',' || ?2 || ',') > 0)";
        let values = [database.as_str(), activity.as_str()];
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(values, |row| row.get(0))?)
    }

    pub fn stamp(
        &self,
        write: &NewWrite,
        again: Option<i64>,
        locks: &[Arc<LockFile>],
    ) -> Result<i64> {
        if locks.is_empty() && self.mode == Mode::ReadWrite {
            return Err(lost("no lock is held"));
        }
        self.check_held(locks)?;
        let sql = "INSERT INTO open_writes
                   (id, kind, database_id, key, page_id, carries, activities)
                   VALUES (?1, 'client', ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT (id) DO UPDATE SET answered_at = NULL, sent_at = NULL,
                   taken_at = NULL RETURNING id";
        let mut id = 0;
        let insert = |connection: &Connection| {
            let values = params![
                again,
                write.database.as_str(),
                write.phone.as_str(),
                write.page.as_ref().map(PageId::as_str),
                write.carries.word(),
                write_ids(&write.activities)
            ];
            let mut statement = connection.prepare_cached(sql)?;
            id = statement.query_row(values, |row| row.get(0))?;
            Ok(())
        };
        self.durably(|| self.transaction(insert))?;
        Ok(id)
    }

    /// Of another start of the machine nothing is comparable, so all moments are of this one.
    pub fn note(&self, id: i64, since: Since, ago: Duration) -> Result<()> {
        let now = BootMoment::now();
        let at = now.at.saturating_sub(ago);
        let sql = match since {
            Since::Answer => {
                "UPDATE open_writes SET boot = ?2, answered_at = ?3, sent_at = NULL, taken_at = \
                    NULL WHERE id = ?1"
            }
            Since::LastByte => {
                "UPDATE open_writes SET boot = ?2, sent_at = ?3, answered_at = NULL, taken_at = \
                    NULL WHERE id = ?1"
            }
            Since::Finding => {
                "UPDATE open_writes SET boot = ?2, taken_at = ?3, answered_at = NULL, sent_at = \
                    NULL WHERE id = ?1"
            }
        };
        self.write(sql, params![id, now.boot, millis(at)])
    }

    pub fn learn(
        &self,
        database: &DatabaseId,
        phone: &Phone,
        lesson: &Lesson,
        locks: &[Arc<LockFile>],
    ) -> Result<()> {
        self.check_held(locks)?;
        let (now, millis) = (self.now(), self.millis());
        self.transaction(|connection| {
            if let Some(page) = lesson.page {
                save_page(connection, page, &now)?;
                save_key(connection, database, phone, page)?;
                mirror_page(connection, phone, page, millis)?;
            }
            for entry in lesson.entries {
                save_entry(connection, entry, &now)?;
            }
            for entry in lesson.passed {
                save_passed(connection, entry, &now)?;
            }
            for id in lesson.closes {
                connection
                    .prepare_cached("DELETE FROM open_writes WHERE id = ?1")?
                    .execute([id])?;
            }
            Ok(())
        })
    }

    fn read_entry(
        &self,
        activity: &ActivityId,
        row: &Row,
    ) -> rusqlite::Result<Option<ClientEntry>> {
        let (phone, page): (String, String) = (row.get(0)?, row.get(1)?);
        let block: Option<String> = row.get(2)?;
        let (artifacts, begun): (String, String) = (row.get(4)?, row.get(5)?);
        let (Some(phone), Ok(page)) = (Phone::parse(&phone), PageId::parse(&page)) else {
            return Ok(None);
        };
        let entry = EntryRecord {
            activity: activity.clone(),
            page,
            block: block.and_then(|block| BlockId::parse(&block).ok()),
            line: row.get(3)?,
            artifacts: read_kinds(&artifacts),
            begun: read_kinds(&begun),
            gone: row.get(6)?,
            age: self.since(&row.get::<_, String>(7)?),
        };
        Ok(Some(ClientEntry { phone, entry }))
    }
}

fn read_page(row: &Row) -> rusqlite::Result<(Option<KnownPage>, String)> {
    let id: String = row.get(0)?;
    let (title, body) = (row.get(1)?, row.get(2)?);
    let since: Option<i64> = row.get(3)?;
    let page = PageId::parse(&id).ok().map(|id| KnownPage {
        id,
        title,
        body,
        complete_since: since.and_then(|since| Timestamp::from_millisecond(since).ok()),
    });
    Ok((page, row.get(4)?))
}

/// A write, and whether anything is noted of when it was sent or found.
fn read_write(row: &Row, now: &BootMoment) -> rusqlite::Result<(OpenWrite, bool)> {
    let (page, activities): (Option<String>, String) = (row.get(1)?, row.get(2)?);
    let carries: String = row.get(3)?;
    let is_of_this_start = row.get::<_, Option<String>>(4)?.as_ref() == Some(&now.boot);
    let moments: [Option<i64>; 3] = [row.get(5)?, row.get(6)?, row.get(7)?];
    let all = [Since::Answer, Since::LastByte, Since::Finding];
    let mut noted = all
        .into_iter()
        .zip(moments)
        .filter_map(|(since, at)| Some((since, at?)))
        .filter(|_| is_of_this_start);
    let first = noted.next();
    let age = |at: i64| millis(now.at).saturating_sub(at).max(0).unsigned_abs();
    let write = OpenWrite {
        id: row.get(0)?,
        page: page.and_then(|page| PageId::parse(&page).ok()),
        carries: Carries::of_word(&carries),
        activities: read_ids(&activities),
        since: first.map_or(Since::Finding, |(since, _)| since),
        age: first.map_or(Duration::ZERO, |(_, at)| Duration::from_millis(age(at))),
    };
    Ok((write, first.is_some()))
}

fn save_page(connection: &Connection, page: &KnownPage, now: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO pages (page_id, title, body, read_at, complete_since)
               VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (page_id) DO UPDATE SET title = excluded.title, body = excluded.body,
               read_at = excluded.read_at, complete_since = excluded.complete_since";
    let since = page.complete_since.map(Timestamp::as_millisecond);
    let values = params![page.id.as_str(), page.title, page.body, now, since];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn save_key(
    connection: &Connection,
    database: &DatabaseId,
    phone: &Phone,
    page: &KnownPage,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM page_keys WHERE kind = 'client' AND database_id = '' AND key = ?1";
    connection.prepare_cached(sql)?.execute([phone.as_str()])?;
    let sql =
        "INSERT INTO page_keys (kind, database_id, key, page_id) VALUES ('client', ?1, ?2, ?3)
               ON CONFLICT (kind, database_id, key) DO UPDATE SET page_id = excluded.page_id";
    let values = [database.as_str(), phone.as_str(), page.id.as_str()];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// The table that others read.
fn mirror_page(
    connection: &Connection,
    phone: &Phone,
    page: &KnownPage,
    now: i64,
) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO canvas_cache (lookup_type, lookup_key, canvas_id, canvas_name, cached_at)
               VALUES ('phone', ?1, ?2, ?3, ?4)
               ON CONFLICT (lookup_type, lookup_key) DO UPDATE SET canvas_id = excluded.canvas_id,
               canvas_name = excluded.canvas_name, cached_at = excluded.cached_at";
    let values = params![phone.as_str(), page.id.as_str(), page.title, now];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn save_passed(connection: &Connection, entry: &EntryRecord, now: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO entries (activity_id, page_id, line, learned_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (activity_id, page_id) DO UPDATE SET gone = 0";
    let values = [
        entry.activity.as_str(),
        entry.page.as_str(),
        &entry.line,
        now,
    ];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn save_entry(connection: &Connection, entry: &EntryRecord, now: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO entries
               (activity_id, page_id, block_id, line, artifacts, begun, gone, learned_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
               ON CONFLICT (activity_id, page_id) DO UPDATE SET block_id = excluded.block_id,
               line = excluded.line, artifacts = excluded.artifacts, begun = excluded.begun,
               gone = excluded.gone, learned_at = excluded.learned_at";
    let values = params![
        entry.activity.as_str(),
        entry.page.as_str(),
        entry.block.as_ref().map(BlockId::as_str),
        entry.line,
        write_kinds(&entry.artifacts),
        write_kinds(&entry.begun),
        entry.gone,
        now
    ];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}
