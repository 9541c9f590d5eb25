use super::{Error, Writer, members};

impl Writer {
    /// Copies the members of an object, all or some, in the order and spelling that they have there: names
    /// with their escapes, numbers with their digits. `keep` is asked by the decoded name.
    ///
    /// The object around them is the caller's: other members can stand beside them.
    ///
    /// ```
    /// let mut writer = acople_core::json::Writer::new();
    /// writer.begin_object();
    /// writer.members(r#"{"Id":"7","Pay":12.30}"#, |name| name != "Id")?;
    /// writer.end_object();
    /// assert_eq!(writer.into_string(), r#"{"Pay":12.30}"#);
    /// # Ok::<(), acople_core::json::Error>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with the text, which then is half copied: [`rewind`](Self::rewind) the writer.
    pub fn members(&mut self, object: &str, keep: impl Fn(&str) -> bool) -> Result<(), Error> {
        for member in members(object) {
            let (name, value) = member?;
            // Half of a surrogate pair names nothing that anybody could ask for.
            if name.decode().map_or_else(|_| keep(name.raw()), |name| keep(&name)) {
                self.raw_key(name);
                self.raw(value.raw());
            }
        }
        Ok(())
    }
}
