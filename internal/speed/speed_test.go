package speed

import (
	"testing"
	"time"
)

func TestFastestRunsByTurns(t *testing.T) {
	var order []int
	best := Fastest(0,
		func() { order = append(order, 0); time.Sleep(time.Millisecond) },
		func() { order = append(order, 1); time.Sleep(2 * time.Millisecond) })
	if best[0] < time.Millisecond || best[1] < 2*time.Millisecond {
		t.Errorf("Fastest = %v, less than the functions slept", best)
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
