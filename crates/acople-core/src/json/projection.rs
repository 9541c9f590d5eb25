use super::FieldPath;
use super::walk::Trie;

/// A set of paths, compiled, that [`Cells`](super::Cells) finds in each record in one pass.
#[derive(Clone, Debug)]
pub struct Projection {
    paths: Vec<FieldPath>,
    trie: Trie,
}

impl Projection {
    /// Compiles the paths. Columns are numbered in this order; a path may occur twice or be the beginning of
    /// another one.
    pub fn new(paths: impl IntoIterator<Item = FieldPath>) -> Self {
        let paths: Vec<FieldPath> = paths.into_iter().collect();
        let trie = Trie::new(&paths, 0);
        Self { paths, trie }
    }

    /// The paths in the order of the columns.
    pub fn paths(&self) -> &[FieldPath] {
        &self.paths
    }

    /// The number of columns.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are no columns.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    pub(super) fn trie(&self) -> &Trie {
        &self.trie
    }
}
