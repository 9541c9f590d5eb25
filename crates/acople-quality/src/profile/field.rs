//! One field of a profile.

use std::borrow::Cow;
use std::hash::Hasher;

use acople_core::json::Value;
use siphasher::sip::SipHasher13;

use super::distinct::{Distinct, REGISTERS};
use super::report::{FieldReport, Forms, Lengths, TopValue, Types};
use super::top::{COUNTED, Counted, SHOWN, Top, cut};
use crate::agreed::{FieldType, NAME};
use crate::decimal;
use crate::moment::Moment;

/// Longest number that is compared, in digits as sent: a longer one counts and is no extreme.
const DIGITS: usize = 64;

/// Frequent values that a report shows.
const SHOWN_VALUES: usize = 10;

/// The most that one field takes: registers, counts with their texts (a `String` grows to the next power of two),
/// extremes, its name twice, the map's node.
pub(super) const BYTES: usize = REGISTERS
    + COUNTED * (size_of::<Counted>() + 2 * SHOWN)
    + 8 * DIGITS
    + 2 * NAME
    + size_of::<FieldProfile>()
    + 512;

const _: () = assert!(BYTES <= 16 << 10);

/// What was seen of one field.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldProfile {
    /// Values are neither kept nor shown.
    pub(super) hides: bool,
    /// Records that had the field, by the number of the last one.
    last: u64,
    records: u64,
    nulls: u64,
    types: Types,
    forms: Forms,
    lengths: Lengths,
    distinct: Distinct,
    top: Top,
    numbers: Option<(String, String)>,
    moments: Option<(Extreme, Extreme)>,
}

/// A date or time and how it was written.
#[derive(Clone, Debug)]
struct Extreme {
    at: i128,
    text: String,
}

impl FieldProfile {
    pub(super) fn add(&mut self, value: &Value<'_>, record: u64) {
        if self.last != record {
            self.last = record;
            self.records += 1;
        }
        let Some(kind) = FieldType::of(value) else {
            self.nulls += 1;
            return;
        };
        self.types.count(kind);
        let text: Cow<'_, str> = match value {
            Value::Text(text) => text.decode().unwrap_or(Cow::Borrowed(text.raw())),
            other => Cow::Borrowed(other.raw()),
        };
        let mut hasher = SipHasher13::new();
        hasher.write_u8(kind as u8);
        if let Value::Number(number) = value {
            let mut canonical = Vec::with_capacity(32);
            decimal::canonical(number.as_str(), &mut canonical);
            hasher.write(&canonical);
        } else {
            hasher.write(text.as_bytes());
        }
        let hash = hasher.finish();
        self.distinct.add(hash);
        match value {
            Value::Text(_) => self.add_text(&text),
            Value::Number(number) if number.as_str().len() <= DIGITS && !self.hides => {
                self.add_number(number.as_str());
            }
            Value::Array(list) => self.lengths.count(acople_core::json::elements(list).count() as u64),
            _ => {}
        }
        if !self.hides && !matches!(value, Value::Array(_) | Value::Object(_)) {
            self.top.add(hash, &text);
        }
    }

    fn add_text(&mut self, text: &str) {
        self.lengths.count(text.chars().count() as u64);
        let moment = Moment::read(text);
        self.forms.count(text, moment);
        if let (Some(moment), false) = (moment, self.hides) {
            let at = moment.nanoseconds();
            let extreme = || Extreme { at, text: cut(text).to_owned() };
            match &mut self.moments {
                None => self.moments = Some((extreme(), extreme())),
                Some((least, _)) if at < least.at => *least = extreme(),
                Some((_, most)) if at > most.at => *most = extreme(),
                Some(_) => {}
            }
        }
    }

    fn add_number(&mut self, digits: &str) {
        match &mut self.numbers {
            None => self.numbers = Some((digits.to_owned(), digits.to_owned())),
            Some((least, _)) if decimal::compare(digits, least).is_lt() => digits.clone_into(least),
            Some((_, most)) if decimal::compare(digits, most).is_gt() => digits.clone_into(most),
            Some(_) => {}
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.hides |= other.hides;
        self.records += other.records;
        // The number of a record says nothing in another profile.
        self.last = 0;
        self.nulls += other.nulls;
        self.types.merge(&other.types);
        self.forms.merge(&other.forms);
        self.lengths.merge(&other.lengths);
        self.distinct.merge(&other.distinct);
        if self.hides {
            (self.top, self.numbers, self.moments) = (Top::default(), None, None);
            return;
        }
        self.top.merge(&other.top);
        if let Some((least, most)) = &other.numbers {
            self.add_number(least);
            self.add_number(most);
        }
        match (&mut self.moments, &other.moments) {
            (Some((least, most)), Some((their_least, their_most))) => {
                if their_least.at < least.at {
                    *least = their_least.clone();
                }
                if their_most.at > most.at {
                    *most = their_most.clone();
                }
            }
            (mine @ None, theirs) => mine.clone_from(theirs),
            _ => {}
        }
    }

    /// How many values and nulls came.
    pub(super) fn seen(&self) -> u64 {
        self.nulls + self.types.all()
    }

    /// How many objects came: each may have the fields below.
    pub(super) fn objects(&self) -> u64 {
        self.types.object
    }

    pub(super) fn report(&self, field: String, parents: u64) -> FieldReport {
        let value =
            |count: &Counted| TopValue { value: count.value.clone(), count: count.count, error: count.error };
        let (min, max) = match (&self.numbers, &self.moments) {
            (Some((least, most)), _) => (Some(least.clone()), Some(most.clone())),
            (None, Some((least, most))) => (Some(least.text.clone()), Some(most.text.clone())),
            (None, None) => (None, None),
        };
        FieldReport {
            field,
            values: self.types.all(),
            nulls: self.nulls,
            missing: parents.saturating_sub(self.records),
            distinct: self.distinct.estimate(),
            types: self.types,
            forms: self.forms,
            lengths: self.lengths,
            min,
            max,
            top: self.top.most(SHOWN_VALUES).into_iter().map(value).collect(),
        }
    }
}
