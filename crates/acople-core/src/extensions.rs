//! Values that pass through the core without its knowing them.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::Arc;

/// At most one value of each type, for two layers that know each other while those between them do not: the
/// request path's settings in [`Resources`](crate::Resources), a cache in a [`Context`](crate::Context).
///
/// Cheap to clone: clones share the values, and adding to one leaves the others as they are.
///
/// ```
/// use acople_core::Extensions;
///
/// #[derive(Debug, PartialEq)]
/// struct Region(&'static str);
///
/// let extensions = Extensions::default().with(Region("eu"));
/// assert_eq!(extensions.get::<Region>(), Some(&Region("eu")));
/// assert_eq!(extensions.get::<String>(), None);
/// ```
#[derive(Clone, Default)]
pub struct Extensions(Option<Arc<[Entry]>>);

#[derive(Clone)]
struct Entry {
    type_id: TypeId,
    name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

impl Extensions {
    /// Adds a value, in place of the one of its type.
    pub fn with<T: Any + Send + Sync>(self, value: T) -> Self {
        let entry = Entry { type_id: TypeId::of::<T>(), name: type_name::<T>(), value: Arc::new(value) };
        let others = self.0.iter().flat_map(|entries| entries.iter());
        let others = others.filter(|other| other.type_id != entry.type_id).cloned();
        Self(Some(others.chain([entry.clone()]).collect()))
    }

    /// The value of a type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        // A handful at most: a scan beats a map.
        let entry = self.0.as_ref()?.iter().find(|entry| entry.type_id == TypeId::of::<T>())?;
        entry.value.downcast_ref()
    }
}

impl fmt::Debug for Extensions {
    /// The types alone: nobody knows here what the values hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().flat_map(|entries| entries.iter().map(|e| e.name))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_value_of_a_type_replaces_the_first_and_leaves_clones_alone() {
        let one = Extensions::default().with(1_u8).with("text");
        let two = one.clone().with(2_u8);
        assert_eq!((one.get::<u8>(), two.get::<u8>()), (Some(&1), Some(&2)));
        assert_eq!(two.get::<&str>(), Some(&"text"));
    }

    #[test]
    fn sec_01_values_are_not_printed() {
        let text = format!("{:?}", Extensions::default().with(String::from("canary")));
        assert!(!text.contains("canary") && text.contains("String"), "{text}");
    }
}
