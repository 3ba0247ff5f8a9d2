package graphdef

// fusedOps is the signatures of fused kernels that Grappler and oneDNN builds of TensorFlow write. Type op in
// signature.go says how to read an entry.
var fusedOps = map[string]op{
	"_FusedMatMul": def(`a T, b T, args num_args*T -> product T; transpose_a=false, transpose_b=false,
		fused_ops:list(string)=[], epsilon=0.0001, leakyrelu_alpha=0.2`, matMul),
	"_FusedConv2D": def(`input T, filter T, args TArgs..., host_args num_host_args*float -> output T; num_args:int,
		num_host_args=0, strides:list(int), padding:string, explicit_paddings:list(int)=[], data_format="NHWC",
		filter_format="HWIO", dilations:list(int)=[1,1,1,1], use_cudnn_on_gpu=true, fused_ops:list(string)=[],
		epsilon=0.0001, leakyrelu_alpha=0.2`, conv2D),
	"_FusedBatchNormEx": def(`x T, scale U, offset U, mean U, variance U, side_input num_side_inputs*T -> y T,
		batch_mean U, batch_variance U, reserve_space_1 U, reserve_space_2 U, reserve_space_3 U; epsilon=0.0001,
		exponential_avg_factor=1.0, num_side_inputs=0, activation_mode="Identity", data_format="NHWC",
		is_training=true`, batchNorm),
	"_UnaryOpsComposition": def(`x T -> y T; op_names:list(string)`, same),
	"_QuantizedMatMul": def(`device_inputs Tdevice_inputs..., host_inputs Thost_inputs...
		-> device_outputs Tdevice_outputs...,
		host_outputs Thost_outputs...; Tdevice_inputs:list(type)=[], Thost_inputs:list(type)=[],
		Tdevice_outputs:list(type)=[], Thost_outputs:list(type)=[], T1:type, T2:type, Tbias=float, U=float,
		Tout=float, transpose_a=false, transpose_b=false, is_weight_const=true, is_bias_const=true,
		fused_ops:list(string)=[], input_quant_mode="SCALED", output_quant_mode="SCALED", leakyrelu_alpha=0.2`,
		fusedQuantizedMatMul),
	"_MklFusedBatchMatMulV2": def(`x T, y T, args num_args*T -> output T; adj_x=false, adj_y=false,
		fused_ops:list(string)=[], epsilon=0.0001, leakyrelu_alpha=0.2`, batchMatMul),
	"_MklLayerNorm": def(`x T, scale T, offset T -> y T; epsilon=0.001`, same),
}
