// Command large makes a SavedModel of random weights, as large as asked for: an embedding table that takes half of it and
// products that take the rest.
//
//	go run ./testdata/large -o DIR [-gib 2]
//
// Inputs: ids int32 [n]; outputs: y float [n, 4096].
package main

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/savedmodel"
	"github.com/tfq8/tfq8/tensor"
)

const depth = 4096

func main() {
	out := flag.String("o", "", "directory to write")
	gib := flag.Float64("gib", 2, "size of the weights in GiB")
	flag.Parse()
	if err := run(*out, *gib); err != nil {
		fmt.Fprintln(os.Stderr, "large:", err)
		os.Exit(2)
	}
}

func run(out string, gib float64) error {
	if out == "" {
		return fmt.Errorf("-o is missing: name the directory to write")
	}
	g := graphdef.NewGraph()
	half := int(gib * (1 << 30) / 2)
	ids := g.MustAdd("ids", "Placeholder")
	ids.SetAttr("dtype", graphdef.TypeAttr(tensor.Int32))
	ids.SetAttr("shape", graphdef.ShapeAttr(tensor.Partial(tensor.UnknownDim)))
	axis := g.MustAdd("axis", "Const")
	axis.SetAttr("dtype", graphdef.TypeAttr(tensor.Int32))
	axis.SetAttr("value", graphdef.TensorAttr(tensor.Scalar(int32(0))))
	rows := g.MustAdd("rows", "GatherV2", weight(g, "table", half/depth/4, depth).Out(0), ids.Out(0), axis.Out(0))
	rows.SetAttr("Tparams", graphdef.TypeAttr(tensor.Float32))
	rows.SetAttr("Tindices", graphdef.TypeAttr(tensor.Int32))
	rows.SetAttr("Taxis", graphdef.TypeAttr(tensor.Int32))
	y := rows
	for i := range half / (depth * depth * 4) {
		name := fmt.Sprintf("layer_%d", i)
		y = g.MustAdd(name, "MatMul", y.Out(0), weight(g, name+"/kernel", depth, depth).Out(0))
		y.SetAttr("T", graphdef.TypeAttr(tensor.Float32))
	}
	if err := g.Rename(y, "y"); err != nil {
		return err
	}
	return savedmodel.Write(out, g, &savedmodel.Signature{
		Name:    "serving_default",
		Inputs:  []savedmodel.TensorInfo{{Key: "ids", Tensor: "ids:0", DType: tensor.Int32, Shape: tensor.Partial(tensor.UnknownDim)}},
		Outputs: []savedmodel.TensorInfo{{Key: "y", Tensor: "y:0", DType: tensor.Float32, Shape: tensor.Partial(tensor.UnknownDim, depth)}},
	})
}

// weight adds a random matrix, which is made when it is written.
func weight(g *graphdef.Graph, name string, rows, cols int) *graphdef.Node {
	n := g.MustAdd(name, "Const")
	n.SetAttr("dtype", graphdef.TypeAttr(tensor.Float32))
	shape := tensor.Shape{rows, cols}
	n.SetAttr("value", graphdef.StoredAttr(graphdef.NewStoredTensor(tensor.Float32, shape, int64(4*rows*cols), func() (*tensor.Tensor, error) {
		t := tensor.New(tensor.Float32, shape)
		h := fnv.New64a()
		h.Write([]byte(name))
		r := rand.New(rand.NewPCG(uint64(rows), h.Sum64()))
		v := tensor.Data[float32](t)
		for i := range v {
			v[i] = (r.Float32() - 0.5) / 32
		}
		return t, nil
	})))
	return n
}
