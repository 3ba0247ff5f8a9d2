package tensor

import (
	"math"
	"testing"
)

// TestDTypeNames: every dtype reads back from its name, a reference is named after its base, and any number has a name.
func TestDTypeNames(t *testing.T) {
	for d := range names {
		if back, err := ParseDType(d.String()); back != d || err != nil {
			t.Errorf("%v reads back as %v, %v", d, back, err)
		}
		ref := d + refOffset
		if !ref.IsRef() || ref.Base() != d || ref.String() != d.String()+"_ref" {
			t.Errorf("reference to %v is %v", d, ref)
		}
		if d.IsRef() {
			t.Errorf("%v is a reference", d)
		}
	}
	for d, want := range map[DType]string{Invalid: "dtype(0)", 99: "dtype(99)", 100: "dtype(100)", math.MaxInt32: "dtype(2147483647)", -1: "dtype(-1)"} {
		if d.IsRef() || d.Base() != d || d.String() != want {
			t.Errorf("have %v, want %s", d, want)
		}
	}
	if _, err := ParseDType("float_ref"); err == nil {
		t.Error("the name of a reference is read")
	}
}
