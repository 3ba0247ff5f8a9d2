package runtime

import (
	"fmt"
	"math"
	"testing"
)

// TestLookAhead: of the products since the last attention, the third before a step that reads keys and values asks for them, or the
// first one after the step that wrote them; nobody asks for what no product runs after.
func TestLookAhead(t *testing.T) {
	const x, w, cacheK, cacheV, crossK, crossV = 0, 1, 2, 3, 4, 5
	product := func(out int32) step { return step{op: "MatMul", in: []int32{x, w}, out: []int32{out}} }
	attend := func(k, v, out int32) step {
		return step{op: "Attention", attention: &attention{}, in: []int32{x, k, v}, out: []int32{out}}
	}
	b := &block{steps: []step{
		product(10), // 0
		product(11), // 1: q
		product(12), // 2: k
		product(13), // 3: v
		{op: "CacheAppend", in: []int32{cacheK, 12}, out: []int32{14}},
		{op: "CacheAppend", in: []int32{cacheV, 13}, out: []int32{15}},
		attend(14, 15, 16), // 6: what it reads was just written
		product(17),        // 7
		{op: "Neg", in: []int32{17}, out: []int32{18}},
		product(18),                // 9
		attend(crossK, crossV, 19), // 10
		product(20),                // 11
		product(21),                // 12: v of an encoder
		attend(20, 21, 22),         // 13: its keys are 12's to ask for, its values nobody's
	}}
	lookAhead(b)
	want := map[int][]int32{1: {cacheK, cacheV}, 7: {crossK, crossV}, 12: {20}}
	for i := range b.steps {
		if got := b.steps[i].ahead; fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("step %d asks for %v, want %v", i, got, want[i])
		}
	}
}

// TestLookNear: a dense step knows the steps up to the next one, or to the block's end, and those of their slots that were not named
// before, which lie together.
func TestLookNear(t *testing.T) {
	b := &block{steps: []step{
		{op: "Cast", out: []int32{3}},
		{dense: true, out: []int32{4}}, // 1
		{op: "Reshape", out: []int32{5}},
		{op: "Split", out: []int32{6, 1}},
		{dense: true, out: []int32{7}}, // 4
		{op: "Neg", out: []int32{2}},
	}}
	lookNear(b)
	for i := range b.steps {
		n, want := b.steps[i].near, near{}
		switch i {
		case 1:
			want = near{steps: b.steps[2:5], from: 5, to: 8}
		case 4:
			want = near{steps: b.steps[5:], from: math.MaxInt32}
		}
		if n.from != want.from || n.to != want.to || len(n.steps) != len(want.steps) {
			t.Errorf("near step %d are %d steps and slots %d to %d, want %d, %d and %d", i, len(n.steps), n.from, n.to, len(want.steps), want.from, want.to)
		}
	}
}
