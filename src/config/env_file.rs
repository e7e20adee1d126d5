//! A file `.env`: lines `NAME=value`, as people write them for a shell.
//!
//! Of our own because keys hold `$` and `#`: the libraries that are kept expand the one, or cut at
//! the other. Nothing is expanded here, and no escape is known.

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EnvLines {
    /// Variables, in the order of the file.
    pub variables: Vec<Variable>,
    /// Lines that cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// A line that sets something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Number of its line, from 1.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A line that cannot be read; what stands in it is not told, for it may be a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its number, from 1.
    pub line: usize,
    /// What it would set, where that much is certain.
    pub name: Option<String>,
}

/// Reads a whole file.
///
/// `export` is read over, and so is a comment: a line that begins with `#`, or what follows a blank
/// and `#`. One pair of quotes around a value is taken off. Lines end as on any system: a lone
/// carriage return hides nothing behind it.
pub fn parse(text: &[u8]) -> EnvLines {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut found = EnvLines::default();
    for (number, bytes) in (1..).zip(lines(text)) {
        let line = String::from_utf8_lossy(bytes);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = name_of(line);
        let value = line
            .split_once('=')
            .and_then(|(_, value)| read_value(value));
        match (name, value) {
            (Some(name), Some(value)) if std::str::from_utf8(bytes).is_ok() => {
                found.variables.push(Variable {
                    line: number,
                    name,
                    value,
                });
            }
            (name, _) => found.unreadable.push(Unreadable { line: number, name }),
        }
    }
    found
}

/// Parts `text` at each `\n`, `\r\n` and `\r`.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = text.split(|byte| *byte == b'\n');
    whole.flat_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line.split(|byte| *byte == b'\r')
    })
}

fn name_of(line: &str) -> Option<String> {
    let (name, _) = line.split_once('=')?;
    let exported = name
        .strip_prefix("export")
        .filter(|rest| rest.starts_with([' ', '\t']));
    let name = exported.unwrap_or(name).trim();
    let is_name = name
        .chars()
        .all(|sign| sign.is_ascii_alphanumeric() || sign == '_');
    (is_name && !name.is_empty()).then(|| name.to_owned())
}

fn read_value(value: &str) -> Option<String> {
    let value = match value.trim_start().chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(value.trim_start(), quote)?,
        _ => without_comment(value),
    };
    (!value.contains('\0')).then(|| value.to_owned())
}

/// What stands between the quotes, if nothing but a comment follows them.
fn quoted(value: &str, quote: char) -> Option<&str> {
    let (inside, rest) = value.strip_prefix(quote)?.split_once(quote)?;
    without_comment(rest).is_empty().then_some(inside)
}

fn without_comment(value: &str) -> &str {
    let comment = value.match_indices('#').map(|(at, _)| at);
    let mut after_blank = comment.filter(|at| value[..*at].ends_with([' ', '\t']));
    value[..after_blank.next().unwrap_or(value.len())].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, value: &str) {
        let found = parse(line.as_bytes());
        assert_eq!(found.unreadable, [], "{line}");
        let pairs: Vec<_> = found
            .variables
            .iter()
            .map(|found| (found.name.as_str(), found.value.as_str()))
            .collect();
        assert_eq!(pairs, [("KEY", value)], "{line}");
    }

    #[test]
    fn values_are_taken_as_they_stand() {
        check("KEY=value", "value");
        check("KEY=", "");
        check("  KEY = value  \r", "value");
        check("export KEY=value", "value");
        check("export\tKEY=value", "value");
        check("KEY=$HOME/${x}`y`\\n", "$HOME/${x}`y`\\n");
        check("KEY=a#b=c", "a#b=c");
        check("KEY=#b", "#b");
        check("KEY=a # note", "a");
        check("KEY= # note", "");
        check("KEY=\"a # b\" # note", "a # b");
        check("KEY='a \"b\" c'", "a \"b\" c");
        check("KEY=\"a\\n$b\"", "a\\n$b");
        check("KEY=it's", "it's");
        check("KEY=\"\"", "");
        check("KEY=größer", "größer");
        check("\u{feff}KEY=value", "value");
        check("\n# note\n  # note\n\nKEY=value\n", "value");
    }

    #[track_caller]
    fn check_unreadable(text: &[u8], name: Option<&str>) {
        let found = parse(text);
        let name = name.map(str::to_owned);
        assert_eq!(found.unreadable, [Unreadable { line: 3, name }]);
        let lines: Vec<_> = found.variables.iter().map(|found| found.line).collect();
        assert_eq!(lines, [1, 4]);
    }

    #[test]
    fn line_that_cannot_be_read_is_known_by_its_number() {
        for (bad, name) in [
            ("KEY", None),
            ("export KEY", None),
            ("=value", None),
            ("export =value", None),
            ("A B=value", None),
            ("KEY=\"value", Some("KEY")),
            ("KEY='value\"", Some("KEY")),
            ("export KEY=\"a\"b", Some("KEY")),
            ("KEY=\"a\"#b", Some("KEY")),
            ("KEY=a\0b", Some("KEY")),
            ("-----BEGIN PRIVATE KEY-----", None),
        ] {
            check_unreadable(format!("A=1\n\n{bad}\nB=2\n").as_bytes(), name);
        }
        check_unreadable(b"A=1\n\nB=\xff\nC=3", Some("B"));
        check_unreadable(b"A=1\n\n\xff=b\nC=3", None);
    }

    #[test]
    fn lines_end_as_on_any_system() {
        for text in [
            "A=1\nB=2\nC=3\n",
            "A=1\r\nB=2\r\nC=3\r\n",
            "A=1\rB=2\rC=3\r",
        ] {
            let found = parse(text.as_bytes()).variables;
            let lines: Vec<_> = found
                .iter()
                .map(|found| (found.line, &*found.value))
                .collect();
            assert_eq!(lines, [(1, "1"), (2, "2"), (3, "3")], "{text:?}");
        }
        let found = parse(b"# note\rA=1\nB='x\rC=3\n");
        let names: Vec<_> = found.variables.iter().map(|found| &*found.name).collect();
        assert_eq!((names, found.unreadable.len()), (vec!["A", "C"], 1));
    }

    #[test]
    fn name_that_comes_twice_is_kept_in_order() {
        let found = parse(b"A=1\nexported=2\nA=3").variables;
        let pairs: Vec<_> = found
            .iter()
            .map(|found| (found.name.as_str(), found.value.as_str()))
            .collect();
        assert_eq!(pairs, [("A", "1"), ("exported", "2"), ("A", "3")]);
    }
}
