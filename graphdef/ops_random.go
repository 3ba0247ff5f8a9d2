package graphdef

// randomOps is the signatures of random numbers, with and without state. Type op in signature.go says how to read an
// entry.
var randomOps = map[string]op{
	"RandomUniform": def(`shape T -> output dtype; seed=0, seed2=0`, shapeFromFirst, Stateful),
	"RandomUniformInt": def(`shape T, minval Tout, maxval Tout -> output Tout; seed=0, seed2=0`, shapeFromFirst,
		Stateful),
	"RandomStandardNormal": def(`shape T -> output dtype; seed=0, seed2=0`, shapeFromFirst, Stateful),
	"TruncatedNormal":      def(`shape T -> output dtype; seed=0, seed2=0`, shapeFromFirst, Stateful),
	"ParameterizedTruncatedNormal": def(`shape T, means dtype, stdevs dtype, minvals dtype, maxvals dtype
		-> output dtype; seed=0, seed2=0`, shapeFromFirst, Stateful),
	"RandomShuffle": def(`value T -> output T; seed=0, seed2=0`, same, Stateful),
	"Multinomial": def(`logits T, num_samples int32 -> output output_dtype; seed=0, seed2=0, output_dtype=int64`,
		multinomial, Stateful),
	"RandomGamma":                     def(`shape S, alpha T -> output T; seed=0, seed2=0`, nil, Stateful),
	"RandomPoissonV2":                 def(`shape S, rate R -> output dtype; seed=0, seed2=0, R=double, dtype=int64`, nil, Stateful),
	"StatelessRandomGetKeyCounter":    def(`seed Tseed -> key uint64, counter uint64; Tseed=int64`, keyCounter),
	"StatelessRandomGetKeyCounterAlg": def(`seed Tseed -> key uint64, counter uint64, alg int32; Tseed=int64`, keyCounter),
	"StatelessRandomGetAlg":           def(`-> alg int32`, scalars, Stateful),
	"StatelessRandomNormal": def(`shape T, seed Tseed -> output dtype; dtype=float, T=int32, Tseed=int64`,
		shapeFromFirst),
	"StatelessRandomNormalV2": def(`shape Tshape, key uint64, counter uint64, alg int32 -> output dtype; dtype=float,
		Tshape=int32`, shapeFromFirst),
	"StatelessRandomUniform": def(`shape T, seed Tseed -> output dtype; dtype=float, T=int32, Tseed=int64`,
		shapeFromFirst),
	"StatelessRandomUniformV2": def(`shape Tshape, key uint64, counter uint64, alg int32 -> output dtype; dtype=float,
		Tshape=int32`, shapeFromFirst),
	"StatelessRandomUniformInt": def(`shape T, seed Tseed, minval dtype, maxval dtype -> output dtype; Tseed=int64`,
		shapeFromFirst),
	"StatelessRandomUniformIntV2": def(`shape Tshape, key uint64, counter uint64, alg int32, minval dtype, maxval dtype
		-> output dtype; Tshape=int32`, shapeFromFirst),
	"StatelessRandomUniformFullInt": def(`shape T, seed Tseed -> output dtype; dtype=uint64, T=int32, Tseed=int64`,
		shapeFromFirst),
	"StatelessRandomUniformFullIntV2": def(`shape Tshape, key uint64, counter uint64, alg int32 -> output dtype;
		dtype=uint64, Tshape=int32`, shapeFromFirst),
	"StatelessTruncatedNormal": def(`shape T, seed Tseed -> output dtype; dtype=float, T=int32, Tseed=int64`,
		shapeFromFirst),
	"StatelessTruncatedNormalV2": def(`shape Tshape, key uint64, counter uint64, alg int32 -> output dtype; dtype=float,
		Tshape=int32`, shapeFromFirst),
	"StatelessMultinomial": def(`logits T, num_samples int32, seed Tseed -> output output_dtype; Tseed=int64,
		output_dtype=int64`, multinomial),
	"StatefulUniform": def(`resource resource, algorithm int64, shape shape_dtype -> output dtype; dtype=float,
		shape_dtype=int64`, nil, Stateful),
	"StatefulStandardNormalV2": def(`resource resource, algorithm int64, shape shape_dtype -> output dtype; dtype=float,
		shape_dtype=int64`, nil, Stateful),
	"RngReadAndSkip": def(`resource resource, alg int32, delta uint64 -> value int64`, nil, Stateful),
	"RngSkip":        def(`resource resource, algorithm int64, delta int64 ->`, nil, Stateful),
}
