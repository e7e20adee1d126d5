//! Shape checks on request bodies, with Notion's wording. Needs no state.

use serde_json::{Map, Value};

use super::Refusal;

/// How refusals print a value they did not like.
pub fn shown(value: Option<&Value>) -> String {
    match value {
        None => "undefined".to_owned(),
        Some(Value::Array(items)) if !items.is_empty() => {
            match items[0].get("type").and_then(Value::as_str) {
                Some(kind) => format!("[{{\"type\":\"{kind}\"...}}]"),
                None => cut(&Value::Array(items.clone())),
            }
        }
        Some(other) => cut(other),
    }
}

fn cut(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 120 {
        format!("{}...", text.chars().take(117).collect::<String>())
    } else {
        text
    }
}

/// `PLACE should be WANTED, instead was …`
pub fn wrong(place: &str, wanted: &str, found: &Value) -> Refusal {
    Refusal::body(&format!(
        "{place} should be {wanted}, instead was `{}`.",
        shown(Some(found))
    ))
}

/// The object at a place, or the refusal.
pub fn object<'a>(place: &str, value: &'a Value) -> Result<&'a Map<String, Value>, Refusal> {
    value
        .as_object()
        .ok_or_else(|| wrong(place, "an object", value))
}

/// The value under a key that must be there.
pub fn required<'a>(
    place: &str,
    map: &'a Map<String, Value>,
    key: &str,
) -> Result<&'a Value, Refusal> {
    let problem = format!("{place}.{key} should be defined, instead was `undefined`.");
    map.get(key).ok_or_else(|| Refusal::body(&problem))
}

/// Refuses any key that is not allowed.
pub fn only(place: &str, map: &Map<String, Value>, allowed: &[&str]) -> Result<(), Refusal> {
    match map.iter().find(|(k, _)| !allowed.contains(&k.as_str())) {
        Some((key, value)) => Err(wrong(&format!("{place}.{key}"), "not present", value)),
        None => Ok(()),
    }
}

/// A list of at most so many items.
pub fn list<'a>(place: &str, value: &'a Value, most: usize) -> Result<&'a Vec<Value>, Refusal> {
    let items = value
        .as_array()
        .ok_or_else(|| wrong(place, "an array", value))?;
    if items.len() > most {
        return Err(length(place, most, items.len()));
    }
    Ok(items)
}

/// A text of at most so many UTF-16 units.
pub fn text<'a>(place: &str, value: &'a Value, most: usize) -> Result<&'a str, Refusal> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong(place, "a string", value))?;
    let units = text.encode_utf16().count();
    if units > most {
        Err(length(place, most, units))
    } else {
        Ok(text)
    }
}

/// A web address of at most 2,000 units.
pub fn url<'a>(place: &str, value: &'a Value) -> Result<&'a str, Refusal> {
    let url = text(place, value, 2000)?;
    let scheme = ["http://", "https://", "mailto:", "tel:"]
        .into_iter()
        .find(|s| url.starts_with(s));
    let rest = scheme.map_or("", |s| &url[s.len()..]);
    if rest.is_empty() || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Refusal::invalid("Invalid URL for link."));
    }
    Ok(url)
}

/// Texts of a title, a property or a block: at most 100 segments, each well formed.
pub fn rich_text(place: &str, value: &Value) -> Result<(), Refusal> {
    for (number, segment) in list(place, value, 100)?.iter().enumerate() {
        self::segment(&format!("{place}[{number}]"), segment)?;
    }
    Ok(())
}

fn length(place: &str, most: usize, found: usize) -> Refusal {
    Refusal::body(&format!(
        "{place}.length should be ≤ `{most}`, instead was `{found}`."
    ))
}

fn segment(place: &str, value: &Value) -> Result<(), Refusal> {
    let map = object(place, value)?;
    only(
        place,
        map,
        &[
            "type",
            "text",
            "mention",
            "equation",
            "annotations",
            "plain_text",
            "href",
        ],
    )?;
    if let Some(equation) = map.get("equation") {
        return text(
            &format!("{place}.equation.expression"),
            &equation["expression"],
            1000,
        )
        .map(|_| ());
    }
    if map.get("mention").is_some() {
        return Ok(());
    }
    if map.get("type").is_some_and(|t| t != "text") {
        return Err(wrong(&format!("{place}.type"), "`\"text\"`", &map["type"]));
    }
    let inner = object(&format!("{place}.text"), required(place, map, "text")?)?;
    only(&format!("{place}.text"), inner, &["content", "link"])?;
    let content = required(&format!("{place}.text"), inner, "content")?;
    if text(&format!("{place}.text.content"), content, 2000)?.is_empty() {
        // what Notion does with these is unknown; refusing keeps the client honest
        let problem = format!("{place}.text.content.length should be ≥ `1`, instead was `0`.");
        return Err(Refusal::body(&problem));
    }
    match inner.get("link") {
        None | Some(Value::Null) => {}
        Some(link) => {
            let map = object(&format!("{place}.text.link"), link)?;
            only(&format!("{place}.text.link"), map, &["url", "type"])?;
            url(
                &format!("{place}.text.link.url"),
                required(&format!("{place}.text.link"), map, "url")?,
            )?;
        }
    }
    map.get("annotations")
        .map_or(Ok(()), |a| annotations(&format!("{place}.annotations"), a))
}

fn annotations(place: &str, value: &Value) -> Result<(), Refusal> {
    let map = object(place, value)?;
    let marks = ["bold", "italic", "strikethrough", "underline", "code"];
    only(
        place,
        map,
        &[
            "bold",
            "italic",
            "strikethrough",
            "underline",
            "code",
            "color",
        ],
    )?;
    if let Some((key, value)) = map
        .iter()
        .find(|(k, v)| marks.contains(&k.as_str()) && !v.is_boolean())
    {
        return Err(wrong(&format!("{place}.{key}"), "a boolean", value));
    }
    map.get("color")
        .map_or(Ok(()), |c| color(&format!("{place}.color"), c))
}

/// One of Notion's colours, with or without `_background`.
pub fn color(place: &str, value: &Value) -> Result<(), Refusal> {
    const NAMES: [&str; 10] = [
        "default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red",
    ];
    let name = value
        .as_str()
        .map(|c| c.strip_suffix("_background").unwrap_or(c));
    if name.is_some_and(|n| NAMES.contains(&n)) {
        Ok(())
    } else {
        Err(wrong(place, "a color", value))
    }
}
