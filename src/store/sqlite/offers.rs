//! What backfills have printed and nobody has answered yet.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::domain::id::EventId;

use super::super::{Offer, Offered, Result};
use super::Sqlite;

impl Sqlite {
    pub fn offer(&self, run: &str, offers: &[Offer], mark: Option<&str>) -> Result<()> {
        let now = self.now();
        let sql = "INSERT INTO offered (event_id, made_at, run, event) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (event_id) DO UPDATE SET run = excluded.run, event = excluded.event";
        self.transaction(|connection| {
            for offer in offers {
                let at = offer.at.as_millisecond();
                connection.prepare_cached(sql)?.execute(params![
                    offer.id.as_str(),
                    at,
                    run,
                    offer.event
                ])?;
            }
            match mark {
                Some(mark) => super::known::put_snapshot(connection, run, mark, &now),
                None => Ok(()),
            }
        })
    }

    pub fn drop_answered_offers(&self) -> Result<()> {
        let sql = "DELETE FROM offered WHERE EXISTS (SELECT 1 FROM inbox \
            WHERE inbox.event_id = offered.event_id AND state IN ('done', 'held', 'dead'))";
        self.write(sql, [])
    }

    pub fn offered(&self, which: &Offered, limit: usize) -> Result<Vec<Offer>> {
        let sql = "SELECT event_id, made_at, event FROM offered
                   WHERE (made_at, event_id) > (?1, ?2) AND (?3 IS NULL OR run = ?3)
                   ORDER BY made_at, event_id LIMIT ?4";
        let (at, id) = which.after.as_ref().map_or((i64::MIN, ""), |(at, id)| {
            (at.as_millisecond(), id.as_str())
        });
        let read = |row: &Row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, String>(2)?,
            ))
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![at, id, which.run, limit], read)?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
        let offer = |(id, at, event): (String, i64, String)| {
            Some(Offer {
                id: EventId::parse(&id).ok()?,
                at: Timestamp::from_millisecond(at).ok()?,
                event,
            })
        };
        Ok(rows.into_iter().filter_map(offer).collect())
    }
}

/// Somebody has answered the event.
pub fn answered(connection: &Connection, id: &EventId) -> rusqlite::Result<()> {
    let sql = "DELETE FROM offered WHERE event_id = ?1";
    connection.prepare_cached(sql)?.execute([id.as_str()])?;
    Ok(())
}
