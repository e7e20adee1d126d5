//! Leases between processes and machines: rows that end by the server's clock, so that no
//! connection is held for them.
//!
//! Each has a random token that never comes again. While work goes on they are renewed, and by
//! every record of a write too; whoever was cut off, stopped or killed has lost them half a minute
//! later, and can record no write any more. The table is not logged: after a crash of the server
//! all are lost, and nobody writes under them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postgres::types::Type;

use crate::time::{self, Ticker};

use super::super::Result;
use super::connect::Session;
use super::{Param, Permission, Postgres, held};

/// How long a lease lasts without being renewed, as the server reads it.
pub const LASTS: &str = "interval '30 seconds'";
/// How names of leases begin that are held longest, around all others.
const EVENT: &str = "event:";
/// How often it is renewed.
const RENEWED: Duration = Duration::from_secs(10);

/// The leases of one process.
pub struct Leases {
    link: Arc<Mutex<Session>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Name and token of each that is held.
    held: BTreeMap<String, String>,
    /// Tokens of those that were given back while others are held.
    given_back: Vec<String>,
    renewing: Option<Ticker>,
}

/// Some leases that are held; none in a dry run, which writes nothing and so disturbs nobody.
pub struct LeaseRows(Option<(Arc<Leases>, String)>);

impl Postgres {
    /// Takes those of the leases that nobody has, or only those before the first that somebody has,
    /// in one statement; tells which.
    pub fn try_lease(&self, names: &[String], any: bool) -> Result<(LeaseRows, Vec<bool>)> {
        if self.access != Permission::Full {
            return Ok((LeaseRows(None), vec![true; names.len()]));
        }
        let (token, got) = self.leases.take(names, any)?;
        let are_got = names.iter().map(|name| got.contains(name)).collect();
        let rows = LeaseRows(Some((Arc::clone(&self.leases), token)));
        Ok((rows, are_got))
    }

    /// Names and tokens of those of these leases that are held.
    pub fn tokens(&self, names: &[String]) -> (Vec<String>, Vec<String>) {
        let state = held(&self.leases.state);
        let pairs = names
            .iter()
            .filter_map(|name| Some((name.clone(), state.held.get(name)?.clone())));
        pairs.unzip()
    }
}

impl LeaseRows {
    /// Gives back those that are not among these.
    pub fn keep_only(&self, names: &[String]) -> Result<()> {
        match &self.0 {
            Some((leases, token)) => leases.keep_only(token, names),
            None => Ok(()),
        }
    }
}

impl Drop for LeaseRows {
    fn drop(&mut self) {
        if let Some((leases, token)) = &self.0 {
            leases.give_back(token);
        }
    }
}

impl Leases {
    pub fn new(link: Arc<Mutex<Session>>) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { link, state })
    }

    /// What this process has given back lately may still be there, and is free for it.
    fn take(self: &Arc<Self>, names: &[String], any: bool) -> Result<(String, Vec<String>)> {
        let sql = format!(
            "WITH wanted AS (
               SELECT DISTINCT unnest($1::text[]) COLLATE \"C\" AS name
             ), others AS (
               SELECT min(name) AS first FROM quotion_leases JOIN wanted USING (name)
               WHERE until > clock_timestamp() AND token <> ALL ($3)
             )
             INSERT INTO quotion_leases (name, token, until)
             SELECT name, $2, clock_timestamp() + {LASTS} FROM wanted, others
             WHERE $4 OR first IS NULL OR name < first ORDER BY name
             ON CONFLICT (name) DO UPDATE SET token = excluded.token, until = excluded.until
             WHERE quotion_leases.until <= clock_timestamp()
             OR quotion_leases.token = excluded.token OR quotion_leases.token = ANY ($3)
             RETURNING name"
        );
        let token = time::token();
        let (wanted, given_back) = {
            let state = held(&self.state);
            // This process has them, and would wait for itself.
            let free = names.iter().filter(|name| !state.held.contains_key(*name));
            (free.cloned().collect::<Vec<_>>(), state.given_back.clone())
        };
        let values: [Param; 4] = [
            (&wanted, Type::TEXT_ARRAY),
            (&token, Type::TEXT),
            (&given_back, Type::TEXT_ARRAY),
            (&any, Type::BOOL),
        ];
        let rows = held(&self.link).run(|client| client.query_typed(&sql, &values))?;
        let got: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let mut state = held(&self.state);
        for name in &got {
            state.held.insert(name.clone(), token.clone());
        }
        if state.renewing.is_none() && !got.is_empty() {
            let leases = Arc::downgrade(self);
            state.renewing = time::every(RENEWED, move || {
                if let Some(leases) = leases.upgrade() {
                    leases.renew();
                }
            });
        }
        Ok((token, got))
    }

    fn renew(&self) {
        let sql = format!(
            "UPDATE quotion_leases SET until = clock_timestamp() + {LASTS}
             WHERE token = ANY ($1) AND until > clock_timestamp()"
        );
        let tokens: Vec<String> = held(&self.state).held.values().cloned().collect();
        if tokens.is_empty() {
            return;
        }
        let values: [Param; 1] = [(&tokens, Type::TEXT_ARRAY)];
        // What cannot be renewed is lost, and that is noticed when a write is to be recorded.
        let renewed = held(&self.link).run(|client| client.execute_typed(&sql, &values));
        if let Err(err) = renewed {
            log::warn!("cannot renew a lease: {err}");
        }
    }

    fn keep_only(&self, token: &str, names: &[String]) -> Result<()> {
        let sql = "DELETE FROM quotion_leases WHERE token = $1 AND name <> ALL ($2)";
        let is_over = {
            let held = &mut held(&self.state).held;
            let before = held.len();
            held.retain(|name, of| of != token || names.contains(name));
            held.len() < before
        };
        if !is_over {
            return Ok(());
        }
        let values: [Param; 2] = [(&token, Type::TEXT), (&names, Type::TEXT_ARRAY)];
        held(&self.link).run(|client| client.execute_typed(sql, &values))?;
        Ok(())
    }

    /// Those of pages are given back with those of their clients, in one statement. Where that
    /// fails they end by themselves.
    fn give_back(&self, token: &str) {
        let given_back = {
            let mut state = held(&self.state);
            state.held.retain(|_, of| of != token);
            state.given_back.push(token.to_owned());
            if state.held.keys().any(|name| !name.starts_with(EVENT)) {
                return;
            }
            std::mem::take(&mut state.given_back)
        };
        let sql = "DELETE FROM quotion_leases WHERE token = ANY ($1)";
        let values: [Param; 1] = [(&given_back, Type::TEXT_ARRAY)];
        let mut link = held(&self.link);
        if !link.is_down()
            && let Err(err) = link.run_once(|client| client.execute_typed(sql, &values))
        {
            log::debug!("cannot give back a lease: {err}");
        }
    }
}
