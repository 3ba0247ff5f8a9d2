package pbtext

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func graphDescriptor() protoreflect.MessageDescriptor {
	return (*graph_go_proto.GraphDef)(nil).ProtoReflect().Descriptor()
}

func parseWire(t *testing.T, b []byte) *graph_go_proto.GraphDef {
	t.Helper()
	g := &graph_go_proto.GraphDef{}
	if err := proto.Unmarshal(b, g); err != nil {
		t.Fatal(err)
	}
	return g
}

// odd.pbtxt has every liberty of the official parsers; odd.pb is what they read.
func TestOddText(t *testing.T) {
	for _, dir := range []string{"testdata", "../../../../shared/facts/golden"} {
		text, err := os.ReadFile(filepath.Join(dir, "odd.pbtxt"))
		if os.IsNotExist(err) {
			t.Skip("no " + filepath.Join(dir, "odd.pbtxt"))
		}
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(dir, "odd.pb"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Unmarshal(text, graphDescriptor())
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		if g, w := parseWire(t, got), parseWire(t, want); !proto.Equal(g, w) {
			t.Errorf("%s: odd.pbtxt reads as\n%v\nwant\n%v", dir, g, w)
		}
	}
}

func TestRoundTripsReferenceGraphs(t *testing.T) {
	files, _ := filepath.Glob("../../../../shared/conformance/cases/*/*.pb")
	more, _ := filepath.Glob("../../../../shared/facts/golden/*.pb")
	if files = append(files, more...); len(files) == 0 {
		t.Skip("no ../../../../shared/conformance/cases")
	}
	for _, file := range files {
		wire, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := Marshal(&text, wire, graphDescriptor()); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		back, err := Unmarshal(text.Bytes(), graphDescriptor())
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		want := parseWire(t, wire)
		if !proto.Equal(parseWire(t, back), want) {
			t.Errorf("%s: text reads back as another message", file)
		}
		// Go's own parser, which is stricter, reads what we write.
		other := &graph_go_proto.GraphDef{}
		if err := prototext.Unmarshal(text.Bytes(), other); err != nil {
			t.Errorf("%s: prototext: %v", file, err)
		} else if !proto.Equal(other, want) {
			t.Errorf("%s: prototext reads the text as another message", file)
		}
	}
}

// What Python's text_format.MessageToString prints for this message.
func TestMarshalLikePython(t *testing.T) {
	const text = `node {
  name: "c"
  op: "Const"
  attr {
    key: "value"
    value {
      tensor {
        dtype: DT_FLOAT
        tensor_shape {
          dim {
            size: 3
          }
        }
        tensor_content: "\000\'\"\\\n\177\377"
        float_val: 1.0
        float_val: -0.0
        float_val: inf
      }
    }
  }
  attr {
    key: "x"
    value {
      list {
      }
    }
  }
}
versions {
  producer: 1087
}
`
	wire, err := Unmarshal([]byte(text), graphDescriptor())
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	if err := Marshal(&got, wire, graphDescriptor()); err != nil {
		t.Fatal(err)
	}
	if got.String() != text {
		t.Errorf("Marshal = %s\nwant %s", got.String(), text)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"node { nam: 'x' }":                              `has no field "nam"`,
		"node {\n name: 'a'\n name: 'b' }":               "line 3: field \"node\": field \"name\" is there twice",
		"node { name: 'a":                                "within a string",
		"node { name: 'a\n' }":                           "line ends within a string",
		"node { name: 'a' ":                              "the text ends within",
		"node { name 'a' }":                              "want a colon",
		"node { attr { value { i: 1 b: true } }":         "exclude each other",
		"node { attr { value { type: DT_X } } }":         `no value "DT_X"`,
		"versions { producer: 2147483648 }":              "not an integer of 32 bits",
		"versions { producer: 08 }":                      "not an integer",
		"versions { bad_consumers: [1 2] }":              "want a comma",
		`node { name: "\q" }`:                            `\q is not known`,
		`node { name: "\400" }`:                          "not a byte",
		`node { name: "\ud800" }`:                        "not a character",
		`node { name: "\377" }`:                          "not UTF-8",
		"node { attr { value { f: 0x1p3 } } }":           "want a number",
		"node { attr { value { f: 1_0 } } }":             "want a number",
		"node { attr { value { b: 2 } } }":               "want true or false",
		"node }":                                         "want { or <",
		"node{" + strings.Repeat("attr{value{func{", 40): "nested more than",
	} {
		if _, err := Unmarshal([]byte(text), graphDescriptor()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Unmarshal(%.60q): error %v, want one with %q", text, err, want)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add("node { name: \"a\" op: 'B' input: ['x', \"^y\"] attr { key: 'f' value { f: -1.5f } } }")
	f.Add("library < function: { signature { name: \"\\x41\\101\" } } > # end")
	f.Add("versions { producer: 010; min_consumer: 0x1, bad_consumers: [] }")
	f.Fuzz(func(t *testing.T, text string) {
		wire, err := Unmarshal([]byte(text), graphDescriptor())
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Marshal(&out, wire, graphDescriptor()); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := Unmarshal(out.Bytes(), graphDescriptor())
		if err != nil {
			t.Fatalf("%q written as %q: %v", text, out.String(), err)
		}
		if !bytes.Equal(wire, again) {
			t.Fatalf("%q written as %q reads back as another message", text, out.String())
		}
	})
}
