//! What PostgreSQL's errors mean: come again later, or an operator must act.

use std::error::Error as _;
use std::io;

use postgres::error::{DbError, Severity};

use super::super::{Error, Fault};

/// The store's error for `err` of the database called `name`. Details of rows are left out: they
/// may hold contents.
pub fn translate(name: &str, err: &postgres::Error) -> Error {
    let text = format!("PostgreSQL {name}: {}", words(err));
    Error::new(fault(err), text)
}

fn fault(err: &postgres::Error) -> Fault {
    match err.as_db_error() {
        Some(refusal) => fault_of(refusal.code().code(), refusal.message()),
        None if err.is_closed() || network(err) || err.to_string().starts_with("timeout") => {
            Fault::Unreachable
        }
        // Whether it is encrypted, and whom it trusts, says the address.
        None if err.to_string().contains("TLS") => Fault::Address,
        None => Fault::Other,
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

/// By class and code, see PostgreSQL's appendix A.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn fault_of(code: &str, message: &str) -> Fault {
    let says = |words: &[&str]| {
        let message = message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    };
    match code {
        // Poolers have no codes of their own.
        "08P01" | "XX000" if says(&["max client connections", "no more connections"]) => {
            Fault::Busy
        }
        "08P01" | "XX000" if says(&["timeout"]) => Fault::Unreachable,
        "08P01" | "XX000" if says(&["tenant or user not found", "password"]) => Fault::Login,
        "08P01" | "XX000" => Fault::Other,
        // Too many connections, out of memory; rolled back, or given up waiting.
        "53200" | "53300" | "40001" | "40P01" | "55P03" | "57014" | "25P03" | "25P04" => {
            Fault::Busy
        }
        // Starting up or going down.
        "57P01" | "57P02" | "57P03" | "57P05" => Fault::Unreachable,
        "3D000" => Fault::Login,
        "3F000" => Fault::Address,
        "42501" | "25006" => Fault::Rights,
        "53100" => Fault::Full,
        _ if code.starts_with("08") => Fault::Unreachable,
        _ if code.starts_with("28") => Fault::Login,
        _ => Fault::Other,
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
    fn each_refusal_says_what_there_is_to_do() {
        for (code, message, want) in [
            ("08006", "", Fault::Unreachable),
            ("57P03", "", Fault::Unreachable),
            ("53300", "", Fault::Busy),
            ("40P01", "", Fault::Busy),
            ("55P03", "", Fault::Busy),
            ("57014", "", Fault::Busy),
            ("XX000", "Max client connections reached", Fault::Busy),
            ("08P01", "query_wait_timeout", Fault::Unreachable),
            ("28P01", "", Fault::Login),
            ("3D000", "", Fault::Login),
            ("3F000", "no schema has been selected", Fault::Address),
            ("XX000", "Tenant or user not found", Fault::Login),
            ("42501", "", Fault::Rights),
            ("25006", "", Fault::Rights),
            ("53100", "", Fault::Full),
            ("42P01", "", Fault::Other),
        ] {
            assert_eq!(fault_of(code, message), want, "{code} {message}");
        }
    }
}
