package graphdef

// reduceOps is the signatures of reductions, arg reductions, running sums, segments and counts. Type op in
// signature.go says how to read an entry.
var reduceOps = map[string]op{
	"All":                 def(`input bool, reduction_indices Tidx -> output bool; keep_dims=false, Tidx=int32`, reduce),
	"Any":                 def(`input bool, reduction_indices Tidx -> output bool; keep_dims=false, Tidx=int32`, reduce),
	"EuclideanNorm":       def(`input T, reduction_indices Tidx -> output T; keep_dims=false, Tidx=int32`, reduce),
	"Max":                 def(`input T, reduction_indices Tidx -> output T; keep_dims=false, Tidx=int32`, reduce),
	"Mean":                def(`input T, reduction_indices Tidx -> output T; keep_dims=false, Tidx=int32`, reduce),
	"Min":                 def(`input T, reduction_indices Tidx -> output T; keep_dims=false, Tidx=int32`, reduce),
	"Prod":                def(`input T, reduction_indices Tidx -> output T; keep_dims=false, Tidx=int32`, reduce),
	"Sum":                 def(`input T, reduction_indices Tidx -> output T; keep_dims=false, Tidx=int32`, reduce),
	"ArgMax":              def(`input T, dimension Tidx -> output output_type; Tidx=int32, output_type=int64`, argReduce),
	"ArgMin":              def(`input T, dimension Tidx -> output output_type; Tidx=int32, output_type=int64`, argReduce),
	"Cumprod":             def(`x T, axis Tidx -> out T; exclusive=false, reverse=false, Tidx=int32`, same),
	"Cumsum":              def(`x T, axis Tidx -> out T; exclusive=false, reverse=false, Tidx=int32`, same),
	"CumulativeLogsumexp": def(`x T, axis Tidx -> out T; exclusive=false, reverse=false, Tidx=int32`, same),
	"Bincount":            def(`arr int32, size int32, weights T -> bins T`, nil),
	"DenseBincount":       def(`input Tidx, size Tidx, weights T -> output T; binary_output=false`, nil),
	"SegmentMax":          def(`data T, segment_ids Tindices -> output T`, segment),
	"SegmentMean":         def(`data T, segment_ids Tindices -> output T`, segment),
	"SegmentMin":          def(`data T, segment_ids Tindices -> output T`, segment),
	"SegmentProd":         def(`data T, segment_ids Tindices -> output T`, segment),
	"SegmentSum":          def(`data T, segment_ids Tindices -> output T`, segment),
	"SparseSegmentSum": def(`data T, indices Tidx, segment_ids Tsegmentids -> output T; Tidx=int32, Tsegmentids=int32,
		sparse_gradient=false`, segment),
	"SparseSegmentMean": def(`data T, indices Tidx, segment_ids Tsegmentids -> output T; Tidx=int32, Tsegmentids=int32,
		sparse_gradient=false`, segment),
	"SparseSegmentSqrtN": def(`data T, indices Tidx, segment_ids Tsegmentids -> output T; Tidx=int32, Tsegmentids=int32,
		sparse_gradient=false`, segment),
	"SparseSegmentMeanWithNumSegments": def(`data T, indices Tidx, segment_ids Tsegmentids, num_segments Tnumsegments
		-> output T; Tidx=int32, Tnumsegments=int32, Tsegmentids=int32, sparse_gradient=false`, segment),
	"SparseSegmentSqrtNWithNumSegments": def(`data T, indices Tidx, segment_ids Tsegmentids, num_segments Tnumsegments
		-> output T; Tidx=int32, Tnumsegments=int32, Tsegmentids=int32, sparse_gradient=false`, segment),
	"SparseSegmentSumWithNumSegments": def(`data T, indices Tidx, segment_ids Tsegmentids, num_segments Tnumsegments
		-> output T; Tidx=int32, Tnumsegments=int32, Tsegmentids=int32, sparse_gradient=false`, segment),
	"UnsortedSegmentMax": def(`data T, segment_ids Tindices, num_segments Tnumsegments -> output T; Tnumsegments=int32`,
		unsortedSegment),
	"UnsortedSegmentMin": def(`data T, segment_ids Tindices, num_segments Tnumsegments -> output T; Tnumsegments=int32`,
		unsortedSegment),
	"UnsortedSegmentProd": def(`data T, segment_ids Tindices, num_segments Tnumsegments -> output T;
		Tnumsegments=int32`, unsortedSegment),
	"UnsortedSegmentSum": def(`data T, segment_ids Tindices, num_segments Tnumsegments -> output T; Tnumsegments=int32`,
		unsortedSegment),
	"UnsortedSegmentJoin": def(`inputs string, segment_ids Tindices, num_segments Tnumsegments -> output string;
		separator="", Tnumsegments=int32`, nil),
	"HistogramFixedWidth": def(`values T, value_range T, nbins int32 -> out dtype; dtype=int32`, nil),
}
