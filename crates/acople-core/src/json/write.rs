use super::lookup;
use super::scan::skip_plain;

/// Writes JSON text: no tree, raw values copied untouched, commas set where they belong.
///
/// The caller opens and closes containers in pairs and gives each member a name; the writer does not check.
#[derive(Clone, Default)]
pub struct Writer {
    text: String,
}

/// A place in a [`Writer`] to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

impl Writer {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty text with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes) }
    }

    /// Opens an object, as a value.
    pub fn begin_object(&mut self) {
        self.separate();
        self.text.push('{');
    }

    /// Closes the innermost object.
    pub fn end_object(&mut self) {
        self.text.push('}');
    }

    /// Opens an array, as a value.
    pub fn begin_array(&mut self) {
        self.separate();
        self.text.push('[');
    }

    /// Closes the innermost array.
    pub fn end_array(&mut self) {
        self.text.push(']');
    }

    /// Names the member whose value comes next.
    pub fn key(&mut self, name: &str) {
        self.separate();
        write_text(&mut self.text, name);
        self.text.push(':');
    }

    /// Names the member whose value comes next in the spelling in which another object had it, such as one
    /// with half of a surrogate pair.
    pub fn raw_key(&mut self, name: super::Text<'_>) {
        self.separate();
        self.text.push_str(name.quoted());
        self.text.push(':');
    }

    /// Writes a text.
    pub fn text(&mut self, text: &str) {
        self.separate();
        write_text(&mut self.text, text);
    }

    /// Copies a value that is JSON already, such as [`Value::raw`](super::Value::raw). Empty text, which is
    /// what a missing value has, becomes `null`.
    pub fn raw(&mut self, json: &str) {
        debug_assert!(json.is_empty() || lookup::value(json).is_ok(), "a raw value is valid JSON");
        self.separate();
        self.text.push_str(if json.is_empty() { "null" } else { json });
    }

    /// Writes a number by its digits, in JSON's notation.
    pub fn number_text(&mut self, digits: &str) {
        debug_assert!(
            lookup::value(digits).is_ok_and(|value| value.as_number().is_some()),
            "a number has JSON's notation"
        );
        self.separate();
        self.text.push_str(digits);
    }

    /// Writes `true` or `false`.
    pub fn bool(&mut self, truth: bool) {
        self.separate();
        self.text.push_str(if truth { "true" } else { "false" });
    }

    /// Writes `null`.
    pub fn null(&mut self) {
        self.separate();
        self.text.push_str("null");
    }

    /// The present end, to come back to.
    pub fn mark(&self) -> Mark {
        Mark(self.text.len())
    }

    /// Drops what was written since `mark`, its comma included. A mark that does not lie in this text changes
    /// nothing.
    pub fn rewind(&mut self, mark: Mark) {
        if self.text.is_char_boundary(mark.0) {
            self.text.truncate(mark.0);
        }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What was written so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.text
    }

    /// What was written last tells whether a comma is due: no value ends in one of these. That way `rewind`
    /// has no other state to restore.
    fn separate(&mut self) {
        if !matches!(self.text.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.text.push(',');
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({} bytes)", self.text.len())
    }
}

/// Appends a text as JSON: in quotes, with quotes, backslashes and control characters escaped and all else as
/// it is.
pub fn write_text(out: &mut String, text: &str) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.reserve(text.len().saturating_add(2));
    out.push('"');
    let mut rest = text;
    while let Some((plain, special)) = rest.split_at_checked(skip_plain(rest.as_bytes(), 0)) {
        out.push_str(plain);
        let Some((letter, behind)) = special.split_at_checked(1) else {
            break;
        };
        match letter.as_bytes() {
            b"\"" => out.push_str("\\\""),
            b"\\" => out.push_str("\\\\"),
            b"\n" => out.push_str("\\n"),
            b"\r" => out.push_str("\\r"),
            b"\t" => out.push_str("\\t"),
            [control, ..] => {
                out.push_str(if *control < 0x10 { "\\u000" } else { "\\u001" });
                out.extend(DIGITS.get(usize::from(control & 0x0f)));
            }
            [] => {}
        }
        rest = behind;
    }
    out.push('"');
}
