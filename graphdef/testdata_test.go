package graphdef

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

var update = flag.Bool("update", false, "write the texts of testdata anew")

// The text of graphs that TensorFlow wrote, as somebody has read and approved it.
func TestFormatRecordedGraphs(t *testing.T) {
	for _, name := range []string{"functions", "loop"} {
		g, err := Load(filepath.Join("testdata", name+".pb"))
		if err != nil {
			t.Fatal(err)
		}
		if err := Validate(g); err != nil {
			t.Error(err)
		}
		golden := filepath.Join("testdata", name+".txt")
		if *update {
			if err := Save(g, golden); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got := Format(g); got != string(want) {
			t.Errorf("%s: %s", name, firstDifference(got, string(want)))
		}
		h, err := Load(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := diffGraphs(plain(g), plain(h)); diff != "" {
			t.Errorf("%s: the text reads as another graph: %s", name, diff)
		}
	}
}

// What TensorFlow's kernels see of each way to write a TensorProto.
func TestDecodeRecordedTensors(t *testing.T) {
	g, err := Load("testdata/tensors.pb")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("testdata/tensors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(table)), "\n")
	if len(rows) != len(g.Nodes()) {
		t.Errorf("%d rows for %d nodes", len(rows), len(g.Nodes()))
	}
	for _, row := range rows {
		cells := strings.Split(row, "\t")
		x, err := g.Node(cells[0]).Tensor("value")
		if err != nil {
			t.Error(err)
			continue
		}
		want, err := hex.DecodeString(cells[3])
		if err != nil {
			t.Fatal(err)
		}
		got := string(x.Bytes())
		if x.DType() == tensor.String {
			got = strings.Join(x.Strings(), "|")
		}
		shape := strings.TrimSuffix(shapeText(x.Shape().Partial()), "x")
		if got != string(want) || shape != cells[2] {
			t.Errorf("%s = %v % x, want %s % x", cells[0], x.Shape(), got, cells[2], want)
		}
	}
}
