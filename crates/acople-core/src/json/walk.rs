//! Finds many paths in one pass over a value.

use super::names::Known;
use super::path::array_index;
use super::scan::{self, Fault, Kind, Next};
use super::{FieldPath, Span, Text, Value};

/// A value's kind and place: what is kept of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Cell {
    span: Span,
    kind: Kind,
}

const _: () = assert!(size_of::<Cell>() <= 12, "a table of cells is as large as the page it points into");

impl Cell {
    pub(super) fn value(self, text: &str) -> Value<'_> {
        Value::new(self.kind, self.span.of(text))
    }

    pub(super) fn span(self) -> Span {
        self.span
    }

    pub(super) fn kind(self) -> Kind {
        self.kind
    }
}

/// Paths that share their beginnings. Path `n` fills cell `n`.
#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    /// The first one is the root.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Cells of the paths that end here.
    cells: Vec<u32>,
    /// Cells of the paths that go on from here.
    below: Vec<u32>,
    /// Names and nodes one level down, by length and then name.
    children: Vec<(Box<str>, Child)>,
    /// The same for array elements, by position.
    indices: Vec<(u32, Child)>,
    /// Whether an array here is one that a [`Divider`] may want.
    divides: bool,
}

impl Trie {
    /// The first `candidates` paths are those whose arrays a [`Divider`] cuts.
    pub(super) fn new(paths: &[FieldPath], candidates: usize) -> Self {
        let mut trie = Self { nodes: vec![Node::default()] };
        for (cell, path) in (0..).zip(paths) {
            let mut at = 0;
            for segment in path.segments() {
                let next = trie.child(at, segment);
                if let Some(node) = trie.nodes.get_mut(at as usize) {
                    node.below.push(cell);
                }
                at = next;
            }
            if let Some(node) = trie.nodes.get_mut(at as usize) {
                node.cells.push(cell);
                node.divides |= (cell as usize) < candidates;
            }
        }
        trie.finish();
        trie
    }

    /// The node below `at` for a segment, made if need be.
    fn child(&mut self, at: u32, segment: &str) -> u32 {
        // More nodes than u32 numbers would need more memory than there is.
        let new = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(node) = self.nodes.get_mut(at as usize) else {
            return at;
        };
        for (name, child) in &node.children {
            if let Child::Node(id) = *child
                && **name == *segment
            {
                return id;
            }
        }
        node.children.push((segment.into(), Child::Node(new)));
        self.nodes.push(Node::default());
        new
    }

    fn finish(&mut self) {
        let ends: Vec<Option<u32>> = self.nodes.iter().map(Node::only_cell).collect();
        for node in &mut self.nodes {
            for (_, child) in &mut node.children {
                if let Child::Node(id) = *child
                    && let Some(cell) = ends.get(id as usize).copied().flatten()
                {
                    *child = Child::Cell(cell);
                }
            }
            node.children.sort_by(|(a, _), (b, _)| order(a, b));
            let positions = node.children.iter();
            node.indices = positions.filter_map(|(name, child)| Some((array_index(name)?, *child))).collect();
            node.indices.sort_by_key(|(position, _)| *position);
        }
    }
}

impl Node {
    /// The cell, if filling one is all that a visit here would do.
    fn only_cell(&self) -> Option<u32> {
        match *self.cells {
            [cell] if self.children.is_empty() && !self.divides => Some(cell),
            _ => None,
        }
    }

    fn by_name(&self, quoted: &[u8], escaped: bool) -> Child {
        let name = Text::new(std::str::from_utf8(quoted).unwrap_or_default(), escaped);
        let found = if escaped {
            self.children.iter().find(|(child, _)| name.eq_str(child))
        } else {
            let found = self.children.binary_search_by(|(child, _)| order(child, name.raw()));
            found.ok().and_then(|at| self.children.get(at))
        };
        found.map_or(Child::Unwanted, |(_, child)| *child)
    }
}

/// Lengths differ more often than first letters, and cost less to compare.
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// What a name leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Child {
    /// Nothing that a path asks for.
    Unwanted,
    /// The end of one path, which is all that there is to the node.
    Cell(u32),
    /// A node to visit.
    Node(u32),
}

/// Cuts the array at the best of several paths into its elements while a walk passes it.
#[derive(Debug, Default)]
pub(super) struct Divider {
    /// Cells below this number are candidates, the first one the best.
    candidates: u32,
    pub(super) elements: Vec<Span>,
    /// Where the array that `elements` belongs to starts, and its cell.
    pub(super) array: Option<(u32, u32)>,
    busy: bool,
}

impl Divider {
    pub(super) fn new(candidates: usize) -> Self {
        Self { candidates: u32::try_from(candidates).unwrap_or(u32::MAX), ..Self::default() }
    }

    /// Whether to collect the elements of the array that starts here.
    fn begin(&mut self, cell: Option<u32>, start: u32) -> bool {
        let Some(cell) = cell.filter(|cell| *cell < self.candidates) else {
            return false;
        };
        if self.busy || self.array.is_some_and(|(_, best)| best < cell) {
            return false;
        }
        self.array = Some((start, cell));
        self.elements.clear();
        self.busy = true;
        true
    }
}

/// One pass over values of one text.
pub(super) struct Walk<'a> {
    pub(super) text: &'a str,
    pub(super) trie: &'a Trie,
    pub(super) known: &'a mut Known,
    pub(super) divider: Option<&'a mut Divider>,
}

impl Walk<'_> {
    /// Passes the value at `at` and fills the cells; those whose paths lead nowhere stay as they were.
    pub(super) fn root(&mut self, at: usize, cells: &mut [Cell]) -> Result<usize, Fault> {
        self.visit(0, at, 0, cells)
    }

    /// Passes a value, and visits it if a path leads there or further.
    #[expect(clippy::inline_always, reason = "as a call of its own it adds a quarter to a projection")]
    #[inline(always)]
    fn value(
        &mut self,
        child: Child,
        bytes: &[u8],
        at: usize,
        depth: u32,
        cells: &mut [Cell],
    ) -> Result<usize, Fault> {
        if let Child::Node(id) = child {
            return self.visit(id, at, depth, cells);
        }
        let (end, kind) = scan::skip_value(bytes, at, depth, self.known)?;
        if let Child::Cell(cell) = child
            && let Some(place) = cells.get_mut(cell as usize)
        {
            *place = Cell { span: Span::new(at, end), kind };
        }
        Ok(end)
    }

    // The recursion through `visit`, `object` and `array` follows the paths: it is as deep as the longest of
    // them, and never deeper than `MAX_DEPTH`.
    fn visit(&mut self, id: u32, at: usize, depth: u32, cells: &mut [Cell]) -> Result<usize, Fault> {
        let bytes = self.text.as_bytes();
        let trie = self.trie;
        let Some(node) = trie.nodes.get(id as usize) else {
            return Ok(at);
        };
        // A member of the same name may have been here before.
        fill(cells, &node.below, Cell::default());
        let (end, kind) = match bytes.get(at) {
            Some(b'{') if !node.children.is_empty() => {
                (self.object(id, node, at, depth, cells)?, Kind::Object)
            }
            Some(b'[') if node.divides || !node.indices.is_empty() => {
                (self.array(node, at, depth, cells)?, Kind::Array)
            }
            _ => scan::skip_value(bytes, at, depth, self.known)?,
        };
        fill(cells, &node.cells, Cell { span: Span::new(at, end), kind });
        Ok(end)
    }

    fn object(
        &mut self,
        id: u32,
        node: &Node,
        at: usize,
        depth: u32,
        cells: &mut [Cell],
    ) -> Result<usize, Fault> {
        let bytes = self.text.as_bytes();
        let depth = scan::descend(depth, at)?;
        let mut next = scan::first_member(bytes, scan::behind(at));
        loop {
            let key = match next {
                Next::Item(key) => key,
                Next::End(end) => return Ok(end),
            };
            let key = scan::skip_space(bytes, key);
            let (behind, child) = match self.known.expect(bytes, key, id) {
                Some(known) => known,
                None => self.known.learn(bytes, key, id, |name, escaped| node.by_name(name, escaped))?,
            };
            let end = self.value(child, bytes, scan::skip_space(bytes, behind), depth, cells)?;
            next = scan::next_member(bytes, end)?;
        }
    }

    fn array(&mut self, node: &Node, at: usize, depth: u32, cells: &mut [Cell]) -> Result<usize, Fault> {
        let bytes = self.text.as_bytes();
        let depth = scan::descend(depth, at)?;
        let open = Span::new(at, at).start;
        let divides = self.divider.as_mut().is_some_and(|d| d.begin(node.cells.first().copied(), open));
        let mut wanted = node.indices.iter().peekable();
        let mut next = scan::first_element(bytes, scan::behind(at));
        let mut index: u32 = 0;
        let end = loop {
            let start = match next {
                Next::Item(start) => start,
                Next::End(end) => break end,
            };
            let child =
                wanted.next_if(|(position, _)| *position == index).map_or(Child::Unwanted, |(_, c)| *c);
            let start = scan::skip_space(bytes, start);
            let end = self.value(child, bytes, start, depth, cells)?;
            if divides && let Some(divider) = &mut self.divider {
                divider.elements.push(Span::new(start, end));
            }
            index = index.saturating_add(1);
            next = scan::next_element(bytes, end)?;
        };
        if divides && let Some(divider) = &mut self.divider {
            divider.busy = false;
        }
        Ok(end)
    }
}

fn fill(cells: &mut [Cell], which: &[u32], cell: Cell) {
    for column in which {
        if let Some(place) = cells.get_mut(*column as usize) {
            *place = cell;
        }
    }
}
