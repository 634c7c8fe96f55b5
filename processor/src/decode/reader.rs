//! Reads what a record says, by comparison, by one pass over it, or with `serde_json`.

use std::str;

use super::{
    Reading,
    fields::Fields,
    json,
    message::{Message, MessageSource, Replaced},
    plain,
    records::{Parse, Parsed},
    template::{Match, Templates},
    timestamp::Found,
    walk::{Layout, walk},
};

/// Texts of this many bytes are kept for the next record; longer ones give their memory back.
const KEPT_TEXT: usize = 1 << 20;

/// Recognises records, and says what the last recognised one means.
#[derive(Debug)]
pub(super) struct Reader {
    reading: Reading,
    templates: Templates,
    layout: Layout,
    route: Route,
    /// The last record that was not UTF-8, made so.
    record: String,
    /// The last message that does not stand in the record as it is.
    message: String,
}

/// What a record says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meaning<'a> {
    pub(super) message: Message<'a>,
    pub(super) timestamp: Found,
    pub(super) replaced: Replaced,
    pub(super) by: By,
}

/// How a record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Comparison,
    Parsing,
}

/// How the last record was recognised.
#[derive(Debug)]
enum Route {
    Matched(Match),
    /// Its layout is known.
    Walked,
    Bounded,
}

impl Parse for Reader {
    fn parse(&mut self, input: &[u8]) -> Parsed {
        if self.reading == Reading::Fast && input.starts_with(b"{") {
            if let Some(found) = self.templates.find(input) {
                let len = found.len;
                self.route = Route::Matched(found);
                return Parsed::Object(len);
            }
            if let Some(len) = walk(input, &mut self.layout) {
                self.route = Route::Walked;
                return Parsed::Object(len);
            }
        }
        self.route = Route::Bounded;
        plain::boundary(input)
    }
}

impl Reader {
    pub(super) fn new(reading: Reading) -> Self {
        Self {
            reading,
            templates: Templates::default(),
            layout: Layout::default(),
            route: Route::Bounded,
            record: String::new(),
            message: String::new(),
        }
    }

    /// Returns the memory held for data, in bytes.
    pub(super) fn buffered(&self) -> usize {
        self.record.capacity() + self.message.capacity() + self.layout.buffered()
    }

    /// Says what the record means that was recognised last.
    pub(super) fn read<'a>(&'a mut self, raw: &'a [u8]) -> Result<Meaning<'a>, serde_json::Error> {
        for text in [&mut self.record, &mut self.message] {
            if text.capacity() > KEPT_TEXT {
                *text = String::new();
            }
        }
        if let Route::Matched(found) = &self.route
            && let Some(meaning) = matched(found, raw)
        {
            return Ok(meaning);
        }
        let Ok(record) = str::from_utf8(raw) else {
            self.record = String::from_utf8_lossy(raw).into_owned();
            let fields = plain::fields(&self.record)?;
            return Ok(Meaning {
                replaced: Replaced::Something,
                ..meaning(&self.record, &fields, &mut self.message)
            });
        };
        let fields = match self.route {
            Route::Walked => {
                self.templates.learn(raw, &self.layout);
                walked(record, &self.layout)
            }
            Route::Matched(_) | Route::Bounded => plain::fields(record)?,
        };
        Ok(meaning(record, &fields, &mut self.message))
    }
}

/// Returns what a record says that matches a template, if its message is UTF-8.
fn matched<'a>(found: &Match, raw: &'a [u8]) -> Option<Meaning<'a>> {
    let body = raw.get(found.message.clone())?;
    Some(Meaning {
        message: Message::from_body(body, found.body, MessageSource::Message)?,
        timestamp: Found::At(found.timestamp_ms),
        replaced: Replaced::Nothing,
        by: By::Comparison,
    })
}

fn walked<'a>(record: &'a str, layout: &Layout) -> Fields<'a> {
    let mut fields = Fields::default();
    for member in &layout.members {
        if let (Some(key), Some(value)) =
            (record.get(member.key.clone()), record.get(member.value.clone()))
        {
            fields.set(&json::text(key), value);
        }
    }
    fields
}

fn meaning<'a>(record: &'a str, fields: &Fields<'a>, scratch: &'a mut String) -> Meaning<'a> {
    let (message, replaced) = fields.message(record, scratch);
    Meaning { message, timestamp: fields.timestamp(), replaced, by: By::Parsing }
}
