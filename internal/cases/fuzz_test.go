package cases

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// FuzzRead reads arbitrary bytes as a case: an error, or a case whose answers can be compared and whose graph can be written.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"cast/Bitcast.pb", "flow/If.pb", "string/StringJoin.pb"} {
		if b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "conformance", "cases", filepath.FromSlash(name))); err == nil {
			f.Add(b)
		}
	}
	g := graphdef.NewGraph()
	constant(g, "in/0", tensor.Scalar[int32](2), map[string]graphdef.Attr{"_feed": graphdef.StringAttr("x")})
	constant(g, "feed/0", tensor.Scalar[float32](2), map[string]graphdef.Attr{"_name": graphdef.StringAttr("x")})
	constant(g, "expect/0", tensor.Scalar[float32](1), map[string]graphdef.Attr{"_of": graphdef.StringAttr("y"), "_rtol": graphdef.FloatAttr(1)})
	constant(g, "expect/error", tensor.FromStrings(nil, []string{"why"}), map[string]graphdef.Attr{"_of": graphdef.StringAttr("y")})
	f.Add([]byte(graphdef.Format(g)))
	if b, err := graphdef.Marshal(g); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Read(b)
		if err != nil {
			return
		}
		for _, e := range c.Expect {
			for _, got := range []*tensor.Tensor{e.Want, tensor.Scalar[float32](1)} {
				Compare(got, e)
			}
		}
		if c.Graph != nil {
			graphdef.Marshal(c.Graph)
		}
	})
}
