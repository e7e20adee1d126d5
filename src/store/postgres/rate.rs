//! Rate windows that all processes and machines of one store share: one call of a function of the
//! database.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postgres::types::Type;

use crate::http::{SharedWindow, Window};

use super::connect::Session;
use super::{Postgres, held};

/// Longest that a vendor can close its door, in microseconds.
const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// Shares the store's connection: another one would cost more than it could save.
struct PostgresRates(Arc<Mutex<Session>>);

impl Postgres {
    pub fn rates(&self) -> Arc<dyn SharedWindow> {
        Arc::new(PostgresRates(Arc::clone(&self.link)))
    }
}

impl SharedWindow for PostgresRates {
    fn reserve(
        &self,
        vendor: &str,
        window: Window,
        patience: Duration,
    ) -> anyhow::Result<std::result::Result<Duration, Duration>> {
        let sql = "SELECT granted, wait_us FROM quotion_reserve($1, $2, $3, $4)";
        let (requests, period) = (i64::from(window.requests.max(1)), micros(window.period));
        let patience = micros(patience);
        let row = held(&self.0).run(|client| {
            let types = [Type::TEXT, Type::INT8, Type::INT8, Type::INT8];
            let [a, b, c, d] = types;
            client.query_typed_one(
                sql,
                &[(&vendor, a), (&requests, b), (&period, c), (&patience, d)],
            )
        })?;
        let wait = duration(row.get(1));
        Ok(if row.get(0) { Ok(wait) } else { Err(wait) })
    }

    fn close(&self, vendor: &str, wait: Duration) -> anyhow::Result<()> {
        let sql = "INSERT INTO quotion_rate_windows (vendor, closed_until)
                   VALUES ($1, clock_timestamp() + $2 * interval '1 microsecond')
                   ON CONFLICT (vendor) DO UPDATE
                   SET closed_until = greatest(quotion_rate_windows.closed_until, \
                   excluded.closed_until)";
        let wait = micros(wait).min(DAY_US);
        held(&self.0).run(|client| {
            client.execute_typed(sql, &[(&vendor, Type::TEXT), (&wait, Type::INT8)])
        })?;
        Ok(())
    }

    fn closed_for(&self, vendor: &str) -> anyhow::Result<Duration> {
        let sql =
            "SELECT ceil(extract(epoch FROM closed_until - clock_timestamp()) * 1000000)::bigint
                   FROM quotion_rate_windows WHERE vendor = $1 AND closed_until > clock_timestamp()
                   AND closed_until <= clock_timestamp() + interval '1 day'";
        let row =
            held(&self.0).run(|client| client.query_typed_opt(sql, &[(&vendor, Type::TEXT)]))?;
        Ok(row.map_or(Duration::ZERO, |row| duration(row.get(0))))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}
