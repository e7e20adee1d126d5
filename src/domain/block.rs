//! Blocks: what a page shows, as text with looks, before any vendor's limits are met.

use super::link::Link;

/// Between the parts of a line.
pub const DOT: &str = " · ";

/// A block, before the vendor's limits are met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A paragraph.
    Paragraph(Vec<Span>),
    /// A line that opens to show what is inside.
    Toggle(Vec<Span>),
}

impl Block {
    /// Its text without formatting.
    pub fn plain(&self) -> String {
        let (Self::Paragraph(spans) | Self::Toggle(spans)) = self;
        spans.iter().map(|span| span.text.as_str()).collect()
    }
}

/// A piece of text with one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The text.
    pub text: String,
    /// Its look.
    pub look: Look,
}

/// How a text looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// As usual.
    Plain,
    /// Bold.
    Bold,
    /// Grey: for programs rather than people.
    Faint,
    /// A link.
    Link(Link),
}

/// Neighbours of one look become one span, so that a long transcript needs few segments.
pub fn joined(spans: Vec<Span>) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.look == span.look => last.text.push_str(&span.text),
            Some(_) | None => joined.push(span),
        }
    }
    joined
}

/// Text as usual.
pub fn plain(text: impl Into<String>) -> Span {
    Span {
        text: text.into(),
        look: Look::Plain,
    }
}

/// Bold text.
pub fn bold(text: impl Into<String>) -> Span {
    Span {
        text: text.into(),
        look: Look::Bold,
    }
}

/// Grey text.
pub fn faint(text: impl Into<String>) -> Span {
    Span {
        text: text.into(),
        look: Look::Faint,
    }
}

/// A text that leads to an address.
pub fn link(text: impl Into<String>, url: &Link) -> Span {
    Span {
        text: text.into(),
        look: Look::Link(url.clone()),
    }
}
