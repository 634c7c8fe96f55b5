//! Writes the XML of S3 and STS, and reads the little XML that clients send.

use std::fmt::Write as _;

/// Collects elements.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    text: String,
}

/// Writes a document with one root element.
pub(crate) fn document(
    root: &str,
    namespace: Option<&str>,
    content: impl FnOnce(&mut Writer),
) -> String {
    let mut writer = Writer { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned() };
    // Writing to a string does not fail.
    let _ignored = match namespace {
        Some(namespace) => write!(writer.text, "<{root} xmlns=\"{namespace}\">"),
        None => write!(writer.text, "<{root}>"),
    };
    content(&mut writer);
    let _ignored = write!(writer.text, "</{root}>");
    writer.text
}

impl Writer {
    /// Writes an element with text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        let _ignored = write!(self.text, "<{name}>{}</{name}>", escape(value));
    }

    /// Writes an element with elements inside.
    pub(crate) fn nest(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        let _ignored = write!(self.text, "<{name}>");
        content(self);
        let _ignored = write!(self.text, "</{name}>");
    }
}

/// Escapes text for an element.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// An element that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// Returns the first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Returns all children of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Returns the text of the first child of that name.
    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }
}

/// Reads a document: elements and text, without processing attributes, or nothing when it is not
/// well-formed.
pub(crate) fn parse(text: &str) -> Option<Element> {
    let mut open: Vec<Element> = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.find('<')?;
        let (before, tag) = rest.split_at(start);
        if let Some(element) = open.last_mut() {
            element.text.push_str(&unescape(before)?);
        } else if !before.trim().is_empty() {
            return None;
        }
        if let Some(after) = tag.strip_prefix("<!--") {
            rest = after.split_once("-->")?.1;
            continue;
        }
        let (inside, after) = tag.strip_prefix('<')?.split_once('>')?;
        rest = after;
        if inside.starts_with('?') {
            continue;
        }
        if let Some(name) = inside.strip_prefix('/') {
            let element = open.pop()?;
            if element.name != name.trim() {
                return None;
            }
            match close(&mut open, element) {
                None => {}
                Some(root) => return rest.trim().is_empty().then_some(root),
            }
            continue;
        }
        let empty = inside.ends_with('/');
        let name = inside.trim_end_matches('/').split_whitespace().next()?.to_owned();
        let element = Element { name, ..Element::default() };
        if !empty {
            open.push(element);
        } else if let Some(root) = close(&mut open, element) {
            return rest.trim().is_empty().then_some(root);
        }
    }
}

/// Adds a closed element to its parent, or gives it back when it is the root.
fn close(open: &mut [Element], mut element: Element) -> Option<Element> {
    if !element.children.is_empty() {
        element.text.clear();
    }
    match open.last_mut() {
        Some(parent) => {
            parent.children.push(element);
            None
        }
        None => Some(element),
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (entity, after) = after.split_once(';')?;
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let number = number.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_as_they_are_written() {
        let text = document("Delete", Some("urn:x"), |out| {
            out.nest("Object", |out| out.text("Key", "a<b>&\"c\" d"));
            out.text("Quiet", "true");
        });
        let root = parse(&text).unwrap();
        assert_eq!(root.name, "Delete");
        assert_eq!(root.child("Object").unwrap().child_text("Key"), Some("a<b>&\"c\" d"));
        assert_eq!(root.child_text("Quiet"), Some("true"));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for text in ["", "plain", "<a>", "<a></b>", "<a>&unknown;</a>", "<a/><b/>", "<a></a>x"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(parse("<?xml version='1.0'?><!-- c --><a x='1'><b/></a>\n").is_some());
    }
}
