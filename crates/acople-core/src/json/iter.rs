use std::iter::FusedIterator;

use super::names::Unknown;
use super::scan::{self, Fault, Kind, Next};
use super::{Error, Text, Value};

/// The members of an object in the order sent, duplicates included.
///
/// The text may be one that was checked before or not: what is wrong in it comes as the last item.
pub fn members(text: &str) -> Members<'_> {
    Members { text, state: State::Start }
}

/// The elements of an array in the order sent.
///
/// The text may be one that was checked before or not: what is wrong in it comes as the last item.
pub fn elements(text: &str) -> Elements<'_> {
    Elements { text, state: State::Start }
}

/// Made by [`members`].
#[derive(Clone)]
pub struct Members<'a> {
    text: &'a str,
    state: State,
}

/// Made by [`elements`].
#[derive(Clone)]
pub struct Elements<'a> {
    text: &'a str,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Start,
    /// Behind a value, at this position.
    Inside(usize),
    Done,
}

impl<'a> Members<'a> {
    fn step(&mut self) -> Result<Option<(Text<'a>, Value<'a>)>, Fault> {
        let bytes = self.text.as_bytes();
        let next = match self.state {
            State::Start => scan::first_member(bytes, scan::open(bytes, b'{')?),
            State::Inside(at) => scan::next_member(bytes, at)?,
            State::Done => return Ok(None),
        };
        let key = match next {
            Next::Item(at) => scan::skip_space(bytes, at),
            Next::End(end) => {
                self.state = State::Done;
                return scan::finish(bytes, end).map(|()| None);
            }
        };
        let (key_end, spelling) = scan::skip_key(bytes, key)?;
        let start = scan::skip_space(bytes, scan::skip_colon(bytes, key_end)?);
        let (end, kind) = scan::skip_value(bytes, start, 1, &mut Unknown)?;
        self.state = State::Inside(end);
        let name = Text::new(self.text.get(key..key_end).unwrap_or_default(), spelling == Kind::EscapedText);
        Ok(Some((name, Value::new(kind, self.text.get(start..end).unwrap_or_default()))))
    }
}

impl<'a> Elements<'a> {
    fn step(&mut self) -> Result<Option<Value<'a>>, Fault> {
        let bytes = self.text.as_bytes();
        let next = match self.state {
            State::Start => scan::first_element(bytes, scan::open(bytes, b'[')?),
            State::Inside(at) => scan::next_element(bytes, at)?,
            State::Done => return Ok(None),
        };
        let start = match next {
            Next::Item(at) => scan::skip_space(bytes, at),
            Next::End(end) => {
                self.state = State::Done;
                return scan::finish(bytes, end).map(|()| None);
            }
        };
        let (end, kind) = scan::skip_value(bytes, start, 1, &mut Unknown)?;
        self.state = State::Inside(end);
        Ok(Some(Value::new(kind, self.text.get(start..end).unwrap_or_default())))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(Text<'a>, Value<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step();
        if item.is_err() {
            self.state = State::Done;
        }
        item.map_err(Error::from).transpose()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Value<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step();
        if item.is_err() {
            self.state = State::Done;
        }
        item.map_err(Error::from).transpose()
    }
}

impl FusedIterator for Members<'_> {}
impl FusedIterator for Elements<'_> {}

impl std::fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Members({} bytes)", self.text.len())
    }
}

impl std::fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Elements({} bytes)", self.text.len())
    }
}
