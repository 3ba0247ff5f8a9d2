package graphdef

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// The values that facts/golden/README.md gives for odd.pbtxt; odd.pb is the same message.
func TestReadOddPbtxt(t *testing.T) {
	for _, file := range shared(t, "facts/golden/odd.pb*") {
		g, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		value := func(name string) *tensor.Tensor {
			x, err := g.Node(name).Tensor("value")
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		want := []string{"tab\tnl\nq\"a'bs\\", "AA\x00\xff", "\u00e9\U0001F600", "}", "# not a comment", ""}
		if got := value("const").Strings(); !slices.Equal(got, want) {
			t.Errorf("%s: const = %q, want %q", file, got, want)
		}
		if got, want := pythonList(value("f")), "[1.0, 1.0, 0.5, 1000.0, 1.5, inf, -inf, nan, -0.0, 1.401298464324817e-45]"; got != want {
			t.Errorf("%s: f = %v, want %v", file, got, want)
		}
		if got, want := pythonList(value("i")), "[16, 8, -9223372036854775808, 9223372036854775807]"; got != want {
			t.Errorf("%s: i = %v, want %v", file, got, want)
		}
		if got, want := pythonList(value("b")), "[True, False, True, False]"; got != want {
			t.Errorf("%s: b = %v, want %v", file, got, want)
		}
		if d, err := g.Node("y").Type("T"); err != nil || d != tensor.Float32 {
			t.Errorf("%s: T of y = %v, %v, want float", file, d, err)
		}
	}
}

func TestPbtxtKeepsReferenceGraphs(t *testing.T) {
	for _, file := range shared(t, "facts/golden/*.pb", "conformance/cases/func/*.pb", "conformance/cases/loop/*.pb") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Read(b)
		if err != nil {
			continue // refused by another test
		}
		out := filepath.Join(t.TempDir(), "g.pbtxt")
		if err := Save(g, out); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		h, err := Load(out)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var x, y bytes.Buffer
		if err := WritePbtxt(&x, g); err != nil {
			t.Fatal(err)
		}
		if err := WritePbtxt(&y, h); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x.Bytes(), y.Bytes()) {
			t.Errorf("%s: the text of the graph that was read from text differs", file)
		}
	}
}

func FuzzReadPbtxt(f *testing.F) {
	f.Add([]byte("node { name: 'a' op: 'NoOp' } node { name: 'b' op: 'NoOp' input: '^a' }"))
	f.Add([]byte("node { name: 'c' op: 'Const' attr { key: 'value' value { tensor { dtype: DT_INT32 int_val: 3 } } } }"))
	f.Fuzz(func(t *testing.T, text []byte) {
		g, err := ReadPbtxt(text)
		if err != nil {
			return
		}
		if err := WritePbtxt(new(bytes.Buffer), g); err != nil {
			t.Fatal(err)
		}
	})
}
