package graphdef

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// shared returns the files under ../../shared that match the patterns; it skips the test where the folder is absent.
func shared(t testing.TB, patterns ...string) []string {
	t.Helper()
	var files []string
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join("../../shared", p))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Skipf("no %s", filepath.Join("../../shared", p))
		}
		files = append(files, found...)
	}
	return files
}

// graphFiles are the binary GraphDefs of the reference material.
func graphFiles(t testing.TB) []string {
	return shared(t, "facts/golden/*.pb", "facts/quant_graphs/*.pb", "conformance/cases/*/*.pb", "fixtures/nmt/nmt_v1.pb", "fixtures/nmt/case_*.pb", "fixtures/zoo/*/*.pb")
}

func TestReadReferenceGraphs(t *testing.T) {
	graphs, nodes, consts := 0, 0, 0
	for _, file := range graphFiles(t) {
		b, err := ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if form := Sniff(b); form != FormGraphDef {
			t.Errorf("%s: Sniff = %v, want a GraphDef", file, form)
			continue
		}
		g, err := Read(b)
		if err != nil {
			if !strings.HasSuffix(file, ".error.pb") {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		graphs, nodes = graphs+1, nodes+len(g.nodes)
		for _, n := range allNodes(g) {
			if n.op != "Const" {
				continue
			}
			if _, err := n.Tensor("value"); err != nil && !strings.HasSuffix(file, ".error.pb") {
				t.Errorf("%s: %v", file, err)
			}
			consts++
		}
		checkRewritten(t, file, g)
	}
	t.Logf("%d graphs, %d nodes, %d constants", graphs, nodes, consts)
}

func allNodes(g *Graph) []*Node {
	nodes := slices.Clone(g.nodes)
	for _, f := range g.functions {
		nodes = append(nodes, f.Body.nodes...)
	}
	return nodes
}

// checkRewritten writes and reads g and compares the two, bytes too.
func checkRewritten(t *testing.T, file string, g *Graph) {
	t.Helper()
	b, err := Marshal(g)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return
	}
	again, err := Read(b)
	if err != nil {
		t.Errorf("%s, written and read: %v", file, err)
		return
	}
	if diff := diffGraphs(g, again); diff != "" {
		t.Errorf("%s, written and read: %s", file, diff)
	}
	if c, _ := Marshal(again); string(b) != string(c) {
		t.Errorf("%s: written twice gives different bytes", file)
	}
}

// diffGraphs returns the first difference of two graphs in all that files hold, "" where there is none.
func diffGraphs(a, b *Graph) string {
	switch {
	case len(a.nodes) != len(b.nodes):
		return fmt.Sprintf("%d nodes, want %d", len(b.nodes), len(a.nodes))
	case len(a.functions) != len(b.functions):
		return fmt.Sprintf("%d functions, want %d", len(b.functions), len(a.functions))
	case inOrder(a.extra) != inOrder(b.extra) || string(a.libraryExtra) != string(b.libraryExtra):
		return "other fields differ"
	case a.Versions.Producer != b.Versions.Producer || a.Versions.MinConsumer != b.Versions.MinConsumer || !slices.Equal(a.Versions.BadConsumers, b.Versions.BadConsumers):
		return fmt.Sprintf("versions %v, want %v", b.Versions, a.Versions)
	}
	for i, n := range a.nodes {
		if diff := diffNodes(n, b.nodes[i]); diff != "" {
			return fmt.Sprintf("node %q: %s", n.name, diff)
		}
	}
	for i, f := range a.functions {
		h := b.functions[i]
		names := func(nodes ...[]*Node) string {
			s := ""
			for _, list := range nodes {
				s += ";"
				for _, n := range list {
					s += n.name + ","
				}
			}
			return s
		}
		if x, y := f.Name+names(f.Args, f.Rets, f.ControlRet), h.Name+names(h.Args, h.Rets, h.ControlRet); x != y {
			return fmt.Sprintf("function %s, want %s", y, x)
		}
		if inOrder(f.wireOrEmpty().signature) != inOrder(h.wireOrEmpty().signature) || string(f.wireOrEmpty().extra) != string(h.wireOrEmpty().extra) {
			return fmt.Sprintf("function %q: other fields differ", f.Name)
		}
		if diff := diffAttrs(f.Attrs, h.Attrs); diff != "" {
			return fmt.Sprintf("function %q: %s", f.Name, diff)
		}
		if diff := diffGraphs(f.Body, h.Body); diff != "" {
			return fmt.Sprintf("function %q: %s", f.Name, diff)
		}
	}
	return ""
}

// inOrder sorts fields by their numbers: those that we do not interpret are written before or after those that we do.
func inOrder(b []byte) string {
	var fields []wireField
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return string(b)
		}
		fields = append(fields, f)
		b = rest
	}
	slices.SortStableFunc(fields, func(x, y wireField) int { return cmp.Compare(x.num, y.num) })
	var out []byte
	for _, f := range fields {
		out = append(out, f.whole...)
	}
	return string(out)
}

func diffNodes(n, m *Node) string {
	spell := func(n *Node) string {
		s := fmt.Sprintf("%s = %s %v", n.name, n.op, n.inputs)
		for _, c := range n.controls {
			s += " ^" + c.name
		}
		return s + n.Device + inOrder(n.extra) + strings.Join(n.ports, ",")
	}
	if x, y := spell(n), spell(m); x != y {
		return fmt.Sprintf("%s, want %s", y, x)
	}
	return diffAttrs(n.attrs, m.attrs)
}

func diffAttrs(a, b []NamedAttr) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d attributes, want %d", len(b), len(a))
	}
	values := map[string]Attr{}
	for _, x := range b {
		values[x.Name] = x.Attr
	}
	for _, x := range a {
		y, ok := values[x.Name]
		if !ok || string(x.Attr.wire) != string(y.wire) {
			return fmt.Sprintf("attribute %q = % x, want % x", x.Name, y.wire, x.Attr.wire)
		}
	}
	return ""
}

// The values that facts/golden/README.md gives for its tensors, which TensorFlow's C++ decoder read.
func TestReadTensorEncodings(t *testing.T) {
	g, err := Load(shared(t, "facts/golden/tensors.pb")[0])
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("../../shared/facts/golden/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(table), "## tensors.pb")
	seen := 0
	for _, row := range strings.Split(rows, "\n") {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		n := g.Node(cells[0])
		if n == nil || len(cells) != 4 {
			continue
		}
		seen++
		x, err := n.Tensor("value")
		if err != nil {
			t.Error(err)
			continue
		}
		if got := pythonList(x); got != cells[3] || strings.ReplaceAll(x.Shape().String(), " ", "") != strings.ReplaceAll(cells[2], " ", "") {
			t.Errorf("%s = %v %v %s, want %v", cells[0], x.DType(), x.Shape(), got, cells)
		}
	}
	if seen != len(g.nodes) {
		t.Errorf("the table has %d rows for %d nodes", seen, len(g.nodes))
	}
}

// pythonList formats x as Python prints nested lists.
func pythonList(x *tensor.Tensor) string {
	elements := pythonElements(x)
	if x.Rank() == 0 {
		return elements[0]
	}
	for _, d := range slices.Backward(x.Shape()[1:]) {
		var rows []string
		for ; len(elements) > 0; elements = elements[d:] {
			rows = append(rows, "["+strings.Join(elements[:d], ", ")+"]")
		}
		elements = rows
	}
	return "[" + strings.Join(elements, ", ") + "]"
}

func pythonElements(x *tensor.Tensor) []string {
	var out []string
	float := func(v float64) string {
		s := strings.ToLower(fmt.Sprint(v))
		if strings.Trim(s, "-0123456789") == "" {
			s += ".0"
		}
		return strings.Replace(s, "+inf", "inf", 1)
	}
	for i := range x.Len() {
		switch x.DType() {
		case tensor.Float32:
			out = append(out, float(float64(tensor.Data[float32](x)[i])))
		case tensor.Float64:
			out = append(out, float(tensor.Data[float64](x)[i]))
		case tensor.Bfloat16:
			out = append(out, float(float64(math.Float32frombits(uint32(tensor.Data[uint16](x)[i])<<16))))
		case tensor.Float16: // the table has normal numbers only
			b := uint64(tensor.Data[uint16](x)[i])
			out = append(out, float(math.Float64frombits(b>>15<<63|(b>>10&31+1008)<<52|b&1023<<42)))
		case tensor.Float8E4M3:
			b := uint64(tensor.Data[uint8](x)[i])
			out = append(out, float(math.Float64frombits(b>>7<<63|(b>>3&15+1016)<<52|b&7<<49)))
		case tensor.Float8E5M2:
			b := uint64(tensor.Data[uint8](x)[i])
			out = append(out, float(math.Float64frombits(b>>7<<63|(b>>2&31+1008)<<52|b&3<<50)))
		case tensor.Complex64:
			c := tensor.Data[complex64](x)[i]
			out = append(out, fmt.Sprintf("(%v+%vj)", real(c), imag(c)))
		case tensor.Bool:
			out = append(out, map[bool]string{true: "True", false: "False"}[tensor.Data[bool](x)[i]])
		case tensor.String:
			s := fmt.Sprintf("%+q", x.Strings()[i])
			out = append(out, "b'"+strings.Trim(s, `"`)+"'")
		case tensor.Int8, tensor.Qint8, tensor.Int4:
			out = append(out, fmt.Sprint(tensor.Data[int8](x)[i]))
		case tensor.Uint8, tensor.Quint8:
			out = append(out, fmt.Sprint(tensor.Data[uint8](x)[i]))
		case tensor.Int16:
			out = append(out, fmt.Sprint(tensor.Data[int16](x)[i]))
		case tensor.Uint16:
			out = append(out, fmt.Sprint(tensor.Data[uint16](x)[i]))
		case tensor.Int32, tensor.Qint32:
			out = append(out, fmt.Sprint(tensor.Data[int32](x)[i]))
		case tensor.Uint32:
			out = append(out, fmt.Sprint(tensor.Data[uint32](x)[i]))
		case tensor.Int64:
			out = append(out, fmt.Sprint(tensor.Data[int64](x)[i]))
		case tensor.Uint64:
			out = append(out, fmt.Sprint(tensor.Data[uint64](x)[i]))
		}
	}
	return out
}
