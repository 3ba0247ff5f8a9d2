package graphdef

// functionOps is the signatures of function calls, loops and conditionals over functions, arguments and results. Type
// op in signature.go says how to read an entry.
var functionOps = map[string]op{
	"_Arg":    def(`-> output T; index:int`, argument, Stateful),
	"_Retval": def(`input T ->; index:int`, none, Stateful),
	"PartitionedCall": def(`args Tin... -> output Tout...; f:func, config="", config_proto="", executor_type=""`,
		call, CallsFunctions),
	"StatefulPartitionedCall": def(`args Tin... -> output Tout...; f:func, config="", config_proto="",
		executor_type=""`, call, Stateful|CallsFunctions),
	"While": def(`input T... -> output T...; cond:func, body:func, output_shapes:list(shape)=[],
		parallel_iterations=10`, whileLoop, Stateful|CallsFunctions),
	"StatelessWhile": def(`input T... -> output T...; cond:func, body:func, output_shapes:list(shape)=[],
		parallel_iterations=10`, whileLoop, CallsFunctions),
	"If": def(`cond Tcond, input Tin... -> output Tout...; then_branch:func, else_branch:func,
		output_shapes:list(shape)=[]`, ifCond, Stateful|CallsFunctions),
	"StatelessIf": def(`cond Tcond, input Tin... -> output Tout...; then_branch:func, else_branch:func,
		output_shapes:list(shape)=[]`, ifCond, CallsFunctions),
	"Case": def(`branch_index int32, input Tin... -> output Tout...; branches:list(func), output_shapes:list(shape)=[]`,
		caseCond, Stateful|CallsFunctions),
	"StatelessCase": def(`branch_index int32, input Tin... -> output Tout...; branches:list(func),
		output_shapes:list(shape)=[]`, caseCond, CallsFunctions),
	"For": def(`start int32, limit int32, delta int32, input T... -> output T...; body:func`, forLoop, CallsFunctions),
	"MapDefun": def(`arguments Targuments..., captured_inputs Tcaptured... -> output output_types...;
		Tcaptured:list(type)=[], output_shapes:list(shape), f:func, max_intra_op_parallelism=1`, mapDefun,
		CallsFunctions),
	"SymbolicGradient": def(`input Tin... -> output Tout...; f:func`, nil, CallsFunctions),
	"RemoteCall":       def(`target string, args Tin... -> output Tout...; f:func`, nil, Stateful|CallsFunctions),
	"XlaLaunch": def(`constants Tconstants..., args Targs..., resources Nresources*resource -> results Tresults...;
		function:func`, nil, Stateful|CallsFunctions),
	"XlaIf": def(`cond Tcond, inputs Tin... -> output Tout...; then_branch:func, else_branch:func`, nil,
		Stateful|CallsFunctions),
	"XlaWhile": def(`input T... -> output T...; cond:func, body:func`, nil, Stateful|CallsFunctions),
	"XlaReduce": def(`input T, init_value T -> output T; dimensions_to_reduce:list(int), reducer:func`, nil,
		CallsFunctions),
	"XlaReduceWindow": def(`input T, init_value T, window_dimensions Tindices, window_strides Tindices,
		base_dilations Tindices, window_dilations Tindices, padding Tindices -> output T; computation:func`, nil,
		CallsFunctions),
	"FakeParam":         def(`-> output dtype; shape:shape`, fakeParam),
	"_ListToArray":      def(`input Tin... -> output N*T`, nil),
	"_ArrayToList":      def(`input N*T -> output out_types...`, nil),
	"DisableCopyOnRead": def(`resource resource ->`, none, Stateful),
}
