package text

import (
	"slices"
	"strings"
)

// trie maps strings to ids and finds all keys that begin a text. Each node's edges lie side by side in labels and
// targets, so that a step is one byte search in a short run.
type trie struct {
	nodes   []trieNode
	labels  []byte
	targets []int32
}

type trieNode struct {
	first int32 // of its edges
	edges int16 // up to 256
	id    int32 // of the key that ends here, -1: none
}

type trieEntry struct {
	key string
	id  int32
}

// newTrie builds a trie of distinct, non-empty keys; it sorts entries.
func newTrie(entries []trieEntry) *trie {
	slices.SortFunc(entries, func(a, b trieEntry) int { return strings.Compare(a.key, b.key) })
	t := &trie{nodes: []trieNode{{id: -1}}}
	// work lists, in the order of their numbers, the nodes still to be filled: each owns a run of sorted entries that
	// agree in their first depth bytes.
	type span struct{ from, to, depth int }
	work := []span{{0, len(entries), 0}}
	for n := 0; n < len(work); n++ {
		w := work[n]
		if w.from < w.to && len(entries[w.from].key) == w.depth {
			t.nodes[n].id = entries[w.from].id
			w.from++
		}
		t.nodes[n].first = int32(len(t.labels))
		for i := w.from; i < w.to; {
			c, j := entries[i].key[w.depth], i+1
			for j < w.to && entries[j].key[w.depth] == c {
				j++
			}
			t.labels = append(t.labels, c)
			t.targets = append(t.targets, int32(len(t.nodes)))
			t.nodes = append(t.nodes, trieNode{id: -1})
			work = append(work, span{i, j, w.depth + 1})
			i = j
		}
		t.nodes[n].edges = int16(len(t.labels) - int(t.nodes[n].first))
	}
	return t
}

// step follows the edge c of a node; it returns -1 if there is none.
func (t *trie) step(node int32, c byte) int32 {
	n := &t.nodes[node]
	labels := t.labels[n.first : int(n.first)+int(n.edges)]
	for i, l := range labels {
		if l >= c {
			if l == c {
				return t.targets[int(n.first)+i]
			}
			return -1
		}
	}
	return -1
}

// longest returns the length in bytes of the longest key that begins s, 0 if none does.
func (t *trie) longest(s string) int {
	best, node := 0, int32(0)
	for i := 0; i < len(s); i++ {
		if node = t.step(node, s[i]); node < 0 {
			break
		}
		if t.nodes[node].id >= 0 {
			best = i + 1
		}
	}
	return best
}
