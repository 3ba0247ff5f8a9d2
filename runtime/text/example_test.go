package text_test

import (
	"fmt"
	"log"

	"github.com/tfq8/tfq8/runtime/text"
)

func Example() {
	m, err := text.Load("testdata/bpe_rules.model")
	if err != nil {
		log.Fatal(err)
	}
	ids := append(m.Encode("a dog sees  the bicycle"), m.EOS())
	fmt.Println(ids)
	fmt.Println(m.EncodePieces("a dog sees  the bicycle"))
	fmt.Println(m.Decode(ids))
	// Output:
	// [8 137 197 16 155 1]
	// [▁a ▁dog ▁sees ▁the ▁bicycle]
	// a dog sees the bicycle
}

func ExampleBLEU() {
	hyps := []string{"The dog runs over the green grass.", "Two men talk."}
	refs := []string{"The dog runs across the green grass.", "Two men are talking."}
	score, err := text.BLEU(hyps, refs)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f\n", score.Score)
	fmt.Println(score)
	// Output:
	// 38.68
	// BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0 = 38.68 83.3/60.0/37.5/16.7 (BP = 0.920 ratio = 0.923 hyp_len = 12 ref_len = 13)
}

func ExampleCHRF() {
	score, err := text.CHRF([]string{"Two men talk."}, []string{"Two men are talking."})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(score)
	// Output:
	// chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0 = 37.46
}
