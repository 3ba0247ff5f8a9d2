"""Compares matrix products of this project with ONNX Runtime's: same shapes, one thread, by turns.

    go test -c -o /tmp/kernels.test ./kernels
    python3 testdata/peers/products.py /tmp/kernels.test [--kernels avx2] [--kn 512x512,...] [--m 1,4,16,64]

needs onnxruntime, onnx and numpy; on Linux the program keeps itself on one core. Each round runs the benchmark of a
shape in a process of its own and then every operator of ONNX Runtime, each for a fraction of a second; what
counts of a round is the shortest time of one call, in time of the thread, and of all rounds the median.

Rows of a shape, ours against theirs:
    f32       product, bias and ReLU                      MatMul (no bias, no ReLU)
    layer     float32 in and out, INT8 inside, bias       QuantizeLinear and MatMulIntegerToFloat, or
                                                          DynamicQuantizeMatMul if that is faster
    product   codes in, int32 sums out                    MatMulInteger
On CPUs without VNNI, ONNX Runtime's products of u8 and s8 saturate at 16 bits. There it multiplies u8 by u8, which is
exact, against our exact products, and u8 by s8 within +-64, exact too, against ours of such weights.
"""
import argparse
import os
import re
import statistics
import subprocess
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

SHAPES = "512x512,1024x1024,512x2048,2048x512,2048x2048"


def fastest(run, seconds):
    """The shortest time of one call of run in nanoseconds of this thread."""
    run()
    start = time.thread_time_ns()
    run()
    calls = max(1, 200_000 // max(1, time.thread_time_ns() - start))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.thread_time_ns()
        for _ in range(calls):
            run()
        best = min(best, (time.thread_time_ns() - start) / calls)
    return best


def session(nodes, feed, output, constants):
    """A function that runs the nodes on feed, an array named a, with input and output bound in advance."""
    name, kind, shape = output
    graph = h.make_graph(nodes, "g", [h.make_tensor_value_info("a", h.np_dtype_to_tensor_dtype(feed.dtype), feed.shape)],
                         [h.make_tensor_value_info(name, kind, shape)],
                         [numpy_helper.from_array(v, k) for k, v in constants.items()])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17), h.make_opsetid("com.microsoft", 1)])
    model.ir_version = 8
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    s = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = s.io_binding()
    binding.bind_cpu_input("a", feed)
    binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_shape_and_type(
        list(shape), h.tensor_dtype_to_np_dtype(kind), "cpu"))
    return lambda: s.run_with_iobinding(binding)


def f32(m, k, n, rng):
    return [session([h.make_node("MatMul", ["a", "w"], ["y"])], rng.standard_normal((m, k), np.float32),
                    ("y", T.FLOAT, (m, n)), {"w": rng.standard_normal((k, n), np.float32)})]


def weights(k, n, rng, limit, unsigned):
    w = rng.integers(-limit, limit + 1, (k, n))
    return ((w + 128).astype(np.uint8), np.uint8(128)) if unsigned else (w.astype(np.int8), np.int8(0))


def layer(m, k, n, rng, limit, unsigned):
    w, zero = weights(k, n, rng, limit, unsigned)
    x = rng.standard_normal((m, k), np.float32)
    common = {"w": w, "ws": np.full(n, .01, np.float32), "wz": np.full(n, zero), "b": np.zeros(n, np.float32)}
    static = session([h.make_node("QuantizeLinear", ["a", "as", "az"], ["q"]),
                      h.make_node("MatMulIntegerToFloat", ["q", "w", "as", "ws", "az", "wz", "b"], ["y"], domain="com.microsoft")],
                     x, ("y", T.FLOAT, (m, n)), {**common, "as": np.float32(4 / 127), "az": np.uint8(128)})
    dynamic = session([h.make_node("DynamicQuantizeMatMul", ["a", "w", "ws", "wz", "b"], ["y"], domain="com.microsoft")],
                      x, ("y", T.FLOAT, (m, n)), common)
    return [static, dynamic]


def product(m, k, n, rng, limit, unsigned):
    w, zero = weights(k, n, rng, limit, unsigned)
    return [session([h.make_node("MatMulInteger", ["a", "w", "az", "wz"], ["y"])],
                    rng.integers(0, 256, (m, k)).astype(np.uint8), ("y", T.INT32, (m, n)),
                    {"w": w, "az": np.uint8(128), "wz": zero})]


def ours(program, benchmark, tier, limit, ms, k, n):
    """min-ns of the benchmark by number of rows."""
    parts = [f"^Benchmark{benchmark}$", f"^tier={tier}$"] + ([f"^weights={limit}$"] if limit else [])
    parts += [f"^m=({'|'.join(map(str, ms))})$", f"^k={k}$", f"^n={n}$"]
    out = subprocess.run([program, "-test.run", "^$", "-test.benchtime", "2x", "-test.bench", "/".join(parts)],
                         check=True, capture_output=True, text=True).stdout
    return {int(a): float(b) for a, b in re.findall(r"/m=(\d+)/.*?([\d.]+) min-ns", out)}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("program", help="what `go test -c ./kernels` made")
    ap.add_argument("--kernels", help="tier of ours; the best of this CPU unless given")
    ap.add_argument("--kn", default=SHAPES, help="inner and outer dimensions; the benchmarks must have them")
    ap.add_argument("--m", default="1,4,16,64", help="numbers of rows")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=float, default=0.1, help="time of one operator of ONNX Runtime in a round")
    a = ap.parse_args()
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    flags = set(re.search(r"^flags.*", open("/proc/cpuinfo").read(), re.M)[0].split())
    vnni = "avx512_vnni" in flags or "avx_vnni" in flags
    tier = a.kernels or ("avx512vnni" if "avx512_vnni" in flags else "avxvnni" if "avx_vnni" in flags else "avx2")
    if vnni and tier == "avx2":
        print("note: ONNX Runtime uses VNNI here, which kernels avx2 does not")
    kinds = [("f32", "MatMulF32", 0, lambda *s: f32(*s))]
    for limit, unsigned in [(127, not vnni)] + ([(64, False)] if tier == "avx2" else []):
        kinds.append((f"layer {limit}", "MatMulInt8", limit, lambda *s, l=limit, u=unsigned: layer(*s, l, u)))
        kinds.append((f"product {limit}", "MatMulInt32", limit, lambda *s, l=limit, u=unsigned: product(*s, l, u)))
    ms, rng = [int(m) for m in a.m.split(",")], np.random.default_rng(1)
    print(f"ONNX Runtime {ort.__version__}, kernels {tier}, median of {a.rounds} rounds")
    print(f"{'kind':12} {'k':>5} {'n':>5} {'m':>4} {'ours us':>9} {'ORT us':>9} {'times':>6} {'G/s':>7}")
    for kind, benchmark, limit, make in kinds:
        for k, n in [map(int, s.split("x")) for s in a.kn.split(",")]:
            runs = {m: make(m, k, n, rng) for m in ms}
            mine, theirs = {m: [] for m in ms}, {m: [] for m in ms}
            for _ in range(a.rounds):
                for m, ns in ours(a.program, benchmark, tier, limit, ms, k, n).items():
                    mine[m].append(ns)
                for m in ms:
                    theirs[m].append(min(fastest(run, a.seconds) for run in runs[m]))
            for m in ms:
                x, y = statistics.median(mine[m]), statistics.median(theirs[m])
                print(f"{kind:12} {k:5} {n:5} {m:4} {x / 1e3:9.2f} {y / 1e3:9.2f} {y / x:6.2f} {2 * m * k * n / x:7.1f}", flush=True)


if __name__ == "__main__":
    main()
