package runtime_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
)

// TestUnsupported names everything that is missing at once, with the first fetch that needs it.
func TestUnsupported(t *testing.T) {
	g, err := graphdef.Parse(`
		x = Placeholder[dtype=float, shape=[]]()
		a = Frobnicate(x)
		b = Frobnicate(a)
		fine = Neg(x)
		called = PartitionedCall[f=@f, Tin=[float], Tout=[float]](b)
		again = PartitionedCall[f=@f, Tin=[float], Tout=[float]](x)
		unneeded = Grok(x)

		func f {
			a = _Arg[T=float, index=0]()
			w = Warp(a)
			y = Identity[T=float](w)
			ret = _Retval[T=float, index=0](y)
		}`)
	if err != nil {
		t.Fatal(err)
	}
	compile := func(opts runtime.CompileOptions) *runtime.UnsupportedError {
		t.Helper()
		_, err := runtime.Compile(g, opts)
		var missing *runtime.UnsupportedError
		if !errors.As(err, &missing) {
			t.Fatalf("Compile gives %v, want an UnsupportedError", err)
		}
		return missing
	}
	e := compile(runtime.CompileOptions{Fetches: []string{"fine", "b", "called", "again"}})
	want := &runtime.UnsupportedError{
		Nodes: map[string][]string{"Frobnicate": {"a", "b"}, "Warp": {"f@w"}},
		Fetch: map[string]string{"Frobnicate": "b", "Warp": "called"},
	}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("Compile gives %+v, want %+v", e, want)
	}
	text := `ops not supported: Frobnicate (2 nodes, such as "a", needed by "b"), Warp (1 node, such as "f@w", needed by "called")`
	if e.Error() != text {
		t.Errorf("error is\n%s\nwant\n%s", e, text)
	}
	// Behind a feed nothing is needed.
	e = compile(runtime.CompileOptions{Feeds: []string{"x", "b"}, Fetches: []string{"called"}})
	if _, ok := e.Nodes["Frobnicate"]; ok || e.Fetch["Warp"] != "called" {
		t.Errorf("with b fed: %v", e)
	}
}
