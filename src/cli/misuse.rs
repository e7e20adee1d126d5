//! What was probably meant by a command line that cannot be read.
//!
//! Apart because it looks at the library's words, and at whether a word is the name of a file.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// Where all options stand.
const HELP: &str = "quotion --help shows every option";

/// What is wrong with a command line, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misuse {
    /// What is wrong, in one line.
    pub message: String,
    /// The command that was probably meant.
    pub hint: String,
}

/// Reads the library's error; `words` are the command line without the program's name.
pub fn explain(err: &Error, words: &[OsString]) -> Misuse {
    if let Some(misuse) = file_as_argument(err, words) {
        return misuse;
    }
    let text = err.render().to_string();
    let tips = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("tip: "))
        .filter(|tip| !tip.starts_with("to pass "));
    let hint: Vec<&str> = tips.chain([HELP]).collect();
    Misuse {
        message: complaint(err, &text),
        hint: hint.join("; "),
    }
}

/// What is wrong, in one line. A flag's value is not repeated: it may be a key in the wrong place.
fn complaint(err: &Error, text: &str) -> String {
    let told = |kind| match err.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        Some(_) | None => None,
    };
    let value = told(ContextKind::InvalidValue).filter(|value| !value.is_empty());
    if let (Some(flag), Some(_)) = (told(ContextKind::InvalidArg), value) {
        let possible = told(ContextKind::ValidValue);
        let possible = possible.map(|values| format!(" [possible values: {values}]"));
        return format!("wrong value for '{flag}'{}", possible.unwrap_or_default());
    }
    // What was expected stands on the lines below the first, up to the blank one.
    let first = text.trim_start_matches("error: ").split("\n\n").next();
    crate::text::words(first.unwrap_or_default())
}

/// Payloads come on standard input; who names a file instead gets the command that reads it.
fn file_as_argument(err: &Error, words: &[OsString]) -> Option<Misuse> {
    let unknown = [ErrorKind::InvalidSubcommand, ErrorKind::UnknownArgument];
    let places = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg];
    let mut said = places.into_iter().filter_map(|kind| err.get(kind));
    let Some(ContextValue::String(word)) = said.next().filter(|_| unknown.contains(&err.kind()))
    else {
        return None;
    };
    if !is_file(word) {
        return None;
    }
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let begin = words.iter().position(|other| other == word)?;
    let files = words[begin..].iter().filter(|word| is_file(word));
    let files: Vec<String> = files.map(|word| quoted(word)).collect();
    let others = words.iter().enumerate();
    let others = others.filter(|(at, word)| *at < begin || !is_file(word));
    let others: Vec<&str> = others.map(|(_, word)| *word).collect();
    Some(Misuse {
        message: format!("{word:?} is no command: payloads are read from standard input"),
        hint: command(&files, &others),
    })
}

fn is_file(word: &str) -> bool {
    let looks_so = word.contains('/') || word.to_ascii_lowercase().contains(".json");
    !word.starts_with('-') && (looks_so || Path::new(word).is_file())
}

/// The command that reads these files. Options that are no plain switches may hold what nobody
/// should see again.
fn command(files: &[String], others: &[&str]) -> String {
    let plain = |word: &&str| word.starts_with('-') && !word.contains('=');
    let options = if others.iter().all(plain) {
        others.iter().flat_map(|word| [" ", word]).collect()
    } else {
        " …".to_owned()
    };
    let replay = if others.is_empty() {
        format!(", or quotion replay {}", files.join(" "))
    } else {
        String::new()
    };
    match files {
        [file] => format!("quotion{options} < {file}{replay}"),
        _ => format!("cat {} | quotion{options}{replay}", files.join(" ")),
    }
}

/// The word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |sign: char| sign.is_alphanumeric() || "_./-+:@%,".contains(sign);
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Args;

    #[track_caller]
    fn check(line: &[&str], message: &str, hint: &str) {
        let words: Vec<OsString> = line.iter().map(OsString::from).collect();
        let all = std::iter::once("quotion".into()).chain(words.clone());
        let err = Args::try_parse_from(all).expect_err("no command line of ours");
        let found = explain(&err, &words);
        assert_eq!(
            (found.message.as_str(), found.hint.as_str()),
            (message, hint)
        );
    }

    #[test]
    fn misspelt_word_is_answered_with_the_likely_one() {
        check(
            &["--dry-rn"],
            "unexpected argument '--dry-rn' found",
            "a similar argument exists: '--dry-run'; quotion --help shows every option",
        );
        check(
            &["replya"],
            "unrecognized subcommand 'replya'",
            "a similar subcommand exists: 'replay'; quotion --help shows every option",
        );
        check(
            &["replay", "--ded"],
            "unexpected argument '--ded' found",
            "a similar argument exists: '--dead'; quotion --help shows every option",
        );
    }

    #[test]
    fn file_as_argument_is_answered_with_the_command_that_works() {
        let no_command =
            |name: &str| format!("{name:?} is no command: payloads are read from standard input");
        check(
            &["payload.json"],
            &no_command("payload.json"),
            "quotion < payload.json, or quotion replay payload.json",
        );
        check(
            &["saved/one", "two.json"],
            &no_command("saved/one"),
            "cat saved/one two.json | quotion, or quotion replay saved/one two.json",
        );
        check(
            &["--dry-run", "it's.json"],
            &no_command("it's.json"),
            "quotion --dry-run < 'it'\\''s.json'",
        );
        check(
            &["--state", "postgres://u:secret@h/d", "p.json"],
            &no_command("p.json"),
            "quotion … < p.json",
        );
        check(
            &["Cargo.toml"],
            &no_command("Cargo.toml"),
            "quotion < Cargo.toml, or quotion replay Cargo.toml",
        );
    }
}
