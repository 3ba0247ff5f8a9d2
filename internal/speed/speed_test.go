package speed

import (
	"testing"
	"time"
)

func TestFastestRunsByTurns(t *testing.T) {
	var order []int
	best := Fastest(0,
		func() { order = append(order, 0); work(time.Millisecond) },
		func() { order = append(order, 1); work(4 * time.Millisecond) })
	if best[0] <= 0 || best[1] < 2*best[0] {
		t.Errorf("Fastest = %v, want the second about 4 times as long as the first", best)
	}
	turns := 0
	for i := 1; i < len(order); i++ {
		if order[i] != order[i-1] {
			turns++
		}
	}
	if turns < 6 {
		t.Errorf("the functions ran in the order %v, want them by turns", order)
	}
}

// work keeps the thread busy for d of its own time.
func work(d time.Duration) {
	for start := threadTime(); threadTime()-start < d; {
	}
}
