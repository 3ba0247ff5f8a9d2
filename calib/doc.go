// Package calib decides with which range each activation is quantized.
//
// It has two halves. [Statistics] counts the values of one tensor, seen in any
// order and in any number of pieces, on a grid of bins that does not depend on
// the data, so that adding up partial statistics loses nothing: the state is a
// function of the multiset of values. A [Rule] is a pure function from those
// counts to a [Threshold], the range (Lo, Hi) to quantize with. Counting takes
// a run of the model and is done once; a rule takes milliseconds and can be
// changed afterwards.
//
//	values ── Collector.Observe ──▶ Statistics ── Rule.Threshold ──▶ Threshold
//	                                    │                                │
//	                              StatisticsFile                    Thresholds
//
// A [Collector] holds the statistics of all tensors that one stream of the
// runtime observes; collectors of several streams merge. [StatisticsFile] and
// [Thresholds] are the two files, both JSON, both bound to the graph they were
// made from by its SHA-256.
//
// # The rules
//
//   - minmax: the smallest and the largest value seen.
//   - kl-symmetric, kl-independent, kl-conjugate: the three modes of Bhandare
//     et al., "Efficient 8-Bit Quantization of Transformer Neural Machine
//     Language Translation Model" (arXiv 1906.00532): the clipping point whose
//     quantized distribution is nearest to the observed one in the sense of
//     Kullback and Leibler; for |x|, for each sign by itself, and the larger
//     of those two for both signs.
//   - percentile: the magnitude that a share of the values does not exceed,
//     99.99% unless told otherwise.
//   - mse: the magnitude with the least modelled squared error.
//   - guarded-kl, the default: the divergence scored at equal relative
//     resolution everywhere, one-sided tensors on all 255 codes, and two
//     promises for every tensor: the modelled squared error never exceeds that
//     of minmax, and never more than 1/256 of the energy is clipped.
//
// Every rule is exact to the bit on every machine: the arithmetic is IEEE
// double precision, one rounding an operation, in a stated order, with its own
// logarithm. Zero is always inside the range, and no threshold exceeds the
// observed absolute maximum. A tensor with NaN or infinite values is refused
// with a [*NotFiniteError].
//
// The package knows neither graphs nor tensors: values come as []float32,
// shapes play no part, and names are strings that the caller chose.
package calib
