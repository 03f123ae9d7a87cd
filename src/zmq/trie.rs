//! Topics and who wants them: a compressed prefix tree, walked and never recursed into.

use std::collections::HashMap;

/// Which subscriber; a pipe's key, or 0 for our own subscriptions.
pub(super) type Who = usize;

/// Topics with counted subscribers. A message matches every topic that it begins with.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: slab::Slab<Node>,
    root: usize,
    usage: HashMap<Who, Usage>,
}

#[derive(Debug, Default)]
struct Node {
    label: Box<[u8]>,
    /// Sorted by the first byte of their labels, which differ.
    children: Vec<usize>,
    /// Each with how often it subscribed.
    subscribers: Vec<(Who, u32)>,
}

#[derive(Debug, Default)]
struct Usage {
    topics: usize,
    bytes: usize,
}

/// Different topics that one peer may subscribe to, and their bytes together. A peer that wants more is told nothing and
/// gets nothing for it: its connection is closed.
pub(super) const MAX_TOPICS: usize = 1 << 18;
/// See [`MAX_TOPICS`].
pub(super) const MAX_TOPIC_BYTES: usize = 1 << 24;

/// What became of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The first subscription to this topic, or the last one gone.
    Edge,
    /// Others have it too, or the same one had it already.
    Counted,
    /// There was nothing to cancel.
    Missing,
    /// The subscriber has as many as it may have.
    Full,
}

impl Default for Trie {
    fn default() -> Self {
        let mut nodes = slab::Slab::new();
        let root = nodes.insert(Node::default());
        Self { nodes, root, usage: HashMap::new() }
    }
}

impl Trie {
    /// Counts one subscription of `who`.
    pub(super) fn add(&mut self, topic: &[u8], who: Who) -> Change {
        let usage = self.usage.entry(who).or_default();
        if usage.topics >= MAX_TOPICS || usage.bytes + topic.len() > MAX_TOPIC_BYTES {
            return Change::Full;
        }
        let node = self.make(topic);
        let subscribers = &mut self.nodes[node].subscribers;
        let first = subscribers.is_empty();
        if let Some((_, count)) = subscribers.iter_mut().find(|(one, _)| *one == who) {
            *count = count.saturating_add(1);
        } else {
            subscribers.push((who, 1));
            usage_of(&mut self.usage, who, topic.len());
        }
        if first { Change::Edge } else { Change::Counted }
    }

    /// Takes one subscription of `who` away.
    pub(super) fn remove(&mut self, topic: &[u8], who: Who) -> Change {
        let Some(path) = self.find(topic) else { return Change::Missing };
        let node = path.last().copied().unwrap_or(self.root);
        let subscribers = &mut self.nodes[node].subscribers;
        let Some(index) = subscribers.iter().position(|(one, _)| *one == who) else { return Change::Missing };
        subscribers[index].1 -= 1;
        if subscribers[index].1 > 0 {
            return Change::Counted;
        }
        subscribers.swap_remove(index);
        let last = subscribers.is_empty();
        if let Some(usage) = self.usage.get_mut(&who) {
            usage.topics -= 1;
            usage.bytes -= topic.len();
        }
        if !last {
            return Change::Counted;
        }
        self.prune(&path);
        Change::Edge
    }

    /// Takes all subscriptions of `who` away; tells which topics nobody wants any more.
    pub(super) fn remove_all(&mut self, who: Who) -> Vec<Vec<u8>> {
        let mut gone = Vec::new();
        if self.usage.remove(&who).is_none_or(|usage| usage.topics == 0) {
            return gone;
        }
        for (topic, node) in self.topics() {
            let subscribers = &mut self.nodes[node].subscribers;
            let before = subscribers.len();
            subscribers.retain(|(one, _)| *one != who);
            if subscribers.is_empty() && before > 0 {
                gone.push(topic);
            }
        }
        for topic in &gone {
            if let Some(path) = self.find(topic) {
                self.prune(&path);
            }
        }
        gone
    }

    /// Calls `found` for every subscription to a beginning of `message`; the same subscriber may come more than once.
    #[inline]
    pub(super) fn matches(&self, message: &[u8], mut found: impl FnMut(Who)) {
        let (mut node, mut rest) = (&self.nodes[self.root], message);
        loop {
            for (who, _) in &node.subscribers {
                found(*who);
            }
            let Some(child) = rest.first().and_then(|byte| self.child(node, *byte).ok()) else { return };
            node = &self.nodes[node.children[child]];
            let Some(left) = rest.strip_prefix(&*node.label) else { return };
            rest = left;
        }
    }

    /// Is there a subscription to the empty topic?
    pub(super) fn has_everything(&self) -> bool {
        !self.nodes[self.root].subscribers.is_empty()
    }

    /// All topics with a subscriber, each with how often it is subscribed to.
    pub(super) fn counted(&self) -> Vec<(Vec<u8>, u32)> {
        let count = |node: usize| self.nodes[node].subscribers.iter().map(|(_, count)| count).sum();
        self.topics().into_iter().map(|(topic, node)| (topic, count(node))).collect()
    }

    fn topics(&self) -> Vec<(Vec<u8>, usize)> {
        let mut all = Vec::new();
        let mut open = vec![(Vec::new(), self.root)];
        while let Some((topic, index)) = open.pop() {
            let node = &self.nodes[index];
            for &child in node.children.iter().rev() {
                let mut longer: Vec<u8> = topic.clone();
                longer.extend_from_slice(&self.nodes[child].label);
                open.push((longer, child));
            }
            if !node.subscribers.is_empty() {
                all.push((topic, index));
            }
        }
        all
    }

    /// The nodes from below the root to the topic; `None` if there is no such node.
    fn find(&self, topic: &[u8]) -> Option<Vec<usize>> {
        let (mut path, mut node, mut rest) = (Vec::new(), self.root, topic);
        while let Some(&byte) = rest.first() {
            let parent = &self.nodes[node];
            node = parent.children[self.child(parent, byte).ok()?];
            rest = rest.strip_prefix(&*self.nodes[node].label)?;
            path.push(node);
        }
        Some(path)
    }

    fn make(&mut self, topic: &[u8]) -> usize {
        let (mut node, mut rest) = (self.root, topic);
        while let Some(&byte) = rest.first() {
            let place = match self.child(&self.nodes[node], byte) {
                Ok(place) => place,
                Err(place) => {
                    let leaf = self.nodes.insert(Node { label: rest.into(), ..Node::default() });
                    self.nodes[node].children.insert(place, leaf);
                    return leaf;
                }
            };
            let child = self.nodes[node].children[place];
            let label = &self.nodes[child].label;
            let common = label.iter().zip(rest).take_while(|(a, b)| a == b).count();
            node = if common < label.len() { self.split(node, place, common) } else { child };
            rest = &rest[common..];
        }
        node
    }

    /// Puts a node between `parent` and its child, `common` bytes below the parent.
    fn split(&mut self, parent: usize, place: usize, common: usize) -> usize {
        let child = self.nodes[parent].children[place];
        let label = std::mem::take(&mut self.nodes[child].label);
        self.nodes[child].label = label[common..].into();
        let upper = Node { label: label[..common].into(), children: vec![child], subscribers: Vec::new() };
        let upper = self.nodes.insert(upper);
        self.nodes[parent].children[place] = upper;
        upper
    }

    /// Removes what the end of the path no longer needs: a leaf without subscribers, and a node with one child only.
    fn prune(&mut self, path: &[usize]) {
        for (depth, &index) in path.iter().enumerate().rev() {
            let node = &self.nodes[index];
            if !node.subscribers.is_empty() || node.children.len() > 1 {
                return;
            }
            let parent = if depth == 0 { self.root } else { path[depth - 1] };
            let Some(place) = self.nodes[parent].children.iter().position(|&child| child == index) else { return };
            let node = self.nodes.remove(index);
            if let Some(&only) = node.children.first() {
                self.nodes[only].label = [&*node.label, &*self.nodes[only].label].concat().into();
                self.nodes[parent].children[place] = only;
                return;
            }
            self.nodes[parent].children.remove(place);
        }
    }

    fn child(&self, node: &Node, byte: u8) -> Result<usize, usize> {
        node.children.binary_search_by_key(&byte, |&child| self.nodes[child].label[0])
    }
}

fn usage_of(usage: &mut HashMap<Who, Usage>, who: Who, bytes: usize) {
    let usage = usage.entry(who).or_default();
    usage.topics += 1;
    usage.bytes += bytes;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn matching(trie: &Trie, message: &[u8]) -> BTreeSet<Who> {
        let mut all = BTreeSet::new();
        trie.matches(message, |who| {
            all.insert(who);
        });
        all
    }

    #[test]
    fn subscriptions_are_counted() {
        let mut trie = Trie::default();
        assert_eq!(trie.add(b"ab", 1), Change::Edge);
        assert_eq!(trie.add(b"ab", 1), Change::Counted);
        assert_eq!(trie.add(b"ab", 2), Change::Counted);
        assert_eq!(trie.remove(b"a", 1), Change::Missing);
        assert_eq!(trie.remove(b"ab", 1), Change::Counted);
        assert_eq!(matching(&trie, b"abc"), [1, 2].into());
        assert_eq!(trie.remove(b"ab", 1), Change::Counted);
        assert_eq!(trie.remove(b"ab", 1), Change::Missing);
        assert_eq!(trie.remove(b"ab", 2), Change::Edge);
        assert_eq!(trie.nodes.len(), 1);
    }

    #[test]
    fn a_long_topic_takes_no_stack_and_one_node() {
        let mut trie = Trie::default();
        let topic = vec![b'x'; 1 << 20];
        assert_eq!(trie.add(&topic, 1), Change::Edge);
        assert_eq!(trie.nodes.len(), 2);
        assert_eq!(trie.remove_all(1), vec![topic]);
        assert_eq!(trie.nodes.len(), 1);
    }

    #[test]
    fn a_peer_has_a_bound_of_its_own() {
        let mut trie = Trie::default();
        for index in 0..16_u8 {
            assert_eq!(trie.add(&vec![index; 1 << 20], 1), Change::Edge);
        }
        assert_eq!(trie.add(b"one more", 1), Change::Full);
        assert_eq!(trie.add(b"one more", 2), Change::Edge);
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_list_of_topics(
            steps in prop::collection::vec((prop::collection::vec(0..3_u8, 0..6), 1..4_usize, 0..7_u8), 0..200),
        ) {
            let mut trie = Trie::default();
            let mut model: BTreeMap<(Vec<u8>, Who), u32> = BTreeMap::new();
            for (topic, who, what) in steps {
                match what {
                    0..=3 => {
                        trie.add(&topic, who);
                        *model.entry((topic.clone(), who)).or_default() += 1;
                    }
                    4 | 5 => {
                        let known = model.get_mut(&(topic.clone(), who));
                        prop_assert_eq!(trie.remove(&topic, who) == Change::Missing, known.is_none());
                        if let Some(count) = known {
                            *count -= 1;
                            if *count == 0 { model.remove(&(topic.clone(), who)); }
                        }
                    }
                    _ => {
                        trie.remove_all(who);
                        model.retain(|(_, one), _| *one != who);
                    }
                }
                let expected: BTreeSet<Who> =
                    model.keys().filter(|(one, _)| topic.starts_with(one)).map(|(_, who)| *who).collect();
                prop_assert_eq!(matching(&trie, &topic), expected);
                let topics: BTreeSet<_> = model.keys().map(|(topic, _)| topic.clone()).collect();
                prop_assert_eq!(trie.counted().len(), topics.len());
            }
            for who in 1..4 { trie.remove_all(who); }
            prop_assert_eq!(trie.nodes.len(), 1);
        }
    }
}
