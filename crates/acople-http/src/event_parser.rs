//! Reads server-sent events out of bytes, as the WHATWG's HTML standard says (section 9.2).

#![deny(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;
use std::time::Duration;

use acople_core::{Error, ErrorKind, Result};
use memchr::memchr2;

/// One server-sent event.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerEvent {
    /// Its type; `message` unless the vendor says otherwise.
    pub event: String,
    /// Its data: the lines of it with `\n` between them.
    pub data: String,
    /// The id that was said last, with this event or before: a stream that is opened after it goes on behind
    /// this event. Empty when none was said.
    pub id: String,
}

impl std::fmt::Debug for ServerEvent {
    /// Type, id and size: data is the customer's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerEvent")
            .field("event", &self.event)
            .field("id", &self.id)
            .field("data", &self.data.len())
            .finish()
    }
}

/// The state between two pieces of a stream.
#[derive(Debug)]
pub(crate) struct EventParser {
    longest: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// Whether the last byte was `\r`, which a `\n` may follow.
    after_return: bool,
    at_start: bool,
    event: Vec<u8>,
    data: Vec<u8>,
    /// The id as it was said last, and as it was when an event ended last.
    said_id: String,
    id: String,
    retry: Option<Duration>,
}

impl EventParser {
    /// A parser for events and lines of at most `longest` bytes, behind the event with this id.
    pub(crate) fn new(longest: usize, id: String) -> Self {
        Self {
            longest,
            line: Vec::new(),
            after_return: false,
            at_start: true,
            event: Vec::new(),
            data: Vec::new(),
            said_id: id.clone(),
            id,
            retry: None,
        }
    }

    /// The id behind which a new connection goes on.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// How long the vendor asks to wait before a new connection.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Drops what was begun: the connection ended, and the next one starts anew behind the last whole event.
    pub(crate) fn restart(&mut self) {
        self.line.clear();
        self.event.clear();
        self.data.clear();
        self.said_id.clone_from(&self.id);
        (self.after_return, self.at_start) = (false, true);
    }

    /// Reads a piece, and appends the events that end in it: `Schema` for one that is not UTF-8.
    ///
    /// # Errors
    /// `TooLarge` for a line, or the lines of one event, above the limit.
    pub(crate) fn feed(&mut self, piece: &[u8], events: &mut VecDeque<Result<ServerEvent>>) -> Result<()> {
        let mut rest = piece;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let (head, tail) = rest.split_at(end);
            self.bounded(head.len())?;
            if self.line.is_empty() {
                self.line_ends(head, events)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(head);
                self.line_ends(&line, events)?;
                // Its memory serves the next line.
                line.clear();
                self.line = line;
            }
            rest = match tail {
                [b'\r'] => {
                    self.after_return = true;
                    &[]
                }
                [b'\r', b'\n', behind @ ..] | [_, behind @ ..] => behind,
                [] => tail,
            };
        }
        self.bounded(rest.len())?;
        self.line.extend_from_slice(rest);
        Ok(())
    }

    fn line_ends(&mut self, line: &[u8], events: &mut VecDeque<Result<ServerEvent>>) -> Result<()> {
        let line = match line.strip_prefix(b"\xef\xbb\xbf") {
            Some(behind) if self.at_start => behind,
            _ => line,
        };
        self.at_start = false;
        if line.is_empty() {
            events.extend(self.event_ends());
            return Ok(());
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => line.split_at(colon),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.data.len().saturating_add(value.len()) >= self.longest {
                    return Err(self.too_large("an event"));
                }
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => self.event = value.to_vec(),
            b"id" if !value.contains(&0) => self.said_id = String::from_utf8_lossy(value).into_owned(),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let millis = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                self.retry = Some(Duration::from_millis(millis.unwrap_or(u64::MAX)));
            }
            // A comment, or a field that nobody knows.
            _ => {}
        }
        Ok(())
    }

    /// The event that a blank line ends, if it has data.
    fn event_ends(&mut self) -> Option<Result<ServerEvent>> {
        self.id.clone_from(&self.said_id);
        let (event, mut data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        data.pop()?;
        let not_text = || {
            let error = Error::new(ErrorKind::Schema, "an event is not UTF-8");
            if self.id.is_empty() { error } else { error.with_record(&self.id) }
        };
        let (Ok(event), Ok(data)) = (String::from_utf8(event), String::from_utf8(data)) else {
            return Some(Err(not_text()));
        };
        let event = if event.is_empty() { "message".to_owned() } else { event };
        Some(Ok(ServerEvent { event, data, id: self.id.clone() }))
    }

    fn bounded(&self, more: usize) -> Result<()> {
        let longer = self.line.len().saturating_add(more) > self.longest;
        if longer { Err(self.too_large("a line")) } else { Ok(()) }
    }

    fn too_large(&self, what: &str) -> Error {
        let message = format!("{what} of the stream of events is longer than {} bytes", self.longest);
        Error::new(ErrorKind::TooLarge, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events as `type|data|id`, with the text fed in pieces of this size.
    fn events(text: &[u8], size: usize) -> Vec<String> {
        let mut parser = EventParser::new(1000, String::new());
        let mut events = VecDeque::new();
        for piece in text.chunks(size) {
            parser.feed(piece, &mut events).unwrap();
        }
        let text = |e: Result<ServerEvent>| {
            e.map_or_else(|e| e.kind().to_string(), |e| format!("{}|{}|{}", e.event, e.data, e.id))
        };
        events.into_iter().map(text).collect()
    }

    #[test]
    fn events_are_read_as_the_standard_says_wherever_the_pieces_are_cut() {
        for (text, expected) in [
            ("data: a\n\n", vec!["message|a|"]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", vec!["message|a|"]),
            ("data: a\ndata\ndata:b\r\ndata:  c\r\n\r\n", vec!["message|a\n\nb\n c|"]),
            ("event: x\rdata: 1\r\rdata: 2\r\n\r\n", vec!["x|1|", "message|2|"]),
            (": comment\n\nevent: lost\n\ndata: 1\n\n", vec!["message|1|"]),
            (
                "id: 7\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\n",
                vec!["message|1|7", "message|2|7", "message|3|"],
            ),
            ("id: 7\0\ndata: 1\n\n", vec!["message|1|"]),
            ("data\n\n", vec!["message||"]),
            ("data: never ended", vec![]),
            ("data: never ended\n", vec![]),
            ("what: ever\ndata:é\n\n", vec!["message|é|"]),
        ] {
            for size in [1, 2, 3, 7, 1000] {
                assert_eq!(events(text.as_bytes(), size), expected, "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn body_08_an_event_that_is_no_text_is_refused_alone() {
        assert_eq!(events(b"id: 4\ndata: \xff\n\ndata: b\n\n", 5), ["schema", "message|b|4"]);
    }

    #[test]
    fn what_was_begun_is_dropped_with_its_id_and_the_wait_is_kept() {
        let mut parser = EventParser::new(1000, "1".to_owned());
        let mut events = VecDeque::new();
        parser.feed(b"retry: 250\nretry: soon\nid: 2\ndata: half", &mut events).unwrap();
        assert_eq!((parser.id(), parser.retry()), ("1", Some(Duration::from_millis(250))));
        parser.restart();
        parser.feed(b"data: a\n\n", &mut events).unwrap();
        assert_eq!(events.pop_front().unwrap().unwrap().id, "1");
        parser.feed(b"id: 3\n\n", &mut events).unwrap();
        assert_eq!((parser.id(), events.len()), ("3", 0), "an id without data counts too");
    }
}
