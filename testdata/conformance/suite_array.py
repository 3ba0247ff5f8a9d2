"""Shapes, data movement, indices, sets, constants."""
import numpy as np

from recorder import ALL, COMPLEX, FLOATS, INTS, NUMBERS, SIGNED
from suite_math import each

QUANTIZED = ["qi8", "qu8", "qi32", "qi16", "qu16"]
MANY = ["f32", "f64", "f16", "bf16", "i8", "u8", "i32", "i64", "c64", "bool", "str"]
FEW = ["f32", "i32", "bf16", "str"]


def build(R):
    group = "shape"
    R.case(group, "Const", [lambda g, d=d: g._const(g.prefix + "c", g.values([2, 2], d, None, None), d) for d in ALL + QUANTIZED])
    for op in ("Identity", "StopGradient", "PreventGradient", "Snapshot", "GuaranteeConst", "DebugGradientIdentity", "Copy", "CopyHost"):
        R.case(group, op, each(FEW, lambda g, d, op=op: g.op(op, g.rand([2, 2], d))))
    R.case(group, "IdentityN", [lambda g: g.op("IdentityN", [g.rand([2]), g.rand([1], "str")])])
    R.case(group, "PlaceholderWithDefault", each(FEW, lambda g, d: g.op("PlaceholderWithDefault", g.rand([2], d), shape=[None])))

    def placeholder(g, d):
        p = g.op("Placeholder", dtype=d, shape=[None, 2], label="ph")
        g.const(g.values([3, 2], d, None, None), d, feed=p.name + ":0")
        return g.op("Identity", p)
    R.case(group, "Placeholder", each(FEW, placeholder))
    R.case(group, "Print", [lambda g: g.op("Print", g.rand([2]), [g.rand([1])], message="recorded ")])
    R.case(group, "Assert", [lambda g: g.op("Identity", g.rand([2]), controls=[g.op("Assert", g.const(True, "bool"), [g.rand([2])])])])
    R.case(group, "NoOp", [lambda g: g.op("Identity", g.rand([2]), controls=[g.op("NoOp"), g.op("ControlTrigger")])])
    for op in ("Shape", "Size"):
        R.case(group, op, [lambda g, op=op, d=d, o=o: g.op(op, g.rand([2, 0, 3], d), out_type=o) for d in FEW for o in ("i32", "i64")])
    R.case(group, "Rank", each(FEW, lambda g, d: g.op("Rank", g.rand([2, 1, 3], d))))
    R.case(group, "ShapeN", [lambda g: g.op("ShapeN", [g.rand([2, 3]), g.rand([]), ], out_type="i64")])
    R.case(group, "Reshape", [lambda g, d=d, s=s: g.op("Reshape", g.rand([2, 6], d), g.const(s, "i32")) for d in MANY + QUANTIZED for s in ([3, -1],)]
           + [lambda g, s=s: g.op("Reshape", g.rand([0, 4]), g.const(s, "i64")) for s in ([-1, 4], [0, 2, 2], [0])])
    R.case(group, "ExpandDims", [lambda g, d=d, a=a: g.op("ExpandDims", g.rand([2, 3], d), g.const(a, "i32")) for d in FEW for a in (0, -1, 1)])
    R.case(group, "Squeeze", [lambda g, d=d, a=a: g.op("Squeeze", g.rand([1, 2, 1], d), squeeze_dims=a) for d in FEW for a in ([], [0], [-1])])
    R.case(group, "EnsureShape", each(FEW, lambda g, d: g.op("EnsureShape", g.rand([2, 3], d), shape=[None, 3])))
    for op in ("Transpose", "ConjugateTranspose"):
        R.case(group, op, [lambda g, op=op, d=d: g.op(op, g.rand([2, 3, 4], d), g.const([2, 0, 1], "i32")) for d in MANY + ["c128"]]
               + [lambda g, op=op: g.op(op, g.rand([2, 1, 3, 2]), g.const([0, 2, 1, 3], "i64"))])
    R.case(group, "InvertPermutation", each(["i32", "i64"], lambda g, d: g.op("InvertPermutation", g.const([2, 0, 3, 1], d))))
    R.case(group, "ConcatV2", [lambda g, d=d: g.op("ConcatV2", [g.rand([2, 1], d), g.rand([2, 3], d), g.rand([2, 0], d)], g.const(-1, "i32")) for d in MANY + ["qi8", "qu8", "qi32"]])
    R.case(group, "Concat", each(FEW, lambda g, d: g.op("Concat", g.const(0, "i32"), [g.rand([1, 2], d), g.rand([2, 2], d)])))
    R.case(group, "ConcatOffset", [lambda g: g.op("ConcatOffset", g.const(1, "i32"), [g.const([2, 3], "i32"), g.const([2, 5], "i32")])])
    R.case(group, "Pack", [lambda g, d=d, a=a: g.op("Pack", [g.rand([2], d), g.rand([2], d)], axis=a) for d in MANY for a in (0, -1)])
    R.case(group, "ParallelConcat", each(FEW, lambda g, d: g.op("ParallelConcat", [g.rand([1, 2], d), g.rand([1, 2], d)], shape=[2, 2])))
    R.case(group, "Unpack", [lambda g, d=d, a=a, n=n: g.op("Unpack", g.rand([2, 3], d), num=n, axis=a) for d in MANY for a, n in ((0, 2), (-1, 3))])
    R.case(group, "Split", each(MANY, lambda g, d: g.op("Split", g.const(1, "i32"), g.rand([2, 4], d), num_split=2)))
    R.case(group, "SplitV", each(MANY, lambda g, d: g.op("SplitV", g.rand([2, 5], d), g.const([1, -1, 2], "i64"), g.const(-1, "i32"), num_split=3)))
    R.case(group, "Slice", each(MANY + ["qi8"], lambda g, d: g.op("Slice", g.rand([3, 4], d), g.const([1, 0], "i32"), g.const([-1, 2], "i32"))))

    def strided(g, d, b, e, s, shape=(3, 4, 2), **masks):
        return g.op("StridedSlice", g.rand(shape, d), g.const(b, "i32"), g.const(e, "i32"), g.const(s, "i32"), **masks)
    R.case(group, "StridedSlice", each(MANY, lambda g, d: strided(g, d, [0, 1], [2, 4], [1, 2]))
           + [lambda g: strided(g, "f32", [-1, 0], [-4, 9], [-1, 1]), lambda g: strided(g, "f32", [1, 0], [2, 1], [1, 1], shrink_axis_mask=1, ellipsis_mask=2),
              lambda g: strided(g, "i32", [0, 0, 1], [0, 0, 3], [1, 1, 1], new_axis_mask=1, begin_mask=2, end_mask=2),
              lambda g: strided(g, "f32", [2], [1], [1]), lambda g: strided(g, "i32", [1], [2], [1], (4,), shrink_axis_mask=1)])
    R.case(group, "Tile", [lambda g, d=d: g.op("Tile", g.rand([2, 3], d), g.const([2, 1], "i32")) for d in MANY] + [lambda g: g.op("Tile", g.rand([2]), g.const([0], "i64"))])
    R.case(group, "BroadcastTo", each(MANY, lambda g, d: g.op("BroadcastTo", g.rand([2, 1], d), g.const([3, 2, 2], "i32"))))
    R.case(group, "BroadcastArgs", each(["i32", "i64"], lambda g, d: g.op("BroadcastArgs", g.const([2, 1], d), g.const([3, 1, 5], d))))
    R.case(group, "Pad", each(MANY, lambda g, d: g.op("Pad", g.rand([2, 2], d), g.const([[1, 0], [0, 2]], "i32"))))
    R.case(group, "PadV2", each(MANY, lambda g, d: g.op("PadV2", g.rand([2, 2], d), g.const([[1, 0], [0, 2]], "i64"), g.rand([], d))))
    R.case(group, "MirrorPad", [lambda g, d=d, m=m: g.op("MirrorPad", g.rand([3, 2], d), g.const([[2, 1], [1, 0]], "i32"), mode=m) for d in MANY for m in ("REFLECT", "SYMMETRIC")])
    R.case(group, "Range", [lambda g, d=d: g.op("Range", g.const(1, d), g.const(8, d), g.const(3, d)) for d in NUMBERS]
           + [lambda g: g.op("Range", g.const(2.5), g.const(-1), g.const(-0.7)), lambda g: g.op("Range", g.const(3, "i32"), g.const(3, "i32"), g.const(1, "i32"))], "one")
    R.case(group, "Fill", [lambda g, d=d, i=i: g.op("Fill", g.const([2, 2], i), g.rand([], d)) for d in MANY for i in ("i32", "i64")])
    R.case(group, "Empty", each(FEW, lambda g, d: g.op("Empty", g.const([2, 2], "i32"), dtype=d, init=True)))
    R.case(group, "OneHot", [lambda g, d=d, a=a, i=i: g.op("OneHot", g.const([1, 3, -1, 0], i), g.const(3, "i32"), g.const(g.values([], d, None, None), d), g.rand([], d), axis=a)
                             for d in MANY for i, a in (("i64", -1), ("i32", 0))])
    R.case(group, "LinSpace", each(["f32", "f64"], lambda g, d: g.op("LinSpace", g.const(-1, d), g.const(2, d), g.const(5, "i32"))), "fun")
    R.case(group, "Reverse", each(FEW, lambda g, d: g.op("Reverse", g.rand([2, 3], d), g.const([False, True], "bool"))))
    R.case(group, "ReverseV2", [lambda g, d=d: g.op("ReverseV2", g.rand([2, 3], d), g.const([-1, 0], "i32")) for d in MANY] + [lambda g: g.op("ReverseV2", g.rand([3]), g.const(np.zeros([0]), "i64"))])
    R.case(group, "ReverseSequence", each(MANY, lambda g, d: g.op("ReverseSequence", g.rand([2, 4], d), g.const([3, 1], "i64"), seq_dim=1, batch_dim=0)))
    R.case(group, "Roll", each(MANY, lambda g, d: g.op("Roll", g.rand([3, 4], d), g.const([1, -2], "i32"), g.const([0, 1], "i32"))))
    R.case(group, "BatchToSpaceND", each(FEW, lambda g, d: g.op("BatchToSpaceND", g.rand([4, 1, 2, 1], d), g.const([2, 2], "i32"), g.const([[0, 0], [1, 0]], "i32"))))
    R.case(group, "SpaceToBatchND", each(FEW, lambda g, d: g.op("SpaceToBatchND", g.rand([1, 2, 3, 1], d), g.const([2, 2], "i32"), g.const([[0, 0], [0, 1]], "i32"))))
    R.case(group, "BatchToSpace", each(FEW, lambda g, d: g.op("BatchToSpace", g.rand([4, 1, 2, 1], d), g.const([[0, 0], [1, 0]], "i32"), block_size=2)))
    R.case(group, "SpaceToBatch", each(FEW, lambda g, d: g.op("SpaceToBatch", g.rand([1, 2, 3, 1], d), g.const([[0, 0], [0, 1]], "i32"), block_size=2)))
    R.case(group, "SpaceToDepth", each(FEW + ["u8"], lambda g, d: g.op("SpaceToDepth", g.rand([1, 2, 4, 1], d), block_size=2)))
    R.case(group, "DepthToSpace", each(FEW + ["u8"], lambda g, d: g.op("DepthToSpace", g.rand([1, 1, 2, 4], d), block_size=2)))

    group = "index"
    R.case(group, "Gather", [lambda g, d=d, i=i: g.op("Gather", g.rand([4, 2], d), g.const([[3, 0], [1, 3]], i)) for d in MANY for i in ("i32",)])
    R.case(group, "GatherV2", [lambda g, d=d: g.op("GatherV2", g.rand([2, 4], d), g.const([3, 0], "i32"), g.const(1, "i32")) for d in MANY + ["qi8"]]
           + [lambda g: g.op("GatherV2", g.rand([2, 3, 2]), g.const([[2, 0], [1, 1]], "i64"), g.const(1, "i64"), batch_dims=1),
              lambda g: g.op("GatherV2", g.rand([4, 2]), g.const(2, "i32"), g.const(0, "i32")), lambda g: g.op("GatherV2", g.rand([4, 2]), g.const(np.zeros([0]), "i32"), g.const(0, "i32"))])
    R.case(group, "GatherNd", [lambda g, d=d: g.op("GatherNd", g.rand([2, 3], d), g.const([[0, 1], [1, 2]], "i32")) for d in MANY]
           + [lambda g: g.op("GatherNd", g.rand([2, 3, 2]), g.const([[[1]], [[0]]], "i64"))])
    R.case(group, "ScatterNd", [lambda g, d=d: g.op("ScatterNd", g.const([[2], [0], [2]], "i32"), g.rand([3, 2], d), g.const([4, 2], "i32")) for d in NUMBERS + ["c64", "bool", "str"]], "sum")
    R.case(group, "ScatterNdNonAliasingAdd", each(NUMBERS, lambda g, d: g.op("ScatterNdNonAliasingAdd", g.rand([4], d), g.const([[2], [0], [2]], "i32"), g.rand([3], d))), "sum")
    for k in ("Update", "Add", "Sub", "Max", "Min"):
        R.case(group, "TensorScatter" + k, each(NUMBERS + ["str"], lambda g, d, k=k: g.op("TensorScatter" + k, g.rand([4, 2], d), g.const([[2], [0]], "i32"), g.rand([2, 2], d))), "sum")
    R.case(group, "TensorStridedSliceUpdate", each(FEW, lambda g, d: g.op("TensorStridedSliceUpdate", g.rand([4, 2], d), g.const([1], "i32"), g.const([4], "i32"), g.const([2], "i32"), g.rand([2, 2], d))))
    R.case(group, "TopKV2", [lambda g, d=d: g.op("TopKV2", g.rand([2, 6], d, -4, 4), g.const(3, "i32")) for d in NUMBERS]
           + [lambda g: g.op("TopKV2", g.const([1.0, 3, 3, 2]), g.const(0, "i32"))], "exact")
    R.case(group, "Unique", [lambda g, d=d, o=o: g.op("Unique", g.rand([8], d, 0, 3), out_idx=o) for d in MANY for o in ("i32", "i64")])
    R.case(group, "UniqueV2", [lambda g, d=d: g.op("UniqueV2", g.rand([8], d, 0, 3), g.const([0], "i32")) for d in MANY]
           + [lambda g: g.op("UniqueV2", g.const([[1, 2], [1, 2], [0, 1]], "i32"), g.const([0], "i64"))])
    R.case(group, "UniqueWithCounts", each(MANY, lambda g, d: g.op("UniqueWithCounts", g.rand([8], d, 0, 3))))
    R.case(group, "UniqueWithCountsV2", [lambda g: g.op("UniqueWithCountsV2", g.const([[1, 2], [1, 2], [0, 1]], "i32"), g.const([0], "i64"))])
    R.case(group, "Where", each(NUMBERS + ["bool", "c64"], lambda g, d: g.op("Where", g.rand([2, 4], d, 0, 1) if d[0] in "iub" else g.const([[0, 1, -0.0, 2]], d))))
    R.case(group, "ListDiff", [lambda g, d=d: g.op("ListDiff", g.rand([8], d, 0, 4), g.rand([3], d, 0, 4)) for d in NUMBERS + ["str"]])
    R.case(group, "DynamicPartition", each(MANY, lambda g, d: g.op("DynamicPartition", g.rand([5, 2], d), g.const([0, 2, 0, 1, 2], "i32"), num_partitions=3)))
    for op in ("DynamicStitch", "ParallelDynamicStitch"):
        R.case(group, op, each(MANY, lambda g, d, op=op: g.op(op, [g.const([2, 0], "i32"), g.const([[1, 3]], "i32")], [g.rand([2, 2], d), g.rand([1, 2, 2], d)])))
    for op in ("LowerBound", "UpperBound"):
        R.case(group, op, [lambda g, d=d, o=o, op=op: g.op(op, g.const([[0, 1, 1, 3]], d), g.const([[1, 2, 9, -1] if d not in INTS or d in SIGNED else [1, 2, 9, 0]], d), out_type=o)
                           for d in NUMBERS for o in ("i32", "i64")])
    R.case(group, "SparseToDense", [lambda g, d=d: g.op("SparseToDense", g.const([[0, 1], [2, 0]], "i64"), g.const([3, 2], "i64"), g.rand([2], d), g.rand([], d)) for d in MANY]
           + [lambda g: g.op("SparseToDense", g.const([2, 0], "i32"), g.const([3], "i32"), g.const(5.0), g.const(1.0), validate_indices=False)])
    R.case(group, "RaggedRange", [lambda g, d=d: g.op("RaggedRange", g.const([0, 5], d), g.const(10, d), g.const([3, 2], d)) for d in ("i32", "i64", "f32", "f64", "bf16")])
    R.case(group, "RaggedGather", [lambda g, d=d, i=i, r=r: g.op("RaggedGather", [g.const([0, 2, 3, 6], "i64")], g.rand([6], d), g.const(i, "i32"), OUTPUT_RAGGED_RANK=r)
                                   for d in FEW for i, r in (([2, 0], 1), ([[2, 0], [1, 1]], 2), (1, 0))])
    R.case(group, "RaggedTensorToTensor", [lambda g, d=d: g.op("RaggedTensorToTensor", g.const(-1, "i64"), g.rand([4], d), g.rand([], d), [g.const([0, 2, 3], "i64"), g.const([0, 1, 3, 4], "i64")], row_partition_types=["ROW_SPLITS", "ROW_SPLITS"])
                                           for d in FEW]
           + [lambda g: g.op("RaggedTensorToTensor", g.const([4, 2], "i32"), g.rand([4]), g.rand([]), [g.const(3, "i64"), g.const([0, 0, 0, 2], "i64")], row_partition_types=["FIRST_DIM_SIZE", "VALUE_ROWIDS"])])
    R.case(group, "RaggedTensorToSparse", [lambda g, d=d: g.op("RaggedTensorToSparse", [g.const([0, 2, 2, 3], "i64"), g.const([0, 1, 3, 4], "i64")], g.rand([4], d)) for d in FEW])
