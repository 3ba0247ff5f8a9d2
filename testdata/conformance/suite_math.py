"""Elementwise ops, casts, reductions, segments, scans."""
import numpy as np

from recorder import ALL, COMPLEX, DT, FLOATS, INTS, NUMBERS, SIGNED

NAN, INF = float("nan"), float("inf")


def each(dtypes, build):
    """One variant a dtype."""
    return [lambda g, d=d: build(g, d) for d in dtypes]


# Unary ops with the range of their inputs.
UNARY = dict.fromkeys("Abs Neg Sign Square Floor Ceil Rint Sin Cos Tanh Erf Erfc Sigmoid Softplus Softsign Relu Relu6 Elu Selu "
                      "LeakyRelu Exp Expm1 Atan Sinh Cosh Asinh Tan Digamma Lgamma".split(), (-3, 3))
UNARY.update(dict.fromkeys("Log Log1p Sqrt Rsqrt Reciprocal Inv Acosh".split(), (1.1, 6)))
UNARY.update(dict.fromkeys("Asin Acos Atanh Erfinv".split(), (-0.9, 0.9)), Ndtri=(0.1, 0.9), Round=(-5, 5))

BINARY = "Add AddV2 Sub Mul Maximum Minimum SquaredDifference Equal NotEqual Less LessEqual Greater GreaterEqual Xlogy Xlog1py " \
    "Atan2 MulNoNan".split()
DIVISIONS = "Div RealDiv FloorDiv TruncateDiv FloorMod Mod TruncateMod DivNoNan Xdivy".split()
BITS = "BitwiseAnd BitwiseOr BitwiseXor LeftShift RightShift".split()

PLAIN = "Add AddV2 Sub Mul Equal NotEqual Div RealDiv".split()  # on complex numbers too
EXACT = set("Abs Neg Sign Floor Ceil Rint Round Relu Relu6 Maximum Minimum IsNan IsInf IsFinite".split())


def build(R):
    group = "elementwise"
    for op, (lo, hi) in UNARY.items():
        plain = [lambda g, d=d, op=op, lo=lo, hi=hi: g.op(op, g.rand([2, 5], d, lo, hi))
                 for d in (FLOATS if op == "Round" else NUMBERS)]
        special = [lambda g, op=op: g.op(op, g.const([NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0])) if op != "Softsign" else None]
        empty = [lambda g, op=op, lo=lo, hi=hi: g.op(op, g.rand([0, 3], "f32", lo, hi))]
        R.case(group, op, plain + (special if op not in ("Digamma", "Lgamma") else []) + empty, "exact" if op in EXACT else "fun")
    for op in ("IsNan", "IsInf", "IsFinite"):
        R.case(group, op, each(FLOATS, lambda g, d, op=op: g.op(op, g.const([NAN, INF, -INF, 0, 1.5], d))), "exact")
    for op in BINARY:
        lo = 0.5 if op.startswith("Xl") or op == "Atan2" else None
        R.case(group, op, [lambda g, d=d, op=op, lo=lo: g.op(op, g.rand([2, 1, 3], d, lo), g.rand([4, 1], d, lo))
                           for d in NUMBERS + (COMPLEX if op in PLAIN else []) + ["bool", "str"]]
               + [lambda g, op=op: g.op(op, g.rand([2, 3]), g.rand([])), lambda g, op=op: g.op(op, g.rand([0, 3]), g.rand([3]))],
               "exact" if op in EXACT else "fun")
    for op in DIVISIONS:
        R.case(group, op, [lambda g, d=d, op=op: g.op(op, g.rand([3, 4], d), g.const(
            [1, 3, -2, 5] if d in SIGNED else [1, 3, 2, 5] if d in INTS else [0.75, -1.5, 2, -0.5], d))
                                for d in NUMBERS + (COMPLEX if op in PLAIN else [])], "one")
    R.case(group, "Pow", each(NUMBERS, lambda g, d: g.op("Pow", g.rand([2, 3], d, 1, 3), g.rand([3], d, 0, 3))))
    R.case(group, "Complex", each(["f32", "f64"], lambda g, d: g.op("Complex", g.rand([3], d), g.rand([3], d), Tout="c64" if d == "f32" else "c128")))
    for op in ("Real", "Imag", "Angle", "ComplexAbs"):
        R.case(group, op, each(COMPLEX, lambda g, d, op=op: g.op(op, g.rand([4], d), Tout="f32" if d == "c64" else "f64")))
    R.case(group, "Conj", each(COMPLEX, lambda g, d: g.op("Conj", g.rand([4], d))))
    for op in BITS:
        R.case(group, op, each(INTS, lambda g, d, op=op: g.op(op, g.rand([2, 3], d, 0 if "Shift" in op else None), g.rand([3], d, 0, 5))))
    R.case(group, "Invert", each(INTS, lambda g, d: g.op("Invert", g.rand([5], d))))
    for op in ("LogicalAnd", "LogicalOr"):
        R.case(group, op, [lambda g, op=op: g.op(op, g.const([[True], [False]], "bool"), g.const([True, False], "bool"))])
    R.case(group, "LogicalNot", [lambda g: g.op("LogicalNot", g.const([True, False], "bool"))])
    R.case(group, "ApproximateEqual", each(["f32", "f64", "i32"], lambda g, d: g.op("ApproximateEqual", g.const([1, 2, 3], d), g.const([1, 2.5, 4], d), tolerance=0.75)))
    R.case(group, "AddN", each(NUMBERS + COMPLEX, lambda g, d: g.op("AddN", [g.rand([2, 3], d) for _ in range(3)])))
    R.case(group, "AccumulateNV2", each(NUMBERS, lambda g, d: g.op("AccumulateNV2", [g.rand([2, 3], d) for _ in range(3)], shape=[2, 3])))
    R.case(group, "ClipByValue", each(NUMBERS, lambda g, d: g.op("ClipByValue", g.rand([8], d), g.const(1, d), g.const(3, d))))
    R.case(group, "Select", each(ALL, lambda g, d: g.op("Select", g.const([True, False], "bool"), g.rand([2, 3], d), g.rand([2, 3], d))))
    R.case(group, "SelectV2", each(ALL, lambda g, d: g.op("SelectV2", g.const([[True], [False]], "bool"), g.rand([3], d), g.rand([2, 1], d))))
    R.case(group, "Bucketize", each(["f32", "f64", "i32", "i64"], lambda g, d: g.op("Bucketize", g.rand([3, 3], d, -9, 9), boundaries=[-3.0, 0.0, 4.0])))
    R.case(group, "CheckNumerics", each(FLOATS, lambda g, d: g.op("CheckNumerics", g.rand([3], d), message="m")), "exact")
    R.case(group, "CheckNumericsV2", each(FLOATS, lambda g, d: g.op("CheckNumericsV2", g.rand([3], d), message="m")), "exact")
    for op in ("ZerosLike", "OnesLike"):
        R.case(group, op, each(ALL, lambda g, d, op=op: g.op(op, g.rand([2, 2], d))))
    R.case(group, "_UnaryOpsComposition", each(["f32", "f64", "f16"], lambda g, d: g.op("_UnaryOpsComposition", g.rand([6], d), op_names=["Tanh", "Relu"])))

    R.case("cast", "Cast", [lambda g, a=a, b=b: g.op("Cast", g.const([0, 1, 1, 7, 100], a) if a != "bool" else g.const([True, False], a), DstT=b)
                            for a in NUMBERS + ["bool", "c64"] for b in NUMBERS + ["bool", "c64"] if a != b]
           + [lambda g, b=b: g.op("Cast", g.const([-1.5, 2.5, 0.99, -0.5], "f64"), DstT=b) for b in FLOATS + SIGNED]
           + [lambda g, b=b: g.op("Cast", g.const([-1, 200, 70000, 2 ** 40], "i64"), DstT=b) for b in INTS if b != "i64"]
           + [lambda g: g.op("Cast", g.const([1.006, -2.9999]), DstT="bf16", Truncate=True)], "exact")
    R.case("cast", "Bitcast", [lambda g: g.op("Bitcast", g.rand([2, 2]), type="i32"), lambda g: g.op("Bitcast", g.rand([2, 4], "u8"), type="i32"),
                               lambda g: g.op("Bitcast", g.rand([3], "f64"), type="i16"), lambda g: g.op("Bitcast", g.rand([3], "i8"), type="qi8")])

    group = "reduce"
    for op in ("Sum", "Mean", "Prod", "Max", "Min", "EuclideanNorm"):
        lo, hi = (0.5, 1.5) if op == "Prod" else (None, None)
        R.case(group, op, [lambda g, d=d, op=op, lo=lo, hi=hi: g.op(op, g.rand([2, 3, 4], d, lo, hi), g.const([0, 2], "i32"))
                        for d in (FLOATS + ["i32", "i64"] if op == "EuclideanNorm" else NUMBERS + COMPLEX)]
               + [lambda g, op=op, ax=ax, keep=keep: g.op(op, g.rand([2, 3, 4], "f32", 0.5, 1.5), g.const(ax, "i64"), keep_dims=keep)
                  for ax in ([], [1], [-1, 0], [0, 1, 2], 1) for keep in (False, True)]
               + [lambda g, op=op: g.op(op, g.rand([2, 0]), g.const([1], "i32"))], "sum")
    for op in ("All", "Any"):
        R.case(group, op, [lambda g, op=op, ax=ax: g.op(op, g.rand([3, 4], "bool"), g.const(ax, "i32")) for ax in ([0], [1], [0, 1], [])]
               + [lambda g, op=op: g.op(op, g.rand([0, 2], "bool"), g.const([0], "i32"), keep_dims=True)])
    for op in ("ArgMax", "ArgMin"):
        R.case(group, op, [lambda g, d=d, op=op: g.op(op, g.rand([3, 4], d, 0, 3), g.const(1, "i32")) for d in NUMBERS + ["bool"]]
               + [lambda g, op=op: g.op(op, g.rand([2, 3, 2]), g.const(-2, "i64"), output_type="i32")])
    for op in ("Cumsum", "Cumprod"):
        R.case(group, op, [lambda g, d=d, op=op: g.op(op, g.rand([2, 4], d, 0.5, 1.5), g.const(1, "i32")) for d in NUMBERS + COMPLEX]
               + [lambda g, op=op, ex=ex, rev=rev: g.op(op, g.rand([3, 4]), g.const(0, "i32"), exclusive=ex, reverse=rev) for ex in (False, True) for rev in (False, True)], "sum")
    R.case(group, "CumulativeLogsumexp", [lambda g, d=d, ex=ex, rev=rev: g.op("CumulativeLogsumexp", g.rand([3, 4], d), g.const(1, "i32"), exclusive=ex, reverse=rev)
                                          for d in FLOATS for ex in (False, True) for rev in (False, True)], "sum")
    R.case(group, "L2Loss", each(FLOATS, lambda g, d: g.op("L2Loss", g.rand([3, 4], d))), "sum")

    group = "segment"
    for op in ("SegmentSum", "SegmentMean", "SegmentProd", "SegmentMax", "SegmentMin"):
        R.case(group, op, [lambda g, d=d, op=op: g.op(op, g.rand([5, 2], d, 0.5, 2), g.const([0, 0, 2, 2, 3], "i32")) for d in NUMBERS], "sum")
    for op in ("UnsortedSegmentSum", "UnsortedSegmentProd", "UnsortedSegmentMax", "UnsortedSegmentMin"):
        R.case(group, op, [lambda g, d=d, op=op: g.op(op, g.rand([5, 2], d, 0.5, 2), g.const([2, 0, -1, 2, 3], "i64"), g.const(5, "i32")) for d in NUMBERS], "sum")
    for kind in ("Sum", "Mean", "SqrtN"):
        op = "SparseSegment" + kind
        R.case(group, op, [lambda g, d=d, op=op: g.op(op, g.rand([4, 3], d), g.const([0, 2, 3, 0], "i32"), g.const([0, 0, 1, 3], "i32")) for d in NUMBERS], "sum")
        op += "WithNumSegments"
        R.case(group, op, [lambda g, d=d, op=op: g.op(op, g.rand([4, 3], d), g.const([0, 2, 3, 0], "i64"), g.const([0, 0, 1, 3], "i32"), g.const(6, "i32")) for d in NUMBERS], "sum")

    group = "count"
    R.case(group, "Bincount", [lambda g, d=d, w=w: g.op("Bincount", g.const([1, 3, 3, 0, 7], "i32"), g.const(5, "i32"), g.rand([5], d) if w else g.const(np.zeros([0]), d))
                               for d in ("i32", "i64", "f32", "f64") for w in (False, True)], "sum")
    R.case(group, "DenseBincount", [lambda g, d=d, b=b: g.op("DenseBincount", g.const([[1, 3], [3, 0]], d), g.const(5, d), g.const(np.zeros([0])), binary_output=b)
                                    for d in ("i32", "i64") for b in (False, True)]
           + [lambda g: g.op("DenseBincount", g.const([1, 3, 3], "i32"), g.const(4, "i32"), g.rand([3]))], "sum")
    R.case(group, "HistogramFixedWidth", each(["f32", "f64", "i32", "i64"], lambda g, d: g.op("HistogramFixedWidth", g.rand([20], d, -9, 9), g.const([-5, 5], d), g.const(4, "i32"))))
    R.case(group, "InTopK", each(["i32", "i64"], lambda g, d: g.op("InTopK", g.rand([3, 5]), g.const([1, 4, 0], d), k=2)))
    R.case(group, "InTopKV2", each(["i32", "i64"], lambda g, d: g.op("InTopKV2", g.rand([3, 5]), g.const([1, 4, 0], d), g.const(2, d))))
    R.case(group, "NthElement", [lambda g, d=d, r=r: g.op("NthElement", g.rand([2, 6], d), g.const(2, "i32"), reverse=r) for d in NUMBERS for r in (False, True)], "exact")
