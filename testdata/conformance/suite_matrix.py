"""Products, bands, normalizations, losses, convolutions, pools, fused ops."""
import numpy as np

from recorder import COMPLEX, FLOATS, NUMBERS
from suite_math import each

PRODUCTS = FLOATS + ["i32", "i64"] + COMPLEX
HALVES = ["f32", "f64", "f16", "bf16"]


def build(R):
    group = "matrix"
    R.case(group, "MatMul", [lambda g, d=d, a=a, b=b: g.op("MatMul", g.rand([4, 3] if a else [3, 4], d), g.rand([2, 4] if b else [4, 2], d), transpose_a=a, transpose_b=b)
                             for d in PRODUCTS for a in (False, True) for b in (False, True) if d not in COMPLEX or not a and not b]
           + [lambda g: g.op("MatMul", g.rand([0, 4]), g.rand([4, 2])), lambda g: g.op("MatMul", g.rand([2, 0]), g.rand([0, 2])), lambda g: g.op("MatMul", g.rand([1, 70]), g.rand([70, 33]))], "sum")
    for op in ("BatchMatMul", "BatchMatMulV2"):
        R.case(group, op, [lambda g, op=op, d=d, x=x, y=y: g.op(op, g.rand([2, 4, 3] if x else [2, 3, 4], d), g.rand([2, 2, 4] if y else [2, 4, 2], d), adj_x=x, adj_y=y)
                           for d in PRODUCTS for x, y in ((False, False), (True, True))]
               + ([lambda g: g.op(op, g.rand([2, 1, 3, 4]), g.rand([3, 4, 2]))] if op[-1] == "2" else []), "sum")
    R.case(group, "BatchMatMulV3", [lambda g, a=a, b=b, t=t: g.op("BatchMatMulV3", g.rand([2, 3, 4], a), g.rand([4, 2], b), Tout=t)
                                    for a, b, t in (("f32", "f32", "f32"), ("i8", "i8", "i32"), ("u8", "i8", "i32"), ("u8", "u8", "i32"), ("i32", "i32", "i32"), ("bf16", "bf16", "bf16"))], "sum")
    R.case(group, "Einsum", [lambda g, d=d: g.op("Einsum", [g.rand([2, 3, 4], d), g.rand([4, 2, 3], d)], equation="abc,cde->abde") for d in PRODUCTS]
           + [lambda g, e=e, s=s: g.op("Einsum", [g.rand(x) for x in s], equation=e)
              for e, s in (("ij->ji", [[2, 3]]), ("ii->i", [[3, 3]]), ("ij->", [[2, 3]]), ("...ij,jk->...ik", [[2, 2, 3], [3, 2]]), ("BTNH,BSNH->BNTS", [[1, 2, 2, 3], [1, 4, 2, 3]]), ("i->ii", [[3]]))], "sum")
    R.case(group, "XlaEinsum", [lambda g: g.op("XlaEinsum", g.rand([2, 3]), g.rand([3, 2]), equation="ij,jk->ik")], "sum")
    for op in ("BiasAdd", "BiasAddV1"):
        R.case(group, op, [lambda g, op=op, d=d: g.op(op, g.rand([2, 3, 4], d), g.rand([4], d)) for d in NUMBERS]
               + ([lambda g: g.op("BiasAdd", g.rand([2, 3, 2, 2]), g.rand([3]), data_format="NCHW")] if op == "BiasAdd" else []), "one")
    R.case(group, "MatrixBandPart", [lambda g, d=d: g.op("MatrixBandPart", g.rand([2, 4, 4], d), g.const(1, "i64"), g.const(0, "i64")) for d in NUMBERS + ["bool"] + COMPLEX]
           + [lambda g, lo=lo, hi=hi: g.op("MatrixBandPart", g.rand([3, 5]), g.const(lo, "i32"), g.const(hi, "i32")) for lo, hi in ((-1, 0), (0, -1), (-1, -1), (0, 0))])
    R.case(group, "Diag", each(FLOATS[:2] + ["i32", "i64", "c64"], lambda g, d: g.op("Diag", g.rand([2, 2], d))))
    R.case(group, "DiagPart", each(FLOATS[:2] + ["i32", "i64", "c64"], lambda g, d: g.op("DiagPart", g.rand([2, 2, 2, 2], d))))
    for v, extra in (("", 0), ("V2", 1), ("V3", 1)):
        R.case(group, "MatrixDiag" + v, [lambda g, d=d, v=v, extra=extra: g.op("MatrixDiag" + v, g.rand([2, 3], d), *([g.const(1, "i32"), g.const(-1, "i32"), g.const(-1, "i32"), g.const(7, d)] if extra else []))
                                         for d in NUMBERS + ["bool"]])
        R.case(group, "MatrixDiagPart" + v, [lambda g, d=d, v=v, extra=extra: g.op("MatrixDiagPart" + v, g.rand([2, 3, 4], d), *([g.const([-1, 1], "i32"), g.const(7, d)] if extra else []))
                                             for d in NUMBERS + ["bool"]])
        R.case(group, "MatrixSetDiag" + v, [lambda g, d=d, v=v, extra=extra: g.op("MatrixSetDiag" + v, g.rand([2, 3, 4], d), g.rand([2, 3], d), *([g.const(0, "i32")] if extra else []))
                                            for d in NUMBERS + ["bool"]])
    for align in ("LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT"):
        R.case(group, "MatrixDiagPartV3_" + align.lower(), [lambda g, a=align: g.op("MatrixDiagPartV3", g.rand([3, 4]), g.const([-2, 2], "i32"), g.const(0.0), align=a)])
    for op in ("Softmax", "LogSoftmax"):
        R.case(group, op, [lambda g, op=op, d=d: g.op(op, g.rand([2, 5], d)) for d in FLOATS]
               + [lambda g, op=op: g.op(op, g.const([[0.0, float("-inf"), 1], [float("nan"), 0, 0]])), lambda g, op=op: g.op(op, g.rand([2, 3, 4])), lambda g, op=op: g.op(op, g.rand([0, 4]))])
    R.case(group, "SoftmaxCrossEntropyWithLogits", each(FLOATS, lambda g, d: g.op("SoftmaxCrossEntropyWithLogits", g.rand([2, 4], d), g.rand([2, 4], d, 0, 1))), "sum")
    R.case(group, "SparseSoftmaxCrossEntropyWithLogits", [lambda g, d=d, i=i: g.op("SparseSoftmaxCrossEntropyWithLogits", g.rand([2, 4], d), g.const([3, 0], i)) for d in FLOATS for i in ("i32", "i64")], "sum")

    R.case(group, "BiasAddGrad", [lambda g, d=d, f=f: g.op("BiasAddGrad", g.rand([2, 3, 2, 4], d), data_format=f) for d in FLOATS for f in ("NHWC", "NCHW")], "sum")
    R.case(group, "SparseMatMul", [lambda g, a=a, b=b, t=t: g.op("SparseMatMul", g.rand([3, 4], a), g.rand([2, 4] if t else [4, 2], b), transpose_b=t)
                                   for a, b in (("f32", "f32"), ("bf16", "bf16"), ("f32", "bf16")) for t in (False, True)], "sum")
    spd = [[[4.0, 9, 8], [2, 5, 9], [1, 3, 7]], [[1, 0, 0], [0, 2, 0], [0, 0, 3]]]  # of the lower halves, which alone count
    R.case(group, "MatrixInverse", [lambda g, d=d, t=t: g.op("MatrixInverse", g.const(spd, d), adjoint=t) for d in FLOATS[:2] for t in (False, True)], "sum")
    R.case(group, "Cholesky", [lambda g, d=d: g.op("Cholesky", g.const(spd, d)) for d in FLOATS[:2]], "sum")

    group = "conv"
    norm = lambda g, op, d, n, train, u=None, **kw: g.op(op, g.rand([2, 2, 2, 3], d), *[g.rand([3], u or d, 0.5, 1.5) for _ in range(n)], is_training=train, **kw)[:3]
    for op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        R.case(group, op, [lambda g, op=op, d=d, u=u: norm(g, op, d, 4, False, u) for d, u in (("f32", "f32"), ("f16", "f32"), ("bf16", "f32"))]
               + [lambda g, op=op: norm(g, op, "f32", 4, True, epsilon=0.01)[:1]], "sum")
    for pad in ("SAME", "VALID"):
        R.case(group, "Conv2D_" + pad.lower(), [lambda g, d=d, pad=pad: g.op("Conv2D", g.rand([1, 5, 5, 2], d), g.rand([3, 3, 2, 3], d), strides=[1, 2, 2, 1], padding=pad) for d in HALVES + ["i32"]], "sum")
        R.case(group, "DepthwiseConv2dNative_" + pad.lower(), [lambda g, d=d, pad=pad: g.op("DepthwiseConv2dNative", g.rand([1, 5, 5, 2], d), g.rand([3, 3, 2, 2], d), strides=[1, 2, 2, 1], padding=pad) for d in HALVES], "sum")
        for op in ("MaxPool", "AvgPool"):
            R.case(group, op + "_" + pad.lower(), [lambda g, op=op, d=d, pad=pad: g.op(op, g.rand([1, 5, 5, 2], d), ksize=[1, 3, 2, 1], strides=[1, 2, 2, 1], padding=pad) for d in HALVES + ["i32", "i64", "u8", "i8", "i16"]], "sum")
            R.case(group, op + "3D_" + pad.lower(), [lambda g, op=op, d=d, pad=pad: g.op(op + "3D", g.rand([1, 4, 4, 4, 1], d), ksize=[1, 2, 3, 2, 1], strides=[1, 2, 2, 2, 1], padding=pad) for d in HALVES], "sum")
        R.case(group, "MaxPoolWithArgmax_" + pad.lower(), [lambda g, d=d, pad=pad: g.op("MaxPoolWithArgmax", g.rand([1, 4, 4, 2], d), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding=pad) for d in HALVES], "sum")
        R.case(group, "Conv3D_" + pad.lower(), [lambda g, d=d, pad=pad: g.op("Conv3D", g.rand([1, 3, 3, 3, 1], d), g.rand([2, 2, 2, 1, 2], d), strides=[1, 1, 1, 1, 1], padding=pad) for d in HALVES], "sum")
    R.case(group, "Conv2D_forms", [lambda g: g.op("Conv2D", g.rand([1, 6, 6, 1]), g.rand([3, 3, 1, 2]), strides=[1, 1, 1, 1], padding="VALID", dilations=[1, 2, 2, 1]),
                                   lambda g: g.op("Conv2D", g.rand([1, 3, 3, 1]), g.rand([2, 2, 1, 2]), strides=[1, 1, 1, 1], padding="EXPLICIT", explicit_paddings=[0, 0, 1, 0, 2, 1, 0, 0]),
                                   lambda g: g.op("Conv2D", g.rand([2, 3, 3, 4]), g.rand([1, 1, 4, 3]), strides=[1, 1, 1, 1], padding="SAME")], "sum")
    R.case(group, "Conv2DBackpropInput", [lambda g, d=d: g.op("Conv2DBackpropInput", g.const([1, 4, 4, 2], "i32"), g.rand([3, 3, 2, 3], d), g.rand([1, 2, 2, 3], d), strides=[1, 2, 2, 1], padding="SAME") for d in HALVES], "sum")
    R.case(group, "LRN", each(["f32", "f16", "bf16"], lambda g, d: g.op("LRN", g.rand([1, 2, 2, 6], d), depth_radius=2, alpha=0.1)), "sum")

    group = "fused"
    R.case(group, "_FusedMatMul", [lambda g, f=f, d=d: g.op("_FusedMatMul", g.rand([2, 3], d), g.rand([3, 4], d), [g.rand([4], d)], fused_ops=["BiasAdd"] + f)
                                   for f in ([], ["Relu"], ["Relu6"], ["Elu"], ["LeakyRelu"], ["Tanh"], ["Sigmoid"]) for d in ("f32", "bf16")], "sum")
    R.case(group, "_FusedConv2D", [lambda g, f=f: g.op("_FusedConv2D", g.rand([1, 4, 4, 2]), g.rand([3, 3, 2, 3]), [g.rand([3])], [], fused_ops=["BiasAdd"] + f, num_args=1, TArgs=["f32"],
                                                      strides=[1, 1, 1, 1], padding="SAME") for f in ([], ["Relu"], ["Relu6"], ["Elu"], ["LeakyRelu"])]
           + [lambda g: g.op("_FusedConv2D", g.rand([1, 4, 4, 2]), g.rand([3, 3, 2, 3]), [g.rand([3], "f32", 0.5, 1) for _ in range(4)], [], fused_ops=["FusedBatchNorm"], num_args=4, epsilon=0.01,
                              strides=[1, 1, 1, 1], padding="SAME")], "sum")
    R.case("onednn", "_FusedMatMul_onednn", [lambda g, f=f: g.op("_FusedMatMul", g.rand([2, 3]), g.rand([3, 4]), [g.rand([4])], fused_ops=["BiasAdd", f])
                                             for f in ("GeluApproximate", "GeluExact", "Relu", "Tanh", "Sigmoid")], "sum", onednn=True)
    R.case("onednn", "_MklLayerNorm", each(["f32", "bf16"], lambda g, d: g.op("_MklLayerNorm", g.rand([3, 8], d), g.rand([8], d), g.rand([8], d), epsilon=0.001)), "sum", onednn=True)
    R.case("onednn", "_MklFusedBatchMatMulV2", [lambda g, f=f, s=s: g.op("_MklFusedBatchMatMulV2", g.rand([2, 2, 3, 4]), g.rand([2, 2, 4, 5]), [g.const(0.5)] + ([g.rand([2, 1, 1, 5])] if s else []),
                                                                         fused_ops=f, num_args=len(f)) for f, s in ((["Mul", "Add"], True),)], "sum", onednn=True)
