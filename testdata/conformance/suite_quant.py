"""Quantized ops. The oneDNN ones keep products small enough that CPUs without VNNI do not saturate."""
import itertools

from recorder import FLOATS
from suite_math import each

CODES = ["qi8", "qu8", "qi32", "qi16", "qu16"]
RANGE = {"qi8": (-128, 127), "qu8": (0, 255), "qi32": (-30000, 30000), "qi16": (-2000, 2000), "qu16": (0, 4000)}


def codes(g, shape, d, lo=None, hi=None):
    a, b = RANGE[d]
    return g.rand(shape, d, a if lo is None else lo, b if hi is None else hi)


def ranged(g, shape, d, lo, hi):
    """Codes with their range."""
    return codes(g, shape, d), g.const(lo), g.const(hi)


def build(R):
    group = "quant"
    v = [-3.5, -1, -0.51, -0.25, 0, 0.1, 0.49, 0.5, 1, 2.75, 9]
    R.case(group, "QuantizeV2", [lambda g, d=d, m=m, r=r: g.op("QuantizeV2", g.const(v), g.const(-1.5), g.const(2.5), T=d, mode=m, round_mode=r)
                                 for d in CODES for m in ("MIN_COMBINED", "MIN_FIRST", "SCALED") for r in ("HALF_AWAY_FROM_ZERO", "HALF_TO_EVEN")]
           + [lambda g, n=n: g.op("QuantizeV2", g.const(v), g.const(-2.0), g.const(1.0), T="qi8", mode="SCALED", round_mode="HALF_TO_EVEN", narrow_range=n) for n in (False, True)]
           + [lambda g: g.op("QuantizeV2", g.rand([2, 3, 2]), g.const([-1.0, -2, -0.5]), g.const([1.0, 1, 2]), T="qi8", mode="SCALED", axis=1)], "one")
    R.case(group, "Dequantize", [lambda g, d=d, m=m: g.op("Dequantize", *ranged(g, [6], d, -1.5, 2.5), mode=m) for d in CODES for m in ("MIN_COMBINED", "MIN_FIRST", "SCALED")]
           + [lambda g, n=n: g.op("Dequantize", *ranged(g, [6], "qi8", -1.5, 2.5), mode="SCALED", narrow_range=n) for n in (True,)]
           + [lambda g: g.op("Dequantize", codes(g, [2, 3], "qi8"), g.const([-1.0, -2, -0.5]), g.const([1.0, 1, 2]), mode="SCALED", axis=1),
              lambda g: g.op("Dequantize", *ranged(g, [6], "qu8", -1.5, 2.5), dtype="bf16")], "one")
    for signed, given, bits, mode in itertools.product((True, False), (True, False), (8, 5), ("HALF_TO_EVEN", "HALF_UP")):
        kw = dict(signed_input=signed, range_given=given, round_mode=mode)
        name = "%s_%s_%d_%s" % ("signed" if signed else "unsigned", "given" if given else "free", bits, mode.lower())
        R.case(group, "QuantizeAndDequantizeV2_" + name, [lambda g, d=d, n=n: g.op("QuantizeAndDequantizeV2", g.const(v, d), g.const(-2 if signed else 0, d), g.const(2.5, d), num_bits=bits, narrow_range=n, **kw)
                                                          for d in ("f32", "f64") for n in (False, True)], "one")
    R.case(group, "QuantizeAndDequantizeV3", [lambda g, d=d, n=n: g.op("QuantizeAndDequantizeV3", g.const(v, d), g.const(-2, d), g.const(2.5, d), g.const(n, "i32")) for d in ("f32", "f64") for n in (4, 8)], "one")
    R.case(group, "QuantizeAndDequantizeV4", [lambda g, d=d: g.op("QuantizeAndDequantizeV4", g.const(v, d), g.const(-2, d), g.const(2.5, d), range_given=True) for d in ("f32", "f64")]
           + [lambda g: g.op("QuantizeAndDequantizeV4", g.rand([2, 3]), g.const([0.0, 0, 0]), g.const([0.0, 0, 0]), axis=1)], "one")
    R.case(group, "FakeQuantWithMinMaxArgs", [lambda g, b=b, n=n, lo=lo: g.op("FakeQuantWithMinMaxArgs", g.const(v), min=lo, max=2.5, num_bits=b, narrow_range=n) for b in (4, 8) for n in (False, True) for lo in (-1.5, 0.0, 0.3)], "one")
    R.case(group, "FakeQuantWithMinMaxVars", [lambda g, n=n, lo=lo: g.op("FakeQuantWithMinMaxVars", g.const(v), g.const(lo), g.const(2.5), narrow_range=n) for n in (False, True) for lo in (-1.5, 0.3)], "one")
    R.case(group, "FakeQuantWithMinMaxVarsPerChannel", [lambda g, n=n: g.op("FakeQuantWithMinMaxVarsPerChannel", g.rand([4, 2]), g.const([-1.5, -0.1]), g.const([2.5, 0.7]), narrow_range=n) for n in (False, True)], "one")
    R.case(group, "Requantize", [lambda g, o=o: g.op("Requantize", *ranged(g, [8], "qi32", -8e4, 8e4), g.const(-1.0), g.const(1.5), out_type=o) for o in ("qu8", "qi8")], "one")
    R.case(group, "RequantizationRange", [lambda g: g.op("RequantizationRange", *ranged(g, [8], "qi32", -8e4, 8e4))], "one")
    R.case(group, "RequantizationRangePerChannel", [lambda g: g.op("RequantizationRangePerChannel", codes(g, [1, 2, 2, 3], "qi32"), g.const([-8e4, -1e4, -2e4]), g.const([8e4, 1e4, 2e4]), clip_value_max=6.0)], "one", onednn=True)
    R.case(group, "RequantizePerChannel", [lambda g, o=o: g.op("RequantizePerChannel", codes(g, [1, 2, 2, 3], "qi32"), g.const([-8e4, -1e4, -2e4]), g.const([8e4, 1e4, 2e4]), g.const(-1.0), g.const(1.5), out_type=o) for o in ("qi8", "qu8")], "one", onednn=True)
    R.case(group, "QuantizeDownAndShrinkRange", [lambda g: g.op("QuantizeDownAndShrinkRange", *ranged(g, [8], "qi32", -8e4, 8e4), out_type="qu8")], "one")
    R.case(group, "QuantizedMatMul", [lambda g, a=a, b=b: (lambda x, y: g.op("QuantizedMatMul", x[0], y[0], x[1], x[2], y[1], y[2], transpose_a=a, transpose_b=b, Toutput="qi32"))
                                      (ranged(g, [4, 3] if a else [3, 4], "qu8", -1, 2), ranged(g, [2, 4] if b else [4, 2], "qu8", -0.5, 1.5)) for a in (False, True) for b in (False, True)], "one")
    for op in ("QuantizedAdd", "QuantizedMul"):
        R.case(group, op, [lambda g, op=op, s=s: (lambda x, y: g.op(op, x[0], y[0], x[1], x[2], y[1], y[2], Toutput="qi32"))(ranged(g, [2, 8], "qu8", -1, 2), ranged(g, s, "qu8", -0.5, 1.5)) for s in ([2, 8], [8], [])], "one")
    R.case(group, "QuantizedBiasAdd", [lambda g: (lambda x, y: g.op("QuantizedBiasAdd", x[0], y[0], x[1], x[2], y[1], y[2], out_type="qi32"))(ranged(g, [2, 8], "qu8", -1, 2), ranged(g, [8], "qu8", -0.5, 1.5))], "one")
    for op in ("QuantizedRelu", "QuantizedRelu6"):
        R.case(group, op, [lambda g, op=op, d=d: g.op(op, *ranged(g, [8], d, -4, 9), out_type=d) for d in ("qu8", "qi32")], "one")
    R.case(group, "QuantizedReshape", [lambda g, d=d: (lambda x: g.op("QuantizedReshape", x[0], g.const([3, -1], "i32"), x[1], x[2]))(ranged(g, [2, 6], d, -1, 2)) for d in ("qu8", "qi32")])
    R.case(group, "QuantizedConcat", [lambda g: (lambda x, y: g.op("QuantizedConcat", g.const(1, "i32"), [x[0], y[0]], [x[1], y[1]], [x[2], y[2]]))(ranged(g, [2, 2], "qu8", -1, 2), ranged(g, [2, 3], "qu8", -2, 1))], "one")
    R.case(group, "QuantizedMaxPool", [lambda g: g.op("QuantizedMaxPool", *ranged(g, [1, 4, 4, 2], "qu8", -1, 2), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")], "one")
    R.case(group, "QuantizedAvgPool", [lambda g: g.op("QuantizedAvgPool", *ranged(g, [1, 4, 4, 2], "qu8", -1, 2), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")], "one")
    R.case(group, "QuantizedConv2D", [lambda g: (lambda x, y: g.op("QuantizedConv2D", x[0], y[0], x[1], x[2], y[1], y[2], strides=[1, 1, 1, 1], padding="VALID", out_type="qi32"))
                                      (ranged(g, [1, 4, 4, 2], "qu8", -1, 2), ranged(g, [2, 2, 2, 3], "qu8", -0.5, 1.5))], "one")

    group = "uniform"
    scale = lambda g, axis: (g.const([0.1, 0.3] if axis >= 0 else 0.1), g.const([3, -2] if axis >= 0 else 3, "i32"))
    for axis in (-1, 1):
        name = "" if axis < 0 else "_axis"
        R.case(group, "UniformQuantize" + name, [lambda g, o=o, a=axis: g.op("UniformQuantize", g.rand([3, 2]), *scale(g, a), Tout=o, quantization_axis=a, quantization_min_val=-128 if o == "qi8" else -2 ** 31, quantization_max_val=127 if o == "qi8" else 2 ** 31 - 1) for o in ("qi8", "qi32")])
        R.case(group, "UniformDequantize" + name, [lambda g, o=o, a=axis: g.op("UniformDequantize", codes(g, [3, 2], o), *scale(g, a), Tout="f32", quantization_axis=a, quantization_min_val=-128, quantization_max_val=127) for o in ("qi8", "qi32")], "one")
    R.case(group, "UniformRequantize", [lambda g, i=i: g.op("UniformRequantize", codes(g, [3, 2], i), g.const(0.1), g.const(3, "i32"), g.const(0.25), g.const(-1, "i32"), Tout="qi8", input_quantization_min_val=-128, input_quantization_max_val=127, output_quantization_min_val=-128, output_quantization_max_val=127) for i in ("qi8", "qi32")])
    R.case(group, "UniformQuantizedDot", [lambda g: g.op("UniformQuantizedDot", codes(g, [2, 3], "qi8"), codes(g, [3, 4], "qi8"), g.const(0.1), g.const(3, "i32"), g.const(0.2), g.const(0, "i32"), g.const(0.02), g.const(5, "i32"), Tout="qi32",
                                                         lhs_quantization_min_val=-128, lhs_quantization_max_val=127, rhs_quantization_min_val=-128, rhs_quantization_max_val=127, output_quantization_min_val=-2 ** 31, output_quantization_max_val=2 ** 31 - 1)])

    group = "onednn"

    def product(g, op, bias, extra=(), b="qi8", **kw):
        x, w = codes(g, [3, 8], "qu8", 0, 119), codes(g, [8, 4], b, -60, 60)
        return g.op(op, x, w, bias, g.const(0.0), g.const(2.0), g.const(-1.0), g.const(1.0), *extra, input_quant_mode="SCALED", **kw)
    R.case(group, "QuantizedMatMulWithBias", [lambda g, t=t: product(g, "QuantizedMatMulWithBias", g.rand([4], t)) for t in ("f32", "qi32")], "sum", onednn=True)
    R.case(group, "QuantizedMatMulWithBiasAndRelu", [lambda g: product(g, "QuantizedMatMulWithBiasAndRelu", g.rand([4]))], "sum", onednn=True)
    R.case(group, "QuantizedMatMulWithBiasAndReluAndRequantize", [lambda g, t=t: product(g, "QuantizedMatMulWithBiasAndReluAndRequantize", g.rand([4], t), (g.const(0.0), g.const(9.0))) for t in ("f32", "qi32")], "sum", onednn=True)
    R.case(group, "QuantizedMatMulWithBiasAndRequantize", [lambda g, t=t: product(g, "QuantizedMatMulWithBiasAndRequantize", g.rand([4], t), (g.const(-3.0), g.const(3.0))) for t in ("f32", "qi32")], "sum", onednn=True)
    R.case(group, "QuantizedMatMulWithBiasAndDequantize", [lambda g, t=t: product(g, "QuantizedMatMulWithBiasAndDequantize", g.rand([4], t), (g.const(-3.0), g.const(3.0)), Toutput="f32") for t in ("f32", "qi32")], "sum", onednn=True)

    def fused(g, ops, a="qi8", out="f32", extra=0):
        x = codes(g, [3, 8], a, -119 if a == "qi8" else 0, 119)
        w = codes(g, [8, 4], "qi8", -60, 60)
        host = [g.const(-2.0 if a == "qi8" else 0.0), g.const(2.0), g.const(-1.0), g.const(1.0)] + [g.const(-3.0), g.const(3.0)] * (1 if extra else 0)
        return g.op("_QuantizedMatMul", [x, w, g.rand([4])], host, fused_ops=ops, Tdevice_outputs=[out], Thost_outputs=[] if out == "f32" else ["f32", "f32"], T1=a, T2="qi8", Tbias="f32", Tout=out,
                    U="f32", num_args=1, input_quant_mode="SCALED", output_quant_mode="SCALED")
    R.case(group, "_QuantizedMatMul", [lambda g, o=o, a=a: fused(g, o, a) for o in (["BiasAdd", "Dequantize"], ["BiasAdd", "Relu", "Dequantize"], ["BiasAdd", "Tanh", "Dequantize"]) for a in ("qi8", "qu8")]
           + [lambda g: fused(g, ["BiasAdd", "Requantize"], out="qi8", extra=1)], "sum", onednn=True)
    R.case(group, "QuantizedConcatV2", [lambda g: (lambda x, y: g.op("QuantizedConcatV2", [x[0], y[0]], g.const(1, "i32"), [x[1], y[1]], [x[2], y[2]]))(ranged(g, [2, 2], "qu8", 0, 2), ranged(g, [2, 3], "qu8", 0, 2))], "one", onednn=True)
