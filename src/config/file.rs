//! The file `quotion.toml`: column names and choices. An unknown key is an error, because a
//! misspelt one would otherwise do nothing in silence.
//!
//! Read by hand and not by `serde`, which stops at the first fault and quotes values in its words.

mod whole;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use toml::de::{DeTable, DeValue};

use crate::domain::choice::NewPages;
use crate::domain::columns::ColumnNames;
use crate::domain::failure::Failure;
use crate::domain::id::NumberId;
use crate::domain::phone::{NumberPattern, Phone};
use crate::files;
use crate::secret::looks_like_secret;

use super::span::duration;
use super::zone;

pub use whole::File;

/// Read without being named, if it is there.
const DEFAULT: &str = "quotion.toml";
/// Most bytes of it.
const MOST_BYTES: u64 = 1 << 20;
/// How many times `settle` the silence is that is waited for, unless it is set.
const SILENCE: i32 = 6;
/// Longest name of a key that is repeated when it is unknown: a longer one may be a secret.
const MOST_SHOWN: usize = 24;

/// Reads `path`, which must exist; or the default file, if it does. `owners` may have written it.
/// Everything that is wrong with it is told in `failures`.
pub fn load(path: Option<&Path>, owners: &[u32], failures: &mut Vec<Failure>) -> File {
    let named = path.unwrap_or(Path::new(DEFAULT));
    let contents = match files::read(named, MOST_BYTES) {
        Ok(contents) => contents,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound && path.is_none() => {
            return File::default();
        }
        Err(err) => {
            failures.push(Failure::config(
                format!("cannot read {}: {err}", named.display()),
                "check the path in --config, or the file quotion.toml here",
            ));
            return File::default();
        }
    };
    if let Some(failure) = super::distrusted(named, &contents, owners) {
        failures.push(failure);
        return File::default();
    }
    match String::from_utf8(contents.bytes) {
        Ok(text) => {
            let (file, wrong) = Reader::new(named, &text).read();
            failures.extend(wrong);
            file
        }
        Err(err) => {
            let line = 1 + newlines(&err.as_bytes()[..err.utf8_error().valid_up_to()]);
            failures.push(Failure::config(
                format!(
                    "cannot read {} line {line}: it is not UTF-8",
                    named.display()
                ),
                "write the file named in --config, or quotion.toml, as UTF-8",
            ));
            File::default()
        }
    }
}

fn newlines(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').count() - 1
}

/// Takes the keys out of the tables one by one; what is left is unknown.
struct Reader<'a> {
    path: PathBuf,
    text: &'a str,
    /// What is wrong, by line.
    wrong: Vec<(usize, Failure)>,
    lines: BTreeMap<String, usize>,
}

/// A table, and its name.
struct Section<'a> {
    name: &'static str,
    known: Vec<String>,
    table: DeTable<'a>,
}

/// A value with its place.
struct Setting<'a> {
    name: String,
    line: usize,
    value: DeValue<'a>,
}

impl<'a> Reader<'a> {
    fn new(path: &Path, text: &'a str) -> Self {
        Self {
            path: path.to_owned(),
            text,
            wrong: Vec::new(),
            lines: BTreeMap::new(),
        }
    }

    /// The settings, and what is wrong with them in the order of the file.
    fn read(mut self) -> (File, Vec<Failure>) {
        let file = File {
            path: Some(std::path::absolute(&self.path).unwrap_or(self.path.clone())),
            ..self.file()
        };
        let file = File {
            lines: std::mem::take(&mut self.lines),
            ..file
        };
        self.wrong.sort_by_key(|(line, _)| *line);
        let wrong = self.wrong.into_iter().map(|(_, failure)| failure);
        (file, wrong.collect())
    }

    fn file(&mut self) -> File {
        let mut file = File::default();
        let (table, errors) = DeTable::parse_recoverable(self.text);
        if !errors.is_empty() {
            self.syntax(&errors);
            return file;
        }
        let mut top = Section {
            name: "",
            known: Vec::new(),
            table: table.into_inner(),
        };
        if let Some(found) = self.take(&mut top, "timezone")
            && let Some(name) = self.text_of(&found)
        {
            file.timezone = zone::named(&name);
            if file.timezone.is_none() {
                self.wrong(
                    &found,
                    "is not known",
                    "use a name like \"America/Chicago\"",
                );
            }
        }
        self.clients(&mut top, &mut file);
        if let Some(mut quo) = self.section(&mut top, "quo") {
            file.choice.lines = self.lines(&mut quo);
            self.string(&mut quo, "tags_field", &mut file.tags_field);
            self.span(&mut quo, "contacts_ttl", &mut file.contacts_ttl);
            self.count(
                &mut quo,
                "requests_per_second",
                &mut file.requests_per_second,
            );
            self.finish(&quo);
        }
        if let Some(mut notion) = self.section(&mut top, "notion") {
            self.count(
                &mut notion,
                "requests_per_minute",
                &mut file.requests_per_minute,
            );
            self.span(&mut notion, "settle", &mut file.settle);
            file.silence = file.settle.saturating_mul(SILENCE);
            self.span(&mut notion, "silence", &mut file.silence);
            self.finish(&notion);
        }
        if let Some(mut inbox) = self.section(&mut top, "inbox") {
            self.count(&mut inbox, "attempts", &mut file.attempts);
            self.span(&mut inbox, "give_up", &mut file.give_up);
            self.span(&mut inbox, "first_retry", &mut file.first_retry);
            self.span(&mut inbox, "keep_done", &mut file.keep_done);
            self.finish(&inbox);
        }
        self.finish(&top);
        file
    }

    fn clients(&mut self, top: &mut Section<'a>, file: &mut File) {
        let Some(mut clients) = self.section(top, "clients") else {
            return;
        };
        let table = &clients.table;
        let at = |key: &str| Some(self.line(table.get(key)?.span().start));
        let lines = ColumnNames::KEYS.map(|key| (key, at(key)));
        let names = &mut file.columns;
        self.names(&mut clients, "phone", &mut names.phones);
        for (key, into) in [
            ("company", &mut names.company),
            ("email", &mut names.email),
            ("role", &mut names.role),
            ("tags", &mut names.tags),
            ("status", &mut names.status),
            ("new_status", &mut names.new_status),
            ("last_call", &mut names.last_call),
            ("last_message", &mut names.last_message),
            ("follow_up", &mut names.follow_up),
        ] {
            self.string(&mut clients, key, into);
        }
        for (key, other) in file.columns.shared() {
            let told = lines.iter().filter(|(it, _)| [key, other].contains(it));
            let message = format!("[clients] {other} and {key} name the same column");
            let line = told.filter_map(|(_, line)| *line).max().unwrap_or(1);
            self.wrong_at(line, &message, "give each a column of its own");
        }
        if let Some(found) = self.take(&mut clients, "new_pages") {
            match self.text_of(&found).as_deref() {
                Some("always") => file.choice.new_pages = NewPages::Always,
                Some("known") => file.choice.new_pages = NewPages::Known,
                Some("never") => file.choice.new_pages = NewPages::Never,
                Some(_) => self.wrong(
                    &found,
                    "is none of its words",
                    "new_pages is \"always\", \"known\" or \"never\"",
                ),
                None => {}
            }
        }
        if let Some(found) = self.take(&mut clients, "ignore") {
            for written in self.texts_of(&found) {
                match NumberPattern::parse(&written.text) {
                    Some(pattern) => file.choice.ignore.push(pattern),
                    None => self.wrong_at(
                        written.line,
                        "[clients] ignore holds what is no number",
                        "write numbers with their country code, \"+12025550147\", or \"+1900*\"",
                    ),
                }
            }
        }
        self.finish(&clients);
    }

    /// Own lines to sync.
    fn lines(&mut self, quo: &mut Section<'a>) -> Vec<String> {
        let Some(found) = self.take(quo, "numbers") else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for written in self.texts_of(&found) {
            if Phone::parse(&written.text).is_some() || NumberId::is_plain(&written.text) {
                lines.push(written.text);
            } else {
                self.wrong_at(
                    written.line,
                    "[quo] numbers holds what is no line",
                    "name lines by number, \"+14155550110\", or by id, \"PN…\"",
                );
            }
        }
        lines
    }

    fn section(&mut self, top: &mut Section<'a>, name: &'static str) -> Option<Section<'a>> {
        let found = self.take(top, name)?;
        if let DeValue::Table(table) = found.value {
            return Some(Section {
                name,
                known: Vec::new(),
                table,
            });
        }
        self.wrong(
            &found,
            "is no table",
            "write it as [clients], with its keys below",
        );
        None
    }

    fn take(&mut self, section: &mut Section<'a>, key: &str) -> Option<Setting<'a>> {
        section.known.push(format!("`{key}`"));
        let value = section.table.remove(key)?;
        let line = self.line(value.span().start);
        let name = match section.name {
            "" => key.to_owned(),
            section => format!("[{section}] {key}"),
        };
        self.lines.insert(name.clone(), line);
        Some(Setting {
            name,
            line,
            value: value.into_inner(),
        })
    }

    fn string(&mut self, section: &mut Section<'a>, key: &str, into: &mut String) {
        if let Some(found) = self.take(section, key)
            && let Some(text) = self.text_of(&found)
            && self.is_name(&found, &text)
        {
            *into = text;
        }
    }

    /// Names are shown where they are not found: a key in such a place is no name.
    fn is_name(&mut self, found: &Setting, text: &str) -> bool {
        let is_secret = looks_like_secret(text);
        if is_secret {
            self.wrong(
                found,
                "holds what looks like a key",
                "write the name as it stands in Notion or Quo; keys belong in the environment",
            );
        }
        !is_secret
    }

    /// The first of several, or the only one.
    fn names(&mut self, section: &mut Section<'a>, key: &str, into: &mut Vec<String>) {
        let Some(found) = self.take(section, key) else {
            return;
        };
        let names: Vec<String> = if let DeValue::Array(_) = &found.value {
            let texts = self.texts_of(&found).into_iter();
            texts.map(|written| written.text).collect()
        } else {
            self.text_of(&found).into_iter().collect()
        };
        if !names.is_empty() {
            if names.iter().all(|name| self.is_name(&found, name)) {
                *into = names;
            }
        } else if matches!(&found.value, DeValue::Array(all) if all.is_empty()) {
            self.wrong(&found, "names nothing", "name one column or more");
        }
    }

    fn span(&mut self, section: &mut Section<'a>, key: &str, into: &mut SignedDuration) {
        let Some(found) = self.take(section, key) else {
            return;
        };
        let Some(text) = self.text_of(&found) else {
            return;
        };
        match duration(&text, &found.name) {
            Ok(span) => *into = span,
            Err(failure) => self.wrong(&found, "is no length of time", &failure.hint),
        }
    }

    fn count(&mut self, section: &mut Section<'a>, key: &str, into: &mut u32) {
        let Some(found) = self.take(section, key) else {
            return;
        };
        let number = if let DeValue::Integer(number) = &found.value {
            u32::from_str_radix(number.as_str(), number.radix()).ok()
        } else {
            None
        };
        match number {
            Some(0) => self.wrong(
                &found,
                "is 0, and nothing would ever be done",
                "use 1 or more",
            ),
            Some(number) => *into = number,
            None => self.wrong(
                &found,
                "is no number from 1 to 4294967295",
                "write it without quotes, as 180",
            ),
        }
    }

    fn text_of(&mut self, found: &Setting) -> Option<String> {
        if let DeValue::String(text) = &found.value {
            return Some(text.to_string());
        }
        self.wrong(found, "is no string", "write the value in quotes");
        None
    }

    fn texts_of(&mut self, found: &Setting) -> Vec<WrittenText> {
        let DeValue::Array(values) = &found.value else {
            self.wrong(found, "is no list", "write it as [\"…\", \"…\"]");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for value in values {
            let line = self.line(value.span().start);
            if let DeValue::String(text) = value.get_ref() {
                let text = text.to_string();
                texts.push(WrittenText { line, text });
            } else {
                let message = format!("{} holds what is no string", found.name);
                self.wrong_at(line, &message, "write each value in quotes");
            }
        }
        texts
    }

    /// What nobody has taken is not known.
    fn finish(&mut self, section: &Section) {
        for key in section.table.keys() {
            let shown: &str = key.get_ref();
            let plain = shown
                .bytes()
                .all(|sign| sign.is_ascii_lowercase() || sign == b'_');
            let message = if plain && shown.len() <= MOST_SHOWN && !looks_like_secret(shown) {
                format!("unknown key `{shown}`")
            } else {
                "unknown key".to_owned()
            };
            let message = format!("{message}; known are {}", section.known.join(", "));
            let line = self.line(key.span().start);
            self.wrong_at(
                line,
                &message,
                "the README lists every key with its default",
            );
        }
    }

    /// The library's words may quote what stands there.
    fn syntax(&mut self, errors: &[toml::de::Error]) {
        let mut last = 0;
        for error in errors {
            let line = error.span().map_or(1, |span| self.line(span.start));
            if line == last {
                continue;
            }
            last = line;
            let message = if error.message().contains("duplicate") {
                "duplicate key or table"
            } else {
                "this is not TOML"
            };
            self.wrong_at(line, message, "the README shows the file whole");
        }
    }

    fn line(&self, at: usize) -> usize {
        1 + newlines(&self.text.as_bytes()[..at.min(self.text.len())])
    }

    fn wrong(&mut self, found: &Setting, what: &str, hint: &str) {
        self.wrong_at(found.line, &format!("{} {what}", found.name), hint);
    }

    fn wrong_at(&mut self, line: usize, message: &str, hint: &str) {
        let message = format!("{} line {line}: {message}", self.path.display());
        self.wrong.push((line, Failure::config(message, hint)));
    }
}

/// A text of a list.
struct WrittenText {
    line: usize,
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (File, Vec<String>) {
        let (file, wrong) = Reader::new(Path::new("q.toml"), text).read();
        let told = wrong.into_iter().map(|failure| failure.message);
        (file, told.collect())
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line_and_never_its_value() {
        let text = "timezone = \"sk_secret\"\nsk_secret = 1\n[clients]\nphone = []\nnew_pages = \
            \"sk_secret\"\nignore = [\n\"+1900*\",\n\"sk_secret\",\n7]\n[quo]\nnumbers = \
            [\"sk secret\"]\ncontacts_ttl = \"sk_secret\"\nrequests_per_second = \
            \"sk_secret\"\n[notion]\nsettle = 5\n[inbox]\nattempts = 0\nsk_secret_Of_9 = \
            1\n[sk_secret_9]\n";
        let (_, told) = read(text);
        let lines = [1, 2, 4, 5, 8, 9, 11, 12, 13, 15, 17, 18, 19];
        assert_eq!(told.len(), lines.len(), "{told:#?}");
        for (message, line) in told.iter().zip(lines) {
            assert!(
                message.starts_with(&format!("q.toml line {line}: ")),
                "{told:#?}"
            );
            assert!(line == 2 || !message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn no_two_values_go_into_one_column() {
        for (text, told) in [
            (
                "[clients]\ncompany = \"Phone\"",
                Some("line 2: [clients] phone and company"),
            ),
            (
                "[clients]\nphone = [\"a\", \"Role\"]\n",
                Some("line 2: [clients] phone and role"),
            ),
            (
                "[clients]\nemail = \"X\"\ntags = \"x\"",
                Some("line 3: [clients] email and tags"),
            ),
            (
                "[clients]\nfollow_up = \"Last Call\"",
                Some("line 2: [clients] last_call and follow_up"),
            ),
            ("[clients]\nlast_message = \"Last Call\"", None),
            ("[clients]\nphone = [\"a\", \"a\"]", None),
        ] {
            let (_, wrong) = read(text);
            assert_eq!(
                wrong.len(),
                usize::from(told.is_some()),
                "{text}: {wrong:?}"
            );
            assert!(
                told.is_none_or(|told| wrong[0].contains(told)),
                "{text}: {wrong:?}"
            );
        }
    }

    #[test]
    fn syntax_is_told_by_line_alone() {
        for (text, line) in [
            ("a = \"sk_secret", 1),
            ("\nsk_secret\n", 2),
            ("[clients]\nphone = sk_secret\n", 2),
            ("a = 1\na = 2\n", 2),
        ] {
            let (_, told) = read(text);
            assert!(!told.is_empty(), "{text}");
            assert!(
                told[0].starts_with(&format!("q.toml line {line}: ")),
                "{told:?}"
            );
            assert!(
                told.iter().all(|message| !message.contains("secret")),
                "{told:?}"
            );
        }
    }

    #[test]
    fn lines_are_numbers_or_ids_of_quo() {
        let read_lines = |line: &str| read(&format!("[quo]\nnumbers = [\"{line}\"]\n"));
        for line in ["+14155550110", "+1 (415) 555-0110", "PNa1B2c3"] {
            let (file, told) = read_lines(line);
            assert_eq!((file.choice.lines, told), (vec![line.to_owned()], vec![]));
        }
        for line in [
            "main",
            "Main",
            "sk_secret",
            "ntn_secret",
            "PN",
            "PN_secret",
            "pn1",
            "4155",
        ] {
            let (file, told) = read_lines(line);
            assert_eq!(file.choice.lines, Vec::<String>::new(), "{line}");
            assert_eq!(told, ["q.toml line 2: [quo] numbers holds what is no line"]);
        }
    }

    #[test]
    fn key_is_no_name() {
        let default = File::default();
        for text in [
            "[clients]\ncompany = \"ntn_secret\"\n",
            "[clients]\nphone = \"ntn_secret\"\n",
            "[clients]\nphone = [\"Phone\",\"secret_secret\"]\n",
            "[clients]\nnew_status = \"secret789012345678901234567890123456789\"\n",
            "[quo]\ntags_field = \"ntn_secret\"\n",
            "[quo]\nntn_secret = 1\n",
        ] {
            let (file, told) = read(text);
            assert_eq!(file.columns, default.columns, "{text}");
            assert!(
                told.len() == 1 && told[0].starts_with("q.toml line 2: "),
                "{told:?}"
            );
            assert!(!told[0].contains("secret"), "{told:?}");
        }
    }

    #[test]
    fn several_phone_columns_are_taken() {
        let (file, told) = read("[clients]\nphone = [\"Handy\", \"Phone\"]\n");
        assert_eq!(file.columns.phones, ["Handy", "Phone"]);
        assert_eq!(told, Vec::<String>::new());
    }
}
