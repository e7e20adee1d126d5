//! What backfills have printed and nobody has answered yet.

use jiff::Timestamp;
use postgres::Row;
use postgres::types::Type;

use crate::domain::id::EventId;

use super::super::{Offer, Offered, Result};
use super::{Param, Postgres, text};

/// Somebody has answered the event `$1`.
pub const ANSWERED: &str = "DELETE FROM quotion_offered WHERE event_id = $1";

impl Postgres {
    pub fn offer(&self, run: &str, offers: &[Offer], mark: Option<&str>) -> Result<()> {
        let sql = "WITH marked AS (
                     INSERT INTO quotion_snapshots (key, body, fetched_at)
                     SELECT $1, $2, now() WHERE $2 IS NOT NULL
                     ON CONFLICT (key) DO UPDATE SET body = excluded.body,
                       fetched_at = excluded.fetched_at
                   )
                   INSERT INTO quotion_offered (event_id, made_at, run, event)
                   SELECT id, to_timestamp(at / 1000.0), $1, event
                   FROM unnest($3::text[], $4::bigint[], $5::text[]) AS offer (id, at, event)
                   ON CONFLICT (event_id) DO UPDATE SET run = excluded.run, event = excluded.event";
        let ids: Vec<&str> = offers.iter().map(|offer| offer.id.as_str()).collect();
        let moments: Vec<i64> = offers.iter().map(|it| it.at.as_millisecond()).collect();
        let events: Vec<_> = offers.iter().map(|offer| text(&offer.event)).collect();
        let events: Vec<&str> = events.iter().map(AsRef::as_ref).collect();
        let values: [Param; 5] = [
            (&text(run), Type::TEXT),
            (&mark, Type::TEXT),
            (&ids, Type::TEXT_ARRAY),
            (&moments, Type::INT8_ARRAY),
            (&events, Type::TEXT_ARRAY),
        ];
        self.write(sql, &values)?;
        Ok(())
    }

    pub fn drop_answered_offers(&self) -> Result<()> {
        let sql = "DELETE FROM quotion_offered o USING quotion_inbox i
                   WHERE i.event_id = o.event_id AND i.state IN ('done', 'held', 'dead')";
        self.write(sql, &[])?;
        Ok(())
    }

    pub fn offered(&self, which: &Offered, limit: usize) -> Result<Vec<Offer>> {
        let sql = "SELECT event_id, made_at_ms, event FROM (
                     SELECT *, (extract(epoch FROM made_at) * 1000)::bigint AS made_at_ms
                     FROM quotion_offered) offered
                   WHERE (made_at_ms, event_id COLLATE \"C\") > ($1, $2)
                     AND ($3 IS NULL OR run = $3)
                   ORDER BY made_at_ms, event_id COLLATE \"C\" LIMIT $4";
        let (at, id) = which.after.as_ref().map_or((i64::MIN, ""), |(at, id)| {
            (at.as_millisecond(), id.as_str())
        });
        let values: [Param; 4] = [
            (&at, Type::INT8),
            (&id, Type::TEXT),
            (&which.run.as_deref().map(text), Type::TEXT),
            (&i64::try_from(limit).unwrap_or(i64::MAX), Type::INT8),
        ];
        let offer = |row: &Row| {
            Some(Offer {
                id: EventId::parse(row.get(0)).ok()?,
                at: Timestamp::from_millisecond(row.get(1)).ok()?,
                event: row.get(2),
            })
        };
        Ok(self.read(sql, &values)?.iter().filter_map(offer).collect())
    }
}
