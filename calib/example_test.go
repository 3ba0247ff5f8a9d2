package calib_test

import (
	"fmt"
	"os"

	"github.com/tfq8/tfq8/calib"
)

// Two streams observe the inputs of one matrix product; their counts are
// merged, and a rule chooses the range.
func Example() {
	var first, second calib.Collector
	first.Observe("ffn/MatMul", []float32{0, 0.5, 1.25})
	second.Observe("ffn/MatMul", []float32{0.75, 0, 3})
	first.Merge(&second)

	rule, err := calib.ParseRule("guarded-kl")
	if err != nil {
		fmt.Println(err)
		return
	}
	t, err := rule.Threshold(first.Statistics("ffn/MatMul"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.Lo, t.Hi, t.Class, t.Note)
	// Output: 0 3 narrow fewer than 2048 values
}

func ExampleThresholds_Write() {
	t := calib.Thresholds{
		Tool:    "tfq8 1.0",
		Rule:    calib.Rule{Kind: calib.MinMax},
		Tensors: map[string]calib.Threshold{"ffn/MatMul": {Lo: -1.5, Hi: 3, Class: calib.Gaussian, SQNR: 38.5}},
	}
	if err := t.Write(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {
	// "format":"tfq8 thresholds",
	// "version":1,
	// "tool":"tfq8 1.0",
	// "graph_sha256":"0000000000000000000000000000000000000000000000000000000000000000",
	// "rule":{"name":"minmax"},
	// "tensors":{
	// "ffn/MatMul":{"class":"gaussian","lo":-1.5,"hi":3,"sqnr_db":38.5,"clipped":0,"note":""}
	// }
	// }
}
