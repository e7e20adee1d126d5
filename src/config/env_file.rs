//! A file `.env`: lines `NAME=value`, as people write them for a shell.
//!
//! Of our own because keys hold `$` and `#`: the libraries that are kept expand the one, or cut at
//! the other. Nothing is expanded here, and no escape is known.

/// Reads a whole file. `Err` is the number of the first line, from 1, that cannot be read; what
/// stands in it is not told, for it may be a key.
///
/// `export` is read over, and so is a comment: a line that begins with `#`, or what follows a blank
/// and `#`. One pair of quotes around a value is taken off. Of a name that comes twice the last
/// counts.
pub fn parse(text: &[u8]) -> Result<Vec<(String, String)>, usize> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut found = Vec::new();
    for (number, line) in (1_usize..).zip(text.split(|byte| *byte == b'\n')) {
        let line = std::str::from_utf8(line).map_err(|_| number)?.trim();
        if !line.is_empty() && !line.starts_with('#') {
            found.push(variable(line).ok_or(number)?);
        }
    }
    Ok(found)
}

fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    let exported = name
        .strip_prefix("export")
        .filter(|rest| rest.starts_with([' ', '\t']));
    let name = exported.unwrap_or(name).trim();
    let is_name = name
        .chars()
        .all(|sign| sign.is_ascii_alphanumeric() || sign == '_');
    let value = match value.trim_start().chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(value.trim_start(), quote)?,
        _ => without_comment(value),
    };
    (is_name && !name.is_empty() && !value.contains('\0'))
        .then(|| (name.to_owned(), value.to_owned()))
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
        assert_eq!(
            found,
            Ok(vec![("KEY".to_owned(), value.to_owned())]),
            "{line}"
        );
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

    #[test]
    fn line_that_cannot_be_read_is_known_by_its_number() {
        for bad in [
            "KEY",
            "export KEY",
            "=value",
            "export =value",
            "A B=value",
            "KEY=\"value",
            "KEY='value\"",
            "KEY=\"a\"b",
            "KEY=\"a\"#b",
            "KEY=a\0b",
            "-----BEGIN PRIVATE KEY-----",
        ] {
            let text = format!("A=1\n\n{bad}\nB=2\n");
            assert_eq!(parse(text.as_bytes()), Err(3), "{bad}");
        }
        assert_eq!(parse(b"A=1\nB=\xff\n"), Err(2));
    }

    #[test]
    fn name_that_comes_twice_is_kept_in_order() {
        let found = parse(b"A=1\nexported=2\nA=3").expect("readable");
        let pairs = [("A", "1"), ("exported", "2"), ("A", "3")];
        assert_eq!(
            found,
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
