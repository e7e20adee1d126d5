//! What PostgreSQL's errors mean: come again later, or an operator must act.

use std::error::Error as _;
use std::io;

use anyhow::anyhow;
use postgres::error::{DbError, Severity};

use super::super::Error;

/// The store's error for `err` of the database called `name`. Details of rows are left out: they
/// may hold contents.
pub fn translate(name: &str, err: &postgres::Error) -> Error {
    let text = format!("PostgreSQL {name}: {}", words(err));
    if passes(err) {
        Error::Busy(text)
    } else {
        Error::Broken(anyhow!(text))
    }
}

/// True if the connection cannot be used any more.
pub fn ends_connection(err: &postgres::Error) -> bool {
    let severe = |refusal: &DbError| {
        matches!(
            refusal.parsed_severity(),
            Some(Severity::Fatal | Severity::Panic)
        )
    };
    err.as_db_error().is_none_or(severe)
}

fn words(err: &postgres::Error) -> String {
    if let Some(refusal) = err.as_db_error() {
        let hint = refusal
            .hint()
            .map_or(String::new(), |hint| format!(" ({hint})"));
        return format!("{}{hint}", refusal.message());
    }
    let mut words = err.to_string();
    let mut cause = err.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    if words.contains("UnknownIssuer") {
        words.push_str(
            "; the provider signs with an authority of its own: add sslrootcert=FILE with its \
                certificate to the address \
             (Supabase: Database settings, SSL configuration)",
        );
    }
    words
}

/// True if the same may succeed later.
fn passes(err: &postgres::Error) -> bool {
    match err.as_db_error() {
        Some(refusal) => refusal_passes(refusal.code().code(), refusal.message()),
        None => err.is_closed() || network(err) || err.to_string().starts_with("timeout"),
    }
}

/// By class and code, see PostgreSQL's appendix A.
fn refusal_passes(code: &str, message: &str) -> bool {
    match code {
        // Poolers have no codes of their own for a full house.
        "08P01" | "XX000" => ["max client connections", "no more connections", "timeout"]
            .iter()
            .any(|full| message.to_ascii_lowercase().contains(full)),
        // Too many connections, out of memory; rolled back, or given up waiting; starting up or
        // going down.
        "53200" | "53300" | "40001" | "40P01" | "55P03" | "57014" | "57P01" | "57P02" | "57P03"
        | "57P05" | "25P03" | "25P04" => true,
        _ => code.starts_with("08"),
    }
}

/// A trouble of the network; a certificate that cannot be trusted is none.
fn network(err: &postgres::Error) -> bool {
    let mut cause = err.source();
    while let Some(inner) = cause {
        if let Some(trouble) = inner.downcast_ref::<io::Error>() {
            return !matches!(
                trouble.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            );
        }
        cause = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_worth_another_try() {
        for (code, message) in [
            ("08006", ""),
            ("53300", ""),
            ("57P03", ""),
            ("40P01", ""),
            ("55P03", ""),
            ("57014", ""),
        ] {
            assert!(refusal_passes(code, message), "{code}");
        }
        assert!(refusal_passes("XX000", "Max client connections reached"));
        for (code, message) in [
            ("28P01", ""),
            ("3D000", ""),
            ("42501", ""),
            ("25006", ""),
            ("53100", ""),
            ("XX000", "Tenant or user not found"),
        ] {
            assert!(!refusal_passes(code, message), "{code}");
        }
    }
}
