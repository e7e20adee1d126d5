//! Standard input as JSON documents, one after another, whatever stands between them.
//!
//! Apart because one broken document must not cost the ones behind it: reading goes on at the next
//! line. Nothing here knows what a document means. Memory is bounded by the largest document.

use std::io::{self, Read};

use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::domain::failure::{Failure, Kind};

/// Most documents of an input that may be broken; what comes behind them is not read.
pub const MOST_BROKEN: usize = 1000;
/// Largest document, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The mark that some editors put in front of a text in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes read at a time, at first: most inputs are one delivery, and memory that is not touched
/// costs no time.
const FIRST_CHUNK: usize = 8 * 1024;
/// Bytes read at a time, at most.
const CHUNK: usize = 64 * 1024;
/// From so many bytes on a document has a buffer that is not made larger, and so not copied, again.
const LARGE: usize = 1024 * 1024;
/// The size of that buffer, of which only what is read is resident. What is larger than 32 MiB the
/// system's allocator takes from the system by itself and gives back at once; of what is smaller it
/// keeps some when it is freed, and the next document comes on top of that.
const LARGE_BUFFER: usize = 33 * 1024 * 1024;

/// Most bytes that are left out in search of the end of what is broken.
pub const MOST_SKIPPED: usize = 256 * 1024 * 1024;

/// What cannot be a document.
#[derive(Debug)]
pub enum Broken {
    /// Not JSON; what is wrong and where, in words.
    NotJson(String),
    /// Text in UTF-16, of which nothing can be read.
    Utf16,
    /// A list; perhaps of documents.
    List,
    /// Larger than [`MAX_BYTES`].
    TooLarge,
    /// So many were broken that the rest is not read.
    TooMany,
    /// More than [`MOST_SKIPPED`] bytes are no document.
    Endless,
    /// The input itself could not be read.
    Io(io::Error),
}

impl From<Broken> for Failure {
    fn from(err: Broken) -> Self {
        match err {
            Broken::NotJson(why) => Self::new(
                Kind::Payload,
                format!("not a JSON document: {why}"),
                "pass the request body as it was received",
            ),
            Broken::Utf16 => Self::new(
                Kind::Payload,
                "the input is UTF-16, and a JSON document is UTF-8",
                "write it as UTF-8, for example with iconv -f UTF-16 -t UTF-8",
            ),
            Broken::List => Self::new(
                Kind::Payload,
                "the document is a list, and a delivery is an object",
                "if it is a list of deliveries, pipe it through jq -c '.[]'",
            ),
            Broken::TooLarge => Self::new(
                Kind::Payload,
                format!("the document is larger than {} MiB", MAX_BYTES >> 20),
                "no delivery of Quo is that large; check what is piped in",
            ),
            Broken::TooMany => Self::new(
                Kind::Payload,
                format!("{MOST_BROKEN} documents were broken; what follows was not read"),
                "no delivery is written like that; check what is piped in",
            ),
            Broken::Endless => Self::new(
                Kind::Payload,
                format!(
                    "more than {} MiB of the input are no document; what follows was not read",
                    MOST_SKIPPED >> 20
                ),
                "check what is piped in",
            ),
            Broken::Io(err) if err.kind() == std::io::ErrorKind::TimedOut => Self::new(
                Kind::Deadline,
                format!("cannot read the input: {err}"),
                "the sender has to close the body; nothing of it is kept, so it has to send again",
            ),
            Broken::Io(err) => Self::new(
                Kind::Store,
                format!("cannot read the input: {err}"),
                "check the pipe or the path",
            ),
        }
    }
}

/// Iterator over the documents of an input.
pub struct Documents<R> {
    input: R,
    /// What has been read and not been given out; begins at `start`.
    buffer: Vec<u8>,
    start: usize,
    /// Bytes to read next; grows while there are that many.
    chunk: usize,
    at_end: bool,
    failed: bool,
    broken: usize,
    /// Bytes that were left out while the end of something broken was looked for.
    skipped: usize,
    /// True until something has been given out.
    first: bool,
}

impl<R: Read> Documents<R> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            chunk: FIRST_CHUNK,
            at_end: false,
            failed: false,
            broken: 0,
            skipped: 0,
            first: true,
        }
    }

    /// Reads bytes that are all there, before those of `input`.
    pub fn of(bytes: Vec<u8>, input: R) -> Self {
        Self {
            buffer: bytes,
            ..Self::new(input)
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads some more; at the end of the input nothing changes but `at_end`.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let before = self.buffer.len();
        if before >= LARGE {
            let missing = LARGE_BUFFER.saturating_sub(before);
            self.buffer.reserve_exact(missing);
        }
        self.buffer.resize(before + self.chunk, 0);
        let read = loop {
            match self.input.read(&mut self.buffer[before..]) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.buffer
            .truncate(before + read.as_ref().copied().unwrap_or(0));
        let read = read?;
        if read == self.chunk {
            self.chunk = CHUNK.min(2 * read);
        }
        self.at_end = read == 0;
        Ok(())
    }

    /// Skips white space, and the byte order marks that editors put in front of texts.
    fn skip_blanks(&mut self) -> io::Result<()> {
        loop {
            let rest = self.rest();
            let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
            let rest = &rest[blanks..];
            let mark = if rest.starts_with(MARK) {
                MARK.len()
            } else {
                0
            };
            let may_be_cut = rest.len() < MARK.len() && MARK.starts_with(rest);
            self.start += blanks + mark;
            if mark == 0 && (!may_be_cut || self.at_end) {
                return Ok(());
            }
            if mark == 0 {
                self.fill()?;
            }
        }
    }

    /// The next document; `None` at the end.
    fn read(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        self.skip_blanks().map_err(Broken::Io)?;
        if self.rest().is_empty() {
            return Ok(None);
        }
        if self.is_utf16().map_err(Broken::Io)? {
            // A whole file of it holds nothing else; in the middle of others it is one line.
            let skipped = if self.first {
                self.skip_all()
            } else {
                self.skip_line(|_| false).map(drop)
            };
            skipped?;
            return Err(Broken::Utf16);
        }
        let (mut tried, mut seen) = (0, 0);
        let mut brackets = Brackets::default();
        let has_brackets = self.starts_with_bracket();
        loop {
            let length = self.rest().len();
            let closed = self.rest()[seen..].iter().any(|byte| brackets.close(*byte));
            seen = length;
            // A fault shows before the end; it is looked for ever less often.
            let pauses = matches!(self.rest().last(), Some(b'\n' | b'"'));
            let worth_trying = self.at_end
                || closed
                || length >= 2 * tried
                || pauses && length >= tried + tried / 8;
            if worth_trying {
                tried = length;
                match scan(self.rest(), self.at_end) {
                    Scan::Whole(end) if end <= MAX_BYTES => {
                        let document = self.take(end);
                        if document.starts_with(b"[") {
                            return Err(Broken::List);
                        }
                        return Ok(Some(document));
                    }
                    Scan::Broken(why) => {
                        self.skip_broken()?;
                        return Err(Broken::NotJson(why));
                    }
                    Scan::Whole(_) | Scan::Unfinished => {}
                }
            }
            if length > MAX_BYTES {
                let skipped = if has_brackets {
                    self.skip_large()
                } else {
                    self.skip_line(|_| false).map(drop)
                };
                skipped?;
                return Err(Broken::TooLarge);
            }
            self.fill().map_err(Broken::Io)?;
        }
    }

    /// Gives out so many bytes. A large document is not copied.
    fn take(&mut self, count: usize) -> Vec<u8> {
        let end = self.start + count;
        if self.start > 0 || count < CHUNK {
            let taken = self.buffer[self.start..end].to_vec();
            self.start = end;
            return taken;
        }
        let rest = self.buffer.split_off(end);
        std::mem::replace(&mut self.buffer, rest)
    }

    fn starts_with_bracket(&self) -> bool {
        matches!(self.rest().first(), Some(b'{' | b'['))
    }

    /// True if what comes is text in UTF-16: it begins with that mark, or its first letter has a
    /// zero beside it, which JSON never has.
    fn is_utf16(&mut self) -> io::Result<bool> {
        while self.rest().len() < 2 && !self.at_end {
            self.fill()?;
        }
        Ok(match self.rest() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
            [0, letter, ..] | [letter, 0, ..] => *letter != 0,
            _ => false,
        })
    }

    /// Reads some more of what is left out.
    fn skip_on(&mut self) -> Result<(), Broken> {
        self.fill().map_err(Broken::Io)?;
        self.skipped += self.rest().len();
        if self.skipped > MOST_SKIPPED {
            return Err(Broken::Endless);
        }
        Ok(())
    }

    fn skip_all(&mut self) -> Result<(), Broken> {
        while !self.at_end {
            self.start = self.buffer.len();
            self.skip_on()?;
        }
        self.start = self.buffer.len();
        Ok(())
    }

    /// Leaves the line that the broken document begins on, and, while its brackets are not closed,
    /// the lines that seem to belong to it: indented, or closing brackets.
    fn skip_broken(&mut self) -> Result<(), Broken> {
        let mut brackets = Brackets::default();
        loop {
            let closed = self.skip_line(|byte| brackets.close(byte))?;
            if closed || !brackets.are_open() {
                return Ok(());
            }
            brackets.end_line();
            if self.rest().is_empty() && !self.at_end {
                self.skip_on()?;
            }
            match self.rest().first() {
                Some(b' ' | b'\t' | b'\r' | b'\n' | b'}' | b']') => {}
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Leaves a line; true if `look` has found something in it.
    fn skip_line(&mut self, mut look: impl FnMut(u8) -> bool) -> Result<bool, Broken> {
        let mut found = false;
        loop {
            let end = self.rest().iter().position(|byte| *byte == b'\n');
            let line = &self.rest()[..end.unwrap_or(self.rest().len())];
            for byte in line {
                found |= look(*byte);
            }
            self.start += end.map_or(self.rest().len(), |end| end + 1);
            if end.is_some() || self.at_end {
                return Ok(found);
            }
            self.skip_on()?;
        }
    }

    /// Leaves a document that is too large, without keeping it: up to where its brackets are
    /// closed.
    fn skip_large(&mut self) -> Result<(), Broken> {
        let mut brackets = Brackets::default();
        loop {
            if let Some(end) = self.rest().iter().position(|byte| brackets.close(*byte)) {
                self.start += end + 1;
                return Ok(());
            }
            self.start = self.buffer.len();
            if self.at_end {
                return Ok(());
            }
            self.skip_on()?;
        }
    }
}

impl<R: Read> Iterator for Documents<R> {
    type Item = Result<Vec<u8>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = if self.broken < MOST_BROKEN {
            self.read().transpose()
        } else {
            self.read().transpose().map(|_| Err(Broken::TooMany))
        };
        self.broken += usize::from(matches!(item, Some(Err(_))));
        self.failed = matches!(
            item,
            Some(Err(Broken::Io(_) | Broken::TooMany | Broken::Endless))
        );
        self.first = false;
        item
    }
}

enum Scan {
    /// A document of that many bytes.
    Whole(usize),
    /// It may become one with more bytes.
    Unfinished,
    /// It will never be one.
    Broken(String),
}

fn scan(bytes: &[u8], at_end: bool) -> Scan {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>();
    let err = match values.next() {
        Some(Ok(value)) => {
            let end = values.byte_offset();
            let closed = value.get().ends_with(['}', ']', '"']);
            return if closed || at_end || end < bytes.len() {
                Scan::Whole(end)
            } else {
                Scan::Unfinished
            };
        }
        Some(Err(err)) => err,
        None => return Scan::Unfinished,
    };
    let may_go_on = err.classify() == Category::Eof || is_at_the_end(&err, bytes);
    if may_go_on && !at_end {
        Scan::Unfinished
    } else {
        Scan::Broken(err.to_string())
    }
}

/// True if the fault lies where reading has stopped so far: a number, a word or a character may be
/// cut there, and be whole with what comes.
fn is_at_the_end(err: &serde_json::Error, bytes: &[u8]) -> bool {
    let in_character = std::str::from_utf8(bytes).is_err_and(|err| err.error_len().is_none());
    let last_line = bytes.iter().rev().take_while(|byte| **byte != b'\n');
    let in_last_line = err.line() == bytes.split(|byte| *byte == b'\n').count();
    in_character || in_last_line && err.column() >= last_line.count()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Where a document ends, told by its brackets alone.
#[derive(Default)]
struct Brackets {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Brackets {
    fn are_open(&self) -> bool {
        self.depth > 0
    }

    /// No text goes on in the next line.
    fn end_line(&mut self) {
        self.in_text = false;
        self.escaped = false;
    }

    /// Takes a byte; true when it closes the outermost bracket.
    fn close(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time, as a slow pipe does.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn shown(item: Result<Vec<u8>, Broken>) -> String {
        match item {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(Broken::NotJson(_)) => "broken".into(),
            Err(Broken::Utf16) => "utf-16".into(),
            Err(Broken::List) => "list".into(),
            Err(Broken::TooLarge) => "too large".into(),
            Err(Broken::Endless) => "endless".to_owned(),
            Err(Broken::TooMany) => "too many".into(),
            Err(Broken::Io(_)) => "io".into(),
        }
    }

    fn check(input: &str, want: &[&str]) {
        for step in [1, 7, CHUNK] {
            let found: Vec<String> = Documents::new(Slow(input.as_bytes(), step))
                .map(shown)
                .collect();
            assert_eq!(found, want, "{input:?} by {step}");
        }
    }

    #[test]
    fn documents_stand_one_after_another_in_any_layout() {
        check("", &[]);
        check(" \n\t\r\n", &[]);
        check("{}", &["{}"]);
        check(
            "{\"a\":1}{\"b\":2}\n{\n \"c\": 3\n}\n[1] 12 \"x\"",
            &[
                "{\"a\":1}",
                "{\"b\":2}",
                "{\n \"c\": 3\n}",
                "list",
                "12",
                "\"x\"",
            ],
        );
        check(
            "{\"ü\":\"😀\"}\n{\"b\":2}",
            &["{\"ü\":\"😀\"}", "{\"b\":2}"],
        );
    }

    #[test]
    fn after_a_broken_document_reading_goes_on_at_the_next_line() {
        check("not json\n{\"a\":1}", &["broken", "{\"a\":1}"]);
        check("one\ntwo\n{}", &["broken", "broken", "{}"]);
        check(
            "{\"a\": \n{\"b\":2}\n{\"c\":3}",
            &["broken", "{\"b\":2}", "{\"c\":3}"],
        );
        check("{\"a\": \"x\n{\"b\":2}", &["broken", "{\"b\":2}"]);
        check("{oops}\n  {\"b\":2}\n", &["broken", "{\"b\":2}"]);
        check(
            "{oops}\n\n\t{\"b\":2} \r\n {\"c\":3}",
            &["broken", "{\"b\":2}", "{\"c\":3}"],
        );
        check("{\"a\": \"}\n  \"}\n{\"b\":2}", &["broken", "{\"b\":2}"]);
        check(
            "{\"a\":1}}\n{\"b\":2}",
            &["{\"a\":1}", "broken", "{\"b\":2}"],
        );
    }

    #[test]
    fn truncated_document_over_several_lines_is_one_error() {
        check("{\n  \"a\": {\n    \"b\": 1\n  },\n  \"c", &["broken"]);
        check(
            "{\n  \"a\": oops,\n  \"b\": 1\n}\n{\"b\":2}",
            &["broken", "{\"b\":2}"],
        );
        check(
            "{\n  \"a\": oops,\n  \"b\": [\n  {\"c\": 1},\n  {\"d\": [\n  }\n  ]\n}\n{\"b\":2}",
            &["broken", "{\"b\":2}"],
        );
    }

    #[test]
    fn document_that_is_too_large_is_left_and_the_next_one_read() {
        let large = format!(
            "{{\"a\": \"\\\"{}\"}}\n{{\"b\":2}}\n",
            "x".repeat(MAX_BYTES)
        );
        let found: Vec<String> = Documents::new(large.as_bytes()).map(shown).collect();
        assert_eq!(found, ["too large", "{\"b\":2}"]);
        for large in [
            format!("\"{}\"", "x".repeat(MAX_BYTES)),
            "1".repeat(MAX_BYTES + 1),
        ] {
            let text = format!("{large}\n{{\"b\":2}}\n");
            let found: Vec<String> = Documents::new(text.as_bytes()).map(shown).collect();
            assert_eq!(found, ["too large", "{\"b\":2}"]);
        }
        let limit = format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_BYTES - 9));
        assert_eq!(limit.len(), MAX_BYTES);
        assert_eq!(Documents::new(limit.as_bytes()).flatten().count(), 1);
    }

    #[test]
    fn after_a_thousand_broken_documents_it_ends() {
        let text = format!("{{}}\n{}{{}}\n", "x\n".repeat(MOST_BROKEN));
        let found: Vec<String> = Documents::new(text.as_bytes()).map(shown).collect();
        assert_eq!(found.len(), MOST_BROKEN + 2);
        assert_eq!(
            (found[0].as_str(), found[MOST_BROKEN].as_str()),
            ("{}", "broken")
        );
        assert_eq!(found[MOST_BROKEN + 1], "too many");
        let text = "x\n".repeat(MOST_BROKEN);
        let found: Vec<String> = Documents::new(text.as_bytes()).map(shown).collect();
        assert_eq!((found.len(), found[999].as_str()), (MOST_BROKEN, "broken"));
    }

    #[test]
    fn invalid_utf8_is_broken_not_fatal() {
        let found: Vec<String> = Documents::new(&b"{\"a\":\"\xff\"}\n{\"b\":2}"[..])
            .map(shown)
            .collect();
        assert_eq!(found, ["broken", "{\"b\":2}"]);
    }

    #[test]
    fn mark_before_a_document_is_skipped_and_utf16_is_named() {
        check("\u{feff}{}\n\u{feff} {\"a\":1}", &["{}", "{\"a\":1}"]);
        check("\u{feff}", &[]);
        for encode in [u16::to_le_bytes, u16::to_be_bytes] {
            for text in ["{\"a\":1}\n{}", "\u{feff}{\"a\":1}"] {
                let bytes: Vec<u8> = text.encode_utf16().flat_map(encode).collect();
                for step in [1, 7, CHUNK] {
                    let found: Vec<String> =
                        Documents::new(Slow(&bytes, step)).map(shown).collect();
                    assert_eq!(found, ["utf-16"], "{text:?} by {step}");
                }
            }
        }
        let zeros = [0; 64];
        let found: Vec<String> = Documents::new(&zeros[..]).map(shown).collect();
        assert_eq!(found, ["broken"]);
    }

    /// Whatever is cut by the end of what was read is whole with what comes.
    #[test]
    fn no_cut_breaks_a_document() {
        let text =
            "{\"a\":[-1,2.5,1e5,1E+10,-0.25e-3,true,null,\"\u{e9}\\u00e9\u{1f600}\"],\"b\":-7}";
        let bytes = text.as_bytes();
        for cut in 0..=bytes.len() {
            let halves = bytes[..cut].chain(&bytes[cut..]);
            let found: Vec<String> = Documents::new(halves).map(shown).collect();
            assert_eq!(found, [text], "cut at {cut}");
        }
    }

    /// A number may stand across the end of every chunk, whatever its size.
    #[test]
    fn number_at_the_end_of_a_chunk_is_no_fault() {
        for number in ["2.5", "-7", "1e5", "1e+5", "-0.5E-2", "true", "null"] {
            for back in 0..=number.len() + 1 {
                let room = FIRST_CHUNK - back - "{\"a\":\"\",\"b\":".len();
                let text = format!("{{\"a\":\"{}\",\"b\":{number}}}", "x".repeat(room));
                for step in [FIRST_CHUNK - 1, CHUNK] {
                    let slow = Slow(text.as_bytes(), step);
                    let found: Vec<String> = Documents::new(slow).map(shown).collect();
                    assert_eq!(found, [text.as_str()], "by {step}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn documents_are_the_same_in_chunks_of_any_size(
            numbers in vec("-?[0-9]{1,3}(\\.[0-9]{1,3})?(e[+-]?[0-9])?", 1..20),
            step in 1_usize..40,
        ) {
            let documents: Vec<String> = numbers
                .iter()
                .map(|number| number.trim_start_matches(['-', '0']))
                .filter(|number| number.starts_with(|c: char| c.is_ascii_digit()))
                .map(|number| format!("{{\"n\":[{number},-{number}]}}"))
                .collect();
            let text = documents.concat();
            let slow = Slow(text.as_bytes(), step);
            let found: Vec<String> = Documents::new(slow).map(shown).collect();
            prop_assert_eq!(found, documents);
        }
    }
}
